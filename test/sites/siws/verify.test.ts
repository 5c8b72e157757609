/** Who gets in: whoever signs one of the closed set of forms with a sound key, in time. Nobody else (S3, S5, S9 .. S11, B1, B5). */
import { Buffer } from 'node:buffer';
import { createHash, verify } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import { hexToBytes } from '@noble/hashes/utils.js';
import {
  getCompiledTransactionMessageDecoder,
  getTransactionDecoder,
  lamports as kitLamports,
  address as kitAddress,
} from '@solana/kit';
import { PublicKey, SystemProgram, Transaction, TransactionMessage, VersionedTransaction } from '@solana/web3.js';
import bs58 from 'bs58';
import { FailedTransactionMetadata, LiteSVM, TransactionMetadata } from 'litesvm';
import { describe, expect, it } from 'vitest';
import { concatBytes, toHex, utf8 } from '../../../core/codec.ts';
import { ledgerAddress, ledgerAddressBytes } from '../../../core/ids.ts';
import { unixMillis, type UnixMillis } from '../../../core/units.ts';
import { delegateFromSeed } from '../../../ledger/receipt/index.ts';
import { ED25519 } from '../../../platform/keys/der.ts';
import { formsOf, memoTransaction, messageOf, verifySignIn } from '../../../sites/siws/index.ts';
import type { Challenge, SignInRefusal, SignedIn } from '../../../sites/siws/index.ts';
import { Chance, SEED_TITLE } from '../../chance.ts';
import {
  FORMS,
  ISSUED,
  OTHER_FORMAT,
  SOON,
  challengeWith,
  describeFlip,
  flipped,
  isLetIn,
  memoOf,
  offchainV0,
  offchainV1,
  wallet,
  wrapped,
} from './kit.ts';

const ORDER = (1n << 252n) + 27742317777372353535851937790883648493n;
const SIGNER = delegateFromSeed(new Uint8Array(32).fill(7));
const OTHER = delegateFromSeed(new Uint8Array(32).fill(8));

const refused = (reason: SignInRefusal): unknown =>
  expect.objectContaining({ code: 'SIGN_IN_REFUSED', details: expect.objectContaining({ reason }) });

/** What comes of it when SIGNER signs those bytes, for that challenge. */
function signedWith(challenge: Challenge, bytes: Uint8Array, now: UnixMillis = SOON): SignedIn {
  return verifySignIn(challenge, { address: SIGNER.address, signature: SIGNER.sign(bytes) }, now);
}

function accepts(challenge: Challenge, bytes: Uint8Array): boolean {
  return isLetIn(challenge, { address: SIGNER.address, signature: SIGNER.sign(bytes) }, SOON);
}

