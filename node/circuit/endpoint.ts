/** The circuits of one node: accepts, builds, keeps and ends them. */
import { assertNotAborted, elapsed } from '../../core/abort.ts';
import type { Attribution } from '../../core/attribution.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import {
  CIRCUIT_BUILD_HIDDEN_MILLIS,
  CIRCUIT_BUILD_MILLIS,
  DESTROY_SILENCE_MILLIS,
  GRANT_IDLE_MILLIS,
  JOINED_IDLE_MILLIS,
  LEAST_GRANT,
  MAX_CARRIED_BYTES,
  MAX_HOPS,
  MAX_JOINED_CIRCUITS,
  QUIET_GRANT,
} from '../../core/limits.ts';
import { silentLog, systemClock, type Log } from '../../core/ports.ts';
import { every } from '../../core/repeat.ts';
import { pricePerMiB, type PricePerMiB } from '../../core/units.ts';
import { priceOf, readOffer, type SignedOffer } from '../offer/index.ts';
import { FrameType, linkClosed, type Link } from '../link/contract.ts';
import type { Sponsor } from '../meter/index.ts';
import { isAnonymizing } from '../transport/index.ts';
import type {
  Circuit,
  CircuitEnd,
  CircuitEndpoint,
  CircuitEndpointOptions,
  CircuitStats,
  CreateCircuitOptions,
  OnionKey,
  ServiceHandler,
  ServiceOptions,
} from './contract.ts';
import { answerInitiation } from './handshake.ts';
import { InitiatedCircuit, type InitiatedTiming, type PlannedHop } from './initiated.ts';
import type { Leg, LegPort } from './leg.ts';
import { encodeCreated, type Create, type Extend } from './messages.ts';
import type { Connect, Refusal } from './mux.ts';
import { CircuitPort, type PortHost } from './port.ts';
import { RELAY_SERVICE, addPrices } from './price.ts';
import { DestroyReason, ending, reasonWord, type Ending } from './reason.ts';
import type { ReachOnward, RelayHost } from './relay-host.ts';
import { RelayedCircuit } from './relayed.ts';
import { ExtendDials, extendFailure, extendTarget } from './extend-target.ts';
import { CreateRate } from './create-rate.ts';
import type { Traffic } from './scheduler.ts';
import { Services } from './services.ts';
import { QUIET_TURNS, yielding, type SlotPayer } from './slots.ts';
import type { MuxStream } from './stream.ts';

const QUIET_MILLIS = 10_000;
const PING_MILLIS = 10_000;
const UNPAID_MILLIS = 20_000;
/** How many times a watch looks within the time it guards. */
const TURNS = 4;
/** How long close() waits at most for DESTROYs to be answered and paid for. */
const SETTLE_MILLIS = 2_000;

/** Attaches to every link of the manager, those included that are open. */
export function createCircuitEndpoint(options: CircuitEndpointOptions): CircuitEndpoint {
  return new Endpoint(options);
}

class Endpoint implements CircuitEndpoint, PortHost, RelayHost {
  readonly nodeId: NodeId;
  readonly relayPrice: PricePerMiB | undefined;
  readonly maxOnwardPrice: PricePerMiB | undefined;
  readonly buildMillis: number;
  readonly hiddenBuildMillis: number;
  readonly traffic: Traffic = { framesIn: 0, framesOut: 0, bytesIn: 0, bytesOut: 0 };
  readonly #options: CircuitEndpointOptions;
  readonly #onionKey: OnionKey;
  readonly #log: Log;
  readonly #timing: InitiatedTiming;
  readonly #maxJoined: number;
  readonly #services: Services;
  readonly #ports = new Map<Link, CircuitPort>();
  readonly #initiated = new Set<InitiatedCircuit>();
  readonly #joined = new Set<RelayedCircuit>();
  readonly #createRate = new CreateRate();
  readonly #extendDials = new ExtendDials();
  /** Where circuits of others are about to lead. */
  readonly #targets = new Map<NodeId, Promise<readonly string[]>>();
  readonly #destroyed = new Map<DestroyReason, number>();
  readonly #unsubscribe: () => void;
  readonly #watches: readonly Disposable[];
  /** Granted or queued on circuits of others, bytes. */
  #carried = 0;
  #closing = false;
  #onSettled: () => void = () => {};

