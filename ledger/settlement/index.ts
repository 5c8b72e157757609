/** Turning receipts into credits: `contract.ts` says what is promised. */
export { returnableOf } from './openings.ts';
export { DEFAULT_POLICY, startSettlement } from './engine.ts';
export { journalEntryText, openSettlementJournal, readSettlementHistory } from './history.ts';
export type {
  JournalEntry,
  JournalEntryText,
  SettledReceipt,
  SettledReceiptText,
  SettlementHistory,
  SettlementJournal,
  WithdrawnEarnings,
  WithdrawnEarningsText,
} from './history.ts';
export type {
  PlannedBatch,
  Settlement,
  SettlementEngine,
  SettlementOptions,
  SettlementPolicy,
  SettlementTotals,
} from './contract.ts';
export { decodeReceiptFile, encodeReceiptFile, readReceiptFile } from './receipt-file.ts';
export type { FiledReceipt, ReceiptFile } from './receipt-file.ts';
export { importReceipts } from './receipt-import.ts';
export type { ImportedReceipts } from './receipt-import.ts';
export { startReceiptExport } from './receipt-export.ts';
export type { ReceiptExportOptions } from './receipt-export.ts';
export { createWatchtower } from './watchtower.ts';
export type { Answer, Look, Watchtower, WatchtowerOptions } from './watchtower.ts';
export { increaseOf } from './plan.ts';
