/** Reads LevelDB's numbers and pieces one after the other. */

/** Every method throws a RangeError beyond the end. */
export class ByteCursor {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  u8(): number {
    return this.little(1);
  }

  /** An unsigned number of one to four bytes, the lowest first. */
  little(length: number): number {
    return this.bytes(length).readUIntLE(0, length);
  }

  u64(): bigint {
    return this.bytes(8).readBigUInt64LE(0);
  }

  /** Seven bits a byte, the lowest first; the last byte is below 128. Nothing in these files needs more than 53 bits. */
  varint(): number {
    let value = 0;
    for (let factor = 1; factor < 2 ** 53; factor *= 128) {
      const byte = this.u8();
      value += (byte & 127) * factor;
      if (byte < 128 && Number.isSafeInteger(value)) return value;
    }
    throw new RangeError('not a valid number');
  }

  /** Bytes that follow their length. Shares the memory. */
  piece(): Buffer {
    return this.bytes(this.varint());
  }

  /** Shares the memory. */
  bytes(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new RangeError('beyond the end');
    const found = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return found;
  }
}
