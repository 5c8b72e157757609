/** What a relayed circuit asks of its node. Types only. */
import type { Attribution } from '../../core/attribution.ts';
import type { NodeId } from '../../core/ids.ts';
import type { PricePerMiB } from '../../core/units.ts';
import type { Sponsor } from '../meter/index.ts';
import type { CircuitEnd } from './contract.ts';
import type { Leg } from './leg.ts';
import type { Extend } from './messages.ts';
import type { Connect, Refusal } from './mux.ts';
import type { CircuitPort } from './port.ts';
import type { Ending } from './reason.ts';
import type { Slotted, SlotPayer } from './slots.ts';
import type { MuxStream } from './stream.ts';

/** The circuit for which a next hop is reached. */
export interface ReachOnward {
  readonly signal: AbortSignal;
  readonly sponsor: Sponsor;
  /** The previous hop. */
  readonly peer: NodeId;
  /** It is a node with onion or I2P addresses: reaching it may take what those networks take. */
  readonly onFar: () => void;
}

export interface RelayHost {
  readonly nodeId: NodeId;
  /** undefined: this node carries nothing onward. */
  readonly relayPrice: PricePerMiB | undefined;
  /** The most that is paid onward for somebody else's circuit; undefined: MAX_ONWARD_PRICE. */
  readonly maxOnwardPrice: PricePerMiB | undefined;
  readonly buildMillis: number;
  readonly hiddenBuildMillis: number;
  /**
   * A link to the next hop on which we can pay; on chain, no more is burned for it than `sponsor` allows.
   * @throws RelaymintError, to be passed to `unreached` only.
   */
  reachOnward(request: Extend, options: ReachOnward): Promise<CircuitPort>;
  /** Ends the circuit to that next hop that makes way for another one of this payer. False if none does. */
  makeRoomOnward(port: CircuitPort, payer: SlotPayer): boolean;
  /** Ends quiet circuits to the same next hop that make way for this payer's new leg: what they were granted passes to it. */
  makeMoneyFor(leg: Leg, payer: SlotPayer): void;
  /** What the outside is told of a next hop that could not be reached or paid; our log has the cause. */
  unreached(node: NodeId, error: unknown): Ending;
  /** Whether this much more may be granted on circuits of others. Counted until it is given back with a negative number. */
  carry(bytes: number): boolean;
  /** Serves a stream of that circuit, or says why not. */
  serve(service: string, params: Buffer, stream: MuxStream, circuit: CircuitEnd, connect: Connect): Refusal | undefined;
  attribute(leg: Leg, shares: Attribution, frameBytes: number): void;
  /** That circuit of this node is over. */
  over(circuit: Slotted, why: Ending): void;
}
