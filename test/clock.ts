/** A clock that stands until a test moves it. */
import type { Clock } from '../core/ports.ts';
import { unixMillis, type UnixMillis } from '../core/units.ts';

export class HeldClock implements Clock {
  /** Unix milliseconds. */
  at: number;

  constructor(at: number = Date.UTC(2026, 0, 1)) {
    this.at = at;
  }

  now(): UnixMillis {
    return unixMillis(this.at);
  }

  advance(millis: number): void {
    this.at += millis;
  }
}
