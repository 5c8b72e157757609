/**
 * Frames: payload length u16 | type u8 | reserved u8 (0) | circuit id u32 | payload. Little-endian. A parser for what
 * comes in, and the memory for what goes out.
 */
import { RelaymintError, violation } from '../../core/errors.ts';
import { MAX_FRAME_PAYLOAD } from '../../core/limits.ts';
import { FRAME_HEADER_BYTES, FrameType, type FrameHandler } from './contract.ts';

/** Types below this one are control frames. */
const FIRST_CIRCUIT_TYPE = 16;
/** Frames are cut from slabs: one allocation for four of the largest. */
const SLAB_BYTES = 4 * (FRAME_HEADER_BYTES + MAX_FRAME_PAYLOAD);

const KNOWN_TYPES: ReadonlySet<number> = new Set(Object.values(FrameType));

export function isControl(type: number): boolean {
  return type < FIRST_CIRCUIT_TYPE;
}

/** Cuts buffers from slabs. Buffers cut in a row lie side by side, so that they can be written as one. */
export class FrameMemory {
  #slab: Buffer = Buffer.alloc(0);
  #used = 0;

  /** Uninitialized memory. */
  take(length: number): Buffer {
    if (this.#used + length > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += length;
    return this.#slab.subarray(start, this.#used);
  }
}

/** Writes the header of `frame`, whose payload is everything after it. */
export function writeHeader(frame: Buffer, type: FrameType, circuitId: number): void {
  const length = frame.length - FRAME_HEADER_BYTES;
  frame[0] = length & 255;
  frame[1] = length >> 8;
  frame[2] = type;
  frame[3] = 0;
  frame[4] = circuitId & 255;
  frame[5] = (circuitId >>> 8) & 255;
  frame[6] = (circuitId >>> 16) & 255;
  frame[7] = circuitId >>> 24;
}

/** Takes the bytes of a connection in any pieces and gives out whole frames in order. */
export class FrameParser {
  readonly #onFrame: (type: FrameType, circuitId: number, payload: Buffer) => boolean;
  readonly #memory: FrameMemory;
  /** A header that arrived in pieces. */
  readonly #header: Buffer = Buffer.alloc(FRAME_HEADER_BYTES);
  #headerFilled = 0;
  /** A payload that arrives in pieces, with what its header said. */
  #payload: Buffer | undefined;
  #payloadFilled = 0;
  #type: FrameType = FrameType.HELLO;
  #circuitId = 0;

  /** `onFrame` returns false to stop: what is left of the chunk is dropped. It owns the payload it gets. */
  constructor(memory: FrameMemory, onFrame: (...frame: [FrameType, ...Parameters<FrameHandler>]) => boolean) {
    this.#memory = memory;
    this.#onFrame = onFrame;
  }

  /**
   * Payloads that lie whole in `chunk` are slices of it; one that straddles chunks is copied once.
   * @throws RelaymintError FRAME_TOO_LONG, PROTOCOL_VIOLATION; the parser is of no use afterwards.
   */
  push(chunk: Buffer): void {
    let offset = 0;
    while (offset < chunk.length) {
      if (this.#payload !== undefined) {
        offset += this.#fillPayload(chunk, offset);
        if (this.#payloadFilled < this.#payload.length) return;
        const payload = this.#payload;
        this.#payload = undefined;
        if (!this.#onFrame(this.#type, this.#circuitId, payload)) return;
        continue;
      }
      let length: number;
      if (this.#headerFilled === 0 && chunk.length - offset >= FRAME_HEADER_BYTES) {
        length = this.#readHeader(chunk, offset);
        offset += FRAME_HEADER_BYTES;
      } else {
        const part = Math.min(FRAME_HEADER_BYTES - this.#headerFilled, chunk.length - offset);
        chunk.copy(this.#header, this.#headerFilled, offset, offset + part);
        this.#headerFilled += part;
        offset += part;
        if (this.#headerFilled < FRAME_HEADER_BYTES) return;
        length = this.#readHeader(this.#header, 0);
        this.#headerFilled = 0;
      }
      if (chunk.length - offset >= length) {
        const payload = chunk.subarray(offset, offset + length);
        offset += length;
        if (!this.#onFrame(this.#type, this.#circuitId, payload)) return;
      } else {
        this.#payload = this.#memory.take(length);
        this.#payloadFilled = 0;
      }
    }
  }

  #fillPayload(chunk: Buffer, offset: number): number {
    const payload = this.#payload;
    if (payload === undefined) return 0;
    const part = Math.min(payload.length - this.#payloadFilled, chunk.length - offset);
    chunk.copy(payload, this.#payloadFilled, offset, offset + part);
    this.#payloadFilled += part;
    return part;
  }

  /** @returns the payload's length, checked before anything is allocated for it. */
  #readHeader(source: Buffer, at: number): number {
    const length = (source[at] ?? 0) | ((source[at + 1] ?? 0) << 8);
    const type = source[at + 2] ?? 0;
    const circuitId =
      ((source[at + 4] ?? 0) |
        ((source[at + 5] ?? 0) << 8) |
        ((source[at + 6] ?? 0) << 16) |
        ((source[at + 7] ?? 0) << 24)) >>>
      0;
    if (length > MAX_FRAME_PAYLOAD) {
      throw new RelaymintError(
        'FRAME_TOO_LONG',
        `A frame of ${length} bytes was announced, at most ${MAX_FRAME_PAYLOAD} are allowed.`,
        { details: { length, limit: MAX_FRAME_PAYLOAD } },
      );
    }
    if (source[at + 3] !== 0) throw violation('The reserved byte of a frame is not zero.');
    if (!KNOWN_TYPES.has(type)) throw violation(`Frames of type ${type} are unknown.`);
    if (isControl(type) !== (circuitId === 0)) {
      throw violation(`A frame of type ${type} cannot have the circuit id ${circuitId}.`);
    }
    this.#type = type as FrameType;
    this.#circuitId = circuitId;
    return length;
  }
}
