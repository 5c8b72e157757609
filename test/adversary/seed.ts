/** Everything random of a play comes from one seed, so that a row can be played again: who leads, who dials, which keys. */
import { createHash } from 'node:crypto';

const BLOCK_BYTES = 32;

export class Seed {
  readonly text: string;
  #counter = 0;

  constructor(text: string) {
    this.text = text;
  }

  /** 32 bytes that differ at each call. */
  next(): Uint8Array {
    this.#counter += 1;
    return Uint8Array.from(createHash('sha256').update(`${this.text} ${this.#counter}`).digest());
  }

  /** Bytes that mean nothing. */
  garbage(length: number): Buffer {
    const bytes = Buffer.alloc(length);
    const block = this.next();
    for (let at = 0; at < length; at += BLOCK_BYTES)
      bytes.set(block.subarray(0, Math.min(BLOCK_BYTES, length - at)), at);
    return bytes;
  }
}
