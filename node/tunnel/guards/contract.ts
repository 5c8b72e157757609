/** The first relays of a node's circuits, kept for months, and what circuits over relays came to. Types only. */
import type { NodeId } from '../../../core/ids.ts';
import type { Clock, Log } from '../../../core/ports.ts';
import type { PricePerMiB } from '../../../core/units.ts';
import type { SignedOffer } from '../../offer/index.ts';
import type { KnownOffers } from '../../circuit/index.ts';

/** Where guards are kept between starts. */
export interface GuardStore {
  /** undefined when there is nothing yet. @throws RelaymintError STORAGE_FAILED. */
  read(): Promise<Uint8Array | undefined>;
  /** Replaces what is there, whole or not at all. @throws RelaymintError STORAGE_FAILED. */
  write(content: Uint8Array): Promise<void>;
  /** The file name, to show to people. */
  readonly name: string;
}

export interface GuardOptions {
  /** Absent: they are kept in memory only. */
  readonly store?: GuardStore;
  /** Our own id: never a guard. What is kept is kept for this node, and for this wallet where there is one. */
  readonly nodeId: NodeId;
  readonly wallet?: string;
  /** Whether this node can dial that relay directly. Others are drawn only if there are too few of these. Default: always. */
  readonly dials?: (offer: SignedOffer) => boolean;
  readonly clock?: Clock;
  readonly log?: Log;
  /** 0 <= x < 1. Default: from node:crypto. */
  readonly random?: () => number;
}

/** Circuits over a relay and those of them that failed; older ones count less. */
export interface Counts {
  readonly tried: number;
  readonly failed: number;
}

export interface GuardView extends Counts {
  readonly node: NodeId;
  /** `used`: a circuit stood through it. `sampled`: none yet. `waiting`: not reached lately. `dropped`: too many of its circuits failed. */
  readonly state: 'used' | 'sampled' | 'waiting' | 'dropped';
  /** When it was drawn, UNIX milliseconds. */
  readonly since: number;
}

/**
 * The guards of one identity: one for all its pools. Relays of a path are given without the last hop, the guard first.
 * The outcomes of circuits are kept for days, per guard: once a guard is given up, nothing that was seen through it
 * is believed any more.
 */
export interface Guards extends AsyncDisposable {
  /**
   * Guards that are offered now and ask at most `most`, in the order to try them; draws some if there are too
   * few. What the last hop asks or says about itself must not count here: otherwise it would choose the guard.
   */
  order(offers: KnownOffers, most: PricePerMiB): readonly NodeId[];
  /** Resolves once the guards that were drawn are on disk. @throws RelaymintError STORAGE_FAILED. */
  saved(): Promise<void>;
  /** Guards and other relays at which most circuits fail: used last. */
  readonly givenUp: ReadonlySet<NodeId>;

  /** No connection, or no circuit, to the guard itself. */
  unreachable(guard: NodeId): void;
  stood(relays: readonly NodeId[]): void;
  /** A relay before `hop` says that it did not reach it. `weight`: how much that counts, 0 .. 1. */
  refused(relays: readonly NodeId[], hop: number, weight: number): void;
  /** The last hop was not reached, or the circuit was lost: the last hop may be the cause. */
  lost(relays: readonly NodeId[], lastHop: NodeId): void;

  /** In order. */
  view(): readonly GuardView[];
}
