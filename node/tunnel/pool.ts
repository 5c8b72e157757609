/** Circuits kept ready for one service: built ahead, replaced when old, and rebuilt when lost. */
import { backoff, type Backoff } from '../../core/backoff.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import { MAX_RELAYS } from '../../core/limits.ts';
import { forwardOnly, silentLog, systemClock, type Log } from '../../core/ports.ts';
import type { PricePerMiB } from '../../core/units.ts';
import type { SignedOffer } from '../offer/index.ts';
import type { Circuit } from '../circuit/contract.ts';
import type { CircuitPool, CircuitPoolOptions, CircuitPoolSettings } from './contract.ts';
import { assertNotAborted, orAborted } from '../../core/abort.ts';
import { every } from '../../core/repeat.ts';
import type { Guards } from './guards/contract.ts';
import { createGuards } from './guards/guards.ts';
import { priceOfPath, pricesOfPath } from '../circuit/index.ts';
import { PathTries } from './tries.ts';

const GIB = 2 ** 30;
const DEFAULTS: Required<CircuitPoolSettings> = {
  minCircuits: 1,
  maxCircuits: 4,
  maxTime: 600_000,
  maxTimeInactive: 60_000,
  maxTraffic: 64 * GIB,
  avoidMillis: 60_000,
};
/** Failed attempts in a row before the caller gets the error: an attacker that makes circuits fail until one suits it gets no more draws. */
const ATTEMPTS = 4;
/** Refusals before the caller gets the error, if relays only refuse to open a channel to their next hop for us: while few have channels, this takes several attempts. */
const DETOURS = 32;
/** How often ages and idle times are looked at, milliseconds. */
const TICK_MILLIS = 1_000;
/** Pauses after failed rebuilds. */
const RETRIES: Backoff = { first: 500, last: 30_000 };
/** A circuit that is lost sooner was hardly worth building: the next ones are built after longer and longer pauses. */
const YOUNG_MILLIS = 10_000;

/** A circuit with its age and use. Times are those of a clock that only goes forward. */
interface Pooled {
  readonly circuit: Circuit;
  readonly builtAt: number;
  usedAt: number;
  /** Takes no new streams; destroyed once its last one has ended. */
  retired: boolean;
}

export function createCircuitPool(options: CircuitPoolOptions): CircuitPool {
  return new Pool(options);
}

const WAITING = 'Waiting for a circuit';

class Pool implements CircuitPool {
  readonly #options: CircuitPoolOptions;
  readonly #settings: Required<CircuitPoolSettings>;
  readonly #now: () => number;
  readonly #log: Log;
  readonly #members = new Set<Pooled>();
  readonly #prices = new WeakMap<Circuit, { readonly all: PricePerMiB; readonly each: readonly PricePerMiB[] }>();
  readonly #stop = new AbortController();
  readonly #building = new Set<Promise<Circuit>>();
  readonly #guards: Guards;
  readonly #tries: PathTries;
  readonly #tick: Disposable;
  #relays: number | undefined;
  /** Nothing more is built: settles once the last circuit is gone. */
  #retiring: Promise<void> | undefined;
  #onRetired: () => void = () => {};
  /** A circuit to the given host could not be built: none is built until somebody asks for one. */
  #resting = false;
  /** Rises with each change of `#relays`: circuits begun before are thrown away. */
  #epoch = 0;
  #retryAt = 0;
  /** Failed rebuilds, and circuits lost at once, since one stood and lasted. */
  #failures = 0;
  /** Circuits in a row that were lost as soon as they were built. */
  #youngLosses = 0;

  constructor(options: CircuitPoolOptions) {
    this.#options = options;
    this.#settings = { ...DEFAULTS, ...options.settings };
    const { minCircuits, maxCircuits } = this.#settings;
    if (!(minCircuits >= 1 && maxCircuits >= minCircuits)) {
      throw new RelaymintError('INVALID_CONFIG', `A pool cannot have ${minCircuits} to ${maxCircuits} circuits.`, {
        remedy: 'minCircuits is at least 1 and at most maxCircuits.',
      });
    }
    const clock = options.clock ?? systemClock;
    this.#now = forwardOnly(clock);
    this.#log = options.log ?? silentLog;
    const { nodeId, random } = options;
    this.#guards =
      options.guards ?? createGuards({ nodeId, clock, log: this.#log, ...(random === undefined ? {} : { random }) });
    this.#tries = new PathTries({
      pool: options,
      guards: this.#guards,
      now: this.#now,
      avoidMillis: this.#settings.avoidMillis,
      maxEnds: maxCircuits,
    });
    this.#tick = every(TICK_MILLIS, () => this.#maintain());
  }

  get away(): RelaymintError | undefined {
    return this.#tries.reach.away;
  }