describe('S9, B1: each form', () => {
  const challenge = challengeWith();
  const text = messageOf(challenge, SIGNER.address);

  it.each(FORMS)('%s signs in, as the libraries of Solana write it', (form) => {
    const outcomes = wrapped(form, text, SIGNER.address).map((bytes) => signedWith(challenge, bytes));
    expect(outcomes).not.toEqual([]);
    expect(outcomes.filter((one) => one.form !== form || one.address !== SIGNER.address)).toEqual([]);
  });

  it('is all that is accepted: the set has no other bytes', () => {
    const ours = formsOf(challenge, SIGNER.address).map(({ form, bytes }) => `${form} ${toHex(bytes)}`);
    const theirs = FORMS.flatMap((form) =>
      wrapped(form, text, SIGNER.address).map((bytes) => `${form} ${toHex(bytes)}`),
    );
    expect(ours.toSorted()).toEqual(theirs.toSorted());
  });

  it(`is refused with a byte of it changed (${SEED_TITLE})`, () => {
    const chance = new Chance();
    const passed: string[] = [];
    for (const { form, bytes } of formsOf(challenge, SIGNER.address)) {
      for (let round = 0; round < 40; round += 1) {
        const [at, bit] = [chance.number(bytes.length), chance.number(8)];
        if (accepts(challenge, flipped(bytes, at, bit))) passed.push(describeFlip(form, at, bit));
      }
    }
    expect(passed.filter((flip) => !OTHER_FORMAT.includes(flip))).toEqual([]);
  });

  it('is refused when it is cut short or goes on', () => {
    const passed = formsOf(challenge, SIGNER.address).filter(
      ({ bytes }) =>
        accepts(challenge, bytes.subarray(0, -1)) ||
        accepts(challenge, bytes.subarray(1)) ||
        accepts(challenge, concatBytes(bytes, utf8('\n'))) ||
        accepts(challenge, concatBytes(bytes, Uint8Array.of(0))) ||
        accepts(challenge, concatBytes(Uint8Array.of(0), bytes)),
    );
    expect(passed).toEqual([]);
  });

  const legacy = (version: number, format: number): Uint8Array =>
    formsOf(challenge, SIGNER.address)[1]?.bytes.with(16, version).with(17, format) ?? new Uint8Array();
  const app = ledgerAddress(new Uint8Array(32).fill(1));
  const transfer = SystemProgram.transfer({
    fromPubkey: new PublicKey(SIGNER.address),
    toPubkey: new PublicKey(OTHER.address),
    lamports: 1,
  });
  const live = new LiteSVM().latestBlockhash();
  const versioned = new TransactionMessage({
    payerKey: new PublicKey(SIGNER.address),
    recentBlockhash: bs58.encode(createHash('sha256').update(`relaymint:sign-in:v1${text}`).digest()),
    instructions: [],
  });

  it.each<[string, Uint8Array]>([
    ['version 0 with a second signer', offchainV0(text, [SIGNER.address, OTHER.address])],
    ['version 0 with another signer before it', offchainV0(text, [OTHER.address, SIGNER.address])],
    ['version 0 for another signer', offchainV0(text, [OTHER.address])],
    ['version 0 for a foreign application', offchainV0(text, [SIGNER.address], app)],
    ['version 0 in the format of long texts', offchainV0(text, [SIGNER.address]).with(49, 2)],
    ['version 0 with no signer', offchainV0(text, [SIGNER.address]).with(50, 0)],
    ['version 1 with a second signer', offchainV1(text, [SIGNER.address, OTHER.address])],
    ['version 1 for another signer', offchainV1(text, [OTHER.address])],
    ['version 2', offchainV1(text, [SIGNER.address]).with(16, 2)],
    ['the old preamble in the format of long texts', legacy(0, 2)],
    ['the old preamble with version 1', legacy(1, 0)],
    ['a text that is said to be shorter', offchainV0(text, [SIGNER.address]).with(84, 0)],
    ['a preamble twice', concatBytes(legacy(0, 1).subarray(0, 20), legacy(0, 1))],
    ['a transaction with a live blockhash', memoOf(text, SIGNER.address, { blockhash: live })],
    ['a transaction with the blockhash of another message', memoOf(text, SIGNER.address, { blockhash: app })],
    ['a transaction with a second instruction', memoOf(text, SIGNER.address, { more: [transfer] })],
    ['a transaction with the memo twice', memoOf(text, SIGNER.address, { more: [memoInstruction(text)] })],
    [
      'a transaction with a second signer',
      memoOf(text, SIGNER.address, { more: [memoInstruction('', OTHER.address)] }),
    ],
    ['a transaction that another wallet pays', memoOf(text, OTHER.address)],
    ['a transaction of version 0', versioned.compileToV0Message().serialize()],
    ['a transaction with its signatures', memoTransaction(challenge, SIGNER.address)],
    ['the hash of the text', createHash('sha256').update(text).digest()],
    ['nothing', new Uint8Array()],
  ])('is not %s', (_, bytes) => {
    expect(() => signedWith(challenge, bytes)).toThrow(refused('signature'));
  });
});

