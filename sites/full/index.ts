/** Full mode: `https://news.web3` in a browser, by a proxy on this machine and a certificate authority that can vouch for nothing else. */
export { openAuthority, readAuthority, removeAuthority } from './authority.ts';
export type { Authority, AuthorityPlace } from './authority.ts';
export { pacAsUrl, pacUrlAt } from './pac.ts';
export { openFullMode } from './proxy.ts';
export type { FullMode, FullModeOptions } from './proxy.ts';
