/**
 * One layer of one hop in one direction: ChaCha20-Poly1305 under a key of its own, with an implicit counter as nonce.
 * A frame that is changed, repeated, left out or out of order does not open, and neither does anything after it.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { LAYER_BYTES, MAX_FRAME_PAYLOAD } from '../../core/limits.ts';
import { FRAME_HEADER_BYTES } from '../link/contract.ts';
import type { Link } from '../link/contract.ts';

const CIPHER = 'chacha20-poly1305';
const OPTIONS = { authTagLength: LAYER_BYTES };
const NONCE_BYTES = 12;

/** The key and the counter. 64 of the 96 nonce bits count; the rest stay zero. */
class LayerState {
  readonly key: Buffer;
  readonly nonce: Buffer = Buffer.alloc(NONCE_BYTES);
  #low = 0;
  #high = 0;

  /** Takes over `key` (32 bytes): it is wiped by close(). */
  constructor(key: Buffer) {
    this.key = key;
  }

  advance(): void {
    this.#low += 1;
    if (this.#low === 0x1_0000_0000) {
      this.#low = 0;
      this.#high += 1;
      this.nonce.writeUInt32LE(this.#high, 4);
    }
    this.nonce.writeUInt32LE(this.#low, 0);
  }

  close(): void {
    this.key.fill(0);
  }
}

/** Adds a layer. */
export class SealingLayer {
  readonly #state: LayerState;

  constructor(key: Buffer) {
    this.#state = new LayerState(key);
  }

  /** Seals `text` into a frame of the link, leaving room for its header. One copy: node's cipher allocates its own output. */
  intoFrame(text: Buffer, link: Link): Buffer {
    const frame = link.allocFrame(text.length + LAYER_BYTES);
    this.#seal(text, frame, FRAME_HEADER_BYTES);
    return frame;
  }

  /** Seals the first `length` bytes of `buffer` in place. @returns the new length. */
  inPlace(buffer: Buffer, length: number): number {
    this.#seal(buffer.subarray(0, length), buffer, 0);
    return length + LAYER_BYTES;
  }

  close(): void {
    this.#state.close();
  }

  #seal(text: Buffer, target: Buffer, offset: number): void {
    const cipher = createCipheriv(CIPHER, this.#state.key, this.#state.nonce, OPTIONS);
    this.#state.advance();
    const sealed = cipher.update(text);
    cipher.final();
    target.set(sealed, offset);
    target.set(cipher.getAuthTag(), offset + sealed.length);
  }
}

/** Takes a layer off. */
export class OpeningLayer {
  readonly #state: LayerState;

  constructor(key: Buffer) {
    this.#state = new LayerState(key);
  }

  /** A fresh buffer of LAYER_BYTES less, or undefined when the tag does not fit: the circuit is beyond repair. */
  open(sealed: Buffer): Buffer | undefined {
    const end = sealed.length - LAYER_BYTES;
    if (end < 0) return undefined;
    const decipher = createDecipheriv(CIPHER, this.#state.key, this.#state.nonce, OPTIONS);
    this.#state.advance();
    decipher.setAuthTag(sealed.subarray(end));
    const text = decipher.update(sealed.subarray(0, end));
    try {
      decipher.final();
    } catch {
      return undefined;
    }
    return text;
  }

  close(): void {
    this.#state.close();
  }
}

/** Where an end of a circuit builds a cell and its layers: used and done with inside one synchronous call. */
export const scratch: Buffer = Buffer.allocUnsafeSlow(MAX_FRAME_PAYLOAD);
