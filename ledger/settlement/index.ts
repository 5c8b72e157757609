/** Turning receipts into credits: `contract.ts` says what is promised. */
export { startSettlement } from './engine.ts';
export type {
  Settlement,
  SettlementEngine,
  SettlementOptions,
  SettlementPolicy,
  SettlementTotals,
} from './contract.ts';
