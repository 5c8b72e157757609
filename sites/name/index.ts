/** Names: the rules (shared with browsers through the SDK) and their resolution on chain. */
export {
  TLDS,
  inlineName,
  isName,
  nameOfHost,
  opensInBrowsers,
  parseName,
  parseNewName,
  siteUrl,
  uninlineName,
} from '../../core/name.ts';
export type { ParsedName, Tld } from '../../core/name.ts';
export { createNameResolver } from './resolve.ts';
export type { NameResolver, NameResolverOptions, ResolvedName } from './resolve.ts';
