/** The HTTP front for visitors: sites on their own origins, and the marketplace page. */
export type { Appendix } from './appendix.ts';
export type { Asked, NameHandler, RootSource, SiteAddress } from './contract.ts';
export { describeType, typeByName } from './media-type.ts';
export { frontPage } from './pages.ts';
export { pathBelow, splitPath } from './place.ts';
export { MAX_REDIRECTS_BYTES, parseRedirects, redirectFor, redirectsTooLarge } from './redirects.ts';
export type { RedirectRules } from './redirects.ts';
export { createGateway } from './gateway.ts';
export type { Gateway, GatewayOptions } from './gateway.ts';
export type { PostTaker } from './post-answers.ts';
export type { SettleOptions } from './settle.ts';
export { marketViewSchema } from './market.ts';
export type {
  Spending,
  SpendingBudget,
  SpendingContent,
  SpendingParties,
  SpendingSite,
  SpendingView,
} from './spending.ts';
export type {
  MarketBalance,
  MarketCounts,
  MarketLedger,
  MarketName,
  MarketNode,
  MarketPair,
  MarketRole,
  MarketSettled,
  MarketSettlement,
  MarketSupply,
  MarketView,
  MarketWaiting,
} from './market.ts';
