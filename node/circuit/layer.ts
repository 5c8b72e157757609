/**
 * The layers of a circuit: ChaCha20-Poly1305 at each hop and in each direction, with an implicit counter as nonce. A frame that is
 * changed, repeated, left out or out of order does not open, and neither does anything after it.
 *
 * A payload is a stack of MAX_HOPS tags and a body; both have the same length at every hop, so that a hop cannot tell from it how many
 * come before or after. The topmost tag is the hop's own and covers the body and the rest of the stack. A hop that passes the payload on
 * shifts the stack by one tag and XORs it with its own key stream (docs/adr/0035-a-stack-of-tags.md):
 *
 *   forward    takes its tag off the top; what comes in at the bottom is bare key stream, which the initiator expects there
 *   backward   puts its tag on top; what falls out at the bottom is what the last hop had put there, which the initiator knows
 */
import { createCipheriv, createDecipheriv, randomBytes, type Cipher } from 'node:crypto';
import { LAYER_BYTES, MAX_FRAME_PAYLOAD, STACK_BYTES } from '../../core/limits.ts';

const CIPHER = 'chacha20-poly1305';
const OPTIONS = { authTagLength: LAYER_BYTES };
const NONCE_BYTES = 12;
const STREAM = 'chacha20';
const KEY_BYTES = 32;
/** Block counter and nonce of a key stream, which is read from its start and never again. */
const STREAM_START = Buffer.alloc(16);
/** Of one hop and direction: for its layer, then for its key stream. */
export const LAYER_KEY_BYTES: number = 2 * KEY_BYTES;
/** The stack below the topmost tag. */
const REST_BYTES = STACK_BYTES - LAYER_BYTES;
const ZEROS = Buffer.alloc(STACK_BYTES);

/** The keys and the counter. 64 of the 96 nonce bits count; the rest stay zero. */
class LayerState {
  /** Over the stack. */
  readonly stream: Cipher;
  readonly #keys: Buffer;
  readonly #key: Buffer;
  readonly #nonce: Buffer = Buffer.alloc(NONCE_BYTES);
  #low = 0;
  #high = 0;

  /** Takes over `keys` (LAYER_KEY_BYTES): they are wiped by close(). */
  constructor(keys: Buffer) {
    this.#keys = keys;
    this.#key = keys.subarray(0, KEY_BYTES);
    this.stream = createCipheriv(STREAM, keys.subarray(KEY_BYTES, LAYER_KEY_BYTES), STREAM_START);
  }

  /** `text` under this layer goes to `target` at `at`, and the tag over it and the rest of the stack to the top of `stack`. */
  seal(text: Buffer, stack: Buffer, target: Buffer, at: number): void {
    const cipher = createCipheriv(CIPHER, this.#key, this.#nonce, OPTIONS);
    this.#advance();
    cipher.setAAD(stack.subarray(LAYER_BYTES, STACK_BYTES), { plaintextLength: text.length });
    target.set(cipher.update(text), at);
    cipher.final();
    stack.set(cipher.getAuthTag());
  }

  /** undefined if the tag on top of the stack does not match. */
  open(body: Buffer, stack: Buffer): Buffer | undefined {
    const decipher = createDecipheriv(CIPHER, this.#key, this.#nonce, OPTIONS);
    this.#advance();
    decipher.setAuthTag(stack.subarray(0, LAYER_BYTES));
    decipher.setAAD(stack.subarray(LAYER_BYTES, STACK_BYTES), { plaintextLength: body.length });
    const text = decipher.update(body);
    try {
      decipher.final();
    } catch {
      return undefined;
    }
    return text;
  }

  close(): void {
    this.#keys.fill(0);
  }

  #advance(): void {
    this.#low += 1;
    if (this.#low === 0x1_0000_0000) {
      this.#low = 0;
      this.#high += 1;
      this.#nonce.writeUInt32LE(this.#high, 4);
    }
    this.#nonce.writeUInt32LE(this.#low, 0);
  }
}

/** A hop's layer forward. */
export class OpeningLayer {
  readonly #state: LayerState;

  constructor(keys: Buffer) {
    this.#state = new LayerState(keys);
  }

  /** The body without this layer, in a fresh buffer; undefined if the tag does not match: the circuit cannot go on. */
  open(payload: Buffer): Buffer | undefined {
    if (payload.length < STACK_BYTES) return undefined;
    return this.#state.open(payload.subarray(STACK_BYTES), payload);
  }

  /** What goes to the next hop, once `open` gave `text` for `payload`: as long as the payload was. */
  pass(payload: Buffer, text: Buffer, target: Buffer, at: number): void {
    payload.copyWithin(0, LAYER_BYTES, STACK_BYTES);
    payload.fill(0, REST_BYTES, STACK_BYTES);
    target.set(this.#state.stream.update(payload.subarray(0, STACK_BYTES)), at);
    target.set(text, at + STACK_BYTES);
  }

  close(): void {
    this.#state.close();
  }
}

/** A hop's layer backward. */
export class SealingLayer {
  readonly #state: LayerState;

  constructor(keys: Buffer) {
    this.#state = new LayerState(keys);
  }

  /** A cell of this hop's own: STACK_BYTES more than `cell` go to `target` at `at`. */
  originate(cell: Buffer, target: Buffer, at: number): void {
    this.#seal(ZEROS, cell, target, at);
  }

