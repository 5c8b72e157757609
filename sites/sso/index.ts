/** Signing in with a wallet: an OpenID Provider for any site, and for .web3 sites by their names. */
export type { Directory, IssuerStore, NameClient, NameHolding, PublicProfile } from './contract.ts';
export { openIssuer, type Issuer, type IssuerOptions } from './issuer.ts';
export { openLevelStore } from './level-store.ts';
