import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { utf8 } from '../../../core/codec.ts';
import { openBookStore } from '../../../ledger/accounting/index.ts';
import { verifyReceipt } from '../../../ledger/receipt/index.ts';
import { readJournal } from '../../../ledger/books/journal.ts';
import { GroupedStore } from '../../../ledger/books/store.ts';
import { killedWriter } from './killed.ts';

/** A child compiles what it runs, which takes long on a loaded machine. */
const TIMEOUT_MILLIS = 240_000;
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'relaymint-store-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

describe('the store', () => {
  it('groups what is written while a sync runs, tells only the newest of a topic, and forgets nothing', async () => {
    await using store = await GroupedStore.open(directory);
    const told: number[] = [];
    for (let i = 0; i < 100; i += 1) {
      store.write([['key', utf8(String(i))]], { sync: true, topic: 'key' }, () => told.push(i));
      if (i === 50) await store.flushed();
    }
    await store.flushed();
    expect(told).toEqual([50, 99]);
    expect(await contents(store)).toEqual({ key: '99' });
  });

  it('writes a batch whole and deletes what is undefined', async () => {
    await using store = await GroupedStore.open(directory);
    await store.writeNow([
      ['a', utf8('1')],
      ['b', utf8('2')],
    ]);
    await store.writeNow([
      ['a', undefined],
      ['c', utf8('3')],
    ]);
    expect(await contents(store)).toEqual({ b: '2', c: '3' });
  });

  it('writes late what may be late: with the next write, in the same one', async () => {
    await using store = await GroupedStore.open(directory);
    await store.writeNow([['a', utf8('1')]]);
    const before = await commits();
    store.writeLate([['b', utf8('2')]]);
    store.writeLate([['b', utf8('3')]]);
    await new Promise(setImmediate);
    expect(await commits()).toBe(before);
    await store.writeNow([['a', utf8('4')]]);
    expect(await commits()).toBe(before + 1);
    expect(await contents(store)).toEqual({ a: '4', b: '3' });
  });

  it('writes what is late by itself when nothing else is written, at the end, and when asked', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const store = await GroupedStore.open(directory);
      const before = await commits();
      store.writeLate([['a', utf8('1')]]);
      vi.advanceTimersByTime(1_000);
      await expect.poll(commits).toBe(before + 1);
      store.writeLate([['b', utf8('2')]]);
      await store.flushed();
      expect(await commits()).toBe(before + 2);
      store.writeLate([['c', utf8('3')]]);
      await store.close();
    } finally {
      vi.useRealTimers();
    }
    await using again = await GroupedStore.open(directory);
    expect(await contents(again)).toEqual({ a: '1', b: '2', c: '3' });
  });

  it('does not let one listener that throws stop another, or the writer', async () => {
    await using store = await GroupedStore.open(directory);
    const uncaught = new Promise<unknown>((resolve) => {
      const listeners = process.listeners('uncaughtException');
      process.removeAllListeners('uncaughtException');
      process.once('uncaughtException', (error) => {
        for (const listener of listeners) process.on('uncaughtException', listener);
        resolve(error);
      });
    });
    const told = new Promise<void>((resolve) => {
      store.write([['a', utf8('1')]], { sync: false }, () => {
        throw new Error('a fault of the listener');
      });
      store.write([['b', utf8('2')]], { sync: false }, () => resolve());
    });
    expect(await uncaught).toMatchObject({ message: 'a fault of the listener' });
    await told;
    await store.writeNow([['c', utf8('3')]]);
    expect(Object.keys(await contents(store))).toEqual(['a', 'b', 'c']);
  });

  it('refuses to write once closed', async () => {
    const store = await GroupedStore.open(directory);
    await store.close();
    await expect(store.writeNow([['a', utf8('1')]])).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it(
    'keeps every receipt it called safe, and every share with its receipt, through kill -9 in mid-write',
    async () => {
      let reached = 0n;
      for (let round = 0; round < 4; round += 1) {
        const said = await killedWriter(directory, reached, 20 + 61 * round);
        await using store = await openBookStore(directory);
        const receipts = Array.from(store.entries(), (entry) => entry.latest);
        expect(receipts).toHaveLength(3);
        for (const receipt of receipts) {
          expect(receipt?.amount).toBeGreaterThanOrEqual(said);
          expect(receipt !== undefined && verifyReceipt(receipt, receiptDelegate(store))).toBe(true);
          expect(receipt?.down).toBe(2n * (receipt?.up ?? 0n));
        }
        const amounts = receipts.map((receipt) => receipt?.amount ?? 0n);
        reached = amounts.reduce((a, b) => (a > b ? a : b));
        // One share a receipt of the first round; every later round begins at the greatest amount of all channels.
        const shares = (store.shares.get('demo.web3') ?? 0n) >> 20n;
        expect(shares).toBeLessThanOrEqual(3n * reached);
        expect(shares).toBeGreaterThanOrEqual(3n * reached - 3n * BigInt(round + 1));
      }
      expect(reached).toBeGreaterThan(100n);
    },
    TIMEOUT_MILLIS,
  );
});

/** How many writes the journal holds. */
async function commits(): Promise<number> {
  const { whole } = await readJournal(path.join(directory, 'journal'), () => 0n);
  return whole ?? 0;
}

function receiptDelegate(store: Awaited<ReturnType<typeof openBookStore>>): Parameters<typeof verifyReceipt>[1] {
  const [entry] = store.entries();
  if (entry === undefined) throw new Error('the books are empty');
  return entry.channel.delegate;
}

async function contents(store: GroupedStore): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const [key, value] of store.entries()) found[key] = new TextDecoder().decode(value);
  return found;
}