  /** What came from the next hop: as long as it was. */
  pass(payload: Buffer, target: Buffer, at: number): void {
    this.#seal(payload, payload.subarray(STACK_BYTES), target, at);
  }

  close(): void {
    this.#state.close();
  }

  /** `below`: the stack that this hop's tag goes on top of. */
  #seal(below: Buffer, text: Buffer, target: Buffer, at: number): void {
    const stack = target.subarray(at, at + STACK_BYTES);
    stack.set(this.#state.stream.update(below.subarray(0, REST_BYTES)), LAYER_BYTES);
    this.#state.seal(text, stack, target, at + STACK_BYTES);
  }
}

/** The initiator's layers forward. */
export class SealingLayers {
  /** First hop first. */
  readonly #hops: LayerState[] = [];
  /** Fills places of no hop's tag. */
  readonly #filler: Cipher = createCipheriv(STREAM, randomBytes(KEY_BYTES), STREAM_START);

  get count(): number {
    return this.#hops.length;
  }

  /** The circuit has another hop; its keys are taken over. */
  add(keys: Buffer): void {
    this.#hops.push(new LayerState(keys));
  }

  /** A cell for the last hop, which is changed: STACK_BYTES more than it has go to `target` at `at`. */
  seal(cell: Buffer, target: Buffer, at: number): void {
    const last = this.#hops.length - 1;
    // Each hop but the last will put its stream over the stack.
    const streams = this.#hops.slice(0, last).map(({ stream }) => stream.update(ZEROS));
    const stack = this.#filler.update(ZEROS);
    stack.set(bottomOf(streams), STACK_BYTES - last * LAYER_BYTES);
    for (let hop = last; hop >= 0; hop -= 1) {
      if (hop === 0) this.#hops[0]?.seal(cell, stack, target, at + STACK_BYTES);
      else this.#hops[hop]?.seal(cell, stack, cell, 0);
      const before = streams[hop - 1];
      if (before === undefined) continue;
      stack.copyWithin(LAYER_BYTES, 0, REST_BYTES);
      mix(stack, LAYER_BYTES, before, 0, REST_BYTES);
    }
    target.set(stack, at);
  }

  close(): void {
    for (const hop of this.#hops) hop.close();
  }
}

/** The initiator's layers backward. */
export class OpeningLayers {
  /** First hop first. */
  readonly #hops: LayerState[] = [];

  /** The circuit has another hop; its keys are taken over. */
  add(keys: Buffer): void {
    this.#hops.push(new LayerState(keys));
  }

  /** The cell, in a fresh buffer; undefined if a tag does not match, or before there is a hop. The payload is changed. */
  open(payload: Buffer): Buffer | undefined {
    if (payload.length < STACK_BYTES || this.#hops.length === 0) return undefined;
    const streams = this.#hops.map(({ stream }) => stream.update(ZEROS.subarray(0, REST_BYTES)));
    let body: Buffer | undefined = payload.subarray(STACK_BYTES);
    for (const [hop, state] of this.#hops.entries()) {
      if (hop > 0) unshift(payload, streams, hop);
      body = state.open(body, payload);
      if (body === undefined) return undefined;
    }
    return body;
  }

  close(): void {
    for (const hop of this.#hops) hop.close();
  }
}

/** The stack as hop `hop` sent it, from what the previous hop made of it. */
function unshift(stack: Buffer, streams: readonly Buffer[], hop: number): void {
  stack.copyWithin(0, LAYER_BYTES, STACK_BYTES);
  mix(stack, 0, streams[hop - 1] ?? ZEROS, 0, REST_BYTES);
  // The lowest tag fell out. It never was one: the last hop put its stream there, and each hop since put its own over it, further down.
  stack.fill(0, REST_BYTES, STACK_BYTES);
  for (let from = hop; from < streams.length; from += 1) {
    mix(stack, REST_BYTES, streams[from] ?? ZEROS, REST_BYTES - (from - hop + 1) * LAYER_BYTES, LAYER_BYTES);
  }
}

/** What stands at the bottom of the stack after these hops have passed it on, a tag's length for each. */
function bottomOf(streams: readonly Buffer[]): Buffer {
  const bottom = Buffer.alloc(streams.length * LAYER_BYTES);
  for (const [hop, stream] of streams.entries()) {
    // What is there goes up by one; this hop's stream goes over it and what comes in below.
    const length = (hop + 1) * LAYER_BYTES;
    const start = bottom.length - length;
    bottom.copyWithin(start, start + LAYER_BYTES);
    bottom.fill(0, bottom.length - LAYER_BYTES);
    mix(bottom, start, stream, STACK_BYTES - length, length);
  }
  return bottom;
}

/** Puts `length` bytes of a key stream over those at `at`. */
function mix(target: Buffer, at: number, stream: Buffer, from: number, length: number): void {
  for (let i = 0; i < length; i += 1) target[at + i] = (target[at + i] ?? 0) ^ (stream[from + i] ?? 0);
}

/** Where an end of a circuit builds a cell: used only within one synchronous call. */
export const scratch: Buffer = Buffer.allocUnsafeSlow(MAX_FRAME_PAYLOAD);
