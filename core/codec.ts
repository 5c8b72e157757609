/**
 * Fixed-layout binary encoding for everything on the wire and on disk. Little-endian. The reader never allocates from
 * an unchecked length and never hands out more than it was given.
 */
import { RelaymintError } from './errors.ts';

const utf8Encoder = /* @__PURE__ */ new TextEncoder();
const utf8Decoder = /* @__PURE__ */ new TextDecoder('utf-8', { fatal: true });

/** Reads fields from a byte array in order. Every method throws RelaymintError INVALID_ENCODING when bytes are missing. */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #what: string;
  #offset = 0;

  /** `what` names the thing being decoded, for error messages. */
  constructor(source: Uint8Array, what: string) {
    this.#bytes = source;
    this.#view = new DataView(source.buffer, source.byteOffset, source.byteLength);
    this.#what = what;
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true);
  }

  i64(): bigint {
    return this.#view.getBigInt64(this.#take(8), true);
  }

  /** A view, not a copy: copy it when it must outlive the frame it came in. */
  bytes(length: number): Uint8Array {
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** u16 length, then that many bytes, at most `max`. */
  bytes16(max: number): Uint8Array {
    const length = this.u16();
    if (length > max) throw this.#fail(`a field of ${length} bytes is longer than the ${max} allowed`);
    return this.bytes(length);
  }

  /** u16 length, then UTF-8. */
  string16(maxBytes: number): string {
    const raw = this.bytes16(maxBytes);
    try {
      return utf8Decoder.decode(raw);
    } catch (cause) {
      throw this.#fail('a text is not UTF-8', cause);
    }
  }

  rest(): Uint8Array {
    return this.bytes(this.remaining);
  }

  /** Refuses trailing bytes. */
  end(): void {
    if (this.remaining !== 0) throw this.#fail(`${this.remaining} unexpected bytes follow it`);
  }

  #take(length: number): number {
    const start = this.#offset;
    if (length > this.remaining) throw this.#fail(`it ends ${length - this.remaining} bytes too early`);
    this.#offset += length;
    return start;
  }

  #fail(detail: string, cause?: unknown): RelaymintError {
    return new RelaymintError('INVALID_ENCODING', `Malformed ${this.#what}: ${detail}.`, { cause });
  }
}

/** Builds a byte array field by field. The caller states the capacity; writing past it is a RangeError. */
export class Writer {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  u8(value: number): this {
    this.#view.setUint8(this.#advance(1), value);
    return this;
  }

  u16(value: number): this {
    this.#view.setUint16(this.#advance(2), value, true);
    return this;
  }

  u32(value: number): this {
    this.#view.setUint32(this.#advance(4), value, true);
    return this;
  }

  u64(value: bigint): this {
    this.#view.setBigUint64(this.#advance(8), value, true);
    return this;
  }

  i64(value: bigint): this {
    this.#view.setBigInt64(this.#advance(8), value, true);
    return this;
  }

  bytes(value: Uint8Array): this {
    const start = this.#advance(value.length);
    this.#bytes.set(value, start);
    return this;
  }

  bytes16(value: Uint8Array): this {
    if (value.length > 0xffff) throw new RangeError(`a field of ${value.length} bytes does not fit a 16-bit length`);
    return this.u16(value.length).bytes(value);
  }

  string16(value: string): this {
    return this.bytes16(utf8Encoder.encode(value));
  }

  /** The bytes written so far (a view). */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#offset);
  }

  #advance(length: number): number {
    const start = this.#offset;
    if (start + length > this.#bytes.length) {
      throw new RangeError(`writing ${length} bytes at ${start} exceeds the capacity of ${this.#bytes.length}`);
    }
    this.#offset += length;
    return start;
  }
}

export function utf8(text: string): Uint8Array {
  return utf8Encoder.encode(text);
}

export function toHex(value: Uint8Array): string {
  let text = '';
  for (const byte of value) text += byte.toString(16).padStart(2, '0');
  return text;
}

/** @throws RelaymintError INVALID_ENCODING when it is not an even number of hex digits. */
export function fromHex(text: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) {
    throw new RelaymintError('INVALID_ENCODING', 'Malformed hexadecimal text.');
  }
  const out = new Uint8Array(text.length / 2);
  for (let i = 0; i < out.length; i += 1) out[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return out;
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

/** Equality of public values (ids, hashes). Not for secrets: those compare in constant time with node:crypto. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
