/** Circuits kept ready for one service: built ahead, replaced when old, and rebuilt when lost. */
import { RelaymintError, isRelaymintError, messageOf, type ErrorCode } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { MAX_RELAYS } from '../../core/limits.ts';
import { silentLog, systemClock, type Clock, type Log } from '../../core/ports.ts';
import type { PricePerMiB } from '../../core/units.ts';
import type { SignedOffer } from '../offer/index.ts';
import type { Circuit } from '../circuit/contract.ts';
import type { CircuitPool, CircuitPoolOptions, CircuitPoolSettings } from './contract.ts';
import type { Guards } from './guards/contract.ts';
import { createGuards } from './guards/guards.ts';
import { choosePath, secureRandom } from './path.ts';
import { RELAY_SERVICE, defaultMaxPrice, priceOfPath, DestroyReason, reasonWord } from '../circuit/index.ts';

const GIB = 2 ** 30;
const DEFAULTS: Required<CircuitPoolSettings> = {
  minCircuits: 1,
  maxCircuits: 4,
  maxTime: 600_000,
  maxTimeInactive: 60_000,
  maxTraffic: 64 * GIB,
  avoidMillis: 60_000,
};
/** Failed attempts in a row before a caller is told: whoever makes circuits fail until one suits it gets no more draws than that. */
const ATTEMPTS = 4;
/** Refusals before a caller is told, where relays only open no channel to their next hop for us: while few know each other, it takes some. */
const DETOURS = 32;
/** Paths drawn behind a guard to find one without a step that failed. */
const DRAWS = 64;
/** Steps from a guard that are avoided at the same time. With all of them it would choose who comes next. */
const MOST_CLOSED = 3;
/**
 * How much a refusal to open a channel counts beside one to reach the next hop, as long as no more steps are avoided: an honest
 * relay must refuse now and then (ADR 27).
 */
const SETUP_WEIGHT = 0.25;
/** Failures of steps to or from the last relay until another one is drawn. */
const STRIKES = 2;
const SETUP = reasonWord(DestroyReason.SETUP);
/** Failures of this node's own: no relay is blamed for them. */
const OUR_OWN: ReadonlySet<ErrorCode> = new Set([
  'ABORTED',
  'CLOSED',
  'STORAGE_FAILED',
  'STORAGE_FULL',
  'INSUFFICIENT_FUNDS',
  'LEDGER_UNREACHABLE',
  'BUDGET_EXHAUSTED',
]);
/** How often ages and idle times are looked at, milliseconds. */
const TICK_MILLIS = 1_000;
/** Wait after a failed rebuild, milliseconds; doubles up to the second figure. */
const RETRY_FIRST = 500;
const RETRY_LAST = 30_000;
/** A circuit that is lost sooner was hardly worth building: the next ones are built less and less soon. */
const YOUNG_MILLIS = 10_000;

/** A circuit and what its settings are judged by. Times are the clock's. */
interface Pooled {
  readonly circuit: Circuit;
  readonly builtAt: number;
  usedAt: number;
  /** Takes no new streams; destroyed once its last one has ended. */
  retired: boolean;
}

/** What stays the same while attempts fail. */
interface PathEnd {
  /** Drawn once: who refuses the hops before it does not get another one. */
  lastRelay: NodeId | undefined;
  strikes: number;
  /** Forgotten then, should nobody ask for a circuit any more or that relay end each of them. */
  until: number;
}

interface ClosedStep {
  readonly from: NodeId;
  readonly to: NodeId;
  /** When it is tried again. */
  readonly until: number;
}

export function createCircuitPool(options: CircuitPoolOptions): CircuitPool {
  return new Pool(options);
}

class Pool implements CircuitPool {
  readonly #options: CircuitPoolOptions;
  readonly #settings: Required<CircuitPoolSettings>;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #members = new Set<Pooled>();
  readonly #prices = new WeakMap<Circuit, PricePerMiB>();
  /** Nodes that failed, and until when they are avoided. */
  readonly #failed = new Map<NodeId, number>();
  /** Steps from a hop to the next that failed: one of both is at fault, and nobody knows which. */
  readonly #closedSteps = new Map<string, ClosedStep>();
  readonly #stop = new AbortController();
  readonly #building = new Set<Promise<Circuit>>();
  readonly #guards: Guards;
  /** Of attempts that failed: the next ones go on with them. */
  #ends: PathEnd[] = [];
  readonly #tick: NodeJS.Timeout;
  #relays: number | undefined;
  /** Rises with each change of `#relays`: what was begun before is thrown away. */
  #epoch = 0;
  #retryAt = 0;
  #retryWait = RETRY_FIRST;
  /** Circuits in a row that were lost as soon as they stood. */
  #youngLosses = 0;

