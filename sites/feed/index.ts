/** Updates and posts below names: signed, kept by hosts, told as they come. */
export { LIVE_TOPIC } from './contract.ts';
export type { Arrived, Entry, EntryId, EntryKind, FeedStore, SignedEntry, Topic } from './contract.ts';
export { EntryWriter, FeedReader } from './client.ts';
export { checkEntry, decodeEntry, isTopic, requirePermitCounts, signEntry } from './entry.ts';
export { encodeWriteParams } from './protocol.ts';
export { postJson } from './json.ts';
export type { AuthorProfile, PostJson } from './json.ts';
export { createFeedServices } from './server.ts';
export type { FeedServiceOptions, FeedServices } from './server.ts';
export { createFeedSource } from './source.ts';
export type { FeedSource } from './source.ts';
export type { FeedSourceOptions, FeedView, FeedWanted } from './wanted.ts';
export { openFeedStore } from './store.ts';
export { foldThread, idOf } from './thread.ts';
export type { Post, PostState } from './thread.ts';
