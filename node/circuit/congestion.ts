/**
 * How much may be on its way to one end of a circuit, by how long a round trip takes. What is more than the path carries waits in
 * queues before every click of the same visitor; what is less leaves it unused. As TCP Vegas and Tor's proposal 324 do: the shortest
 * round trip there was is the path without a queue, and what a round trip takes beyond that is the queue.
 */
import { CIRCUIT_WINDOW, LEAST_GRANT, LEAST_TARGET, QUIET_GRANT } from '../../core/limits.ts';

/** What a round trip may take beyond the shortest: as much again, but at least so long: what busy processors take, milliseconds. */
const LEAST_ALLOWED_MILLIS = 25;
/** What a circuit may have in queues in any case, bytes: one that believes the path to be longer does not starve the others. */
const LEAST_QUEUE = 64 * 1024;
/** Pause between two measurements, milliseconds: grows up to the second figure while all is well. */
const PAUSE_FIRST = 20;
const PAUSE_LAST = 500;
/** The window was the limit when one round trip brought this much of it: whole frames come, and grants and stream windows go in quarters and halves. */
const FULL = 1 / 3;

export class DelayWindow {
  #target: number = QUIET_GRANT;
  /** The path was found full: it grows by a part each time instead of twofold. */
  #found = false;
  /** The shortest round trip, milliseconds. */
  #base = Infinity;
  /** What the last round trip took beyond the shortest. */
  #delay = 0;
  #startedAt = -1;
  #nextAt = 0;
  #pause = PAUSE_FIRST;
  /** Frame bytes that came since the ping under way was sent. */
  #came = 0;

  /** Frame bytes. */
  get target(): number {
    return this.#target;
  }

  /** A whole frame came, with data or without. @returns true when a ping should go out now: `began`, and `measured` once it came back. */
  arrived(frameBytes: number, data: boolean, now: number): boolean {
    if (this.#startedAt >= 0) {
      this.#came += frameBytes;
      return false;
    }
    return data && now >= this.#nextAt;
  }

  /** So much is about to come. @returns true when a ping should go out now. */
  expect(bytes: number): boolean {
    if (!this.#found && bytes > this.#target) this.#grow(bytes - this.#target);
    // Before anything is on its way: this round trip is the path's own.
    return this.#base === Infinity && this.#startedAt < 0;
  }

  /** The ping went out. */
  began(now: number): void {
    this.#startedAt = now;
    this.#came = 0;
  }

  /** The ping came back. */
  measured(now: number): void {
    const took = Math.max(now - this.#startedAt, 0.01);
    const came = this.#came;
    this.#startedAt = -1;
    this.#base = Math.min(this.#base, took);
    const last = this.#delay;
    this.#delay = took - this.#base;
    const allowed = this.#allowed;
    // Twice in a row: a processor that was busy for a moment is no queue.
    if (Math.min(last, this.#delay) > allowed) {
      this.#found = true;
      // So that the queue drains, and everybody behind it sees how short a round trip can be.
      const fits = 0.8 * (came / took) * (this.#base + (allowed - this.#base) / 2);
      const own = Math.floor(Math.max(fits, came - fits > LEAST_QUEUE ? 0 : this.#target));
      this.#target = Math.max(LEAST_TARGET, Math.min(this.#target, own));
      this.#pause = PAUSE_FIRST;
    } else if (this.#delay <= allowed / 2 && came >= this.#target * FULL && this.#target < CIRCUIT_WINDOW) {
      this.#grow(this.#found ? this.#target / 8 : this.#target);
      this.#pause = PAUSE_FIRST;
    } else {
      this.#pause = Math.min(PAUSE_LAST, 2 * this.#pause);
    }
    // While it is full at every look the next one follows at once.
    this.#nextAt = this.#delay > allowed ? now : now + this.#pause;
  }

  /** The other end gave back what it did not use; so much is left to it. */
  rest(granted: number): void {
    this.#target = Math.max(LEAST_GRANT, Math.min(granted, QUIET_GRANT));
    this.#delay = 0;
    this.#pause = PAUSE_FIRST;
    this.#found = false;
  }

  get #allowed(): number {
    return Math.max(LEAST_ALLOWED_MILLIS, this.#base);
  }

  #grow(bytes: number): void {
    this.#target = Math.min(Math.floor(this.#target + bytes), CIRCUIT_WINDOW);
  }
}
