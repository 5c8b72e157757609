/** Any operations, and a crash at any write: what was confirmed is there, what is there was written, and each write is whole or absent. */
import { cp, mkdtemp, rm, stat, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../../core/codec.ts';
import { GroupedStore } from '../../../ledger/books/store.ts';
import type { Change } from '../../../ledger/books/store.ts';

type Model = ReadonlyMap<string, string>;

const KEYS = ['held/a', 'held/b', 'given/a', 'share/demo.web3', 'arrears/w'];
const change: fc.Arbitrary<Change> = fc.tuple(
  fc.constantFrom(...KEYS),
  fc.option(fc.uint8Array({ maxLength: 40 }), { nil: undefined, freq: 4 }),
);
/** One write; the next begins when it is on disk. */
const writes = fc.array(fc.array(change, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 12 });
/** What the crash leaves of the last write: of the journal this part, of LevelDB all or nothing. */
const crash = fc.record({ at: fc.nat(), journal: fc.nat(1000), level: fc.boolean() });

let root: string;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'relaymint-crash-'));
});
afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

async function contents(directory: string): Promise<Model> {
  await using store = await GroupedStore.open(directory);
  expect(store.findings).toMatchObject({ complete: true, damaged: [] });
  return new Map(Array.from(store.entries(), ([key, value]) => [key, toHex(value)]));
}

function applied(model: Model, changes: readonly Change[]): Model {
  const next = new Map(model);
  for (const [key, value] of changes) {
    if (value === undefined) next.delete(key);
    else next.set(key, toHex(value));
  }
  return next;
}

describe('the store and its model', () => {
  it('agree after any writes and a crash in the middle of any of them', async () => {
    await fc.assert(
      fc.asyncProperty(writes, crash, async (all, { at, journal, level }) => {
        const directory = await mkdtemp(path.join(root, 'run-'));
        const live = path.join(directory, 'live');
        const dead = path.join(directory, 'dead');
        const last = at % all.length;
        let before: Model = new Map();
        const store = await GroupedStore.open(live);
        for (const changes of all.slice(0, last)) {
          await store.writeNow(changes);
          before = applied(before, changes);
        }
        const end = (await stat(path.join(live, 'journal'))).size;
        // The files as they are now are what a killed process leaves.
        await cp(live, dead, { recursive: true });
        const crashing = all[last] ?? [];
        await store.writeNow(crashing);
        const after = applied(before, crashing);
        for (const name of level ? ['journal', 'level'] : ['journal']) {
          await rm(path.join(dead, name), { recursive: true });
          await cp(path.join(live, name), path.join(dead, name), { recursive: true });
        }
        await store.close();
        const { size } = await stat(path.join(dead, 'journal'));
        const kept = end + Math.floor(((size - end) * journal) / 1000);
        await truncate(path.join(dead, 'journal'), kept);
        const found = await contents(dead);
        expect(found).toEqual(level || kept === size ? after : before);
        // And from there on as if nothing had been.
        const more: Change[] = [['held/a', fromHex('01')]];
        const again = await GroupedStore.open(dead);
        await again.writeNow(more);
        await again.close();
        expect(await contents(dead)).toEqual(applied(found, more));
        expect(await contents(live)).toEqual(after);
        await rm(directory, { recursive: true });
      }),
      { numRuns: 60 },
    );
  }, 120_000);

  it('agree when the journal was replaced many times, and it does not grow without end', async () => {
    const directory = path.join(root, 'long');
    const store = await GroupedStore.open(directory);
    const value = new Uint8Array(100_000);
    for (let i = 0; i < 200; i += 1) {
      value[0] = i;
      await store.writeNow([[`share/${i % 3}`, value]]);
    }
    await store.close();
    expect((await stat(path.join(directory, 'journal'))).size).toBeLessThan(6 << 20);
    expect((await contents(directory)).size).toBe(3);
  });
});
