import { describe, expect, it } from 'vitest';
import { isRelaymintError } from '../../../core/errors.ts';
import { concatBytes, toHex } from '../../../core/codec.ts';
import { channelId, ledgerAddressBytes } from '../../../core/ids.ts';
import { amount } from '../../../core/units.ts';
import {
  aggregateSignatures,
  delegateFromSeed,
  receiptMessage,
  receiptSignature,
  signReceipt,
} from '../../../ledger/receipt/index.ts';
import type { SignedMessage } from '../../../ledger/receipt/index.ts';

/** L in little-endian. */
const ORDER = Uint8Array.from(Buffer.from('edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010', 'hex'));

function signed(index: number): SignedMessage {
  const signer = delegateFromSeed(new Uint8Array(32).fill(index));
  const channel = channelId(new Uint8Array(22).fill(index));
  const receipt = signReceipt({ channel, amount: amount(BigInt(index)), up: 1n, down: 2n }, signer);
  return {
    key: ledgerAddressBytes(signer.address),
    message: receiptMessage(receipt),
    signature: receiptSignature(receipt),
  };
}

const withHalf = (one: SignedMessage, s: Uint8Array): SignedMessage => ({
  ...one,
  signature: concatBytes(one.signature.subarray(0, 32), s),
});

describe('aggregating signatures', () => {
  it('always gives the same scalar for the same list, and another for another order', () => {
    const list = [1, 2, 3].map(signed);
    expect(toHex(aggregateSignatures(list))).toMatchInlineSnapshot(
      `"dfe0da91073501df836fd3d16f2134d4243eaf6186dc7adbfda8962785288f0b"`,
    );
    expect(aggregateSignatures(list.toReversed())).not.toEqual(aggregateSignatures(list));
  });

  it('is 0 when every second half is 0, and below the order when they are as large as possible', () => {
    const list = [1, 2, 3].map(signed);
    expect(aggregateSignatures(list.map((one) => withHalf(one, new Uint8Array(32))))).toEqual(new Uint8Array(32));
    const greatest = Uint8Array.from(ORDER);
    greatest[0] = (greatest[0] ?? 0) - 1;
    const scalar = aggregateSignatures(list.map((one) => withHalf(one, greatest)));
    expect(scalar).toHaveLength(32);
    expect(Buffer.compare(Buffer.from(scalar.toReversed()), Buffer.from(ORDER.toReversed()))).toBe(-1);
  });

  it.each([
    ['the order itself', ORDER],
    ['more', new Uint8Array(32).fill(0xff)],
  ])('refuses a second half that is %s', (_title, s) => {
    const error = caught(() => aggregateSignatures([signed(1), withHalf(signed(2), s)]));
    expect(isRelaymintError(error, 'RECEIPT_INVALID') && error.details).toEqual({ index: 1 });
  });

  it('refuses an empty list, one that is too long, and parts of a wrong length', () => {
    const one = signed(1);
    expect(aggregateSignatures(Array.from({ length: 255 }, () => one))).toHaveLength(32);
    for (const list of [
      [],
      Array.from({ length: 256 }, () => one),
      [{ ...one, key: new Uint8Array(31) }],
      [{ ...one, message: new Uint8Array(48) }],
      [{ ...one, signature: new Uint8Array(63) }],
    ]) {
      expect(() => aggregateSignatures(list)).toThrow(RangeError);
    }
  });
});

function caught(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}
