/** What this node lets itself spend: `contract.ts` says what the limits promise. */
export { openBudget } from './budget.ts';
export { obeyOrder, siteOrderSchema } from './order.ts';
export type {
  Budget,
  BudgetOptions,
  BudgetView,
  Reservation,
  SiteOrder,
  SiteReservation,
  SiteSpending,
  SpendLimits,
  SpendRow,
} from './contract.ts';
