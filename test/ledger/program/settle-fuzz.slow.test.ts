/** Ten thousand batches, whole and spoiled in every way, judged by the program and by other means. */
import { ED25519_TORSION_SUBGROUP, ed25519 } from '@noble/curves/ed25519.js';
import { PublicKey } from '@solana/web3.js';
import type { TransactionInstruction } from '@solana/web3.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { concatBytes, fromHex, toHex } from '../../../core/codec.ts';
import { amount } from '../../../core/units.ts';
import { aggregateSignatures } from '../../../ledger/receipt/index.ts';
import * as program from '../../../ledger/solana/program/index.ts';
import { Chance, SEED_TITLE } from '../../chance.ts';
import { Chain, withData } from './svm.ts';
import { ORDER, factorsOf, messageOf, sha512Scalar, toBytes, toNumber, verdict } from './verdict.ts';

const BATCHES = 10_000;
const { Point } = ed25519;
const DEPOSIT = 1n << 30n;
/** Where the first receipt begins in the data: tag, count, scalar. */
const FIRST = 34;
const chance = new Chance();

/** A key of which the secret is known, perhaps with a part of small order. */
interface Signer {
  readonly secret: bigint;
  readonly torsion: InstanceType<typeof Point>;
  readonly key: Uint8Array;
}

interface Entry {
  readonly slot: number;
  readonly counters: readonly [bigint, bigint, bigint];
  readonly signature: Uint8Array;
}

const TORSION = ED25519_TORSION_SUBGROUP.map((hex) => Point.fromHex(hex));
/** The identity and the point of order 2, with y not below the field's prime. */
const UNREDUCED = ['ee', 'ec'].map((first) => fromHex(`${first}${'ff'.repeat(30)}7f`));

function signer(secret: bigint, torsion: InstanceType<typeof Point> = Point.ZERO): Signer {
  return { secret, torsion, key: multiple(secret).add(torsion).toBytes() };
}

function multiple(scalar: bigint): InstanceType<typeof Point> {
  return scalar === 0n ? Point.ZERO : Point.BASE.multiply(scalar);
}

function randomScalar(): bigint {
  return toNumber(chance.bytes(40)) % ORDER;
}

function signerOf(slot: number): Signer {
  const found = SIGNERS[slot];
  if (found === undefined) throw new RangeError(`nobody signs for slot ${slot}`);
  return found;
}

function pick<T>(list: readonly T[]): T {
  const chosen = list[chance.number(list.length)];
  if (chosen === undefined) throw new RangeError('nothing to choose from');
  return chosen;
}

/** Ordinary keys, keys of mixed order, keys of small order with and without the usual encoding, and one that is no point. */
const SIGNERS: readonly Signer[] = [
  ...Array.from({ length: 8 }, (_, index) => signer(sha512Scalar(Uint8Array.of(index)))),
  ...TORSION.slice(1).map((torsion, index) => signer(sha512Scalar(Uint8Array.of(100 + index)), torsion)),
  ...TORSION.filter((point) => toNumber(point.toBytes()) !== 0n).map((torsion) => signer(0n, torsion)),
  ...UNREDUCED.map((key) => ({ secret: 0n, torsion: Point.fromBytes(key, true), key })),
  { secret: 0n, torsion: Point.ZERO, key: toBytes(2n) },
];
const FREE_SLOT = SIGNERS.length;
const ORDINARY = 8;

