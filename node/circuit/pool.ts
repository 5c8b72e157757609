/** Circuits kept ready for one service: built ahead, replaced when old, and rebuilt when lost. */
import { RelaymintError, isRelaymintError, messageOf } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { MAX_RELAYS } from '../../core/limits.ts';
import { silentLog, systemClock } from '../../core/ports.ts';
import type { Clock, Log } from '../../core/ports.ts';
import type { PricePerMiB } from '../../core/units.ts';
import type { SignedOffer } from '../discovery/offer.ts';
import type { Circuit, CircuitPool, CircuitPoolOptions, CircuitPoolSettings } from './contract.ts';
import { choosePath, secureRandom } from './path.ts';
import { priceOfPath } from './price.ts';
import { DestroyReason, reasonWord } from './reason.ts';

const GIB = 2 ** 30;
const DEFAULTS: Required<CircuitPoolSettings> = {
  minCircuits: 1,
  maxCircuits: 4,
  maxTime: 600_000,
  maxTimeInactive: 60_000,
  maxTraffic: 64 * GIB,
  avoidMillis: 60_000,
};
/** Failed attempts in a row before a caller is told; each takes another path where there is one. */
const ATTEMPTS = 3;
/** Refusals before a caller is told, where relays only open no channel to their next hop for us: while few know each other, it takes some. */
const DETOURS = 32;
/** Paths drawn to find one without such a step. */
const DRAWS = 256;
const SETUP = reasonWord(DestroyReason.SETUP);
/** How often ages and idle times are looked at, milliseconds. */
const TICK_MILLIS = 1_000;
/** Wait after a failed rebuild, milliseconds; doubles up to the second figure. */
const RETRY_FIRST = 500;
const RETRY_LAST = 30_000;

/** A circuit and what its settings are judged by. Times are the clock's. */
interface Pooled {
  readonly circuit: Circuit;
  readonly builtAt: number;
  usedAt: number;
  /** Takes no new streams; destroyed once its last one has ended. */
  retired: boolean;
}

interface ClosedStep {
  readonly by: NodeId;
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
  /** Steps to the next hop for which a relay opens no channel for us. */
  readonly #closedSteps = new Map<string, ClosedStep>();
  readonly #stop = new AbortController();
  readonly #building = new Set<Promise<Circuit>>();
  readonly #tick: NodeJS.Timeout;
  #relays: number | undefined;
  /** Rises with each change of `#relays`: what was begun before is thrown away. */
  #epoch = 0;
  #retryAt = 0;
  #retryWait = RETRY_FIRST;

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
      for (const member of this.#members) this.#retire(member);
    }
    await Promise.all(this.#fill());
    // A build that another call had begun may have failed in between.
    while (this.#ready().length < this.#settings.minCircuits && !this.#stop.signal.aborted) {
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
    for (;;) {
      this.#ensureOpen();
      const epoch = this.#epoch;
      const path = this.#path();
      try {
        const circuit = await this.#options.endpoint.createCircuit(path, {
          service: this.#options.service,
          signal: this.#stop.signal,
        });
        if (epoch === this.#epoch && !this.#stop.signal.aborted) return this.#keep(circuit, path);
        circuit.destroy();
      } catch (error) {
        if (this.#blame(path, error) === 'step') detours += 1;
        else failures += 1;
        if (failures >= ATTEMPTS || detours >= DETOURS || this.#stop.signal.aborted) throw error;
      }
    }
  }

  #path(): SignedOffer[] {
    const now = this.#clock.now();
    for (const [node, until] of this.#failed) if (until <= now) this.#failed.delete(node);
    for (const [step, { until }] of this.#closedSteps) if (until <= now) this.#closedSteps.delete(step);
    let path = this.#draw();
    for (let draw = 1; draw < DRAWS && this.#isClosed(path); draw += 1) path = this.#draw();
    return path;
  }

  #isClosed(path: readonly SignedOffer[]): boolean {
    return this.#closedSteps.size > 0 && path.some((_hop, index) => this.#closedSteps.has(stepOf(path, index)));
  }

  #draw(): SignedOffer[] {
    const { offers, service, target, nodeId, maxPrice, random } = this.#options;
    return choosePath({
      offers,
      service,
      target,
      relays: this.#relays ?? 0,
      self: nodeId,
      avoid: new Set(this.#failed.keys()),
      maxPrice,
      random: random ?? secureRandom,
    });
  }

  #keep(circuit: Circuit, path: readonly SignedOffer[]): Circuit {
    const now = this.#clock.now();
    const member: Pooled = { circuit, builtAt: now, usedAt: now, retired: false };
    this.#members.add(member);
    this.#prices.set(circuit, priceOfPath(path, this.#options.service));
    this.#retryWait = RETRY_FIRST;
    void circuit.closed.then((error) => this.#onClosed(member, path, error));
    return circuit;
  }

  #onClosed(member: Pooled, path: readonly SignedOffer[], error: RelaymintError | undefined): void {
    this.#members.delete(member);
    if (error === undefined || this.#stop.signal.aborted) return;
    this.#log.info({ reason: error.message }, 'A circuit was lost; another one is built.');
    this.#blame(path, error);
    this.#rebuild();
  }

  /**
   * Avoids the hop that failed; when nobody knows which one it was, all relays of the path. A relay that opens no channel to its
   * next hop for us is well, and goes on elsewhere: that step is avoided. Should it refuse two, it is avoided too.
   */
  #blame(path: readonly SignedOffer[], error: unknown): 'step' | 'node' {
    if (!isRelaymintError(error) || error.code === 'ABORTED' || error.code === 'CLOSED') return 'node';
    const until = this.#clock.now() + this.#settings.avoidMillis;
    const { hop, reason } = error.details;
    const relay = reason === SETUP && typeof hop === 'number' ? path[hop - 1]?.nodeId : undefined;
    if (relay !== undefined) {
      const step = stepOf(path, Number(hop));
      for (const [other, { by }] of this.#closedSteps)
        if (by === relay && other !== step) this.#failed.set(relay, until);
      this.#closedSteps.set(step, { by: relay, until });
      return 'step';
    }
    const blamed = typeof hop === 'number' ? path.slice(hop, hop + 1) : path.slice(0, -1);
    for (const { nodeId } of blamed) this.#failed.set(nodeId, until);
    this.#log.info(
      { blamed: blamed.map(({ nodeId }) => nodeId) },
      'A circuit failed; these nodes are avoided for a while.',
    );
    return 'node';
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
    this.#retryAt = this.#clock.now() + this.#retryWait;
    this.#retryWait = Math.min(2 * this.#retryWait, RETRY_LAST);
    this.#log.warn({ reason: messageOf(error) }, 'A circuit could not be built; it is tried again.');
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
