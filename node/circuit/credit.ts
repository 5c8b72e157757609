/**
 * How much may be on its way: the circuit's credit, both directions, and the target for stream windows.
 *
 * The circuit's credit counts whole cells, because that is what relays hold. It comes back when a cell has arrived, as long
 * as the readers here leave less than CIRCUIT_UNREAD lying about: a stream that nobody reads does not stop its
 * neighbours, and this end holds at most CIRCUIT_UNREAD + CIRCUIT_WINDOW.
 */
import { CIRCUIT_UNREAD, CIRCUIT_WINDOW, STREAM_WINDOW_INITIAL, STREAM_WINDOW_MAX } from '../../core/limits.ts';
import { RelaymintError } from '../../core/errors.ts';

const RETURN_AT = CIRCUIT_WINDOW / 4;

export class CircuitCredit {
  /** Cell bytes that we may still send. */
  send: number = CIRCUIT_WINDOW;
  /** Data bytes that arrived and were not read. */
  unread = 0;
  #receive = CIRCUIT_WINDOW;
  #due = 0;
  #withheld = 0;

  /** The peer returned credit. @throws RelaymintError PROTOCOL_VIOLATION when it never owed so much. */
  returned(bytes: number): void {
    this.send += bytes;
    if (this.send > CIRCUIT_WINDOW) throw overdrawn('returned more circuit credit than it had');
  }

  /** A DATA cell arrived. @throws RelaymintError PROTOCOL_VIOLATION when the peer had no credit for it. */
  arrived(cellBytes: number): void {
    this.#receive -= cellBytes;
    if (this.#receive < 0) throw overdrawn('sent more than the circuit window');
    this.#withheld += cellBytes;
  }

  /** Credit to return now; 0 while it is not worth a cell. */
  takeDue(): number {
    if (this.unread <= CIRCUIT_UNREAD) {
      this.#due += this.#withheld;
      this.#withheld = 0;
    }
    if (this.#due < RETURN_AT) return 0;
    const due = this.#due;
    this.#due = 0;
    this.#receive += due;
    return due;
  }
}

/** Wait between two measurements while nothing changes, milliseconds. */
const MEASURE_FIRST = 20;
const MEASURE_LAST = 2_000;
/** A window is too small when one round trip uses up this much of it. */
const FULL = 2 / 3;

/**
 * Grows the target for stream windows to the path's bandwidth-delay product: a ping goes out while data arrives; when its
 * round trip brought nearly a whole window, and faster than ever before, the window was the limit.
 */
export class WindowTuner {
  target: number = STREAM_WINDOW_INITIAL;
  /** Of the last measurement, milliseconds; undefined before the first. */
  rtt: number | undefined;
  #startedAt = -1;
  #nextAt = 0;
  #wait = MEASURE_FIRST;
  #bytes = 0;
  #fastest = 0;

  /** Data arrived. @returns true when a ping should go out now to measure. */
  arrived(bytes: number, now: number): boolean {
    if (this.#startedAt >= 0) {
      this.#bytes += bytes;
      return false;
    }
    if (now < this.#nextAt || this.target >= STREAM_WINDOW_MAX) return false;
    this.#startedAt = now;
    this.#bytes = 0;
    return true;
  }

  /** The measuring ping came back. */
  measured(now: number): void {
    const rtt = Math.max(now - this.#startedAt, 0.01);
    const rate = this.#bytes / rtt;
    this.rtt = rtt;
    this.#startedAt = -1;
    if (this.#bytes >= this.target * FULL && rate > this.#fastest) {
      this.target = Math.min(STREAM_WINDOW_MAX, 2 * this.target);
      this.#wait = MEASURE_FIRST;
    } else {
      this.#wait = Math.min(MEASURE_LAST, 2 * this.#wait);
    }
    this.#fastest = Math.max(this.#fastest, rate);
    this.#nextAt = now + this.#wait;
  }
}

export function overdrawn(what: string): RelaymintError {
  return new RelaymintError('PROTOCOL_VIOLATION', `The other end of the circuit ${what}.`, {
    remedy: 'Build another circuit without it.',
  });
}