describe('S9: the memo transaction', () => {
  const challenge = challengeWith();
  const unsigned = memoTransaction(challenge, SIGNER.address);
  const message = unsigned.subarray(65);
  const signed = concatBytes(Uint8Array.of(1), SIGNER.sign(message), message);

  it('is what wallets read: one memo, one signer, whose signature signs in', () => {
    const transaction = Transaction.from(unsigned);
    expect(transaction.instructions).toHaveLength(1);
    expect(transaction.instructions[0]?.programId.toBase58()).toBe('MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr');
    expect(transaction.instructions[0]?.data.toString()).toBe(messageOf(challenge, SIGNER.address));
    expect(transaction.signatures.map(({ publicKey }) => publicKey.toBase58())).toEqual([SIGNER.address]);
    expect(toHex(transaction.serializeMessage())).toBe(toHex(message));
    expect(toHex(VersionedTransaction.deserialize(unsigned).serialize())).toBe(toHex(unsigned));
    expect(signedWith(challenge, message).form).toBe('memo-transaction');
  });

  it('fits a packet, however long the challenge', () => {
    const domain = `${'a'.repeat(60)}.${'b'.repeat(60)}.${'c'.repeat(60)}.example`;
    const path = 'p'.repeat(200);
    const long = challengeWith({ issuer: new URL(`https://${domain}/${path}`), client: 'x'.repeat(64) });
    expect(messageOf(long, SIGNER.address).length).toBeGreaterThan(900);
    expect(memoTransaction(long, SIGNER.address).length).toBeLessThanOrEqual(1232);
    const tooLong = new URL(`https://${domain}/${path}${path}`);
    expect(() => challengeWith({ issuer: tooLong })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  it('never lands, though the same memo with a block of the ledger does', () => {
    const svm = new LiteSVM().withBlockhashCheck(true);
    svm.airdrop(kitAddress(SIGNER.address), kitLamports(1_000_000_000n));
    const refusedIt = svm.sendTransaction(getTransactionDecoder().decode(signed));
    expect(refusedIt).toBeInstanceOf(FailedTransactionMetadata);
    expect((refusedIt as FailedTransactionMetadata).toString()).toContain('BlockhashNotFound');
    const lands = memoOf(messageOf(challenge, SIGNER.address), SIGNER.address, { blockhash: svm.latestBlockhash() });
    const taken = svm.sendTransaction(
      getTransactionDecoder().decode(concatBytes(Uint8Array.of(1), SIGNER.sign(lands), lands)),
    );
    expect(taken).toBeInstanceOf(TransactionMetadata);
  });

  it('is the only form that a ledger could read as a transaction at all', () => {
    const readable = formsOf(challenge, SIGNER.address).filter(({ bytes }) => isTransaction(bytes));
    expect(readable.map(({ form }) => form)).toEqual(['memo-transaction']);
  });
});

describe('S3: the signature', () => {
  it('counts for the text of its own challenge only', () => {
    const [mine, yours] = [challengeWith(), challengeWith()];
    for (const { bytes } of formsOf(mine, SIGNER.address)) {
      expect(() => signedWith(yours, bytes)).toThrow(refused('signature'));
    }
  });

  it('counts for its own address only', () => {
    const challenge = challengeWith();
    for (const { bytes } of formsOf(challenge, SIGNER.address)) {
      const stolen = { address: OTHER.address, signature: SIGNER.sign(bytes) };
      expect(() => verifySignIn(challenge, stolen, SOON)).toThrow(refused('signature'));
    }
    for (const { bytes } of formsOf(challenge, OTHER.address)) {
      expect(() => signedWith(challenge, bytes)).toThrow(refused('signature'));
    }
  });

  it.each<[string, Partial<Challenge>]>([
    ['domain and URI', { domain: 'evil.example', uri: 'http://evil.example' }],
    ['statement', { statement: 'Welcome.' }],
    ['chain', { chainId: 'solana:mainnet' }],
    ['nonce', { nonce: '0'.repeat(32) }],
    ['issued', { issuedAt: '2026-11-29T02:30:00.001Z' }],
    ['expiration', { expirationTime: '2026-11-29T02:34:59.999Z' }],
    ['request id', { requestId: 'another' }],
  ])('does not count when the %s was another one', (_, change) => {
    const challenge = challengeWith();
    for (const { bytes } of formsOf({ ...challenge, ...change }, SIGNER.address)) {
      expect(() => signedWith(challenge, bytes)).toThrow(refused('signature'));
    }
  });

  it('is looked at only for a challenge that is one of ours', () => {
    const challenge = challengeWith();
    const answer = { address: SIGNER.address, signature: SIGNER.sign(utf8(messageOf(challenge, SIGNER.address))) };
    const endless = { ...challenge, expirationTime: 'never' };
    expect(() => verifySignIn(endless, answer, SOON)).toThrow(refused('challenge'));
  });

  it.each(['', '1'.repeat(31), ` ${SIGNER.address}`, `1${SIGNER.address}`, `${SIGNER.address}\n`, 'did:pkh:solana'])(
    'is not looked at for the address %j',
    (address) => {
      const answer = { address, signature: new Uint8Array(64) };
      expect(() => verifySignIn(challengeWith(), answer, SOON)).toThrow(refused('address'));
    },
  );

  it('says nothing of what was signed and what was not', () => {
    const challenge = challengeWith();
    const wrong = { address: SIGNER.address, signature: OTHER.sign(utf8('x')) };
    expect(() => verifySignIn(challenge, wrong, SOON)).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining(challenge.nonce) }),
    );
  });
});

