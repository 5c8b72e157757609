/** The file that a watchtower is given: its bytes, what it refuses, and how a node keeps it. */
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../../core/codec.ts';
import { channelId, ledgerAddress, nodeId } from '../../../core/ids.ts';
import { amount, unixMillis } from '../../../core/units.ts';
import { openBookStore } from '../../../ledger/accounting/index.ts';
import type { BookStore } from '../../../ledger/accounting/index.ts';
import type { ChannelState } from '../../../ledger/contract.ts';
import { delegateFromSeed, signReceipt } from '../../../ledger/receipt/index.ts';
import {
  decodeReceiptFile,
  encodeReceiptFile,
  readReceiptFile,
  startReceiptExport,
} from '../../../ledger/settlement/index.ts';
import type { FiledReceipt, ReceiptFile } from '../../../ledger/settlement/index.ts';

const FIXTURE = new URL('./fixtures/receipt-file-v1.hex', import.meta.url);
const program = ledgerAddress(new Uint8Array(32).fill(3));
const payee = ledgerAddress(new Uint8Array(32).fill(4));
const delegate = delegateFromSeed(new Uint8Array(32).fill(5));

function filed(seed: number, owed: bigint): FiledReceipt {
  const channel = channelId(new Uint8Array(22).fill(seed));
  const receipt = signReceipt({ channel, amount: amount(owed), up: owed * 2n, down: owed * 30n }, delegate);
  return { slot: seed, generation: 70_000 + seed, delegate: delegate.address, receipt };
}

const example: ReceiptFile = {
  program,
  payee,
  writtenAt: unixMillis(1_764_000_000_000),
  receipts: [filed(1, 1_000n), filed(2, 2_500_000n)],
};

function withDigest(body: Uint8Array): Uint8Array {
  return Buffer.concat([body, createHash('sha256').update(body).digest()]);
}

describe('a receipt file', () => {
  it('is the bytes that every version since the first has written', async () => {
    const golden = (await readFile(FIXTURE, 'utf8')).trim();
    expect(toHex(encodeReceiptFile(example))).toBe(golden);
    expect(decodeReceiptFile(fromHex(golden))).toEqual(example);
  });

  it('is read back as it was written', () => {
    const one = fc.record({ seed: fc.nat({ max: 255 }), owed: fc.bigInt({ min: 1n, max: 1n << 40n }) });
    fc.assert(
      fc.property(fc.array(one, { maxLength: 20 }), fc.nat({ max: 2 ** 43 }), (items, at) => {
        const file = {
          ...example,
          writtenAt: unixMillis(at),
          receipts: items.map(({ seed, owed }) => filed(seed, owed)),
        };
        expect(decodeReceiptFile(encodeReceiptFile(file))).toEqual(file);
      }),
      { numRuns: 30 },
    );
  });

  it('is refused when it is cut off, longer, or changed anywhere', () => {
    const whole = encodeReceiptFile(example);
    for (let length = 0; length < whole.length; length += 1) {
      expect(() => decodeReceiptFile(whole.subarray(0, length))).toThrow(
        expect.objectContaining({ code: 'INVALID_ENCODING' }),
      );
    }
    for (let at = 0; at < whole.length; at += 1) {
      const changed = Uint8Array.from(whole);
      changed[at] = (changed[at] ?? 0) ^ 0x20;
      expect(() => decodeReceiptFile(changed)).toThrow(
        expect.objectContaining({ code: at === 8 ? 'VERSION_UNSUPPORTED' : 'INVALID_ENCODING' }),
      );
    }
    expect(() => decodeReceiptFile(Uint8Array.of(...whole, 0))).toThrow(/cut off or damaged/);
  });

  it('is refused when it says more than it holds, digest or not', () => {
    const body = encodeReceiptFile(example).slice(0, -32);
    const count = 8 + 1 + 32 + 32 + 8;
    for (const claimed of [0, 1, 3, 0xffff]) {
      new DataView(body.buffer).setUint16(count, claimed, true);
      expect(() => decodeReceiptFile(withDigest(body))).toThrow(/does not hold/);
    }
  });

  it('is refused by its length before it is read', async () => {
    expect(() => decodeReceiptFile(new Uint8Array(2_000_000))).toThrow(
      expect.objectContaining({ code: 'LIMIT_EXCEEDED' }),
    );
    expect(() =>
      encodeReceiptFile({ ...example, receipts: Array.from({ length: 10_001 }, () => filed(1, 1n)) }),
    ).toThrow(RangeError);
  });
});

describe('a node that exports its receipts', () => {
  let folder: string;
  let file: string;
  let store: BookStore;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'relaymint-receipts-'));
    file = path.join(folder, 'node.receipts');
    store = await openBookStore(path.join(folder, 'books'));
  });
  afterEach(async () => {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });

  function receive(seed: number, owed: bigint): void {
    const { slot, generation, receipt } = filed(seed, owed);
    const channel: ChannelState = {
      id: receipt.channel,
      till: program,
      payee,
      slot,
      generation,
      payer: program,
      delegate: delegate.address,
      deposit: amount(1n << 50n),
      opening: amount(0n),
      settled: amount(0n),
      settledUp: 0n,
      settledDown: 0n,
      closeAt: undefined,
    };
    store.enter('payee', nodeId(new Uint8Array(32).fill(seed)), channel);
    store.hold(receipt, 0n, new Map(), () => {});
  }

  const held = async (): Promise<readonly bigint[]> =>
    (await readReceiptFile(file)).receipts.map(({ receipt }) => receipt.amount);

  it('keeps the file as new as its books, whole at every moment, and writes it once more at the end', async () => {
    const exporter = await startReceiptExport({ store, program, payee, file, everyMillis: 1 });
    expect(await held()).toEqual([]);
    receive(1, 10n);
    await expect.poll(held).toEqual([10n]);
    receive(2, 20n);
    receive(1, 11n);
    await expect.poll(held).toEqual([11n, 20n]);
    expect((await readReceiptFile(file)).payee).toBe(payee);
    receive(2, 21n);
    await exporter[Symbol.asyncDispose]();
    expect(await held()).toEqual([11n, 21n]);
    expect(await readdir(folder)).toEqual(['books', 'node.receipts']);
  });

  it('says at once when the file cannot be written', async () => {
    const nowhere = path.join(folder, 'missing', 'node.receipts');
    await expect(startReceiptExport({ store, program, payee, file: nowhere })).rejects.toMatchObject({
      code: 'STORAGE_FAILED',
    });
  });

  it('names the file that a reader cannot use', async () => {
    await writeFile(file, 'no receipts');
    await expect(readReceiptFile(file)).rejects.toMatchObject({
      code: 'INVALID_ENCODING',
      message: expect.stringContaining(file),
    });
    await expect(readReceiptFile(path.join(folder, 'missing'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    await writeFile(file, new Uint8Array(2_000_000));
    await expect(readReceiptFile(file)).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
  });
});
