/** How much may be on its way to this end of a circuit: what it grants the other end, and the target for stream windows. */
import {
  CIRCUIT_UNREAD,
  CIRCUIT_WINDOW,
  LEAST_GRANT,
  QUIET_GRANT,
  STREAM_WINDOW_INITIAL,
  STREAM_WINDOW_MAX,
} from '../../core/limits.ts';
import { RelaymintError } from '../../core/errors.ts';

/**
 * What an end lets the other one send: hardly anything while the circuit is idle, little while it is quiet, twice as much each time that much has come, up to
 * CIRCUIT_WINDOW. Whole frames count. It comes back as frames arrive, as long as the readers here leave less than
 * CIRCUIT_UNREAD lying about: a stream that nobody reads does not stop its neighbours, and this end holds at most
 * CIRCUIT_UNREAD + CIRCUIT_WINDOW.
 */
export class Intake {
  /** Data bytes that arrived and were not read. */
  unread = 0;
  #target: number = QUIET_GRANT;
  /** Since the target last grew. */
  #taken = 0;
  /** Frames of data that came while too much was unread. */
  #withheld = 0;

  arrived(frameBytes: number, data: boolean): void {
    if (data && this.unread > CIRCUIT_UNREAD) this.#withheld += frameBytes;
    this.#taken += frameBytes;
    if (this.#taken >= this.#target) this.expect(2 * this.#target);
  }

  /** So much is about to come: a stream was opened, or a whole target came. */
  expect(bytes: number): void {
    if (bytes <= this.#target) return;
    this.#target = Math.min(bytes, CIRCUIT_WINDOW);
    this.#taken = 0;
  }

  /** The other end gave back what it did not use; so much is left to it. */
  rest(granted: number): void {
    this.#target = Math.max(LEAST_GRANT, Math.min(granted, QUIET_GRANT));
    this.#taken = 0;
  }

  /** What to grant now, when `granted` is not used yet; 0 while it is not worth a frame. */
  due(granted: number): number {
    if (this.unread <= CIRCUIT_UNREAD) this.#withheld = 0;
    const due = this.#target - granted - this.#withheld;
    return due >= this.#target / 4 ? due : 0;
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
