/** Which path a pool tries next, and what it learns from those that failed. */
import { isRelaymintError, type ErrorCode, type RelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import type { SignedOffer } from '../offer/index.ts';
import type { CircuitPoolOptions } from './contract.ts';
import type { Guards } from './guards/contract.ts';
import { choosePath, secureRandom } from './path.ts';
import { RELAY_SERVICE, defaultMaxPrice, DestroyReason, reasonWord } from '../circuit/index.ts';
import { Reach } from './reach.ts';

/** Paths drawn behind a guard to find one without a step that failed. */
const DRAWS = 64;
/** Steps from a guard that are avoided at the same time. With all of them it would choose who comes next. */
const MOST_CLOSED = 3;
/**
 * How much a refusal to open a channel counts, compared with one to reach the next hop, while few steps are avoided: an honest
 * relay must refuse now and then (ADR 27).
 */
const SETUP_WEIGHT = 0.25;
/** Failures of steps to or from the last relay until another one is drawn. */
const STRIKES = 2;
const SETUP = reasonWord(DestroyReason.SETUP);
/** Failures of this node itself: no relay is blamed for them. */
const OUR_OWN: ReadonlySet<ErrorCode> = new Set([
  'ABORTED',
  'CLOSED',
  'STORAGE_FAILED',
  'STORAGE_FULL',
  'INSUFFICIENT_FUNDS',
  'LEDGER_UNREACHABLE',
  'BUDGET_EXHAUSTED',
]);

/** What stays the same while attempts fail. */
export interface PathEnd {
  /** Drawn once: a relay that refuses the hops before it does not cause another draw. */
  lastRelay: NodeId | undefined;
  strikes: number;
  /** Forgotten then, in case nobody asks for a circuit any more or that relay ends every one. */
  until: number;
}

interface ClosedStep {
  readonly from: NodeId;
  readonly to: NodeId;
  /** When it is tried again. */
  readonly until: number;
}

export interface PathTriesOptions {
  readonly pool: Pick<CircuitPoolOptions, 'nodeId' | 'offers' | 'service' | 'target' | 'maxPrice' | 'random'>;
  readonly guards: Guards;
  /** Milliseconds that only go forward. */
  readonly now: () => number;
  readonly avoidMillis: number;
  /** Of paths that failed at once: the circuits of the pool at most. */
  readonly maxEnds: number;
}

/** What a pool has recently learnt about relays and steps between them. Guards remember for days, this for `avoidMillis`. */
export class PathTries {
  /** Of the given host. */
  readonly reach: Reach = new Reach();
  readonly #options: PathTriesOptions['pool'];
  readonly #guards: Guards;
  readonly #now: () => number;
  readonly #avoidMillis: number;
  readonly #maxEnds: number;
  /** Nodes that failed, and until when they are avoided. */
  readonly #failed = new Map<NodeId, number>();
  /** Steps from a hop to the next that failed: one of the two is at fault, but it is unknown which. */
  readonly #closedSteps = new Map<string, ClosedStep>();
  /** State of failed attempts, which the next ones continue. */
  #ends: PathEnd[] = [];
  #relays = 0;

  constructor({ pool, guards, now, avoidMillis, maxEnds }: PathTriesOptions) {
    this.#options = pool;
    this.#guards = guards;
    this.#now = now;
    this.#avoidMillis = avoidMillis;
    this.#maxEnds = maxEnds;
  }

  /** Relays in front of the last hop, from now on. */
  set relays(relays: number) {
    this.#relays = relays;
    this.#ends = [];
  }

  /** What the attempts for one circuit go on with. */
  end(): PathEnd {
    const now = this.#now();
    this.#ends = this.#ends.filter(({ until }) => until > now);
    return this.#ends.pop() ?? { lastRelay: undefined, strikes: 0, until: now + this.#avoidMillis };
  }

  /** All attempts failed: the next ones go on from there. */
  remember(end: PathEnd): void {
    if (end.lastRelay !== undefined && this.#ends.length < this.#maxEnds) this.#ends.push(end);
  }

  /** The same last relay as before, behind the first guard that can take us there. @throws RelaymintError NO_ROUTE. */
  path(end: PathEnd): SignedOffer[] {
    const now = this.#now();
    for (const [node, until] of this.#failed) if (until <= now) this.#failed.delete(node);
    for (const [step, { until }] of this.#closedSteps) if (until <= now) this.#closedSteps.delete(step);
    const path =
      (end.lastRelay === undefined ? undefined : this.#openPath(end.lastRelay)) ??
      this.#openPath(undefined) ??
      this.#draw(this.#order(), undefined);
    end.lastRelay = path.length > 2 ? path.at(-2)?.nodeId : undefined;
    return path;
  }

  /** A path that begins at a guard, ends at that relay if one is named, and takes no step that failed; undefined when none was found. */
  #openPath(lastRelay: NodeId | undefined): SignedOffer[] | undefined {
    let guards = this.#order();
    const noChoice = this.#areAllGuards();
    // Behind one guard there is one path to a given host.
    const draws = this.#relays === 1 && this.#options.target !== undefined ? 1 : DRAWS;
    while (guards.length > 0) {
      let isShut = true;
      let first: NodeId | undefined;
      for (let draw = 0; draw < draws; draw += 1) {
        const path = this.#behind(guards, lastRelay);
        if (path === undefined) return undefined;
        if (!this.#isClosed(path)) return path;
        isShut &&= noChoice || this.#closedSteps.has(stepOf(path, 1));
        first = path[0]?.nodeId;
      }
      // Failures further on are no reason to leave a guard, because the nodes there could cause them.
      if (!isShut) return undefined;
      const passed = guards.findIndex((guard) => guard === first);
      guards = guards.slice(passed + 1);
    }
    return undefined;
  }

  #order(): readonly NodeId[] {
    const { offers, maxPrice } = this.#options;
    if (this.#relays === 0) return [];
    return this.#guards.order(offers, maxPrice ?? defaultMaxPrice(offers, RELAY_SERVICE, 0));
  }

  #behind(guards: readonly NodeId[], lastRelay: NodeId | undefined): SignedOffer[] | undefined {
    try {
      const path = this.#draw(guards, lastRelay);
      return lastRelay === undefined || path.at(-2)?.nodeId === lastRelay ? path : undefined;
    } catch (error) {
      if (isRelaymintError(error, 'NO_ROUTE')) return undefined;
      throw error;
    }
  }

  /** True if so few operators of relays are known that each of them is a guard. */
  #areAllGuards(): boolean {
    const { offers, nodeId } = this.#options;
    const relays = offers.find(RELAY_SERVICE).filter((offer) => offer.nodeId !== nodeId);
    return new Set(relays.map(({ wallet }) => wallet)).size <= this.#order().length;
  }

  #isClosed(path: readonly SignedOffer[]): boolean {
    return this.#closedSteps.size > 0 && path.some((_hop, index) => this.#closedSteps.has(stepOf(path, index)));
  }

  #draw(guards: readonly NodeId[], lastRelay: NodeId | undefined): SignedOffer[] {
    const { offers, service, target, nodeId, maxPrice, random } = this.#options;
    return choosePath({
      offers,
      service,
      target,
      relays: this.#relays,
      self: nodeId,
      avoid: new Set([...this.#failed.keys(), ...this.#guards.givenUp]),
      guards,
      lastRelay,
      maxPrice,
      random: random ?? secureRandom,
    });
  }

  /** A circuit over that path was built. */
  stood(path: readonly SignedOffer[]): void {
    this.reach.stood();
    this.#guards.stood(relaysOf(path));
  }

  /**
   * An open circuit ended. The next one ends at the same relay if possible, whoever ended this one, so that nobody gets another relay
   * drawn by ending circuits that do not suit it.
   */
  lost(path: readonly SignedOffer[], error: RelaymintError): void {
    // This node is stopping.
    if (error.details['own'] === true) return;
    if (isRelaymintError(error, 'ABORTED', 'CLOSED', 'WINDOW_EXHAUSTED', 'DEPOSIT_EXHAUSTED')) return;
    const relays = relaysOf(path);
    const [host] = path.slice(-1);
    if (host === undefined || relays.length === 0) return;
    this.#guards.lost(relays, host.nodeId);
    for (const relay of relays.slice(1, -1)) this.#avoid(relay);
    if (relays.length > 1) {
      const until = this.#now() + this.#avoidMillis;
      this.remember({ lastRelay: relays.at(-1), strikes: STRIKES - 1, until });
    }
  }

  /**
   * A failed step is avoided, because one of its two sides is at fault, or an earlier relay that lies about it; so is a relay of which two
   * failed. A guard is skipped while it cannot be reached itself, and given up for the outcome of its circuits over days.
   */
  blame(path: readonly SignedOffer[], error: unknown, end: PathEnd): 'detour' | 'failure' {
    if (!isRelaymintError(error) || OUR_OWN.has(error.code)) return 'failure';
    const relays = relaysOf(path);
    const { hop, reason } = error.details;
    if (relays.length === 0) {
      for (const { nodeId } of path) this.#avoid(nodeId);
      this.reach.failed(true, error);
      return 'failure';
    }
    if (typeof hop !== 'number' || hop === 0) {
      if (relays[0] !== undefined) this.#guards.unreachable(relays[0]);
      return 'failure';
    }
    const isDetour = reason === SETUP;
    const toLastHop = hop >= relays.length;
    if (toLastHop && !isDetour) {
      const host = path.at(-1)?.nodeId as NodeId;
      this.#guards.lost(relays, host);
      this.reach.failed(false, error);
      if (this.#options.target === undefined) this.#avoid(host);
    } else if (!toLastHop) {
      const isLean = isDetour && this.#closedFrom(path[hop - 1]) < MOST_CLOSED;
      this.#guards.refused(relays, hop, isLean ? SETUP_WEIGHT : 1);
    }
    // Of two relays only the last one can be drawn again.
    if (hop >= relays.length - 1) end.strikes += relays.length === 2 || isDetour ? STRIKES : 1;
    const isStruck = end.strikes >= STRIKES;
    if (isStruck) {
      // The word of a guard alone is not believed.
      if (relays.length > 2 && !isDetour) this.#avoid(relays.at(-1));
      end.lastRelay = undefined;
      end.strikes = 0;
    }
    // If all relays are guards, a guard cannot lead us to others.
    const isFull = hop === 1 && this.#closedFrom(path[0]) >= MOST_CLOSED && !this.#areAllGuards();
    if (!isFull && (!toLastHop || isDetour || relays.length === 1)) this.#close(path, hop);
    return isDetour ? 'detour' : 'failure';
  }

  #closedFrom(relay: SignedOffer | undefined): number {
    return Array.from(this.#closedSteps.values()).filter(({ from }) => from === relay?.nodeId).length;
  }

  #close(path: readonly SignedOffer[], hop: number): void {
    const [from, to] = [path[hop - 1]?.nodeId, path[hop]?.nodeId];
    if (from === undefined || to === undefined) return;
    for (const other of this.#closedSteps.values()) {
      if (other.from === from && other.to !== to) this.#avoid(from);
      if (other.to === to && other.from !== from) this.#avoid(to);
    }
    this.#closedSteps.set(stepOf(path, hop), {
      from,
      to,
      until: this.#now() + this.#avoidMillis,
    });
  }

  #avoid(node: NodeId | undefined): void {
    if (node !== undefined) this.#failed.set(node, this.#now() + this.#avoidMillis);
  }
}

function relaysOf(path: readonly SignedOffer[]): NodeId[] {
  return path.slice(0, -1).map(({ nodeId }) => nodeId);
}

/** The step from the previous hop to `hop`. */
function stepOf(path: readonly SignedOffer[], hop: number): string {
  return `${path[hop - 1]?.nodeId} ${path[hop]?.nodeId}`;
}
