/**
 * How much may be on its way to one end of a circuit, measured by the round-trip time. More than the path carries waits in
 * queues, in front of every click of the same visitor; less leaves the path unused. As in TCP Vegas and Tor's proposal 324, the shortest
 * round trip so far is the path without a queue, and the time beyond that is the queue.
 */
import { CIRCUIT_WINDOW, LEAST_GRANT, LEAST_TARGET, QUIET_GRANT } from '../../core/limits.ts';

/** What a round trip may take beyond the shortest: as much again, but at least the delay of a busy processor, milliseconds. */
const LEAST_ALLOWED_MILLIS = 25;
/** What a circuit may have in queues in any case, bytes: so one that overestimates the path does not starve the others. */
const LEAST_QUEUE = 64 * 1024;
/** Pause between two measurements, milliseconds: grows up to the second figure while all is well. */
const PAUSE_FIRST = 20;
const PAUSE_LAST = 500;
/**
 * How often, in milliseconds and round trips of at most a second, a window in use is reduced for two round trips to measure the path
 * without a queue: otherwise one delayed ping would make us take a queue for the path for good.
 */
const LOOK_MILLIS = 10_000;
const LOOK_ROUND_TRIPS = 10;
/** The first still meets what was granted before. */
const LOOK_PINGS = 2;
/** The share of the path's estimated capacity that is granted meanwhile. A look that finds a path shorter than `SHORTER` is followed by another. */
const LOOK_SHARE = 0.75;
const SHORTER = 0.85;
/** The window was the limit if one round trip brought this share of it: frames come whole, and grants and stream windows go in quarters and halves. */
const FULL = 1 / 3;

/** The state before a look at the path without a queue. */
interface Look {
  /** Round trips of it that are still to come. */
  left: number;
  readonly target: number;
  readonly base: number;
  readonly bytesPerMilli: number;
}

export class DelayWindow {
  #target: number = QUIET_GRANT;
  /** The path was found full: the window grows by a part each time instead of doubling. */
  #found = false;
  /** The shortest round trip, milliseconds. */
  #base = Infinity;
  /** How much longer the last round trip took than the shortest. */
  #delay = 0;
  #startedAt = -1;
  #nextAt = 0;
  #pause = PAUSE_FIRST;
  /** Frame bytes that came since the ping under way was sent. */
  #came = 0;
  /** When the path was last looked at without a queue, or first measured. */
  #lookedAt = Infinity;
  #look: Look | undefined;

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

  /** This much is about to come. @returns true when a ping should go out now. */
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
    if (this.#lookedAt === Infinity) this.#lookedAt = now;
    if (this.#look !== undefined) {
      this.#looked(this.#look, now);
      return;
    }
    // Twice in a row: a processor that was busy for a moment is no queue.
    if (Math.min(last, this.#delay) > allowed) {
      this.#found = true;
      // So that the queue drains, and all circuits behind it can measure the shortest round trip.
      const fits = this.#fits(came / took);
      const own = Math.floor(Math.max(fits, came - fits > LEAST_QUEUE ? 0 : this.#target));
      this.#target = Math.max(LEAST_TARGET, Math.min(this.#target, own));
      this.#pause = PAUSE_FIRST;
    } else if (this.#delay <= allowed && this.#isLookDue(now, came)) {
      this.#lookFrom(this.#target, came / took, now);
      return;
    } else if (this.#delay <= allowed / 2 && came >= this.#target * FULL && this.#target < CIRCUIT_WINDOW) {
      this.#grow(this.#found ? this.#target / 8 : this.#target);
      this.#pause = PAUSE_FIRST;
    } else {
      this.#pause = Math.min(PAUSE_LAST, 2 * this.#pause);
    }
    // While it is full at every look the next one follows at once.
    this.#nextAt = this.#delay > allowed ? now : now + this.#pause;
  }

  /** The other end gave back what it did not use; this much is left to it. */
  rest(granted: number): void {
    this.#target = Math.max(LEAST_GRANT, Math.min(granted, QUIET_GRANT));
    this.#delay = 0;
    this.#pause = PAUSE_FIRST;
    this.#found = false;
    this.#look = undefined;
    this.#lookedAt = Infinity;
  }

  #isLookDue(now: number, came: number): boolean {
    // So short that no queue of it would matter.
    if (this.#base <= LEAST_ALLOWED_MILLIS || this.#target <= 2 * LEAST_TARGET) return false;
    const pause = LOOK_MILLIS + LOOK_ROUND_TRIPS * Math.min(this.#base, 1000);
    return now - this.#lookedAt >= pause && came >= this.#target * FULL;
  }

  #lookFrom(target: number, bytesPerMilli: number, now: number): void {
    this.#look = { left: LOOK_PINGS, target, base: this.#base, bytesPerMilli };
    const carried = Math.floor(LOOK_SHARE * bytesPerMilli * this.#base);
    this.#target = Math.max(LEAST_TARGET, Math.min(target, carried));
    this.#nextAt = now;
  }

  /** A ping of a look came back. */
  #looked(look: Look, now: number): void {
    look.left -= 1;
    this.#nextAt = now;
    if (look.left > 0) return;
    this.#look = undefined;
    this.#lookedAt = now;
    this.#pause = PAUSE_FIRST;
    this.#target = look.target;
    if (this.#base > SHORTER * look.base) return;
    this.#found = true;
    this.#target = Math.max(LEAST_TARGET, Math.min(look.target, Math.floor(this.#fits(look.bytesPerMilli))));
    if (this.#target > 2 * LEAST_TARGET) this.#lookFrom(this.#target, look.bytesPerMilli, now);
  }

  /** What fills the path, at that speed, and leaves no queue. */
  #fits(bytesPerMilli: number): number {
    return 0.8 * bytesPerMilli * (this.#base + (this.#allowed - this.#base) / 2);
  }

  get #allowed(): number {
    return Math.max(LEAST_ALLOWED_MILLIS, this.#base);
  }

  #grow(bytes: number): void {
    this.#target = Math.min(Math.floor(this.#target + bytes), CIRCUIT_WINDOW);
  }
}