describe('S5: a challenge', () => {
  const challenge = challengeWith();
  const bytes = utf8(messageOf(challenge, SIGNER.address));
  const after = (millis: number): UnixMillis => unixMillis(ISSUED + millis);

  it.each([0, 299_999, -600_000])('is good %i ms after it was issued', (millis) => {
    expect(signedWith(challenge, bytes, after(millis)).form).toBe('raw');
  });

  it.each([
    [300_000, 0],
    [301_000, 1],
    [86_400_000, 86_100],
  ])('is over %i ms after it was issued, and says for how long and what the clock says', (millis, lateSeconds) => {
    expect(() => signedWith(challenge, bytes, after(millis))).toThrow(
      expect.objectContaining({
        code: 'SIGN_IN_REFUSED',
        details: { reason: 'expired', lateSeconds },
        message: expect.stringContaining(new Date(after(millis)).toISOString()),
      }),
    );
  });

  it.each([
    [-600_001, 600],
    [-3_600_000, 3600],
  ])('is not good %i ms after it was issued: a clock is wrong, and by how much', (millis, skewSeconds) => {
    expect(() => signedWith(challenge, bytes, after(millis))).toThrow(
      expect.objectContaining({
        code: 'SIGN_IN_REFUSED',
        details: { reason: 'early', skewSeconds },
        message: expect.stringContaining(`${skewSeconds} s ahead`),
      }),
    );
  });
});

/** The eight points of small order, and every other way to write them that a lenient reader takes. */
const SMALL_ORDER: readonly string[] = [
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0000000000000000000000000000000000000000000000000000000000000080',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
];
const NOT_CANONICAL: readonly string[] = [
  '0100000000000000000000000000000000000000000000000000000000000080',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
];

