/**
 * What a link has yet to write. Frames of one turn of the event loop go out together, so that TLS records are full and
 * a frame does not cost a system call.
 */
import type { Writable } from 'node:stream';
import { LINK_HIGH_WATER } from '../../core/limits.ts';

/** Enough for four full TLS records: more gains nothing. */
const FLUSH_BYTES = 64 * 1024;
/** Circuits are woken when half of the queue has drained, so that they wake rarely and the wire never idles. */
const LOW_WATER = LINK_HIGH_WATER / 2;

export class Outbox {
  readonly #socket: Writable;
  readonly #drainListeners: (() => void)[] = [];
  #frames: Buffer[] = [];
  #waiting = 0;
  #scheduled = false;
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
    if (this.#waiting >= FLUSH_BYTES) this.flush();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(this.#onTurn);
    }
  }

  flush(): void {
    const frames = this.#frames;
    if (frames.length === 0) return;
    this.#frames = [];
    this.#waiting = 0;
    if (this.#socket.destroyed || this.#socket.writableEnded) return;
    this.#socket.cork();
    let run: Buffer | undefined;
    for (const frame of frames) {
      const joined = run === undefined ? frame : joinNeighbours(run, frame);
      if (joined === undefined && run !== undefined) this.#socket.write(run, this.#onWritten);
      run = joined ?? frame;
    }
    if (run !== undefined) this.#socket.write(run, this.#onWritten);
    this.#socket.uncork();
  }

  readonly #onTurn = (): void => {
    this.#scheduled = false;
    this.flush();
  };

  readonly #onWritten = (error?: Error | null): void => {
    if (error !== undefined && error !== null) return;
    this.#progressed = true;
    if (!this.#full || this.queuedBytes >= LOW_WATER) return;
    this.#full = false;
    for (const listener of this.#drainListeners) listener();
  };
}

/** One view of both when `second` begins in memory where `first` ends. */
function joinNeighbours(first: Buffer, second: Buffer): Buffer | undefined {
  if (first.buffer !== second.buffer || first.byteOffset + first.length !== second.byteOffset) return undefined;
  return Buffer.from(first.buffer as ArrayBuffer, first.byteOffset, first.length + second.length);
}
