/** A whole marketplace on this machine: every node a process, and rounds of publishing, visiting and settling. */
export { startCluster, type Cluster } from './cluster.ts';
export type { Accounts, Published, RolledBack } from './events.ts';
export { holdIssuerPort, startMarketIssuer } from './issuer.ts';
export { openLayout, type MarketLayout } from './layout.ts';
export { MARKET_TRANSPORTS, openMarketNetwork, type MarketTransport } from './network.ts';
export { closeOwnChannels, distributeOwnName, nameVisitor } from './owner.ts';
export { OwnerCommands } from './owner-commands.ts';
export { publishAll } from './publish-all.ts';
export type { RoundReport } from './report.ts';
export { runRound } from './round.ts';
export { composed, readTown, type Display, type Live, type Showing } from './showing.ts';
export { requireDirectory } from './visit.ts';