describe('S10: keys that sign for everybody', () => {
  it('are these eight, by another implementation', () => {
    const points = SMALL_ORDER.map((hex) => ed25519.Point.fromHex(hex));
    expect(points.filter((point) => !point.isSmallOrder())).toEqual([]);
    expect(new Set(points.map((point) => point.toHex())).size).toBe(8);
  });

  it.each([...SMALL_ORDER, ...NOT_CANONICAL])('%s is refused, whatever is signed', (hex) => {
    const address = ledgerAddress(hexToBytes(hex));
    const challenge = challengeWith();
    const signatures = [
      // The identity as R and no scalar: nobody had a key.
      concatBytes(hexToBytes(SMALL_ORDER[0] ?? ''), new Uint8Array(32)),
      // An honest R for a scalar of the attacker's choice.
      concatBytes(ed25519.Point.BASE.multiply(5n).toBytes(), littleEndian(5n)),
      ...SMALL_ORDER.map((r) => concatBytes(hexToBytes(r), new Uint8Array(32))),
    ];
    for (const signature of signatures) {
      expect(() => verifySignIn(challenge, { address, signature }, SOON)).toThrow(refused('key'));
    }
  });

  it.each(SMALL_ORDER)('%s would be let in by node:crypto', (hex) => {
    const key = hexToBytes(hex);
    const challenge = challengeWith();
    const message = utf8(messageOf(challenge, ledgerAddress(key)));
    const scalars = Array.from({ length: 400 }, (_, at) => BigInt(at + 1));
    const isLetIn = scalars.some((scalar) => {
      const forged = concatBytes(ed25519.Point.BASE.multiply(scalar).toBytes(), littleEndian(scalar));
      return verify(null, message, ED25519.publicKey(key), forged);
    });
    expect(isLetIn).toBe(true);
  });

  it('a sound key does not help an R of small order either', () => {
    const seed = new Uint8Array(32).fill(7);
    const challenge = challengeWith();
    const message = utf8(messageOf(challenge, SIGNER.address));
    const { scalar } = ed25519.utils.getExtendedPublicKey(seed);
    const identity = ed25519.Point.ZERO.toBytes();
    const key = ledgerAddressBytes(SIGNER.address);
    const hash = createHash('sha512').update(identity).update(key).update(message).digest();
    const challengeScalar = BigInt(`0x${toHex(Uint8Array.from(hash).toReversed())}`) % ORDER;
    const signature = concatBytes(identity, littleEndian((challengeScalar * scalar) % ORDER));
    expect(verify(null, message, ED25519.publicKey(key), signature)).toBe(true);
    expect(() => verifySignIn(challenge, { address: SIGNER.address, signature }, SOON)).toThrow(refused('signature'));
  });

  it('what is no point of the curve is nobody', () => {
    const address = ledgerAddress(Uint8Array.from({ length: 32 }, (_, at) => (at === 0 ? 2 : 0)));
    const answer = { address, signature: new Uint8Array(64) };
    expect(() => verifySignIn(challengeWith(), answer, SOON)).toThrow(refused('signature'));
  });
});

describe('S11: a signature', () => {
  const challenge = challengeWith();
  const good = SIGNER.sign(utf8(messageOf(challenge, SIGNER.address)));
  const answers = (signature: Uint8Array): (() => SignedIn) => {
    return () => verifySignIn(challenge, { address: SIGNER.address, signature }, SOON);
  };

  it.each([0, 1, 32, 63])('of %i bytes is none', (length) => {
    expect(answers(good.subarray(0, length))).toThrow(refused('signature'));
  });

  it.each([1, 64])('with %i bytes behind it is none', (length) => {
    expect(answers(concatBytes(good, new Uint8Array(length)))).toThrow(refused('signature'));
  });

  it('with the order of the group added to its scalar is none', () => {
    const scalar = BigInt(`0x${toHex(good.subarray(32).toReversed())}`);
    expect(answers(good)().form).toBe('raw');
    expect(answers(concatBytes(good.subarray(0, 32), littleEndian(scalar + ORDER)))).toThrow(refused('signature'));
  });

  it('with any bit of it changed is none', () => {
    const passed = Array.from({ length: 512 }, (_, bit) => bit).filter((bit) => {
      const at = bit >> 3;
      const signature = good.with(at, (good[at] ?? 0) ^ (1 << (bit & 7)));
      return isLetIn(challenge, { address: SIGNER.address, signature }, SOON);
    });
    expect(passed).toEqual([]);
  });
});

describe('wallets', () => {
  it('that nobody knows yet sign in like any other', () => {
    const newcomer = wallet();
    const challenge = challengeWith();
    const signature = newcomer.sign(utf8(messageOf(challenge, newcomer.address)));
    expect(verifySignIn(challenge, { address: newcomer.address, signature }, SOON)).toEqual({
      address: newcomer.address,
      form: 'raw',
    });
  });
});

function memoInstruction(text: string, signer: string = SIGNER.address): Transaction['instructions'][number] {
  const [memo] = Transaction.from(memoTransaction(challengeWith(), signer)).instructions;
  if (memo === undefined) throw new Error('a memo transaction without its memo');
  memo.data = Buffer.from(text);
  return memo;
}

function isTransaction(bytes: Uint8Array): boolean {
  try {
    getCompiledTransactionMessageDecoder().decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function littleEndian(value: bigint): Uint8Array {
  return hexToBytes(value.toString(16).padStart(64, '0')).toReversed();
}
