/** Content: UnixFS import, block store, and the content and publish services over a circuit's streams. */
import type { CID } from 'multiformats/cid';
import type { Clock, Log } from '../../core/ports.ts';
import type { NodeId } from '../../core/ids.ts';
import type { Bytes } from '../../core/units.ts';
import type { LedgerReader } from '../../ledger/contract.ts';
import type {
  BlockSink,
  BlockStore,
  ContentSource,
  OpenStream,
  Pin,
  PublisherKey,
  ServiceHandler,
} from './contract.ts';

export * from './contract.ts';

const SOON = 'sites/content is being built';

export interface BlockStoreOptions {
  /** Created when missing. Holds blocks/ and records/. */
  readonly directory: string;
  /** Most bytes of blocks on disk. */
  readonly quota?: Bytes;
  readonly clock?: Clock;
  readonly log?: Log;
}
/** @throws RelaymintError FILE_IN_USE, STORAGE_FAILED. */
export function openBlockStore(_options: BlockStoreOptions): Promise<BlockStore> {
  throw new Error(SOON);
}

export interface ImportProgress {
  readonly files: number;
  readonly bytes: number;
  /** Path of the file being read, relative to what is imported. */
  readonly path: string;
}
export interface ImportSummary {
  readonly root: CID;
  readonly files: number;
  readonly bytes: number;
  /** Paths left out and why (links that leave the folder, sockets, devices). */
  readonly skipped: readonly { readonly path: string; readonly reason: string }[];
}
export interface ImportOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: ImportProgress) => void;
}
/** Folder or single file -> UnixFS blocks in `sink`. @throws RelaymintError FILE_NOT_FOUND, STORAGE_FAILED, STORAGE_FULL, ABORTED. */
export function importPath(_path: string, _sink: BlockSink, _options?: ImportOptions): Promise<ImportSummary> {
  throw new Error(SOON);
}
/** importPath into a store, pinned for `name`; older roots of the name are let go. */
export function importSite(
  _store: BlockStore,
  _name: string,
  _path: string,
  _options?: ImportOptions,
): Promise<ImportSummary & { readonly pin: Pin }> {
  throw new Error(SOON);
}

/** Handler of the `content` service. Serves blocks of roots that the store keeps for the name in the stream's params. */
export function createContentService(_options: { readonly store: BlockStore; readonly log?: Log }): ServiceHandler {
  throw new Error(SOON);
}

export interface PublishServiceOptions {
  readonly store: BlockStore;
  readonly ledger: Pick<LedgerReader, 'name'>;
  /** This host's node id: part of what the publisher signs. */
  readonly host: NodeId;
  /** `open`: any wallet may publish a name that nobody has registered yet; `names`: only these. Registered names: owner or manager only. */
  readonly accept: { readonly policy: 'open' } | { readonly policy: 'names'; readonly names: readonly string[] };
  /** Most bytes one name may keep here. */
  readonly quotaPerName?: Bytes;
  readonly onPinned?: (pin: Pin) => void;
  readonly clock?: Clock;
  readonly log?: Log;
}
/** Handler of the `publish` service. */
export function createPublishService(_options: PublishServiceOptions): ServiceHandler {
  throw new Error(SOON);
}

export interface PublishProgress {
  readonly sentBlocks: number;
  readonly skippedBlocks: number;
  readonly sentBytes: number;
}
export interface PublishResult extends PublishProgress {
  /** As the host counted them after walking the root. */
  readonly blocks: number;
  readonly bytes: Bytes;
}
/** Sends a kept root to a host. Blocks that the host has are skipped, so calling it again resumes. */
export function publishSite(_options: {
  readonly openStream: OpenStream;
  readonly host: NodeId;
  readonly store: BlockStore;
  readonly name: string;
  readonly root: CID;
  readonly publisher: PublisherKey;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: PublishProgress) => void;
}): Promise<PublishResult> {
  throw new Error(SOON);
}

/** Lets go of roots that the chain no longer names (call it every minute or so). */
export function createPinKeeper(_options: {
  readonly store: BlockStore;
  readonly ledger: Pick<LedgerReader, 'name'>;
  readonly clock?: Clock;
  readonly log?: Log;
}): { sweep(): Promise<void> } {
  throw new Error(SOON);
}

/** One way to one host, as the composition root makes it: a circuit. */
export interface ContentRoute {
  readonly host: NodeId;
  /** False once its circuit is gone: a new route is asked for. */
  readonly isOpen: boolean;
  openStream: OpenStream;
}
export interface ContentSourceOptions {
  /** A circuit to some host of the site, other than those in `avoid`. Called again when a route dies. @throws NO_ROUTE. */
  route(
    site: { readonly name: string; readonly root: CID },
    options: { readonly avoid: ReadonlySet<NodeId>; readonly signal: AbortSignal },
  ): Promise<ContentRoute>;
  /** A host served bytes that do not match their hash, or never answered. */
  onBadHost?: (host: NodeId, error: Error) => void;
  readonly log?: Log;
}
/** Streams are pooled per site; a block that a host fails to deliver is asked from another host. */
export function createContentSource(_options: ContentSourceOptions): ContentSource & { close(): Promise<void> } {
  throw new Error(SOON);
}
