/** Damage to the files of books whose process was killed. */
import { spawnSync } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../core/ports.ts';
import type { Log } from '../../../core/ports.ts';
import { inspectBooks, openBookStore } from '../../../ledger/accounting/index.ts';
import type { BookStore } from '../../../ledger/accounting/index.ts';
import { killedWriter } from './killed.ts';
import { Random } from './random.ts';

const TIMEOUT_MILLIS = 300_000;
/** Byte positions spoiled in each file, beside its first and last ones. */
const SAMPLES = 40;
const EDGE = 12;

let root: string;
/** Books of a process that was killed, twice; never opened since. */
let killed: string;
let truth: Held;
let files: readonly { readonly name: string; readonly size: number }[];
let trial: string;

interface Held {
  readonly receipts: Readonly<Record<string, bigint>>;
  readonly shares: bigint;
}

interface Opened extends Held {
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
  readonly damaged: number;
}

function heldIn(store: BookStore): Held {
  const receipts: Record<string, bigint> = {};
  for (const { channel, latest } of store.entries()) receipts[channel.id] = latest?.amount ?? 0n;
  return { receipts, shares: store.shares.get('demo.web3') ?? 0n };
}

async function openTrial(): Promise<Opened> {
  const errors: string[] = [];
  const warnings: string[] = [];
  const log: Log = {
    ...silentLog,
    warn: (_fields, message) => warnings.push(message),
    error: (_fields, message) => errors.push(message),
  };
  await using store = await openBookStore(trial, { log });
  return { ...heldIn(store), errors, warnings, damaged: store.findings.damaged.length };
}

async function freshTrial(): Promise<void> {
  await rm(trial, { recursive: true, force: true });
  await cp(killed, trial, { recursive: true });
}

async function flip(name: string, position: number, mask: number): Promise<void> {
  const file = path.join(trial, name);
  const bytes = await readFile(file);
  bytes[position] = (bytes[position] ?? 0) ^ mask;
  await writeFile(file, bytes);
}

beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'relaymint-damage-'));
  killed = path.join(root, 'killed');
  trial = path.join(root, 'trial');
  const reached = await killedWriter(killed, 0n, 40);
  await killedWriter(killed, reached, 40);
  const names = await readdir(killed, { recursive: true });
  const sized = await Promise.all(names.map(async (name) => ({ name, info: await stat(path.join(killed, name)) })));
  files = sized.filter(({ info }) => info.isFile()).map(({ name, info }) => ({ name, size: info.size }));
  await freshTrial();
  truth = await openTrial();
}, TIMEOUT_MILLIS);
afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});
beforeEach(freshTrial);

