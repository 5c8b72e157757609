/** The format of the books on disk, version 2: golden bytes. A change of them is a new version. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { Level } from 'level';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../../core/codec.ts';
import { nodeId } from '../../../core/ids.ts';
import { amount, unixSeconds } from '../../../core/units.ts';
import { openBookStore } from '../../../ledger/accounting/index.ts';
import type { BookStore } from '../../../ledger/accounting/index.ts';
import { COMMIT, COMMIT_KEY, seal, valueOf } from '../../../ledger/books/record.ts';
import { signReceipt } from '../../../ledger/receipt/index.ts';
import { channelState, delegate, seed } from '../accounting/pair.ts';

const FIXTURE = new URL('./fixtures/books-v2.json', import.meta.url);
const channel = channelState({
  deposit: amount(1_000_000n),
  opening: amount(5_000n),
  settled: amount(7n),
  settledUp: 8n,
  settledDown: 9n,
  closeAt: unixSeconds(1_800_000_000n),
});
const receipt = signReceipt({ channel: channel.id, amount: amount(1234n), up: 5678n, down: 9012n }, delegate);

interface Fixture {
  readonly journal: string;
  readonly level: Readonly<Record<string, string>>;
}

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'relaymint-format-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function write(): Promise<void> {
  await using store = await openBookStore(directory);
  store.enter('payee', nodeId(seed('peer')), channel);
  await store.flushed();
  store.hold(receipt, 0n, new Map([['demo.web3', 1n << 70n]]), () => {});
  await store.flushed();
  store.lose(channel.payer, 42n);
  await store.flushed();
  await store.saveSettlement('totals', Uint8Array.of(1, 2, 3));
  await store.advance(channel.payer, amount(43n));
}

function expectAll(store: BookStore): void {
  expect(store.entry(channel.id)).toEqual({
    role: 'payee',
    peer: nodeId(seed('peer')),
    channel,
    latest: receipt,
    owed: 0n,
  });
  expect(store.shares).toEqual(new Map([['demo.web3', 1n << 70n]]));
  expect(store.arrearsOf(channel.payer)).toBe(42n);
  expect(store.advancedTo(channel.payer)).toBe(43n);
  expect(store.settlements()).toEqual(new Map([['totals', Uint8Array.of(1, 2, 3)]]));
}

async function fixture(): Promise<Fixture> {
  return JSON.parse(await readFile(FIXTURE, 'utf8')) as Fixture;
}

describe('the format of the books', () => {
  it('is written as version 2 has it, byte for byte', async () => {
    await write();
    const journal = toHex(await readFile(path.join(directory, 'journal')));
    const db = new Level<string, Uint8Array>(path.join(directory, 'level'), { valueEncoding: 'view' });
    const level: Record<string, string> = {};
    for await (const [key, value] of db.iterator()) level[key] = toHex(value);
    await db.close();
    expect({ journal, level }).toEqual(await fixture());
  });

  it('is read from either copy alone', async () => {
    const { journal, level } = await fixture();
    await mkdir(directory, { recursive: true });
    await writeFile(path.join(directory, 'journal'), fromHex(journal));
    {
      await using store = await openBookStore(directory);
      expectAll(store);
    }
    await rm(directory, { recursive: true });
    const db = new Level<string, Uint8Array>(path.join(directory, 'level'), { valueEncoding: 'view' });
    await db.batch(Object.entries(level).map(([key, value]) => ({ type: 'put' as const, key, value: fromHex(value) })));
    await db.close();
    await using store = await openBookStore(directory);
    expectAll(store);
    expect(store.findings.complete).toBe(true);
  });

  it('of a later version is refused, whichever copy says so, and not touched', async () => {
    const bytes = Buffer.from(fromHex((await fixture()).journal));
    bytes[8] = 3;
    bytes.writeUInt32LE(crc32(bytes.subarray(0, 9)), 9);
    const file = path.join(directory, 'journal');
    await writeFile(file, bytes);
    await expect(openBookStore(directory)).rejects.toMatchObject({ code: 'VERSION_UNSUPPORTED' });
    expect(await readFile(file)).toEqual(bytes);
    await rm(directory, { recursive: true });
    const db = new Level<string, Uint8Array>(path.join(directory, 'level'), { valueEncoding: 'view' });
    await db.put(COMMIT_KEY, valueOf(seal(COMMIT, COMMIT_KEY, 1, Uint8Array.of(3))));
    await db.close();
    await expect(openBookStore(directory)).rejects.toMatchObject({ code: 'VERSION_UNSUPPORTED' });
  });
});
