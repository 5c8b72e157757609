/** What neighbours owe each other: `contract.ts` says what an account promises. */
export { openAccountBook } from './book.ts';
export { Netting } from './netting.ts';
export { inspectBooks } from './inspection.ts';
export type { Inspection } from './inspection.ts';
export { openBookStore } from './store.ts';
export type { BookStore } from './store.ts';
export { NUMERATOR_BITS } from './tally.ts';
export { DEBT_PARTS, decodeTerms, encodeTerms, MAX_TERMS_BYTES } from './terms.ts';
export type { Terms } from './terms.ts';
export type {
  AccountBook,
  AccountCounts,
  BookOptions,
  EarningAccount,
  OpenEarning,
  OpenSpending,
  PairCounts,
  ReceiptSink,
  SpendingAccount,
  UpVerdict,
} from './contract.ts';
