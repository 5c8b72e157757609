/** Outcomes of circuits over relays, as seen through one guard. */
import type { NodeId } from '../../../core/ids.ts';
import { MAX_COUNTED_RELAYS, PATH_HALF_LIFE_MILLIS, PATH_LEAST_CIRCUITS } from '../../../core/limits.ts';
import type { Counts } from './contract.ts';

/** Standard deviations that are attributed to chance. */
const SIGMAS = 2;
/** How often old counts are reduced, milliseconds. */
const FADE_MILLIS = 60 * 60_000;

/** The least share of failures that explains the counts; 0 while there are too few. The lower end of Wilson's interval. */
export function failingShare({ tried, failed }: Counts): number {
  if (tried < PATH_LEAST_CIRCUITS) return 0;
  const share = Math.min(1, Math.max(0, failed / tried));
  const square = SIGMAS ** 2 / tried;
  return (share + square / 2 - Math.sqrt(square * (share * (1 - share) + square / 4))) / (1 + square);
}

export class CircuitCounts {
  tried: number;
  failed: number;
  /** Relays behind the guard, least recently seen first. */
  readonly relays: Map<NodeId, Counts>;
  #fadedAt: number;

  constructor(counts: Counts, relays: Iterable<readonly [NodeId, Counts]>, fadedAt: number) {
    this.tried = counts.tried;
    this.failed = counts.failed;
    this.relays = new Map(relays);
    this.#fadedAt = fadedAt;
  }

  get fadedAt(): number {
    return this.#fadedAt;
  }

  count(failed: boolean, weight: number, now: number): void {
    this.#fade(now);
    this.tried += weight;
    if (failed) this.failed += weight;
  }

  countRelay(node: NodeId, failed: boolean, weight: number): void {
    const counts = this.relays.get(node) ?? { tried: 0, failed: 0 };
    this.relays.delete(node);
    const [oldest] = this.relays.keys();
    if (this.relays.size >= MAX_COUNTED_RELAYS && oldest !== undefined) this.relays.delete(oldest);
    this.relays.set(node, { tried: counts.tried + weight, failed: counts.failed + (failed ? weight : 0) });
  }

  /** The guard's own counts, without failures that given-up relays explain. */
  without(givenUp: ReadonlySet<NodeId>): Counts {
    let explained = 0;
    for (const [node, { failed }] of this.relays) if (givenUp.has(node)) explained += failed;
    return { tried: this.tried - Math.min(explained, this.failed), failed: Math.max(0, this.failed - explained) };
  }

  #fade(now: number): void {
    const passed = now - this.#fadedAt;
    if (passed >= 0 && passed < FADE_MILLIS) return;
    this.#fadedAt = now;
    // If the clock went back, it is unknown how much time has passed.
    if (passed < 0) return;
    const rest = 0.5 ** (passed / PATH_HALF_LIFE_MILLIS);
    this.tried *= rest;
    this.failed *= rest;
    for (const [node, { tried, failed }] of this.relays)
      this.relays.set(node, { tried: tried * rest, failed: failed * rest });
  }
}
