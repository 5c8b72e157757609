/** A circuit of our own: builds it hop by hop, then seals every layer on the way out and opens every layer on the way in. */
import { randomInt } from 'node:crypto';
import { abortError, onAbort } from '../../core/abort.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import type { Log } from '../../core/ports.ts';
import { every } from '../../core/repeat.ts';
import type { PricePerMiB } from '../../core/units.ts';
import { FRAME_HEADER_BYTES, FrameType } from '../link/contract.ts';
import { MAX_HOPS, QUIET_GRANT, STACK_BYTES } from '../../core/limits.ts';
import type { SignedOffer } from '../offer/index.ts';
import { CellType } from './cell.ts';
import type {
  Circuit,
  CircuitStream,
  ExpectedJoin,
  OpenStreamOptions,
  ServiceHandler,
  ServiceOptions,
} from './contract.ts';
import { HopInitiation } from './handshake.ts';
import { GOES_ON, JoinPlan, decodeJoin } from './join.ts';
import { OpeningLayers, SealingLayers, scratch } from './layer.ts';
import type { FrameSource, Leg, LegOwner } from './leg.ts';
import { decodeCreated, encodeCreate, encodeExtend, type Created } from './messages.ts';
import { Mux, type Connect, type MuxOwner, type Refusal } from './mux.ts';
import type { CircuitPort } from './port.ts';
import { Unused } from './grants.ts';
import { DestroyReason, ending, endingError, reasonWord, type Ending } from './reason.ts';
import { NO_PRICE, Services } from './services.ts';
import type { MuxStream } from './stream.ts';
import { violation } from './violation.ts';
import { isAnonymizing } from '../transport/index.ts';

const NOTHING = Buffer.alloc(0);

/** A planned hop, and what it is paid for everything from itself onward. */
export interface PlannedHop {
  readonly offer: SignedOffer;
  readonly price: PricePerMiB;
}

export interface InitiatedTiming {
  readonly buildMillis: number;
  readonly hiddenBuildMillis: number;
  readonly quietMillis: number;
  readonly pingMillis: number;
}

export interface InitiatedOptions {
  readonly timing: InitiatedTiming;
  readonly log: Log;
  /** It is gone. */
  readonly onOver: (circuit: InitiatedCircuit, why: Ending) => void;
}

interface Awaiting {
  readonly type: 'CREATED' | 'EXTENDED';
  resolve(answer: Created): void;
  reject(error: RelaymintError): void;
}

export class InitiatedCircuit implements Circuit, LegOwner, FrameSource, MuxOwner {
  readonly hops: readonly NodeId[];
  readonly closed: Promise<RelaymintError | undefined>;
  readonly #leg: Leg;
  /** With the first hop, whose CREATE goes with the leg. */
  readonly #initiation: HopInitiation;
  readonly #price: PricePerMiB;
  readonly #log: Log;
  #mux: Mux;
  readonly #timing: InitiatedTiming;
  #services: Services;
  /** What is prepared for the initiator of another circuit, and whether that is at the far end. */
  #plan: JoinPlan | undefined;
  #joined = false;
  readonly #onOver: InitiatedOptions['onOver'];
  readonly #opening = new OpeningLayers();
  readonly #sealing = new SealingLayers();
  #awaiting: Awaiting | undefined;
  #bytes = 0;
  #over = false;
  /** Why it is over. */
  #failure: RelaymintError | undefined;
  #settle: (error: RelaymintError | undefined) => void = () => {};
  #heard = true;
  readonly #unused = new Unused();
  #watch: Disposable | undefined;
  #pingTimer: NodeJS.Timeout | undefined;

