/** How commands and pages talk to a node that runs: over a loopback port with a token that is in its data folder. */
export { callControl, readControlFile, type ControlFetch } from './client.ts';
export type {
  BudgetStats,
  ControlCall,
  ControlFile,
  ControlHandlers,
  ControlResults,
  GuardStats,
  NodeRole,
  NodeStats,
  PairStats,
  PlannedBatch,
  SettlementPlan,
  SettlementStats,
  WaitingStats,
} from './protocol.ts';
export { createSettleToken, readSettleToken } from './settle-token.ts';
export { startControlServer } from './server.ts';