  constructor(options: CircuitPoolOptions) {
    this.#options = options;
    this.#settings = { ...DEFAULTS, ...options.settings };
    const { minCircuits, maxCircuits } = this.#settings;
    if (!(minCircuits >= 1 && maxCircuits >= minCircuits)) {
      throw new RelaymintError('INVALID_CONFIG', `A pool of ${minCircuits} to ${maxCircuits} circuits cannot be.`, {
        remedy: 'minCircuits is at least 1 and at most maxCircuits.',
      });
    }
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLog;
    const { nodeId, random } = options;
    this.#guards =
      options.guards ??
      createGuards({ nodeId, clock: this.#clock, log: this.#log, ...(random === undefined ? {} : { random }) });
    this.#tick = setInterval(() => this.#maintain(), TICK_MILLIS).unref();
  }

  async buildTunnels(hops: number): Promise<void> {
    this.#ensureOpen();
    if (!(Number.isInteger(hops) && hops >= 0 && hops <= MAX_RELAYS)) {
      throw new RelaymintError('INVALID_ARGUMENT', `A circuit has 0 to ${MAX_RELAYS} relays, not ${hops}.`, {
        remedy: 'Choose another number of hops.',
      });
    }
    if (this.#relays !== hops) {
      this.#relays = hops;
      this.#epoch += 1;
      this.#ends = [];
      for (const member of this.#members) this.#retire(member);
    }
    await Promise.all(this.#fill());
    // A build that another call had begun may have failed in between, and a circuit may be lost as soon as it stands.
    for (let round = 1; this.#ready().length < this.#settings.minCircuits && !this.#stop.signal.aborted; round += 1) {
      if (round === ATTEMPTS) {
        throw new RelaymintError('CIRCUIT_DESTROYED', 'Circuits are lost as soon as they stand.', {
          remedy: 'Try again shortly; if it stays so, look at what "relaymint stats" says of the guards.',
        });
      }
      await Promise.all(this.#fill());
    }
  }

  activeDataCircuits(): readonly Circuit[] {
    return this.#ready().map(({ circuit }) => circuit);
  }

  tunnelsReady(): number {
    return this.#ready().length / this.#settings.minCircuits;
  }

  async circuit({ signal }: { readonly signal?: AbortSignal } = {}): Promise<Circuit> {
    this.#ensureOpen();
    if (this.#relays === undefined) {
      throw new TypeError('buildTunnels() says how many hops the circuits of a pool have: call it first');
    }
    signal?.throwIfAborted();
    const ready = this.#ready();
    let best: Pooled | undefined;
    for (const member of ready) {
      if (best === undefined || member.circuit.openStreams < best.circuit.openStreams) best = member;
    }
    const crowded = best !== undefined && best.circuit.openStreams > 0;
    if (crowded && ready.length + this.#building.size < this.#settings.maxCircuits && this.#may()) {
      this.#build().catch((error: unknown) => this.#onFailedRebuild(error));
    }
    if (best !== undefined) {
      best.usedAt = this.#clock.now();
      return best.circuit;
    }
    const [underWay] = this.#building;
    return abortable(underWay ?? this.#build(), signal);
  }

  priceOf(circuit: Circuit): PricePerMiB | undefined {
    return this.#prices.get(circuit);
  }

  async close(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort(closedError());
    clearInterval(this.#tick);
    for (const { circuit } of this.#members) circuit.destroy();
    this.#members.clear();
    // What is being built ends by the signal, or with its link; a silent peer must not hold up the close.
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #ready(): Pooled[] {
    return [...this.#members].filter(({ circuit, retired }) => !retired && circuit.acceptsStreams);
  }

  /** Builds what is missing; those under way count. */
  #fill(): Promise<Circuit>[] {
    const missing = this.#settings.minCircuits - this.#ready().length - this.#building.size;
    for (let index = 0; index < missing; index += 1) this.#build().catch(() => {});
    return [...this.#building];
  }

  #build(): Promise<Circuit> {
    const building = this.#attempts().finally(() => this.#building.delete(building));
    this.#building.add(building);
    return building;
  }

  async #attempts(): Promise<Circuit> {
    let [failures, detours] = [0, 0];
    const end = this.#end();
    for (;;) {
      this.#ensureOpen();
      const epoch = this.#epoch;
      const path = this.#path(end);
      try {
        if (path.length > 1) await this.#guards.saved();
        const circuit = await this.#options.endpoint.createCircuit(path, {
          service: this.#options.service,
          signal: this.#stop.signal,
        });
        if (epoch === this.#epoch && !this.#stop.signal.aborted) return this.#keep(circuit, path);
        circuit.destroy();
      } catch (error) {
        if (this.#blame(path, error, end) === 'detour') detours += 1;
        else failures += 1;
        if (failures < ATTEMPTS && detours < DETOURS && !this.#stop.signal.aborted) continue;
        if (epoch === this.#epoch) this.#remember(end);
        throw error;
      }
    }
  }

  #end(): PathEnd {
    const now = this.#clock.now();
    this.#ends = this.#ends.filter(({ until }) => until > now);
    return this.#ends.pop() ?? { lastRelay: undefined, strikes: 0, until: now + this.#settings.avoidMillis };
  }

  #remember(end: PathEnd): void {
    if (end.lastRelay !== undefined && this.#ends.length < this.#settings.maxCircuits) this.#ends.push(end);
  }

  /** The same last relay as before, behind the first guard that can take us there. */
  #path(end: PathEnd): SignedOffer[] {
    const now = this.#clock.now();
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
    // Behind one guard there is one path to a host that is named.
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
      // Steps further on are no reason to leave a guard, for whoever stands there could bring that about.
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

  /** So few operators of relays are known that each of them is a guard. */
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
      relays: this.#relays ?? 0,
      self: nodeId,
      avoid: new Set([...this.#failed.keys(), ...this.#guards.givenUp]),
      guards,
      lastRelay,
      maxPrice,
      random: random ?? secureRandom,
    });
  }

  #keep(circuit: Circuit, path: readonly SignedOffer[]): Circuit {
    const now = this.#clock.now();
    const member: Pooled = { circuit, builtAt: now, usedAt: now, retired: false };
    this.#members.add(member);
    this.#prices.set(circuit, priceOfPath(path, this.#options.service));
    if (this.#youngLosses === 0) this.#retryWait = RETRY_FIRST;
    this.#guards.stood(relaysOf(path));
    void circuit.closed.then((error) => this.#onClosed(member, path, error));
    return circuit;
  }

  #onClosed(member: Pooled, path: readonly SignedOffer[], error: RelaymintError | undefined): void {
    this.#members.delete(member);
    if (error === undefined || this.#stop.signal.aborted) return;
    this.#log.info({ reason: error.message }, 'A circuit was lost; another one is built.');
    this.#mourn(path, error);
    const isYoung = this.#clock.now() - member.builtAt < YOUNG_MILLIS;
    this.#youngLosses = isYoung ? this.#youngLosses + 1 : 0;
    if (this.#youngLosses > 1) this.#waitLonger();
    this.#rebuild();
  }

  /**
   * A circuit stood and is gone. Whoever ended it, the next one ends at the same relay if it can, so that nobody gets another one
   * drawn by ending circuits that do not suit it.
   */
  #mourn(path: readonly SignedOffer[], error: RelaymintError): void {
    // This node is stopping.
    if (error.details['own'] === true) return;
    if (isRelaymintError(error, 'ABORTED', 'CLOSED', 'WINDOW_EXHAUSTED', 'DEPOSIT_EXHAUSTED')) return;
    const relays = relaysOf(path);
    const [host] = path.slice(-1);
    if (host === undefined || relays.length === 0) return;
    this.#guards.lost(relays, host.nodeId);
    for (const relay of relays.slice(1, -1)) this.#avoid(relay);
    if (relays.length > 1) {
      const until = this.#clock.now() + this.#settings.avoidMillis;
      this.#remember({ lastRelay: relays.at(-1), strikes: STRIKES - 1, until });
    }
  }

  /**
   * A failed step is avoided, for one of its two sides is at fault, or one before them that only says so; a relay of which two
   * failed, as well. A guard is passed over when it cannot be reached itself, and given up by what its circuits come to over days.
   */
  #blame(path: readonly SignedOffer[], error: unknown, end: PathEnd): 'detour' | 'failure' {
    if (!isRelaymintError(error) || OUR_OWN.has(error.code)) return 'failure';
    const relays = relaysOf(path);
    const { hop, reason } = error.details;
    if (relays.length === 0) {
      for (const { nodeId } of path) this.#avoid(nodeId);
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
      if (this.#options.target === undefined) this.#avoid(host);
    } else if (!toLastHop) {
      const isLean = isDetour && this.#closedFrom(path[hop - 1]) < MOST_CLOSED;
      this.#guards.refused(relays, hop, isLean ? SETUP_WEIGHT : 1);
    }
    // Of two relays the last one is all that can be drawn anew.
    if (hop >= relays.length - 1) end.strikes += relays.length === 2 || isDetour ? STRIKES : 1;
    const isStruck = end.strikes >= STRIKES;
    if (isStruck) {
      // What a guard says of it alone is not believed.
      if (relays.length > 2 && !isDetour) this.#avoid(relays.at(-1));
      end.lastRelay = undefined;
      end.strikes = 0;
    }
    // Where all are guards, there is nobody to be led to.
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
      until: this.#clock.now() + this.#settings.avoidMillis,
    });
  }

  #avoid(node: NodeId | undefined): void {
    if (node !== undefined) this.#failed.set(node, this.#clock.now() + this.#settings.avoidMillis);
  }

  /** A slot is free and the last failure is long enough ago. */
  #may(): boolean {
    return this.#clock.now() >= this.#retryAt;
  }

  #rebuild(): void {
    if (this.#relays === undefined || !this.#may()) return;
    const missing = this.#settings.minCircuits - this.#ready().length - this.#building.size;
    for (let index = 0; index < missing; index += 1) {
      this.#build().catch((error: unknown) => this.#onFailedRebuild(error));
    }
  }

  #onFailedRebuild(error: unknown): void {
    if (this.#stop.signal.aborted) return;
    // The node builds no more circuits: neither does the pool.
    if (isRelaymintError(error, 'CLOSED')) return void this.close();
    this.#waitLonger();
    this.#log.warn({ reason: messageOf(error) }, 'A circuit could not be built; it is tried again.');
  }

  #waitLonger(): void {
    this.#retryAt = this.#clock.now() + this.#retryWait;
    this.#retryWait = Math.min(2 * this.#retryWait, RETRY_LAST);
  }

  /** Retires what is old or worn, ends what is idle, builds what is missing. */
  #maintain(): void {
    const now = this.#clock.now();
    const { minCircuits, maxTime, maxTimeInactive, maxTraffic } = this.#settings;
    for (const member of this.#members) {
      const { circuit } = member;
      if (circuit.openStreams > 0) member.usedAt = now;
      const worn = now - member.builtAt >= maxTime || circuit.bytes >= maxTraffic || !circuit.acceptsStreams;
      const spare = now - member.usedAt >= maxTimeInactive && this.#ready().length > minCircuits;
      if (!member.retired && (worn || spare)) this.#retire(member);
      else if (member.retired && circuit.openStreams === 0) circuit.destroy();
    }
    this.#rebuild();
  }

  #retire(member: Pooled): void {
    member.retired = true;
    if (member.circuit.openStreams === 0) member.circuit.destroy();
  }

  #ensureOpen(): void {
    if (this.#stop.signal.aborted) throw closedError();
  }
}

function relaysOf(path: readonly SignedOffer[]): NodeId[] {
  return path.slice(0, -1).map(({ nodeId }) => nodeId);
}

/** From the hop before to `hop`. */
function stepOf(path: readonly SignedOffer[], hop: number): string {
  return `${path[hop - 1]?.nodeId} ${path[hop]?.nodeId}`;
}

function closedError(): RelaymintError {
  return new RelaymintError('CLOSED', 'The pool of circuits is closed.', { remedy: 'Open another one.' });
}

/** The caller stops waiting when `signal` says so; what it waited for goes on. */
async function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  let stop: () => void = () => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(new RelaymintError('ABORTED', 'Waiting for a circuit was aborted.', { cause: signal.reason }));
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
