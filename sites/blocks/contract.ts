/** What the content parts promise each other and the composition root. Bytes count payload, times are milliseconds. */
import type { Duplex } from 'node:stream';
import type { CID } from 'multiformats/cid';
import type { NameShare } from '../../core/attribution.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import type { Bytes, UnixMillis } from '../../core/units.ts';

/** Where verified blocks come from. `get` @throws RelaymintError CONTENT_NOT_FOUND, CONTENT_CORRUPT, ABORTED, CLOSED .. */
export interface BlockReader {
  get(cid: CID, options?: { readonly signal?: AbortSignal }): Promise<Uint8Array>;
}

/** Where an import puts its blocks. What is there already stays, unless it is found to be damaged. The sink checks nothing: its caller has just hashed them. */
export interface BlockSink {
  put(cid: CID, block: Uint8Array): Promise<void>;
}

/** A root that the store keeps for a name. */
export interface Pin {
  readonly name: string;
  readonly root: CID;
  /** Distinct blocks and their bytes. */
  readonly blocks: number;
  readonly bytes: Bytes;
  readonly pinnedAt: UnixMillis;
}

/** A batch of blocks on its way in. Until it ends, garbage collection leaves its blocks alone. */
export interface ImportSession extends BlockSink, AsyncDisposable {
  /** True when the block is here and not found to be damaged; it stays at least until the session ends. */
  hold(cid: CID): Promise<boolean>;
  /**
   * Walks everything under `root`, and keeps it for `name`. A root that the name has already counts as new again. A manifest is a root too,
   * of one block.
   * @throws RelaymintError CONTENT_NOT_FOUND (a block is missing; `details.missing`), CONTENT_REFUSED (not UnixFS or too big), STORAGE_FULL.
   */
  pin(name: string, root: CID): Promise<Pin>;
  /** Bytes this session added to the disk. */
  readonly added: Bytes;
  /** Ends the session. Blocks that nothing pins stay for ORPHAN_BLOCK_MILLIS, so that a broken publish can resume. */
  close(): Promise<void>;
}

export interface BlockStoreStats {
  readonly blocks: number;
  readonly bytes: Bytes;
  readonly quota: Bytes | undefined;
}

/** Blocks in files, records in LevelDB. One process at a time. `get` hashes what it hands out; damaged blocks are not here. */
export interface BlockStore extends BlockReader, AsyncDisposable {
  has(cid: CID): boolean;
  begin(): ImportSession;
  /** All pins, or one name's, oldest first. */
  pins(name?: string): readonly Pin[];
  /** Those of a name's pins under whose roots `cid` is, oldest first. */
  pinsWith(name: string, cid: CID): readonly Pin[];
  /** Bytes of the blocks that are under one kept root and not under the other: what keeping it costs beside that. */
  bytesBeside(root: CID, other: CID): Promise<Bytes>;
  /** The blocks under a kept root, in no particular order. */
  blocksOf(root: CID): AsyncIterable<CID>;
  /** Removes a root and deletes the blocks that nothing else keeps. Does nothing if the root is not kept. */
  unpin(name: string, root: CID): Promise<void>;
  /** Deletes blocks that no root and no session keeps and that are older than `olderThanMillis` (default ORPHAN_BLOCK_MILLIS). */
  collectGarbage(olderThanMillis?: number): Promise<{ readonly blocks: number; readonly bytes: Bytes }>;
  stats(): BlockStoreStats;
  close(): Promise<void>;
}

/** What a circuit hands to a service. `attribute`: what is sent from now on counts for these names, in these shares (royalty). */
export type ServiceStream = Duplex & { attribute?(shares: readonly NameShare[]): void };
/** Registered for a service by the composition root. Never throws: a fault ends the stream. `circuit`: the same for all streams of one. */
export type ServiceHandler = (stream: ServiceStream, params: Uint8Array, circuit?: object) => void;
/** A stream to a host's service: what came and is paid for, with padding, and what is in it, bytes; absent where nothing is padded. */
export type PaidStream = Duplex & { readonly cellBytesReceived?: number; readonly dataBytesReceived?: number };
/** Opens a stream to one host's service over a circuit. */
export type OpenStream = (
  service: string,
  params: Uint8Array,
  options?: { readonly signal?: AbortSignal },
) => Promise<PaidStream>;

/** Names of the services in offers and BEGIN cells. */
export const CONTENT_SERVICE = 'content';
export const PUBLISH_SERVICE = 'publish';
/** Updates and posts: reading them, the owner's own, and anybody's. */
export const FEED_SERVICE = 'feed';
export const UPDATE_SERVICE = 'update';
export const POST_SERVICE = 'post';

/** Proves the publisher's wallet. `delegateFromSeed` of ledger/receipt makes one from a wallet's seed. */
export interface PublisherKey {
  readonly address: LedgerAddress;
  /** Ed25519, 64 bytes. */
  sign(message: Uint8Array): Uint8Array | Promise<Uint8Array>;
}

/** One site opened for one visitor's request. */
export interface SiteContent extends BlockReader {
  /** Gives the stream back (or drops it when answers are still on their way). */
  close(): void;
}

/** The gateway's port to content: the composition root binds circuits to it. */
export interface ContentSource {
  open(
    site: { readonly name: string; readonly root: CID; readonly referrer?: string | undefined },
    options: { readonly signal: AbortSignal },
  ): Promise<SiteContent>;
}
