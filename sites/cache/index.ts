/** Verified blocks of the sites that a gateway shows: in memory, then on disk. */
export type { BlockCache } from './contract.ts';
export { createMemoryCache, openBlockCache, removeBlockCache } from './block-cache.ts';
export type { BlockCacheOptions } from './block-cache.ts';
