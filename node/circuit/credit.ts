/** What one end of a circuit grants the other. */
import { CIRCUIT_UNREAD, GRANT_RESERVE } from '../../core/limits.ts';
import { violation, type RelaymintError } from '../../core/errors.ts';
import { DelayWindow } from './congestion.ts';

/**
 * What an end lets the other one send: hardly anything while the circuit is idle, little while it is quiet, then as much as the
 * path carries (`DelayWindow`). Whole frames count. It is granted again as frames arrive, as long as less than
 * CIRCUIT_UNREAD is unread here: a stream that nobody reads does not stop its neighbours, and this end holds at most
 * CIRCUIT_UNREAD + CIRCUIT_WINDOW.
 */
export class Intake {
  readonly window: DelayWindow = new DelayWindow();
  /** Cells of data that arrived and were not read, bytes. */
  unread = 0;
  /** Frames of data that came while too much was unread. */
  #withheld = 0;
  /** Frames of data that nobody takes, of which the other end has not heard yet. */
  #forNobody = 0;

  /** `forNobody`: it is of a stream that ended, and the other end has not heard of that. @returns true when a ping should go out now, for `window`. */
  arrived(frameBytes: number, data: boolean, forNobody: boolean): boolean {
    if (forNobody) this.#forNobody += frameBytes;
    else if (data && this.unread > CIRCUIT_UNREAD) this.#withheld += frameBytes;
    return this.window.arrived(frameBytes, data, performance.now());
  }

  /** The other end was told of every stream that ended. */
  told(): void {
    this.#forNobody = 0;
  }

  /** What to grant now, when `granted` is not used yet; 0 while it is not worth a frame. */
  due(granted: number): number {
    if (this.unread <= CIRCUIT_UNREAD) this.#withheld = 0;
    const { target } = this.window;
    const due = target - granted - this.#withheld - this.#forNobody;
    if (due >= target / 4) return due;
    // What data leaves to control cells: two ends that hold ENDs back would wait for each other.
    return this.#forNobody > 0 && granted < GRANT_RESERVE / 2 ? GRANT_RESERVE - granted : 0;
  }
}

export function overdrawn(what: string): RelaymintError {
  return violation(`The other end of the circuit ${what}.`, 'Build another circuit without it.');
}
