/**
 * What the program must say of a settle instruction, judged by other means: the bytes are read anew, and the points are
 * those of @noble/curves. Nothing of the product's own aggregation is used.
 */
import { createHash } from 'node:crypto';
import { pippenger } from '@noble/curves/abstract/curve.js';
import { ed25519 } from '@noble/curves/ed25519.js';
import type { PublicKey } from '@solana/web3.js';
import { concatBytes, utf8 } from '../../../core/codec.ts';
import { channelIdBytes } from '../../../core/ids.ts';
import * as program from '../../../ledger/solana/program/index.ts';
import { CLUSTER_TAG } from './svm.ts';

const { Point } = ed25519;
type Point = InstanceType<typeof Point>;
export const ORDER: bigint = Point.Fn.ORDER;

export function toNumber(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

export function toBytes(value: bigint, length = 32): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => Number((value >> BigInt(8 * index)) & 0xffn));
}

export function sha512Scalar(...parts: readonly Uint8Array[]): bigint {
  return (
    toNumber(
      createHash('sha512')
        .update(concatBytes(...parts))
        .digest(),
    ) % ORDER
  );
}

/** The channel id of a slot never changes here. */
const ids = new Map<string, Uint8Array>();

export function messageOf(
  programId: PublicKey,
  till: PublicKey,
  slot: Pick<program.TillSlot, 'slot' | 'generation'>,
  counters: readonly [bigint, bigint, bigint],
): Uint8Array {
  const key = `${slot.slot} ${slot.generation} ${till.toBase58()}`;
  const { slot: number, generation } = slot;
  const id =
    ids.get(key) ??
    channelIdBytes(program.channelId(programId, { clusterTag: CLUSTER_TAG, till, slot: number, generation }));
  ids.set(key, id);
  return concatBytes(Uint8Array.of(1), id, ...counters.map((counter) => toBytes(counter, 8)));
}

/** z_i of a batch. */
export function factorsOf(
  parts: readonly { readonly r: Uint8Array; readonly key: Uint8Array; readonly message: Uint8Array }[],
): bigint[] {
  const transcript = createHash('sha256').update(
    concatBytes(
      utf8('relaymint:half-aggregate:v1'),
      Uint8Array.of(parts.length),
      ...parts.flatMap(({ r, key }) => [r, key]),
      ...parts.map(({ message }) => message),
    ),
  );
  const seed = transcript.digest();
  return parts.map((_, index) => {
    const digest = createHash('sha256')
      .update(concatBytes(seed, Uint8Array.of(index)))
      .digest();
    return toNumber(digest) & ((1n << 252n) - 1n);
  });
}

/** The error's name, or "accepted". `data` without its tag; the accounts are in order and there is no share to sign for. */
export function verdict(
  programId: PublicKey,
  tillAddress: PublicKey,
  till: program.TillAccount,
  data: Uint8Array,
): string {
  let at = 0;
  const take = (length: number): Uint8Array => {
    if (at + length > data.length) throw new RangeError('InvalidInstruction');
    at += length;
    return data.subarray(at - length, at);
  };
  try {
    const count = take(1)[0] ?? 0;
    if (count < 1 || count > 64) return 'InvalidBatch';
    const s = toNumber(take(32));
    const settled = new Map(till.slots.map((slot) => [slot.slot, slot]));
    const parts = [];
    for (let index = 0; index < count; index += 1) {
      const header = Number(toNumber(take(3)));
      const lengths = [15, 18, 21].map((shift) => ((header >> shift) & 7) + 1);
      const whole = lengths.reduce((sum, length) => sum + length, 32);
      const body = take(whole);
      const [a = 0, u = 0, d = 0] = lengths;
      const amount = toNumber(body.subarray(0, a));
      const up = toNumber(body.subarray(a, a + u));
      const down = toNumber(body.subarray(a + u, a + u + d));
      const slot = settled.get(header & 0x7fff);
      if (slot === undefined) return 'SlotOutOfRange';
      if (!slot.open) return 'SlotNotOpen';
      if (amount > slot.settled) {
        if (amount > slot.deposit) return 'DepositExceeded';
        settled.set(slot.slot, { ...slot, settled: amount as typeof slot.settled, up, down });
      }
      const message = messageOf(programId, tillAddress, slot, [amount, up, down]);
      parts.push({ r: body.subarray(-32), key: slot.delegate.toBytes(), message });
    }
    const aggregate = judge(parts, s);
    if (aggregate !== undefined) return aggregate;
    const shares = take(1)[0] ?? 0;
    if (shares > 8) return 'InvalidBatch';
    // Nobody's signature is there.
    if (shares > 0) return 'NotTillOwner';
    return at === data.length ? 'accepted' : 'InvalidInstruction';
  } catch (error) {
    if (error instanceof RangeError) return error.message;
    throw error;
  }
}

function judge(
  parts: readonly { readonly r: Uint8Array; readonly key: Uint8Array; readonly message: Uint8Array }[],
  s: bigint,
): string | undefined {
  if (s >= ORDER) return 'MalformedAggregate';
  const points: Point[] = [];
  const scalars: bigint[] = [];
  const factors = factorsOf(parts);
  for (const [index, { r, key, message }] of parts.entries()) {
    const z = factors[index] ?? 0n;
    const [pointR, pointA] = [decoded(r), decoded(key)];
    if (pointR === undefined || pointA === undefined) return 'MalformedAggregate';
    points.push(pointR, pointA);
    scalars.push(z, (z * sha512Scalar(r, key, message)) % ORDER);
  }
  const sum = pippenger(Point, [...points, Point.BASE.negate()], [...scalars, s]);
  return sum.clearCofactor().is0() ? undefined : 'WrongAggregate';
}

const keys = new Map<string, Point | undefined>();

/** Any encoding of a point, reduced or not: what the virtual machine takes. */
function decoded(bytes: Uint8Array): Point | undefined {
  const label = Buffer.from(bytes).toString('hex');
  if (keys.has(label)) return keys.get(label);
  let point: Point | undefined;
  try {
    point = Point.fromBytes(bytes, true);
  } catch {
    point = undefined;
  }
  keys.set(label, point);
  return point;
}
