/**
 * Which names a host says it keeps: a Golomb-coded set of keyed hashes in its offer. Layout (docs/wire-format.md, "Kept names"):
 * more u8 (0 or 1) | count u16 | for each hash in rising order its distance from the one before, Rice-coded with 16 bits, from
 * the highest bit of each byte on; the last byte is filled up with zeros.
 */
import { createHash } from 'node:crypto';
import { Reader, Writer } from '../../core/codec.ts';
import { RelaymintError } from '../../core/errors.ts';
import { nodeIdBytes, type NodeId } from '../../core/ids.ts';
import { MAX_KEPT_NAME_BYTES } from '../../core/limits.ts';

/** A name that is not kept seems to be kept with a chance of 1 in 2 to the power of this. */
const RICE_BITS = 16;
/** Before the hashes: `more` and the count. */
const HEADER_BYTES = 3;
/** At most: 16 bits and a stop bit each, and one bit for each whole step, of which there are fewer than hashes. */
const MAX_BITS_EACH = RICE_BITS + 2;

const KEPT_DOMAIN = 'relaymint:kept-name:v1';

export interface KeptNames {
  /** It keeps more names than it could list. */
  readonly more: boolean;
  /** Below count * 2^16, rising; equal ones are two names. At most as many as fit MAX_KEPT_NAME_BYTES. */
  readonly hashes: Uint32Array;
}

/** The list of names that `node` keeps, in at most this many bytes: as many as fit, the first ones first. undefined if there are none. */
export function keptNames(node: NodeId, names: readonly string[], maxBytes: number): KeptNames | undefined {
  if (names.length === 0 || maxBytes < HEADER_BYTES) return undefined;
  const said = names.slice(0, namesThatFit(maxBytes));
  const hashes = Uint32Array.from(said, (name) => hashOf(node, name, said.length)).sort();
  return { more: said.length < names.length, hashes };
}

/** Whether `node` said that it keeps this name. Wrong about a name that it does not keep once in 65,536. */
export function saysItKeeps(node: NodeId, kept: KeptNames | undefined, name: string): boolean {
  if (kept === undefined || kept.hashes.length === 0) return false;
  return kept.hashes.includes(hashOf(node, name, kept.hashes.length));
}

export function encodeKeptNames({ more, hashes }: KeptNames): Uint8Array {
  const bits = new BitWriter(Math.ceil((hashes.length * MAX_BITS_EACH) / 8));
  let before = 0;
  for (const hash of hashes) {
    const distance = hash - before;
    for (let steps = distance >>> RICE_BITS; steps > 0; steps -= 1) bits.write(1, 1);
    bits.write(0, 1);
    bits.write(distance & ((1 << RICE_BITS) - 1), RICE_BITS);
    before = hash;
  }
  const coded = bits.finish();
  const out = new Writer(HEADER_BYTES + coded.length);
  return out
    .u8(more ? 1 : 0)
    .u16(hashes.length)
    .bytes(coded)
    .finish();
}

/** @throws RelaymintError INVALID_ENCODING: each set has one encoding, and an empty list is not valid. */
export function decodeKeptNames(encoded: Uint8Array): KeptNames {
  const input = new Reader(encoded, 'list of kept names');
  const more = input.u8();
  const count = input.u16();
  if (more > 1 || (more === 0 && count === 0)) throw malformed('it is empty');
  // Before anything is allocated: a list that claims more than its bytes hold is refused.
  if (count > namesThatFit(MAX_KEPT_NAME_BYTES)) throw malformed(`it has ${count} names`);
  const bits = new BitReader(input.rest());
  const hashes = new Uint32Array(count);
  const end = count << RICE_BITS;
  let hash = 0;
  for (let i = 0; i < count; i += 1) {
    while (bits.read(1) === 1) {
      hash += 1 << RICE_BITS;
      if (hash >= end) throw malformed('a hash is out of its range');
    }
    hash += bits.read(RICE_BITS);
    if (hash >= end) throw malformed('a hash is out of its range');
    hashes[i] = hash;
  }
  bits.end();
  return { more: more === 1, hashes };
}

function namesThatFit(bytes: number): number {
  return Math.floor(((Math.min(bytes, MAX_KEPT_NAME_BYTES) - HEADER_BYTES) * 8) / MAX_BITS_EACH);
}

/** Different at each host, because it includes the node id; evenly spread below count * 2^16. */
function hashOf(node: NodeId, name: string, count: number): number {
  const digest = createHash('sha256').update(KEPT_DOMAIN).update(nodeIdBytes(node)).update(name, 'utf8').digest();
  return Number((digest.readBigUInt64LE(0) * (BigInt(count) << BigInt(RICE_BITS))) >> 64n);
}

class BitWriter {
  readonly #bytes: Uint8Array;
  #length = 0;

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
  }

  /** The lowest `count` bits of `value`, the highest of them first. */
  write(value: number, count: number): void {
    for (let bit = count - 1; bit >= 0; bit -= 1) {
      const at = this.#length >>> 3;
      this.#bytes[at] = (this.#bytes[at] ?? 0) | (((value >>> bit) & 1) << (7 - (this.#length & 7)));
      this.#length += 1;
    }
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, (this.#length + 7) >>> 3);
  }
}

class BitReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  read(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i += 1) {
      const byte = this.#bytes[this.#at >>> 3];
      if (byte === undefined) throw malformed('it ends too early');
      value = (value << 1) | ((byte >>> (7 - (this.#at & 7))) & 1);
      this.#at += 1;
    }
    return value;
  }

  /** What is left fills the last byte, with zeros. */
  end(): void {
    const left = this.#bytes.length * 8 - this.#at;
    if (left >= 8 || this.read(left) !== 0) throw malformed('more bytes follow it');
  }
}

function malformed(detail: string): RelaymintError {
  return new RelaymintError('INVALID_ENCODING', `Malformed list of kept names: ${detail}.`);
}
