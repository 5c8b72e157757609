/** Signing in with a wallet: an OpenID Provider for any site, and for .web3 sites by their names. */
export type { Directory, IssuerStore, NameClient, NameHolding, PublicProfile } from './contract.ts';
export type { Outside } from './fetches.ts';
export { openIssuer, type Issuer, type IssuerOptions } from './issuer.ts';
export { issuerKey } from './secrets.ts';
export { openLevelStore } from './level-store.ts';
export type { StoreConnect } from './late-socket.ts';
export { openPostgresStore } from './postgres-store.ts';
export { openRedisStore } from './redis-store.ts';
export type { ServerStoreOptions } from './server-store.ts';