  /** @throws RelaymintError CLOSED, LIMIT_EXCEEDED. */
  constructor(port: CircuitPort, plan: readonly PlannedHop[], { timing, log, onOver }: InitiatedOptions) {
    const [first] = plan;
    if (first === undefined) throw new TypeError('a circuit has at least one hop');
    this.hops = plan.map((hop) => hop.offer.nodeId);
    this.#timing = timing;
    this.#services = new Services(log);
    this.#onOver = onOver;
    this.closed = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#log = log;
    this.#price = plan.at(-1)?.price ?? first.price;
    this.#mux = new Mux('initiator', this, this.#price);
    this.#initiation = new HopInitiation(first.offer.nodeId, first.offer.onionKey);
    const { price } = first;
    // Some more than there are, so that no hop learns how far it is to the end.
    const hops = plan.length - 1 + randomInt(MAX_HOPS - plan.length + 1);
    this.#leg = port.open({ price, hops, grant: QUIET_GRANT }, this);
    this.#leg.source = this;
  }

  get isOpen(): boolean {
    return !this.#over;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get openStreams(): number {
    return this.#mux.openStreams;
  }

  get acceptsStreams(): boolean {
    return !this.#over && this.#mux.acceptsStreams;
  }

  /** Before that, the other end is a relay. */
  get #isBuilt(): boolean {
    return this.#sealing.count === this.hops.length;
  }

  // --- building ---------------------------------------------------------------------------------------------------------------

  /** @throws RelaymintError CIRCUIT_REFUSED, CIRCUIT_DESTROYED, CIRCUIT_TAMPERED, TIMEOUT, ABORTED; `details.hop` is the index of the hop that was not reached. The circuit is destroyed then. */
  async build(plan: readonly PlannedHop[], signal: AbortSignal | undefined): Promise<void> {
    for (const [index, { offer, price }] of plan.entries()) {
      const initiation = index === 0 ? this.#initiation : new HopInitiation(offer.nodeId, offer.onionKey);
      const { ephemeral } = initiation;
      const far = index > 0 && offer.addresses.some(isAnonymizing);
      const answer = this.#answer(index, far ? this.#timing.hiddenBuildMillis : this.#timing.buildMillis, signal);
      if (index === 0) {
        const { granted: grant, hops } = this.#leg;
        this.#leg.pushPayload(encodeCreate({ price, grant, hops, ephemeral }), FrameType.CREATE);
      } else {
        this.#mux.sendControl(CellType.EXTEND, encodeExtend({ price, ephemeral, offer: offer.encoded }));
      }
      const created = await answer;
      try {
        const keys = initiation.finish(created);
        this.#opening.add(keys.backward);
        this.#sealing.add(keys.forward);
      } catch (error) {
        if (isRelaymintError(error)) this.#end(ending(DestroyReason.TAMPERED, 'a hop did not prove its key'), error);
        throw error;
      }
    }
    this.#watch = every(this.#timing.quietMillis, () => this.#check());
  }

  /** Waits for CREATED or EXTENDED; whatever goes wrong destroys the circuit. */
  #answer(hop: number, millis: number, signal: AbortSignal | undefined): Promise<Created> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        // It ended between two hops, when nobody waited for an answer.
        reject(whileBuilding(this.#failure, hop));
        return;
      }
      const giveUp = (): void => {
        if (signal === undefined) return;
        const error = abortError(signal, 'Building the circuit');
        this.#end(ending(DestroyReason.FINISHED, ''), error);
      };
      let tie: Disposable | undefined = undefined;
      const timer = setTimeout(() => {
        const error = new RelaymintError('TIMEOUT', `Hop ${hop + 1} did not answer in ${millis} ms.`, {
          remedy: 'Build another circuit without it.',
          details: { hop },
        });
        this.#end(ending(DestroyReason.TIMEOUT, ''), error);
      }, millis);
      const done = (): void => {
        clearTimeout(timer);
        tie?.[Symbol.dispose]();
        this.#awaiting = undefined;
      };
      this.#awaiting = {
        type: hop === 0 ? 'CREATED' : 'EXTENDED',
        resolve: (answer) => {
          done();
          resolve(answer);
        },
        reject: (error) => {
          done();
          reject(whileBuilding(error, hop));
        },
      };
      tie = onAbort(signal, giveUp);
    });
  }

  // --- frames in --------------------------------------------------------------------------------------------------------------

  receive(_leg: Leg, type: FrameType, payload: Buffer): void {
    if (type === FrameType.RELAY) {
      this.#bytes += payload.length;
      const cell = this.#opening.open(payload);
      if (cell === undefined) {
        this.#end(ending(DestroyReason.TAMPERED, 'a frame was changed, lost, repeated or out of order'));
        return;
      }
      this.#heard = true;
      this.#mux.receive(cell, FRAME_HEADER_BYTES + payload.length);
    } else if (type === FrameType.CREATED && this.#awaiting?.type === 'CREATED') {
      this.#awaiting.resolve(decodeCreated(payload));
    } else {
      throw violation(`a frame of type ${type} out of place`);
    }
  }

  control(type: number, data: Buffer): void {
    if (type === CellType.JOIN) {
      this.#join(data);
      return;
    }
    if (type !== CellType.EXTENDED || this.#awaiting?.type !== 'EXTENDED')
      throw violation(`a cell of type ${type} out of place`);
    this.#awaiting.resolve(decodeCreated(data));
  }

  // --- frames out -------------------------------------------------------------------------------------------------------------

  pull(limit: number): Buffer | undefined {
    if (this.#sealing.count === 0) return undefined;
    const length = this.#mux.pull(scratch, limit - FRAME_HEADER_BYTES - STACK_BYTES);
    if (length === 0) return undefined;
    const frame = this.#leg.port.link.allocFrame(STACK_BYTES + length);
    this.#sealing.seal(scratch.subarray(0, length), frame, FRAME_HEADER_BYTES);
    this.#bytes += frame.length;
    return frame;
  }

  sent(frameBytes: number): void {
    this.#unused.sent(frameBytes);
    this.#mux.sent(frameBytes);
  }

  // --- grants -----------------------------------------------------------------------------------------------------------------

  granted(): number {
    return this.#leg.granted;
  }

  grant(bytes: number): void {
    this.#leg.port.grants.grant(this.#leg, bytes);
  }

  roomier(): void {
    this.#mux.grantDue();
  }

  gaveBack(leg: Leg): void {
    this.#mux.rest(leg.granted);
  }

  passed(): void {
    // Everything that we send is pulled.
  }

  /** Once in a while: gives back what it does not use. */
  returnUnused(): void {
    if (this.#over || !this.#isBuilt) return;
    this.#unused.look(this.#leg, this.#mux);
  }

  wake(): void {
    this.#leg.wake();
  }

  attribute(): void {
    // The payer attributes nothing.
  }

  // --- the application --------------------------------------------------------------------------------------------------------

  openStream(service: string, params: Uint8Array, options: OpenStreamOptions = {}): Promise<CircuitStream> {
    return this.#mux.open(service, params, options);
  }

  register(service: string, handler: ServiceHandler, options: Pick<ServiceOptions, 'datagrams'> = {}): void {
    this.#services.register(service, { ...options, ...NO_PRICE }, handler);
  }

  serve(service: string, params: Buffer, stream: MuxStream, connect: Connect): Refusal | undefined {
    if (!this.#isBuilt) throw violation('a stream of a hop that is not the last');
    return this.#services.serve(service, params, stream, this, connect);
  }

  expectJoin(): ExpectedJoin {
    if (this.#plan !== undefined) throw new TypeError('the join of this circuit is expected already');
    const plan = new JoinPlan(this.#log);
    this.#plan = plan;
    if (this.#failure !== undefined) plan.failed(this.#failure);
    return plan;
  }

  /** The last hop's streams are over, and what comes is the other initiator's: a new mux has no state of either. */
  #join(data: Buffer): void {
    const plan = this.#plan;
    if (!this.#isBuilt || plan === undefined || this.#joined) throw violation('a JOIN that was not asked for');
    const side = decodeJoin(data);
    const before = this.#mux;
    this.#joined = true;
    this.#services = plan.services;
    this.#mux = new Mux(side, this, this.#price, true);
    // First of all that it sends.
    this.#mux.sendControl(CellType.JOINED, NOTHING);
    before.close(endingError(GOES_ON));
    plan.joined(this);
    // The one before may have held back what it grants until its streams are read.
    this.#mux.grantDue();
  }

  rttMillis(): Promise<number> {
    return this.#mux.ping();
  }

  destroy(reason?: RelaymintError): void {
    this.#end(ending(DestroyReason.FINISHED, ''), reason, true);
  }

  /** The node stops: no hop is to blame, and `details.own` says so. */
  shutDown(): void {
    const why = ending(DestroyReason.SHUTDOWN, 'the node is stopping');
    const { code, message, details } = endingError(why);
    this.#end(why, new RelaymintError(code, message, { details: { ...details, own: true } }));
  }

  // --- liveness ---------------------------------------------------------------------------------------------------------------

  /** Once in each quiet time: if a stream is open and nothing came since the last look, asks whether anybody is there. */
  #check(): void {
    if (!this.#heard && this.#mux.openStreams > 0 && this.#pingTimer === undefined) {
      this.#pingTimer = setTimeout(() => {
        this.#pingTimer = undefined;
        if (!this.#heard) this.#end(ending(DestroyReason.TIMEOUT, 'the other end does not answer'));
      }, this.#timing.pingMillis);
      this.#mux.ping().catch(() => {});
    }
    this.#heard = false;
  }

  // --- the end ----------------------------------------------------------------------------------------------------------------

  fault(_leg: Leg, error: RelaymintError): void {
    if (isRelaymintError(error, 'WINDOW_EXHAUSTED', 'DEPOSIT_EXHAUSTED')) {
      this.#end(ending(DestroyReason.FINISHED, ''), error);
    } else {
      this.fail(error);
    }
  }

  noticed(_leg: Leg, why: Ending): void {
    this.#end(why, endingError(why));
  }

  fail(error: RelaymintError): void {
    this.#end(ending(DestroyReason.PROTOCOL, error.message));
  }

  ended(leg: Leg, why: Ending): void {
    leg.destroy(ending(why.reason, ''));
    this.#finish(why, endingError(why));
  }

  #end(why: Ending, error?: RelaymintError, quiet = false): void {
    if (this.#over) return;
    this.#leg.destroy(why);
    this.#finish(why, error ?? endingError(why), quiet && error === undefined);
  }

  #finish(why: Ending, error: RelaymintError, quiet = false): void {
    if (this.#over) return;
    this.#over = true;
    this.#failure = error;
    this.#watch?.[Symbol.dispose]();
    clearTimeout(this.#pingTimer);
    this.#opening.close();
    this.#sealing.close();
    this.#awaiting?.reject(error);
    this.#mux.close(error);
    this.#plan?.failed(error);
    this.#settle(quiet ? undefined : error);
    this.#onOver(this, why);
  }
}

/** Reasons that mean a refusal, not a failure. */
const REFUSALS: ReadonlySet<string> = new Set(
  [DestroyReason.REFUSED, DestroyReason.PRICE, DestroyReason.RESOURCE, DestroyReason.SETUP].map((reason) =>
    reasonWord(reason),
  ),
);

function whileBuilding(error: RelaymintError, hop: number): RelaymintError {
  const refused = error.code === 'CIRCUIT_DESTROYED' && REFUSALS.has(String(error.details['reason']));
  return new RelaymintError(refused ? 'CIRCUIT_REFUSED' : error.code, `At hop ${hop + 1}: ${error.message}`, {
    cause: error,
    details: { ...error.details, hop },
  });
}
