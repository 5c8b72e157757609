/** Names: the rules (shared with browsers through the SDK) and their resolution on chain. */
export { createNameResolver, rootOfRecord } from './resolve.ts';
export type { NameResolver, NameResolverOptions, ResolvedName } from './resolve.ts';