describe('books of a killed process', () => {
  it('are whole, and say nothing, when nothing happened to their files', async () => {
    const opened = await openTrial();
    expect(opened).toMatchObject({ ...truth, errors: [], warnings: [], damaged: 0 });
    expect(Object.values(truth.receipts).every((amount) => amount > 0n)).toBe(true);
    expect(files.some(({ name }) => name.endsWith('.ldb'))).toBe(true);
  });

  it(
    'lose nothing by one spoiled byte, wherever it is',
    async () => {
      const random = new Random(20_261_127);
      let noticed = 0;
      for (const { name, size } of files) {
        for (const position of positionsIn(size, random)) {
          await freshTrial();
          await flip(name, position, 1 << random.below(8));
          const opened = await openTrial();
          const where = `${name} at ${position}`;
          expect({ where, receipts: opened.receipts, shares: opened.shares, errors: opened.errors }).toEqual({
            where,
            receipts: truth.receipts,
            shares: truth.shares,
            errors: [],
          });
          if (opened.damaged === 0) continue;
          noticed += 1;
          expect(opened.warnings.join()).toContain('nothing is missing');
          const again = await openTrial();
          expect({ where, ...again }).toEqual({ where, ...truth, errors: [], warnings: [], damaged: 0 });
        }
      }
      expect(noticed).toBeGreaterThan(50);
    },
    TIMEOUT_MILLIS,
  );

  it(
    'lose nothing by a file that is cut off, emptied or gone',
    async () => {
      const random = new Random(7);
      for (const { name, size } of files) {
        for (const length of [undefined, 0, random.below(size + 1), random.below(size + 1)]) {
          await freshTrial();
          const file = path.join(trial, name);
          if (length === undefined) await rm(file);
          else await truncate(file, length);
          const opened = await openTrial();
          const where = `${name} cut to ${length ?? 'nothing'}`;
          expect({ where, receipts: opened.receipts, errors: opened.errors }).toEqual({
            where,
            receipts: truth.receipts,
            errors: [],
          });
        }
      }
    },
    TIMEOUT_MILLIS,
  );

  it('lose nothing when either copy is gone as a whole', async () => {
    for (const name of ['level', 'journal']) {
      await freshTrial();
      await rm(path.join(trial, name), { recursive: true });
      const opened = await openTrial();
      expect(opened).toMatchObject({ receipts: truth.receipts, shares: truth.shares, errors: [], damaged: 1 });
    }
  });

  it('lose nothing when LevelDB ended the process that read it: it is not read again', async () => {
    const { pid } = spawnSync(process.execPath, ['--version']);
    await writeFile(path.join(trial, 'level.reading'), String(pid));
    expect(await openTrial()).toMatchObject({ receipts: truth.receipts, errors: [], damaged: 1 });
    expect(await openTrial()).toMatchObject({ ...truth, errors: [], warnings: [], damaged: 0 });
  });

  it('keep the damaged files beside the repaired ones', async () => {
    await flip('journal', 40, 1);
    const spoiled = await readFile(path.join(trial, 'journal'));
    await openTrial();
    const kept = (await readdir(trial)).filter((name) => name.startsWith('journal.damaged-'));
    expect(kept).toHaveLength(1);
    expect(await readFile(path.join(trial, kept[0] ?? ''))).toEqual(spoiled);
  });

  it(
    'lose nothing by one spoiled byte in each copy that does not hit the same record, and say so loudly when it does',
    async () => {
      const random = new Random(3);
      const journal = files.find(({ name }) => name === 'journal');
      const data = files.filter(({ name }) => name.endsWith('.log'));
      let losses = 0;
      for (let round = 0; round < 60; round += 1) {
        const other = data[round % data.length];
        if (journal === undefined || other === undefined || other.size === 0) continue;
        await freshTrial();
        await flip('journal', random.below(journal.size), 1 << random.below(8));
        await flip(other.name, random.below(other.size), 1 << random.below(8));
        const opened = await openTrial();
        const lower = Object.entries(truth.receipts).some(([id, amount]) => (opened.receipts[id] ?? 0n) < amount);
        if (lower) losses += 1;
        expect(lower && opened.errors.length === 0).toBe(false);
      }
      expect(losses).toBeLessThan(20);
    },
    TIMEOUT_MILLIS,
  );

  it('say how much is missing when the newest writes are gone from both copies', async () => {
    // The journal's middle is overwritten, and LevelDB is gone.
    await rm(path.join(trial, 'level'), { recursive: true });
    const file = path.join(trial, 'journal');
    const bytes = await readFile(file);
    bytes.fill(0, 13, bytes.length - 400);
    await writeFile(file, bytes);
    const inspected = await inspectBooks(trial);
    expect(inspected.complete).toBe(false);
    expect(inspected.missing.records).toBeGreaterThan(0);
    const opened = await openTrial();
    expect(opened.errors).toHaveLength(1);
    const total = (held: Held): bigint => Object.values(held.receipts).reduce((sum, amount) => sum + amount, 0n);
    expect(inspected.missing.worth).toBeGreaterThan(0n);
    expect(inspected.missing.worth).toBeLessThanOrEqual(total(truth));
  });

  it('are inspected without a byte of them being changed', async () => {
    await flip('journal', 500, 1);
    const before = await contentOf(trial);
    const inspected = await inspectBooks(trial);
    expect(inspected).toMatchObject({ complete: true, channels: 3, held: 3, damaged: [{ copy: 'journal' }] });
    expect(await contentOf(trial)).toEqual(before);
  });

  it('of another version are refused, and stay as they are', async () => {
    await rm(trial, { recursive: true });
    await cp(path.join(killed, 'level'), trial, { recursive: true });
    await expect(openBookStore(trial)).rejects.toMatchObject({ code: 'VERSION_UNSUPPORTED' });
    await expect(inspectBooks(trial)).rejects.toMatchObject({ code: 'VERSION_UNSUPPORTED' });
  });
});

function positionsIn(size: number, random: Random): readonly number[] {
  const positions = new Set<number>();
  for (let at = 0; at < Math.min(EDGE, size); at += 1) positions.add(at).add(size - 1 - at);
  for (let sample = 0; sample < SAMPLES; sample += 1) {
    const [from, to] = [Math.floor((sample * size) / SAMPLES), Math.floor(((sample + 1) * size) / SAMPLES)];
    if (to > from) positions.add(from + random.below(to - from));
  }
  return [...positions];
}

async function contentOf(directory: string): Promise<Readonly<Record<string, string>>> {
  const content: Record<string, string> = {};
  for (const name of await readdir(directory, { recursive: true })) {
    const file = path.join(directory, name);
    if ((await stat(file)).isFile()) content[name] = (await readFile(file)).toString('hex');
  }
  return content;
}