  constructor(options: CircuitEndpointOptions) {
    this.#options = options;
    this.nodeId = options.nodeId;
    this.relayPrice = options.relayPrice;
    this.maxOnwardPrice = options.maxOnwardPrice;
    this.#onionKey = options.onionKey;
    this.#log = options.log ?? silentLog;
    this.#services = new Services(this.#log);
    this.#maxJoined = options.maxJoinedCircuits ?? MAX_JOINED_CIRCUITS;
    this.buildMillis = options.timing?.buildMillis ?? CIRCUIT_BUILD_MILLIS;
    this.hiddenBuildMillis = options.timing?.hiddenBuildMillis ?? CIRCUIT_BUILD_HIDDEN_MILLIS;
    this.#timing = {
      buildMillis: this.buildMillis,
      hiddenBuildMillis: this.hiddenBuildMillis,
      quietMillis: options.timing?.quietMillis ?? QUIET_MILLIS,
      pingMillis: options.timing?.pingMillis ?? PING_MILLIS,
    };
    const unpaidMillis = options.timing?.unpaidMillis ?? UNPAID_MILLIS;
    const silenceMillis = options.timing?.destroySilenceMillis ?? DESTROY_SILENCE_MILLIS;
    const idleMillis = options.timing?.joinedIdleMillis ?? JOINED_IDLE_MILLIS;
    this.#watches = [
      every(unpaidMillis / TURNS, () => {
        for (const port of this.#ports.values()) port.cutDebtor(unpaidMillis);
      }),
      every(silenceMillis / TURNS, () => {
        for (const port of this.#ports.values()) port.closeSilent(performance.now(), silenceMillis);
      }),
      every(options.timing?.grantIdleMillis ?? GRANT_IDLE_MILLIS, () => {
        for (const circuit of this.#joined) circuit.returnUnused();
        for (const circuit of this.#initiated) circuit.returnUnused();
      }),
      every(idleMillis / TURNS, () => {
        for (const circuit of this.#joined) circuit.watch(TURNS);
      }),
    ];
    this.#unsubscribe = options.links.onLink((link) => this.#attach(link));
    for (const link of options.links.links()) this.#attach(link);
  }

  register(service: string, options: ServiceOptions, handler: ServiceHandler): void {
    this.#services.register(service, options, handler);
  }

  async createCircuit(path: readonly SignedOffer[], options: CreateCircuitOptions): Promise<Circuit> {
    const plan = planOf(path, options.service);
    const [first] = plan;
    if (first === undefined) throw new TypeError('a circuit has at least one hop');
    assertNotAborted(options.signal, 'Building the circuit');
    this.#refuseWhenClosing();
    const signal = options.signal ?? new AbortController().signal;
    const port = await this.reach(first.offer.nodeId, first.offer.addresses, { signal });
    this.#refuseWhenClosing();
    const circuit = new InitiatedCircuit(port, plan, {
      timing: this.#timing,
      log: this.#log,
      onOver: (gone, why) => {
        this.#initiated.delete(gone);
        this.#count(why);
      },
    });
    this.#initiated.add(circuit);
    await circuit.build(plan, options.signal);
    return circuit;
  }

  stats(): CircuitStats {
    let relayed = 0;
    let streams = 0;
    for (const circuit of this.#joined) {
      if (circuit.relays) relayed += 1;
      streams += circuit.openStreams;
    }
    for (const circuit of this.#initiated) streams += circuit.openStreams;
    let queuedBytes = 0;
    for (const port of this.#ports.values()) queuedBytes += port.queuedBytes;
    const destroyed: Record<string, number> = {};
    for (const [reason, count] of this.#destroyed) destroyed[reasonWord(reason)] = count;
    const { framesIn, framesOut, bytesIn, bytesOut } = this.traffic;
    return {
      initiated: this.#initiated.size,
      joined: this.#joined.size,
      relayed,
      streams,
      queuedBytes,
      framesIn,
      framesOut,
      bytesIn,
      bytesOut,
      destroyed,
    };
  }

  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    this.#unsubscribe();
    for (const watch of this.#watches) watch[Symbol.dispose]();
    for (const circuit of this.#initiated) circuit.shutDown();
    const stopping = ending(DestroyReason.SHUTDOWN, 'the node is stopping');
    for (const circuit of this.#joined) circuit.end(stopping);
    await this.#allSettled();
    for (const port of this.#ports.values()) port.meter.flush();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  // --- links --------------------------------------------------------------------------------------------------------------------

  #attach(link: Link): void {
    if (this.#ports.has(link)) return;
    this.#ports.set(link, new CircuitPort(link, this.#options.metering.attach(link), this));
    void link.closed.then(() => this.#ports.delete(link));
  }

  async reach(
    node: NodeId,
    addresses: readonly string[],
    { signal, sponsor }: { readonly signal: AbortSignal; readonly sponsor?: Sponsor },
  ): Promise<CircuitPort> {
    const { links, metering, extend } = this.#options;
    const wallet = extend?.offers.get(node)?.wallet;
    if (wallet !== undefined && links.get(node) === undefined) metering.expect(wallet);
    const link = await links.connect(node, addresses, { signal });
    const port = this.#ports.get(link);
    if (port === undefined) throw linkClosed();
    await port.meter.openSpending(sponsor, signal);
    return port;
  }

  async reachOnward(request: Extend, { peer, onFar, ...options }: ReachOnward): Promise<CircuitPort> {
    const { node } = request;
    const offers = this.#options.extend?.offers;
    const addresses = await this.#target(request, peer);
    if ((offers?.get(node)?.addresses ?? addresses).some(isAnonymizing)) onFar();
    try {
      return await this.reach(node, addresses, options);
    } catch (error) {
      // What leads nowhere takes no place in the book from who may.
      if (!this.#isLinked(node)) offers?.dropPassing(node);
      throw error;
    }
  }

  /** Circuits that lead to one node at the same time are one dial. */
  #target(request: Extend, peer: NodeId): Promise<readonly string[]> {
    const { node } = request;
    const shared = this.#targets.get(node);
    if (shared !== undefined) return shared;
    const target = this.#newTarget(request, peer).finally(() => this.#targets.delete(node));
    this.#targets.set(node, target);
    return target;
  }

  async #newTarget(request: Extend, peer: NodeId): Promise<readonly string[]> {
    const { links, extend, metering, clock = systemClock } = this.#options;
    if (extend === undefined) {
      return this.#isLinked(request.node) ? [] : readOffer(request.offer, clock.now()).addresses;
    }
    const isLinked = (node: NodeId): boolean => this.#isLinked(node) || links.isDialling(node);
    const payer = metering.walletOf(peer) ?? peer;
    const mayDial = (reached: boolean): boolean => this.#extendDials.take(payer, reached);
    return extendTarget(request, peer, { ...extend, isLinked, mayDial });
  }

  #isLinked(node: NodeId): boolean {
    return this.#options.links.get(node) !== undefined;
  }

  makeRoomOnward(port: CircuitPort, payer: SlotPayer): boolean {
    return makeRoom(this.#leadingTo(port), payer) !== undefined;
  }

  makeMoneyFor(leg: Leg, payer: SlotPayer): void {
    // Those that carry something give back what they were promised as it comes, and all have their turn; the others keep it.
    for (let freed = 0; freed < QUIET_GRANT; freed += LEAST_GRANT) {
      const quiet = this.#leadingTo(leg.port).filter(({ quietTurns }) => quietTurns >= QUIET_TURNS);
      const onward = makeRoom(quiet, payer)?.onward;
      if (onward === undefined) return;
      onward.successor = leg;
    }
  }

  #leadingTo(port: LegPort): RelayedCircuit[] {
    return Array.from(this.#joined).filter(({ onward }) => onward?.port === port);
  }

  unreached(node: NodeId, error: unknown): Ending {
    // That is told: the node was reached, and whoever asks may come back once it paid for more.
    if (isRelaymintError(error, 'ALLOWANCE_EXHAUSTED')) {
      return ending(DestroyReason.SETUP, 'too little was burned here for another channel to be opened for it');
    }
    return extendFailure(node, error, this.#log);
  }

  carry(bytes: number): boolean {
    this.#carried += bytes;
    return this.#carried < MAX_CARRIED_BYTES;
  }

  /** Every leg of every port has said and heard DESTROY, or time is up. */
  async #allSettled(): Promise<void> {
    const settled = new AbortController();
    this.#onSettled = () => {
      for (const port of this.#ports.values()) if (port.size > 0 || !port.idle) return;
      settled.abort();
    };
    this.#onSettled();
    await elapsed(SETTLE_MILLIS, settled.signal);
  }

  settled(): void {
    this.#onSettled();
  }

  createRate(): { take(): boolean } {
    return this.#createRate.forLink();
  }

  // --- circuits of others ---------------------------------------------------------------------------------------------------------

  accept(leg: Leg, create: Create): void {
    const no = this.#refusalOf(leg);
    if (no !== undefined) {
      this.#count(no);
      leg.destroy(no);
      return;
    }
    try {
      const answer = answerInitiation(create.ephemeral, this.nodeId, this.#onionKey);
      const circuit = new RelayedCircuit(this, leg, answer.keys);
      leg.owner = circuit;
      this.#joined.add(circuit);
      leg.granted = QUIET_GRANT;
      leg.pushPayload(encodeCreated(answer), FrameType.CREATED);
    } catch (error) {
      if (!isRelaymintError(error)) throw error;
      leg.destroy(ending(DestroyReason.PROTOCOL, error.message));
    }
  }

  #refusalOf(leg: Leg): Ending | undefined {
    if (this.#closing) return ending(DestroyReason.SHUTDOWN, 'the node is stopping');
    const cheapest = this.#cheapest();
    if (cheapest === undefined) return ending(DestroyReason.REFUSED, 'this node offers nothing');
    if (leg.price < cheapest)
      return ending(DestroyReason.PRICE, `${cheapest} per MiB is asked, ${leg.price} was offered`);
    if (this.#joined.size >= this.#maxJoined && makeRoom(this.#joined, leg.port.payer) === undefined)
      return ending(DestroyReason.RESOURCE, 'this node takes part in no more circuits');
    return undefined;
  }

  #cheapest(): PricePerMiB | undefined {
    const { cheapest } = this.#services;
    if (cheapest === undefined || this.relayPrice === undefined) return cheapest ?? this.relayPrice;
    return cheapest < this.relayPrice ? cheapest : this.relayPrice;
  }

  serve(name: string, params: Buffer, stream: MuxStream, circuit: CircuitEnd, connect: Connect): Refusal | undefined {
    return this.#services.serve(name, params, stream, circuit, connect);
  }

  attribute(leg: Leg, shares: Attribution, frameBytes: number): void {
    (leg.port as CircuitPort).meter.attribute(shares, frameBytes, leg.price);
  }

  over(circuit: RelayedCircuit, why: Ending): void {
    this.#joined.delete(circuit);
    this.#count(why);
  }

  #count(why: Ending): void {
    this.#destroyed.set(why.reason, (this.#destroyed.get(why.reason) ?? 0) + 1);
    if (why.reason !== DestroyReason.FINISHED) {
      this.#log.debug({ reason: reasonWord(why.reason), text: why.text }, 'A circuit ended.');
    }
  }

  #refuseWhenClosing(): void {
    if (!this.#closing) return;
    throw new RelaymintError('CLOSED', 'This node is stopping.', { remedy: 'Start it again to build circuits.' });
  }
}

/** Ends the circuit that makes way for the newcomer; undefined when none does. */
function makeRoom(held: Iterable<RelayedCircuit>, newcomer: SlotPayer): RelayedCircuit | undefined {
  const circuit = yielding(held, newcomer);
  circuit?.end(ending(DestroyReason.RESOURCE, 'it was not used, or its payer has more than its share'));
  return circuit;
}

/**
 * What each hop is paid: its own offer and all that it pays onward.
 * @throws RelaymintError NO_ROUTE, LIMIT_EXCEEDED.
 */
function planOf(path: readonly SignedOffer[], service: string): PlannedHop[] {
  if (path.length < 1 || path.length > MAX_HOPS) {
    throw new RelaymintError('LIMIT_EXCEEDED', `A circuit has 1 to ${MAX_HOPS} hops, not ${path.length}.`, {
      remedy: 'Choose fewer relays.',
    });
  }
  const plan: PlannedHop[] = [];
  let price = pricePerMiB(0n);
  for (const [index, offer] of [...path.entries()].toReversed()) {
    const wanted = index === path.length - 1 ? service : RELAY_SERVICE;
    const own = priceOf(offer, wanted);
    if (own === undefined) {
      throw new RelaymintError('NO_ROUTE', `The node ${offer.nodeId} does not offer "${wanted}".`, {
        remedy: 'Choose a node that does.',
        details: { hop: index },
      });
    }
    price = addPrices(own, price, index);
    plan.unshift({ offer, price });
  }
  return plan;
}
