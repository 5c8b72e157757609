/** How commands and pages talk to a running node: over a loopback port, with a token from its data folder. */
export {
  callControl,
  orderControl,
  readControlFile,
  runningNode,
  type ControlFetch,
  type FoundNode,
} from './client.ts';
export type {
  BudgetStats,
  ClosedStats,
  ControlCall,
  ControlFile,
  ControlHandlers,
  ControlQuestion,
  ControlResults,
  GuardStats,
  NodeStats,
  PairStats,
  PlannedBatch,
  SettledList,
  SettlementPlan,
  SettlementStats,
  SiteBudgetStats,
  WaitingStats,
} from './protocol.ts';
export { createSettleToken, readSettleToken } from './settle-token.ts';
export { startControlServer, type ControlServer } from './server.ts';
