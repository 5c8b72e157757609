/**
 * One record of the books. It is the same bytes in both copies, and it checks itself: no bit of it, of its key or of its
 * age can change unnoticed.
 *
 *   mark u8 = 0xA7 | kind u8 | key length u16 | value length u32 | key | seq u64 | payload | CRC-32 of all from `kind` on
 *
 * Little-endian. `seq` is the number of the write that it came with. The journal holds records whole; LevelDB holds
 * under the key what begins at `seq`, its value.
 *
 * Each write ends with a commit: the record of kind 3, key "commit", which says how many records there are now, and sums
 * over them. Whatever loses a record, or brings an old one back, the sums no longer agree: that does not depend on
 * anybody noticing it at the time.
 *
 *   commit's payload: format version u8 | records u32 | sum of their seqs u64 | sum of their CRCs, mod 2^32, u32 | worth u128
 */
import { crc32 } from 'node:zlib';

/** Version of the files; another one is refused, not guessed at. */
export const FORMAT_VERSION = 2;

export const PUT = 1;
export const DELETE = 2;
export const COMMIT = 3;
export type Kind = typeof PUT | typeof DELETE | typeof COMMIT;

const MARK = 0xa7;
const HEADER_BYTES = 8;
const SEQ_BYTES = 8;
const CRC_BYTES = 4;
/** A record without key and payload. */
const LEAST_BYTES = HEADER_BYTES + SEQ_BYTES + CRC_BYTES;
/** The longest value: a settlement's record has some 10,000 bytes. What claims to be longer is damage. */
const MAX_VALUE_BYTES = 1 << 20;
const MAX_KEY_BYTES = 1024;

export const COMMIT_KEY = 'commit';
const COMMIT_BYTES = 1 + 4 + 8 + 4 + 16;

/** A record as both copies hold it. */
export type Sealed = Buffer;

/** @throws RangeError for a key or payload that no record holds. */
export function seal(kind: Kind, key: string, seq: number, payload: Uint8Array): Sealed {
  const keyBytes = Buffer.byteLength(key);
  const valueBytes = SEQ_BYTES + payload.length + CRC_BYTES;
  if (keyBytes > MAX_KEY_BYTES || valueBytes > MAX_VALUE_BYTES) {
    throw new RangeError(`a record holds ${MAX_KEY_BYTES} bytes of key and ${MAX_VALUE_BYTES} of value`);
  }
  // Memory of its own: a piece of node's pool would keep 8 KB alive with each record.
  const record = Buffer.allocUnsafeSlow(HEADER_BYTES + keyBytes + valueBytes);
  record[0] = MARK;
  record[1] = kind;
  record.writeUInt16LE(keyBytes, 2);
  record.writeUInt32LE(valueBytes, 4);
  record.write(key, HEADER_BYTES, 'utf8');
  record.writeBigUInt64LE(BigInt(seq), HEADER_BYTES + keyBytes);
  record.set(payload, HEADER_BYTES + keyBytes + SEQ_BYTES);
  record.writeUInt32LE(crc32(record.subarray(1, record.length - CRC_BYTES)), record.length - CRC_BYTES);
  return record;
}

/** The record at this place; undefined if there is none with a right checksum. The result shares the bytes of `from`. */
export function recordAt(from: Buffer, at: number): Sealed | undefined {
  if (from[at] !== MARK || from.length - at < LEAST_BYTES) return undefined;
  const keyBytes = from.readUInt16LE(at + 2);
  const valueBytes = from.readUInt32LE(at + 4);
  if (keyBytes > MAX_KEY_BYTES || valueBytes > MAX_VALUE_BYTES || valueBytes < SEQ_BYTES + CRC_BYTES) return undefined;
  const end = at + HEADER_BYTES + keyBytes + valueBytes;
  if (end > from.length) return undefined;
  const record = from.subarray(at, end);
  return checks(record) ? record : undefined;
}

