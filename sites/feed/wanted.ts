/** What is followed, by whom it is asked for, and what is seen of it. */
import type { LRUCache } from 'lru-cache';
import type { Backoff } from '../../core/backoff.ts';
import type { RelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import type { Clock, Log } from '../../core/ports.ts';
import type { NameRecord } from '../../ledger/contract.ts';
import type { ContentRoute } from '../serve/index.ts';
import type { SignedEntry, Topic } from './contract.ts';

/** What a page asks for. */
export interface FeedWanted extends Topic {
  /** The name whose page shows it, if that is another one. */
  readonly referrer?: string | undefined;
}

export interface FeedSourceOptions {
  /** A circuit to some host that keeps the name, other than those in `avoid`. @throws RelaymintError NO_ROUTE, ABORTED. */
  route(
    site: Pick<FeedWanted, 'name' | 'referrer'>,
    options: { readonly avoid: ReadonlySet<NodeId>; readonly signal: AbortSignal },
  ): Promise<ContentRoute>;
  /** What the ledger says of a name, a few seconds old at most. @throws RelaymintError LEDGER_UNREACHABLE. */
  record(name: string): Promise<NameRecord | undefined>;
  readonly onBadHost?: (host: NodeId, error: RelaymintError, name: string) => void;
  /** How long a host may take until it takes a stream, milliseconds. Default FIRST_ANSWER_MILLIS. */
  readonly firstAnswerMillis?: number;
  /** Pauses after all hosts failed. */
  readonly retry?: Backoff;
  /** How long it is followed on after the last page that showed it has left, milliseconds. */
  readonly lingerMillis?: number;
  readonly clock?: Clock;
  readonly log?: Log;
}

/** One topic, as it is now and as it becomes. Dispose it: it is followed, and paid for, as long as somebody has it open. */
export interface FeedView extends Disposable {
  /**
   * Resolves once a host has told all that there is, and all of it is verified by what the ledger says now.
   * @throws RelaymintError NO_ROUTE, CONTENT_REFUSED, .. (no host does), ABORTED.
   */
  complete(signal: AbortSignal): Promise<void>;
  /** Verified. Of updates only the newest, unless its time is over; of threads the same array until something changes. */
  entries(): readonly SignedEntry[];
  /** What the ledger said of who wrote one of the entries. */
  author(name: string): NameRecord | undefined;
  onChange(tell: () => void): Disposable;
}

/** What outlives those who follow a topic: no host takes us back behind it. */
export interface Seen {
  /** The newest update of each name. */
  readonly updates: LRUCache<string, number>;
  /** By thread and place: who took a post back, and the owner's last word on it. */
  readonly removals: LRUCache<string, SignedEntry>;
}
