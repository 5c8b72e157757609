/** Pools of circuits: what is kept ready for a service, and how paths are drawn. */
import type { RelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import type { Clock, Log } from '../../core/ports.ts';
import type { PricePerMiB } from '../../core/units.ts';
import type { Circuit, CircuitEndpoint } from '../circuit/contract.ts';
import type { SignedOffer } from '../offer/index.ts';
import type { Guards } from './guards/contract.ts';

/** The settings of a pool of circuits. */
export interface CircuitPoolSettings {
  /** Circuits kept ready. Default 1. */
  readonly minCircuits?: number;
  /** Circuits at most. Default 4. */
  readonly maxCircuits?: number;
  /** Age at which a circuit takes no more streams and is replaced, milliseconds. Default 600,000. */
  readonly maxTime?: number;
  /** A circuit above minCircuits without streams for this long is destroyed, milliseconds. Default 60,000. */
  readonly maxTimeInactive?: number;
  /** Frame bytes after which a circuit takes no more streams and is replaced. Default 64 GiB. */
  readonly maxTraffic?: number;
  /** A step between two relays that failed, and a relay with two failed steps, is avoided for this long, milliseconds. Default 60,000. */
  readonly avoidMillis?: number;
}

export interface CircuitPoolOptions {
  readonly endpoint: CircuitEndpoint;
  /** Our own id: never a hop. */
  readonly nodeId: NodeId;
  /** Offers that are known now (an OfferBook is one). */
  readonly offers: { find(service: string): readonly SignedOffer[] };
  /** The service of the last hop, for example 'content'. */
  readonly service: string;
  /** The last hop; undefined: any node that offers the service. */
  readonly target?: NodeId;
  /**
   * The most that a circuit may cost per MiB, all hops together. Default: three times what the market asks for such a circuit
   * (`defaultMaxPrice` in price.ts), looked up for each one.
   */
  readonly maxPrice?: PricePerMiB;
  /** Called each time the target was not reached, whether or not anybody still waits for a circuit. See `CircuitPool.away`. */
  readonly onAway?: () => void;
  /** The first relays, shared by all pools of a node. Default: guards of its own, in memory. */
  readonly guards?: Guards;
  readonly settings?: CircuitPoolSettings;
  readonly clock?: Clock;
  readonly log?: Log;
  /** 0 <= x < 1; path choice. Default: from node:crypto. */
  readonly random?: () => number;
}

/** Circuits kept ready for one service. */
export interface CircuitPool extends AsyncDisposable {
  /**
   * Keeps circuits with this many relays (0..MAX_RELAYS) in front of the last hop; resolves once minCircuits are ready.
   * Repeated calls do not overshoot; another number replaces the circuits. The signal ends the waiting, not the building: others
   * may wait for the same circuit.
   * @throws RelaymintError NO_ROUTE (too few relays, no last hop known, or none within maxPrice) or the last failure to build;
   * CLOSED, ABORTED, the signal's reason if it is one of our errors.
   */
  buildTunnels(relays: number, options?: { readonly signal?: AbortSignal }): Promise<void>;
  /**
   * Why the `target` counts as away: all attempts of one request failed at the step to it, and no circuit to it was built since.
   * undefined otherwise. A pool that could not build to its target builds again when asked, and not by itself; a caller that asks
   * too soon gets this error.
   */
  readonly away: RelaymintError | undefined;
  /** Ready circuits that take new streams. */
  activeDataCircuits(): readonly Circuit[];
  /** Ready circuits / minCircuits: 0 without any, may exceed 1. */
  tunnelsReady(): number;
  /** The least busy ready circuit; builds one when there is none, or when all are busy and maxCircuits allows. @throws as buildTunnels, CLOSED, ABORTED. */
  circuit(options?: { readonly signal?: AbortSignal }): Promise<Circuit>;
  /** Price per MiB of the frames of a circuit of this pool, all hops together; undefined for a circuit of another pool. */
  priceOf(circuit: Circuit): PricePerMiB | undefined;
  /** What of it each hop's own offer asks, first hop first; undefined for a circuit of another pool. */
  pricesOf(circuit: Circuit): readonly PricePerMiB[] | undefined;
  /**
   * Builds and gives out no more circuits; each circuit ends with its last stream. Resolves once all are gone. An attempt that
   * is under way runs to its end, so that its outcome is counted.
   */
  retire(): Promise<void>;
  /** At once: streams still open fail. */
  close(): Promise<void>;
}
