import { readFile } from 'node:fs/promises';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../../core/codec.ts';
import { isRelaymintError } from '../../../core/errors.ts';
import { channelId, ledgerAddress } from '../../../core/ids.ts';
import { amount, lamports, U64_MAX } from '../../../core/units.ts';
import { decodeRecord, decodeTotals, encodeRecord, encodeTotals } from '../../../ledger/settlement/record.ts';
import type { SettlementRecord } from '../../../ledger/settlement/record.ts';

const u64 = fc.bigInt({ min: 0n, max: U64_MAX });
const text = (max: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom('a', 'b', 'z', '1', '9', '-', '.'), minLength: 1, maxLength: max });
const nameText = text(58);
const counters = { amount: u64.map((value) => amount(value)), up: u64, down: u64 };
const bytesOf = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length });
const record: fc.Arbitrary<SettlementRecord> = fc
  .record({
    transaction: fc.record({
      signature: text(88),
      wire: fc.uint8Array({ maxLength: 4096 }),
      lastValidBlockHeight: u64,
    }),
    settled: fc.array(
      fc.tuple(
        fc.record({ channel: bytesOf(22).map((bytes) => channelId(bytes)), ...counters }),
        fc.record({ payer: bytesOf(32).map((bytes) => ledgerAddress(bytes)), ...counters }),
      ),
      { maxLength: 64 },
    ),
    shares: fc.array(
      fc.record(
        { name: nameText, referrer: nameText, gross: u64.map((value) => amount(value)) },
        { requiredKeys: ['name', 'gross'] },
      ),
      { maxLength: 8 },
    ),
    increase: u64.map((value) => amount(value)),
  })
  .map(({ settled, ...rest }) => ({
    ...rest,
    items: settled.map(([item]) => item),
    before: settled.map(([, before]) => before),
  }));

describe('what settlement writes to disk', () => {
  it('comes back as it was', () => {
    fc.assert(
      fc.property(record, (value) => {
        expect(decodeRecord(encodeRecord(value))).toEqual(value);
      }),
    );
  });

  it('is bounded and refused when malformed, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        for (const decode of [decodeRecord, decodeTotals])
          expect(['sound', 'INVALID_ENCODING']).toContain(tried(decode, bytes));
      }),
      { numRuns: 2000 },
    );
  });

  it('lists the latest hundred signatures, whatever the number of settlements', () => {
    const signatures = Array.from({ length: 250 }, (_, index) => `signature${index}`);
    const totals = {
      transactions: 250,
      receipts: 1250,
      amount: amount(77n),
      computeUnits: 5_000,
      feeLamports: lamports(7_500_000n),
      signatures,
    };
    expect(decodeTotals(encodeTotals(totals))).toEqual({ ...totals, signatures: signatures.slice(-100) });
  });

  it('is the committed layout, and a record that does not say where its channels began is read all the same', async () => {
    const [old = '', golden = ''] = await Promise.all(
      ['record.hex', 'record-with-before.hex'].map(async (file) =>
        (await readFile(new URL(`./fixtures/${file}`, import.meta.url), 'utf8')).trim(),
      ),
    );
    const value: SettlementRecord = {
      transaction: { signature: '5igNature', wire: Uint8Array.of(1, 2, 3), lastValidBlockHeight: 1_234n },
      items: [{ channel: channelId(new Uint8Array(22).fill(9)), amount: amount(10n), up: 20n, down: 30n }],
      before: [{ payer: ledgerAddress(new Uint8Array(32).fill(8)), amount: amount(3n), up: 6n, down: 9n }],
      shares: [{ name: 'demo.web3', gross: amount(4n) }],
      increase: amount(7n),
    };
    expect(toHex(encodeRecord(value))).toBe(golden);
    expect(decodeRecord(fromHex(golden))).toEqual(value);
    expect(decodeRecord(fromHex(old))).toEqual({ ...value, before: [] });
  });

  it('has a referrer behind its name, and is what it was without one', async () => {
    const file = new URL('./fixtures/record-with-referrer.hex', import.meta.url);
    const golden = (await readFile(file, 'utf8')).trim();
    const value: SettlementRecord = {
      transaction: { signature: '5igNature', wire: Uint8Array.of(1, 2, 3), lastValidBlockHeight: 1_234n },
      items: [{ channel: channelId(new Uint8Array(22).fill(9)), amount: amount(10n), up: 20n, down: 30n }],
      before: [{ payer: ledgerAddress(new Uint8Array(32).fill(8)), amount: amount(3n), up: 6n, down: 9n }],
      shares: [{ name: 'pic.image', referrer: 'demo.web3', gross: amount(4n) }],
      increase: amount(7n),
    };
    expect(toHex(encodeRecord(value))).toBe(golden);
    expect(decodeRecord(fromHex(golden))).toEqual(value);
  });
});

function tried(decode: (bytes: Uint8Array) => unknown, bytes: Uint8Array): string {
  try {
    decode(bytes);
    return 'sound';
  } catch (error) {
    return isRelaymintError(error) ? error.code : String(error);
  }
}