/** The record that LevelDB holds under this key; undefined when it does not check. */
export function recordOf(key: string, value: Uint8Array): Sealed | undefined {
  const kind = key === COMMIT_KEY ? COMMIT : PUT;
  const keyBytes = Buffer.byteLength(key);
  if (keyBytes > MAX_KEY_BYTES || value.length > MAX_VALUE_BYTES || value.length < SEQ_BYTES + CRC_BYTES) {
    return undefined;
  }
  const record = Buffer.allocUnsafe(HEADER_BYTES + keyBytes + value.length);
  record[0] = MARK;
  record[1] = kind;
  record.writeUInt16LE(keyBytes, 2);
  record.writeUInt32LE(value.length, 4);
  record.write(key, HEADER_BYTES, 'utf8');
  record.set(value, HEADER_BYTES + keyBytes);
  return checks(record) ? record : undefined;
}

function checks(record: Buffer): boolean {
  const kind = record[1];
  if (kind !== PUT && kind !== DELETE && kind !== COMMIT) return false;
  return crcOf(record) === crc32(record.subarray(1, record.length - CRC_BYTES));
}

export function kindOf(record: Sealed): Kind {
  return record[1] as Kind;
}

export function keyOf(record: Sealed): string {
  return record.toString('utf8', HEADER_BYTES, HEADER_BYTES + record.readUInt16LE(2));
}

export function seqOf(record: Sealed): number {
  return Number(record.readBigUInt64LE(HEADER_BYTES + record.readUInt16LE(2)));
}

/** What LevelDB holds under the key. */
export function valueOf(record: Sealed): Uint8Array {
  return record.subarray(HEADER_BYTES + record.readUInt16LE(2));
}

export function payloadOf(record: Sealed): Uint8Array {
  return record.subarray(HEADER_BYTES + record.readUInt16LE(2) + SEQ_BYTES, record.length - CRC_BYTES);
}

function crcOf(record: Sealed): number {
  return record.readUInt32LE(record.length - CRC_BYTES);
}

/** What a record is worth to its owner, in base units: a damaged store says how much is missing. */
export type WorthOf = (key: string, payload: Uint8Array) => bigint;

/** The sums of a commit, kept up to date with each record. */
export class Inventory {
  records = 0;
  #seqs = 0;
  #crcs = 0;
  worth = 0n;
  readonly #worthOf: WorthOf;

  constructor(worthOf: WorthOf) {
    this.#worthOf = worthOf;
  }

  add(key: string, record: Sealed): void {
    this.records += 1;
    this.#seqs += seqOf(record);
    this.#crcs = (this.#crcs + crcOf(record)) >>> 0;
    this.worth += this.#worthOf(key, payloadOf(record));
  }

  remove(key: string, record: Sealed): void {
    this.records -= 1;
    this.#seqs -= seqOf(record);
    this.#crcs = (this.#crcs - crcOf(record)) >>> 0;
    this.worth -= this.#worthOf(key, payloadOf(record));
  }

  commit(seq: number): Sealed {
    const payload = Buffer.alloc(COMMIT_BYTES);
    payload[0] = FORMAT_VERSION;
    payload.writeUInt32LE(this.records, 1);
    payload.writeBigUInt64LE(BigInt(this.#seqs), 5);
    payload.writeUInt32LE(this.#crcs, 13);
    payload.writeBigUInt64LE(BigInt.asUintN(64, this.worth), 17);
    payload.writeBigUInt64LE(this.worth >> 64n, 25);
    return seal(COMMIT, COMMIT_KEY, seq, payload);
  }

  /** True if exactly this was there when the commit was written. */
  agreesWith(commit: Sealed): boolean {
    return Buffer.compare(payloadOf(commit), payloadOf(this.commit(0))) === 0;
  }
}

/** What a commit said of all records. */
export interface Committed {
  readonly version: number;
  readonly records: number;
  readonly worth: bigint;
}

export function committed(commit: Sealed): Committed {
  const payload = Buffer.from(payloadOf(commit));
  const version = payload[0] ?? 0;
  if (version !== FORMAT_VERSION || payload.length !== COMMIT_BYTES) return { version, records: 0, worth: 0n };
  const worth = (payload.readBigUInt64LE(25) << 64n) | payload.readBigUInt64LE(17);
  return { version, records: payload.readUInt32LE(1), worth };
}
