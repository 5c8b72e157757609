/** What every part may ask of its surroundings. Passed in, never imported, so that tests can hold the clock. */
import type { UnixMillis } from './units.ts';

export interface Clock {
  now(): UnixMillis;
}

/** The subset of pino that parts use: a fields object, then a message for the operator. Never a secret in either. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export const systemClock: Clock = { now: () => Date.now() as UnixMillis };

/** Milliseconds that only go forward: if the clock is set back, no time passes. For durations, not for times of day. */
export function forwardOnly(clock: Clock): () => number {
  let [last, ahead] = [Number(clock.now()), 0];
  return () => {
    const now = Number(clock.now());
    if (now < last) ahead += last - now;
    last = now;
    return now + ahead;
  };
}

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