  async buildTunnels(relays: number, { signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    this.#ensureOpen();
    assertNotAborted(signal, WAITING);
    if (!(Number.isInteger(relays) && relays >= 0 && relays <= MAX_RELAYS)) {
      throw new RelaymintError('INVALID_ARGUMENT', `A circuit has 0 to ${MAX_RELAYS} relays, not ${relays}.`, {
        remedy: 'Choose another number of relays.',
      });
    }
    if (this.#relays !== relays) {
      this.#relays = relays;
      this.#epoch += 1;
      this.#tries.relays = relays;
      for (const member of this.#members) this.#retire(member);
    }
    this.#refuseWhileAway();
    await orAborted(Promise.all(this.#fill()), signal, WAITING);
    // A build that another call had begun may have failed in between, and a circuit may be lost as soon as it stands.
    for (let round = 1; this.#ready().length < this.#settings.minCircuits && this.#isOpen; round += 1) {
      if (round === ATTEMPTS) {
        throw new RelaymintError('CIRCUIT_DESTROYED', 'Circuits are lost as soon as they are built.', {
          remedy: 'Try again shortly. If it still fails, see what "relaymint stats" says about the guards.',
        });
      }
      await orAborted(Promise.all(this.#fill()), signal, WAITING);
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
      throw new TypeError('buildTunnels() says how many relays the circuits of a pool have: call it first');
    }
    assertNotAborted(signal, WAITING);
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
      best.usedAt = this.#now();
      return best.circuit;
    }
    const [underWay] = this.#building;
    if (underWay === undefined) this.#refuseWhileAway();
    return orAborted(underWay ?? this.#build(), signal, WAITING);
  }

  priceOf(circuit: Circuit): PricePerMiB | undefined {
    return this.#prices.get(circuit)?.all;
  }

  pricesOf(circuit: Circuit): readonly PricePerMiB[] | undefined {
    return this.#prices.get(circuit)?.each;
  }

  retire(): Promise<void> {
    if (this.#stop.signal.aborted) return Promise.resolve();
    if (this.#retiring === undefined) {
      this.#retiring = new Promise((resolve) => {
        this.#onRetired = resolve;
      });
      for (const member of this.#members) this.#retire(member);
      this.#endIfDone();
    }
    return this.#retiring;
  }

  async close(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort(closedError());
    this.#tick[Symbol.dispose]();
    for (const { circuit } of this.#members) circuit.destroy();
    this.#members.clear();
    this.#onRetired();
    // Circuits that are being built end by the signal, or with their link; a silent peer must not hold up the close.
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
    const building = this.#attempts()
      .catch((error: unknown) => {
        this.#resting = this.#options.target !== undefined;
        if (this.away !== undefined) {
          this.#waitLonger();
          this.#options.onAway?.();
        }
        throw error;
      })
      .finally(() => {
        this.#building.delete(building);
        this.#endIfDone();
      });
    this.#building.add(building);
    return building;
  }

  async #attempts(): Promise<Circuit> {
    let [failures, detours] = [0, 0];
    const end = this.#tries.end();
    for (;;) {
      this.#ensureOpen();
      const epoch = this.#epoch;
      const path = this.#tries.path(end);
      try {
        if (path.length > 1) await this.#guards.saved();
        const circuit = await this.#options.endpoint.createCircuit(path, {
          service: this.#options.service,
          signal: this.#stop.signal,
        });
        if (epoch === this.#epoch && !this.#stop.signal.aborted) return this.#keep(circuit, path);
        circuit.destroy();
      } catch (error) {
        if (this.#tries.blame(path, error, end) === 'detour') detours += 1;
        else failures += 1;
        if (failures < ATTEMPTS && detours < DETOURS && this.away === undefined && this.#isOpen) continue;
        if (epoch === this.#epoch) this.#tries.remember(end);
        throw error;
      }
    }
  }

  #keep(circuit: Circuit, path: readonly SignedOffer[]): Circuit {
    const now = this.#now();
    const member: Pooled = { circuit, builtAt: now, usedAt: now, retired: this.#retiring !== undefined };
    this.#members.add(member);
    const { service } = this.#options;
    this.#prices.set(circuit, { all: priceOfPath(path, service), each: pricesOfPath(path, service) });
    if (this.#youngLosses === 0) this.#failures = 0;
    this.#tries.stood(path);
    this.#resting = false;
    void circuit.closed.then((error) => this.#onClosed(member, path, error));
    return circuit;
  }

  #onClosed(member: Pooled, path: readonly SignedOffer[], error: RelaymintError | undefined): void {
    this.#members.delete(member);
    this.#endIfDone();
    if (error === undefined || this.#stop.signal.aborted) return;
    this.#log.info({ err: error }, 'a circuit was lost; another one is built');
    this.#tries.lost(path, error);
    const isYoung = this.#now() - member.builtAt < YOUNG_MILLIS;
    this.#youngLosses = isYoung ? this.#youngLosses + 1 : 0;
    if (this.#youngLosses > 1) this.#waitLonger();
    this.#rebuild();
  }

  /** A slot is free and the last failure is long enough ago. */
  #may(): boolean {
    return this.#now() >= this.#retryAt;
  }

  #rebuild(): void {
    if (this.#relays === undefined || this.#retiring !== undefined || this.#resting || !this.#may()) return;
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
    const again = this.#resting ? 'when one is needed' : 'by itself';
    this.#log.warn({ err: error }, `a circuit could not be built; it is tried again ${again}`);
  }

  #waitLonger(): void {
    this.#failures += 1;
    this.#retryAt = this.#now() + backoff(this.#failures, RETRIES);
  }

  /** Retires old and used-up circuits, ends idle ones, builds missing ones. */
  #maintain(): void {
    const now = this.#now();
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

  get #isOpen(): boolean {
    return !this.#stop.signal.aborted && this.#retiring === undefined;
  }

  #ensureOpen(): void {
    if (!this.#isOpen) throw closedError();
  }

  /** A caller that asks again at once gets the same error as the previous one. */
  #refuseWhileAway(): void {
    if (this.away !== undefined && this.#building.size === 0 && !this.#may()) throw this.away;
  }

  #endIfDone(): void {
    if (this.#retiring !== undefined && this.#members.size + this.#building.size === 0) void this.close();
  }
}

function closedError(): RelaymintError {
  return new RelaymintError('CLOSED', 'The pool of circuits is closed.', { remedy: 'Open another one.' });
}
