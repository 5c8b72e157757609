import { createHash, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import { hexToBytes } from '@noble/hashes/utils.js';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes, toHex } from '../../../core/codec.ts';
import { channelId, ledgerAddress } from '../../../core/ids.ts';
import { amount, U64_MAX } from '../../../core/units.ts';
import {
  decodeReceipt,
  decodeSignedReceipt,
  delegateFromSeed,
  encodeReceipt,
  isNewer,
  receiptMessage,
  receiptSignature,
  receiptVerifier,
  signReceipt,
  verifyReceipt,
} from '../../../ledger/receipt/index.ts';
import type { Receipt } from '../../../ledger/receipt/index.ts';
import golden from './fixtures/receipts.json' with { type: 'json' };

const ORDER = (1n << 252n) + 27742317777372353535851937790883648493n;
const u64 = fc.bigInt({ min: 0n, max: U64_MAX });
const arbitraryReceipt: fc.Arbitrary<Receipt> = fc.record({
  channel: fc.uint8Array({ minLength: 22, maxLength: 22 }).map((bytes) => channelId(bytes)),
  amount: u64.map((value) => amount(value)),
  up: u64,
  down: u64,
});
const seed = Uint8Array.from(createHash('sha256').update('receipt test').digest());
const signer = delegateFromSeed(seed);
const sample: Receipt = {
  channel: channelId(new Uint8Array(22).fill(7)),
  amount: amount(123_456n),
  up: 1_000_000n,
  down: 50_000_000n,
};

describe('the receipt format', () => {
  it.each(golden)('reads and writes the committed bytes: $label', (vector) => {
    const receipt: Receipt = {
      channel: channelId(vector.channel),
      amount: amount(BigInt(vector.amount)),
      up: BigInt(vector.up),
      down: BigInt(vector.down),
    };
    const delegate = delegateFromSeed(hexToBytes(vector.seed));
    expect(delegate.address).toBe(vector.delegate);
    expect(toHex(signReceipt(receipt, delegate).bytes)).toBe(vector.signed);
    expect(decodeSignedReceipt(hexToBytes(vector.signed))).toMatchObject(receipt);
    expect(verifyReceipt(decodeSignedReceipt(hexToBytes(vector.signed)), delegate.address)).toBe(true);
  });

  it('gives back what was encoded', () => {
    fc.assert(
      fc.property(arbitraryReceipt, (receipt) => {
        const encoded = encodeReceipt(receipt);
        expect(encoded).toHaveLength(47);
        expect(decodeReceipt(encoded)).toEqual(receipt);
      }),
    );
  });

  it('decodes 47 bytes with its tag, or refuses with RECEIPT_INVALID, whatever it is given', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 130 }), (bytes) => {
        const sound = bytes.length === 47 && bytes[0] === 1;
        const decode = (): Receipt => decodeReceipt(bytes);
        return sound
          ? encodeReceipt(decode()).every((byte, i) => byte === bytes[i])
          : codeOf(decode) === 'RECEIPT_INVALID';
      }),
      { numRuns: 2000 },
    );
    expect(codeOf(() => decodeSignedReceipt(new Uint8Array(110)))).toBe('RECEIPT_INVALID');
    expect(codeOf(() => decodeSignedReceipt(new Uint8Array(112)))).toBe('RECEIPT_INVALID');
  });

  it('outlives the frame it came in', () => {
    const frame = Uint8Array.from(signReceipt(sample, signer).bytes);
    const receipt = decodeSignedReceipt(frame);
    frame.fill(0);
    expect(verifyReceipt(receipt, signer.address)).toBe(true);
  });

  it('is newer only with a greater amount and no lower counter', () => {
    const change = (next: Partial<Receipt>): boolean => isNewer({ ...sample, ...next }, sample);
    expect(change({ amount: amount(sample.amount + 1n) })).toBe(true);
    expect(change({})).toBe(false);
    expect(change({ up: sample.up + 1n })).toBe(false);
    expect(change({ amount: amount(sample.amount - 1n) })).toBe(false);
    expect(change({ amount: amount(sample.amount + 1n), up: sample.up - 1n })).toBe(false);
    expect(change({ amount: amount(sample.amount + 1n), down: sample.down - 1n })).toBe(false);
    expect(isNewer(sample, undefined)).toBe(true);
    expect(isNewer({ ...sample, amount: amount(0n) }, undefined)).toBe(false);
  });
});

