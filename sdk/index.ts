/** What a site developer imports. Runs in browsers: nothing here needs Node. */
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
} from '../core/name.ts';
export type { ParsedName, Tld } from '../core/name.ts';
export { RelaymintError, isRelaymintError } from '../core/errors.ts';
export type { ErrorCode } from '../core/errors.ts';
export { formatCredits, parseCredits } from '../core/units.ts';
export type { Amount } from '../core/units.ts';
export { addressOf, createClient } from './client.ts';
export type { Client, ClientOptions, NameOptions, Options } from './client.ts';
export { readPosts, readUpdate, watchPosts, watchUpdates } from './feeds.ts';
export type { Post, PostEvent, Update } from './feeds.ts';
export { readManifest } from './terms.ts';
export type { LicenceTerms, SiteManifest } from './terms.ts';