describe(`settle, on random batches (${SEED_TITLE})`, () => {
  const chain = Chain.start();
  let tillKey: PublicKey;
  let till: program.TillAccount;
  const counts = new Map<string, number>();

  beforeAll(() => {
    const owner = chain.wallet('till owner');
    const payer = chain.wallet('payer', DEPOSIT * BigInt(SIGNERS.length));
    tillKey = chain.openTill(owner, FREE_SLOT + 1);
    for (const [slot, { key }] of SIGNERS.entries()) {
      const args = {
        payer: payer.publicKey,
        till: tillKey,
        slot,
        delegate: new PublicKey(key),
        deposit: amount(DEPOSIT),
      };
      chain.ok(chain.opening(args), payer);
    }
    // So that bytes can go back.
    chain.ok([instructionOf(dataOf([sign(0, [5n, 100n, 100n])]))], chain.admin);
    till = chain.till(tillKey);
  });

  /** Signs with an R that may have a part of small order too; the equation holds up to such a part. */
  const sign = (slot: number, counters: Entry['counters'], torsionR = Point.ZERO): Entry => {
    const { secret, key } = signerOf(slot);
    const r = randomScalar();
    const commitment = multiple(r).add(torsionR).toBytes();
    const message = messageOf(chain.programId, tillKey, { slot, generation: 1 }, counters);
    const s = (r + sha512Scalar(commitment, key, message) * secret) % ORDER;
    return { slot, counters, signature: concatBytes(commitment, toBytes(s)) };
  };
  const parts = (entries: readonly Entry[]): { r: Uint8Array; key: Uint8Array; message: Uint8Array }[] =>
    entries.map(({ slot, counters, signature }) => ({
      r: signature.subarray(0, 32),
      key: signerOf(slot).key,
      message: messageOf(chain.programId, tillKey, { slot, generation: 1 }, counters),
    }));
  const scalarOf = (entries: readonly Entry[]): Uint8Array => {
    const own = aggregateSignatures(
      parts(entries).map(({ key, message }, index) => ({
        key,
        message,
        signature: entries[index]?.signature ?? new Uint8Array(64),
      })),
    );
    const factors = factorsOf(parts(entries));
    const other = entries.reduce(
      (sum, { signature }, index) => sum + (factors[index] ?? 0n) * toNumber(signature.subarray(32)),
      0n,
    );
    expect(toNumber(own)).toBe(other % ORDER);
    return own;
  };
  const instructionOf = (data: Uint8Array): TransactionInstruction => {
    const empty = { till: tillKey, scalar: new Uint8Array(32) };
    const receipts = [{ slot: 0, amount: amount(1n), up: 0n, down: 0n, r: new Uint8Array(32) }];
    return withData(program.settle(chain.programId, { ...empty, receipts }), data);
  };
  const dataOf = (entries: readonly Entry[], scalar: Uint8Array = scalarOf(entries)): Buffer =>
    program.settle(chain.programId, {
      till: tillKey,
      scalar,
      receipts: entries.map(({ slot, counters: [total, up, down], signature }) => ({
        slot,
        amount: amount(total),
        up,
        down,
        r: signature.subarray(0, 32),
      })),
    }).data;
  const counters = (): Entry['counters'] => [
    BigInt(chance.number(1 << 16)) + 1n,
    BigInt(chance.number(1 << chance.between(1, 31))) + 100n,
    toNumber(chance.bytes(chance.between(1, 8))) + 100n,
  ];
  const some = (max = 3): Entry[] =>
    Array.from({ length: chance.between(1, max + 1) }, () =>
      sign(
        chance.number(4) === 0 ? chance.number(SIGNERS.length) : chance.number(ORDINARY),
        counters(),
        chance.number(8) === 0 ? pick(TORSION) : Point.ZERO,
      ),
    );
  const flipped = (data: Uint8Array, from = 1): Uint8Array => {
    const bit = chance.between(8 * from, 8 * data.length);
    return data.map((byte, index) => (index === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
  };

  const kinds: Readonly<Record<string, () => Uint8Array>> = {
    whole: () => dataOf(some()),
    'a flipped bit': () => flipped(dataOf(some())),
    'a flipped bit of the scalar': () => {
      const data = dataOf(some());
      return concatBytes(flipped(data.subarray(0, FIRST), 2), data.subarray(FIRST));
    },
    'a flipped bit of a receipt': () => flipped(dataOf(some()), FIRST),
    'another R': () => {
      const [first, ...rest] = some();
      const signature = concatBytes(chance.bytes(32), first?.signature.subarray(32) ?? new Uint8Array(32));
      return dataOf(first === undefined ? rest : [{ ...first, signature }, ...rest]);
    },
    'swapped R': () => {
      const [a, b] = [sign(0, counters()), sign(1, counters())];
      const scalar = scalarOf([a, b]);
      return dataOf(
        [
          { ...a, signature: b.signature },
          { ...b, signature: a.signature },
        ],
        scalar,
      );
    },
    'swapped messages': () => {
      const [a, b] = [sign(2, counters()), sign(2, counters())];
      return dataOf([
        { ...a, counters: b.counters },
        { ...b, counters: a.counters },
      ]);
    },
    'another order': () => {
      const entries = [...some(), sign(3, counters())];
      return dataOf(entries.toReversed(), scalarOf(entries));
    },
    'an entry twice': () => {
      const entries = some();
      return dataOf([...entries, pick(entries)]);
    },
    'an entry twice, aggregated once': () => {
      const entries = some();
      return dataOf([...entries, pick(entries)], scalarOf(entries));
    },
    'an entry too few': () => {
      const entries = [...some(), sign(0, counters())];
      return dataOf(entries.slice(1), scalarOf(entries));
    },
    "another's signature": () => {
      const [a, ...rest] = some();
      const stranger = sign(4, a?.counters ?? counters());
      return dataOf([{ ...stranger, slot: 5 }, ...rest]);
    },
    'two errors that cancel out without factors': () => {
      const [a, b] = [sign(0, counters()), sign(1, counters())];
      const moved = (entry: Entry, by: bigint): Entry => {
        const s = (toNumber(entry.signature.subarray(32)) + by + ORDER) % ORDER;
        return { ...entry, signature: concatBytes(entry.signature.subarray(0, 32), toBytes(s)) };
      };
      const by = randomScalar();
      return dataOf([moved(a, by), moved(b, -by)]);
    },
    'a scalar not below the order': () => {
      const entries = some();
      return dataOf(entries, toBytes(toNumber(scalarOf(entries)) + ORDER * BigInt(chance.between(1, 15))));
    },
    'a scalar of 0, 1, L - 1 or L': () => dataOf(some(), toBytes(pick([0n, 1n, ORDER - 1n, ORDER]))),
    'keys of small and mixed order': () =>
      dataOf(
        Array.from({ length: chance.between(1, 4) }, () =>
          sign(chance.between(ORDINARY, SIGNERS.length - 1), counters(), pick(TORSION)),
        ),
      ),
    'an R that is not reduced': () => {
      // y = p + 1 is the identity once more: s = h a then.
      const slot = chance.number(ORDINARY);
      const { secret, key } = signerOf(slot);
      const given = counters();
      const r = pick(UNREDUCED);
      const s =
        (sha512Scalar(r, key, messageOf(chain.programId, tillKey, { slot, generation: 1 }, given)) * secret) % ORDER;
      return dataOf([{ slot, counters: given, signature: concatBytes(r, toBytes(s)) }, ...some(2)]);
    },
    'a key that is no point': () => dataOf([...some(2), sign(SIGNERS.length - 1, counters())]),
    'a free slot or none': () => {
      const data = dataOf(some());
      data.writeUInt16LE((data.readUInt16LE(FIRST) & 0x8000) | chance.between(FREE_SLOT, FREE_SLOT + 3), FIRST);
      return data;
    },
    'too much, or bytes that went back': () =>
      dataOf([
        sign(
          0,
          pick([
            [DEPOSIT + 1n, 1n << 40n, 1n << 40n],
            [1n << 20n, 1n, 1n << 40n],
            [1n << 20n, 1n << 40n, 1n],
          ]),
        ),
        ...some(2),
      ]),
    'a batch that is empty or too long': () => {
      const data = dataOf(some());
      data[1] = pick([0, 65, 128, 255]);
      return data;
    },
    'another count': () => {
      const data = dataOf(some());
      data[1] = chance.between(1, 65);
      return data;
    },
    'cut off': () => {
      const data = dataOf(some());
      return data.subarray(0, chance.between(1, data.length));
    },
    'bytes after it': () => concatBytes(dataOf(some(2)), chance.bytes(chance.between(1, 20))),
    'sixteen receipts': () => dataOf(Array.from({ length: 16 }, () => sign(chance.number(ORDINARY), counters()))),
  };

  it(`says what other means say of ${BATCHES} of them`, { timeout: 600_000 }, () => {
    const names = Object.keys(kinds);
    for (let index = 0; index < BATCHES; index += 1) {
      const kind = names[index % names.length] ?? 'whole';
      const data = kinds[kind]?.() ?? new Uint8Array();
      const expected = verdict(chain.programId, tillKey, till, data.subarray(1));
      const found = chain.trial([instructionOf(data)], chain.admin).reason ?? 'accepted';
      expect({ kind, data: toHex(data), verdict: found }).toEqual({ kind, data: toHex(data), verdict: expected });
      counts.set(expected, (counts.get(expected) ?? 0) + 1);
      counts.set(`${kind}: ${expected}`, (counts.get(`${kind}: ${expected}`) ?? 0) + 1);
    }
    // Each of the answers was given often enough to mean something.
    for (const answer of ['accepted', 'WrongAggregate', 'MalformedAggregate', 'InvalidInstruction', 'InvalidBatch']) {
      expect(counts.get(answer) ?? 0).toBeGreaterThan(BATCHES / 50);
    }
    for (const answer of ['SlotOutOfRange', 'SlotNotOpen', 'DepositExceeded']) {
      expect(counts.get(answer) ?? 0).toBeGreaterThan(BATCHES / 500);
    }
    for (const kind of ['whole', 'an entry twice', 'keys of small and mixed order', 'an R that is not reduced']) {
      expect(counts.get(`${kind}: accepted`) ?? 0).toBeGreaterThan(BATCHES / 100);
    }
  });
});
