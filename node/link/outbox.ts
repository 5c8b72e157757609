/**
 * What a link has yet to write. One write is under way at a time; the frames that gather meanwhile, and the frames of one
 * turn of the event loop, go out together: TLS records are full and a frame does not cost a system call.
 */
import type { Writable } from 'node:stream';
import { LINK_HIGH_WATER } from '../../core/limits.ts';

/** Four full TLS records per write: more gains nothing. */
const WRITE_BYTES = 64 * 1024;
/** Adjacent frames in memory are written without a copy, if they are large enough for a separate write. */
const RUN_BYTES = WRITE_BYTES / 2;
/** Written frames are removed in batches of about this many, because moving the rest of the list costs time. */
const COMPACT_FRAMES = 64;
/** Circuits are woken when half of the queue has drained, so that they wake rarely and the wire never idles. */
const LOW_WATER = LINK_HIGH_WATER / 2;

export class Outbox {
  readonly #socket: Writable;
  readonly #drainListeners: (() => void)[] = [];
  #frames: Buffer[] = [];
  /** Frames before this one are written. */
  #next = 0;
  #waiting = 0;
  #scheduled = false;
  #writing = false;
  #full = false;
  #progressed = false;

  constructor(socket: Writable) {
    this.#socket = socket;
  }

  /** Bytes that the connection has not taken yet. */
  get queuedBytes(): number {
    return this.#waiting + this.#socket.writableLength;
  }

  get writable(): boolean {
    return !this.#full;
  }

  /** True when nothing waits or something was written since the last call. */
  takeProgress(): boolean {
    const progressed = this.#progressed || this.queuedBytes === 0;
    this.#progressed = false;
    return progressed;
  }

  onDrain(listener: () => void): void {
    this.#drainListeners.push(listener);
  }

  push(frame: Buffer): void {
    this.#frames.push(frame);
    this.#waiting += frame.length;
    if (this.queuedBytes >= LINK_HIGH_WATER) this.#full = true;
    if (this.#writing) return;
    if (this.#waiting >= WRITE_BYTES) this.#write(WRITE_BYTES);
    else if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(this.#onTurn);
    }
  }

  /** Hands everything to the connection, before its end. */
  flush(): void {
    this.#write(Number.POSITIVE_INFINITY);
  }

  /** Writes frames up to about `limit` bytes. */
  #write(limit: number): void {
    if (this.#next === this.#frames.length || this.#socket.destroyed || this.#socket.writableEnded) return;
    this.#writing = true;
    this.#socket.cork();
    let first = this.#frames[this.#next] as Buffer;
    let length = first.length;
    let taken = length;
    for (this.#next += 1; this.#next < this.#frames.length && taken < limit; this.#next += 1) {
      const frame = this.#frames[this.#next] as Buffer;
      if (frame.buffer === first.buffer && frame.byteOffset === first.byteOffset + length) {
        length += frame.length;
      } else {
        if (taken >= RUN_BYTES && limit === WRITE_BYTES) break;
        this.#socket.write(extend(first, length));
        first = frame;
        length = frame.length;
      }
      taken += frame.length;
    }
    this.#waiting -= taken;
    this.#dropWritten();
    this.#socket.write(extend(first, length), this.#onWritten);
    this.#socket.uncork();
  }

  #dropWritten(): void {
    if (this.#next === this.#frames.length) this.#frames = [];
    else if (this.#next >= COMPACT_FRAMES) this.#frames.splice(0, this.#next);
    else return;
    this.#next = 0;
  }

  readonly #onTurn = (): void => {
    this.#scheduled = false;
    if (!this.#writing) this.#write(WRITE_BYTES);
  };

  readonly #onWritten = (error?: Error | null): void => {
    if (error !== undefined && error !== null) return;
    this.#writing = false;
    this.#progressed = true;
    this.#write(WRITE_BYTES);
    if (!this.#full || this.queuedBytes >= LOW_WATER) return;
    this.#full = false;
    for (const listener of this.#drainListeners) listener();
  };
}

/** A view of `length` bytes from the beginning of `first`. */
function extend(first: Buffer, length: number): Buffer {
  return length === first.length ? first : Buffer.from(first.buffer as ArrayBuffer, first.byteOffset, length);
}