describe('a receipt signature', () => {
  it('is ordinary Ed25519: another implementation agrees', () => {
    const signed = signReceipt(sample, signer);
    const publicKey = ed25519.getPublicKey(seed);
    expect(signer.address).toBe(ledgerAddress(publicKey));
    expect(ed25519.verify(receiptSignature(signed), receiptMessage(signed), publicKey)).toBe(true);
    expect(toHex(receiptSignature(signed))).toBe(toHex(ed25519.sign(receiptMessage(signed), seed)));
  });

  it('refuses every single changed bit', () => {
    const signed = signReceipt(sample, signer);
    const verify = receiptVerifier(signer.address);
    expect(verify(receiptMessage(signed), receiptSignature(signed))).toBe(true);
    for (let bit = 0; bit < signed.bytes.length * 8; bit += 1) {
      const changed = Uint8Array.from(signed.bytes);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(verify(changed.subarray(0, 47), changed.subarray(47))).toBe(false);
    }
  });

  it('refuses another key', () => {
    const other = delegateFromSeed(new Uint8Array(32).fill(9));
    expect(verifyReceipt(signReceipt(sample, other), signer.address)).toBe(false);
  });

  it('refuses s + L, the second form of a valid signature', () => {
    const signed = signReceipt(sample, signer);
    const s = fromLittleEndian(receiptSignature(signed).subarray(32));
    const forged = concatBytes(receiptSignature(signed).subarray(0, 32), toLittleEndian(s + ORDER));
    expect(receiptVerifier(signer.address)(receiptMessage(signed), forged)).toBe(false);
  });

  it('refuses delegate keys of small order and non-canonical keys, on which anyone could sign anything', () => {
    for (const point of smallOrderEncodings()) {
      expect(codeOf(() => receiptVerifier(ledgerAddress(point)))).toBe('RECEIPT_INVALID');
    }
  });

  it('refuses R of small order, which the chain refuses too', () => {
    // With a known secret scalar, R = identity and s = h*a satisfy the bare equation.
    const message = encodeReceipt(sample);
    const { scalar } = ed25519.utils.getExtendedPublicKey(seed);
    const publicKey = ed25519.getPublicKey(seed);
    const identity = ed25519.Point.ZERO.toBytes();
    const h =
      fromLittleEndian(
        Uint8Array.from(
          createHash('sha512')
            .update(concatBytes(identity, publicKey, message))
            .digest(),
        ),
      ) % ORDER;
    const forged = concatBytes(identity, toLittleEndian((h * scalar) % ORDER));
    expect(nodeAccepts(publicKey, message, forged)).toBe(true);
    expect(receiptVerifier(signer.address)(message, forged)).toBe(false);
  });

  it('stops when the signer is closed', () => {
    const closing = delegateFromSeed(seed);
    closing.close();
    expect(codeOf(() => closing.sign(new Uint8Array(47)))).toBe('CLOSED');
  });

  it('signs what node:crypto signs', () => {
    const der = concatBytes(hexToBytes('302e020100300506032b657004220420'), seed);
    const key = createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' });
    expect(toHex(signer.sign(encodeReceipt(sample)))).toBe(sign(null, encodeReceipt(sample), key).toString('hex'));
  });
});

/** All encodings of the eight points of small order, canonical or not. */
function smallOrderEncodings(): readonly Uint8Array[] {
  const prime = (1n << 255n) - 19n;
  const encodings: Uint8Array[] = [];
  const torsion = ed25519.Point.fromHex('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05');
  let point = ed25519.Point.ZERO;
  for (let i = 0; i < 8; i += 1) {
    const { y } = point.toAffine();
    for (const value of [y, y + prime]) {
      if (value >= 1n << 255n) continue;
      for (const bit of [0n, 1n << 255n]) encodings.push(toLittleEndian(value | bit));
    }
    point = point.add(torsion);
  }
  expect(encodings.length).toBeGreaterThanOrEqual(20);
  return encodings;
}

/** What plain node:crypto says, to show that the stricter check is needed. */
function nodeAccepts(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const der = concatBytes(hexToBytes('302a300506032b6570032100'), publicKey);
  return verify(null, message, createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' }), signature);
}

function codeOf(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error;
  }
  return undefined;
}

function fromLittleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(bytes.toReversed())}`);
}

function toLittleEndian(value: bigint): Uint8Array {
  return hexToBytes(value.toString(16).padStart(64, '0')).toReversed();
}
