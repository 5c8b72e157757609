/** Discovery: a bounded book of verified offers, and the exchange that fills it. */
import type { LedgerAddress, NodeId } from '../../core/ids.ts';
import type { Clock, Log } from '../../core/ports.ts';
import type { LinkManager } from '../link/contract.ts';
import type { SignedOffer } from '../offer/index.ts';

/**
 * Who told us of an offer, as far as it counts: a node that our operator named; the wallet of a peer that has a channel with us,
 * for which somebody burned, whatever node ids it uses; 'presented' for all nodes together that presented their own offer;
 * 'strangers' for all other peers together, whatever networks they come from: those cost nothing.
 */
export type Introducers = NodeId | LedgerAddress | 'presented' | 'strangers';

/** Newest offer of each known node, at most MAX_OFFERS; expired ones, and those from OFFER_KEPT_MILLIS ago, are never given out. */
export interface OfferBook {
  readonly size: number;
  /**
   * True when the offer was new: an unknown node, a higher sequence, or one whose last offer has expired. An expired or
   * older one is not taken, nor one without services.
   * A node that has a place keeps it by a newer offer; who gives way to a newcomer in a full book is in `places.ts`.
   * `introducers` is 'presented' unless told otherwise. `passing`: a circuit that leads there brought it.
   */
  add(offer: SignedOffer, introducers?: Introducers, passing?: boolean): boolean;
  /** Others also send the offer of that known node, or another circuit brings it. */
  alsoFrom(node: NodeId, introducers: Introducers, passing?: boolean): void;
  /** Removes a node that was never reached, and whose offer only came from circuits that lead there. */
  dropPassing(node: NodeId): void;
  /** A link was made to an address of this node: it gives way only where all others were reached too. */
  reached(node: NodeId): void;
  wasReached(node: NodeId): boolean;
  /** False when no newcomer would be taken from these. Costs less than to verify an offer. */
  hasRoomFor(introducers: Introducers): boolean;
  get(node: NodeId): SignedOffer | undefined;
  /** Offers with this service, cheapest first. */
  find(service: string): SignedOffer[];
  /** All of them, the latest to expire first. */
  all(): SignedOffer[];
  /** Up to `limit` offers in a fixed order of nodes, beginning after `after`. */
  page(after: NodeId | undefined, limit: number): SignedOffer[];
  remove(node: NodeId): void;
  /** @returns how to unsubscribe. */
  onOffer(listener: (offer: SignedOffer) => void): () => void;
}

/** Where to find a node without having its offer: `NODEID@MULTIADDR`. */
export interface PeerAddress {
  readonly nodeId: NodeId;
  readonly address: string;
}

export interface Discovery extends AsyncDisposable {
  readonly book: OfferBook;
  /**
   * Asks the bootstrap peers and every linked peer now. Resolves with the number of offers that were new once all
   * have answered or failed. Failures are only logged, because peers come and go. One round at a time serves all who wait; `signal` ends
   * the caller's wait. @throws RelaymintError ABORTED.
   */
  refresh(signal?: AbortSignal): Promise<number>;
  /**
   * Takes an offer that a circuit of this linked peer brings into the book, under the same rules as one in the peer's answer. What the
   * book holds of that node afterwards says whether it was taken.
   */
  introduce(encoded: Uint8Array, peer: NodeId): void;
  close(): Promise<void>;
}

export interface OfferBookOptions {
  readonly clock: Clock;
  /** Default MAX_OFFERS. */
  readonly limit?: number;
}

export interface DiscoveryOptions {
  readonly links: LinkManager;
  readonly book: OfferBook;
  readonly clock: Clock;
  readonly log: Log;
  readonly bootstrap?: readonly PeerAddress[];
  /**
   * Dials a bootstrap peer again soon after its link was lost, and does not wait for the next round. Not for a node that is another one on
   * each link: the moment would tell the peer that it is the same. Default false.
   */
  readonly redials?: boolean;
  /**
   * The other wallet of a channel between us and this linked peer, for which somebody burned: what comes with that wallet has
   * a share of the book for itself. Default: there are no channels.
   */
  readonly walletOf?: (peer: NodeId) => LedgerAddress | undefined;
  /**
   * Others know a valid offer of ours with this sequence, which is above that of the offer we give out: our clock
   * was ahead when it was signed. The next offer we sign must have a higher sequence to be accepted.
   */
  readonly onOwnSequence?: (sequence: bigint) => void;
  /** Between two rounds of questions, milliseconds, plus or minus a quarter. Default 60,000. */
  readonly intervalMillis?: number;
}
