/**
 * The two sides of somebody else's circuit, and all that they ask of each other. Types only.
 *
 * The near side is the previous hop, towards the initiator, and our layers (`relayed.ts`). The far side receives what the
 * initiator sends: the next hop (`next-hop.ts`), our own services (`local-end.ts`), or the near side of another circuit (`splice.ts`).
 */
import type { RelaymintError } from '../../core/errors.ts';
import type { Unused } from './grants.ts';
import type { OpeningLayer } from './layer.ts';
import type { Leg } from './leg.ts';
import type { Ending } from './reason.ts';
import type { SlotPayer } from './slots.ts';

export interface FarSide {
  /** It goes on to another node. */
  readonly relays: boolean;
  /** The leg towards the next hop. */
  readonly onward: Leg | undefined;
  readonly openStreams: number;
  /** Frame bytes that its leg may send us, or that wait to be sent on it. */
  readonly held: number;
  /**
   * A frame came from the initiator: `text` is its payload without our layer; `opening` makes what the next hop gets out of both.
   * @throws RelaymintError PROTOCOL_VIOLATION, INVALID_ENCODING: the circuit must end.
   */
  take(payload: Buffer, text: Buffer, opening: OpeningLayer): void;
  /** A frame that waited for the previous hop, ours or one that came from here, was written. */
  written(frameBytes: number): void;
  /** The previous hop lets us send more, or money allows more. */
  nearRoomier(): void;
  /** The previous hop gave back some of what it was granted. */
  nearGaveBack(): void;
  /** Once in a while: gives back what it does not use. */
  returnUnused(): void;
  /** Once in a while: reports what we kept of the pay for what passed. */
  tellKept(): void;
  /** The circuit is over: nothing more is taken. Before `close`. */
  stop(why: Ending): void;
  /** Tells the far end. @returns true if what was granted there still comes: `NearSide.farGone` follows. */
  close(why: Ending): boolean;
  /** The previous hop is gone, with what waited for it. */
  nearLost(): void;
}

export interface NearSide {
  /** Towards the previous hop, which pays. */
  readonly leg: Leg;
  readonly payer: SlotPayer;
  /** What this end does not use of what it was granted, when it is one. */
  readonly unused: Unused;
  readonly isOver: boolean;
  /** Something came from beyond: the circuit is in use. */
  heard(): void;
  /** Puts our layer on what came from the next hop, and queues it. */
  pass(payload: Buffer): void;
  /** Puts our layer on a cell of our own. @returns the frame. */
  seal(cell: Buffer): Buffer;
  /** The far side can take this many frame bytes: the previous hop may send as many. */
  letSend(room: number): void;
  /** How much of `spare` to grant a side that may send `granted`; 0 while that is too little for a frame. */
  worthPassing(spare: number, granted: number): number;
  /** What is held for the circuit changed. */
  count(): void;
  /** Ends it in both directions. */
  end(why: Ending): void;
  /** The other end broke the rules, or cannot be paid: ends it. */
  fail(error: RelaymintError): void;
  /** The far side ended it, and nothing more comes from there. */
  farEnded(why: Ending): void;
  /** It was told of the end, and nothing more comes from there. */
  farGone(): void;
}
