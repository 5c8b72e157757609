/**
 * What the visitor's page shows: what each site cost and whom that pays, and what each may cost in an hour. Amounts are decimal strings of
 * base units, or base units and bytes as numbers where that is said.
 */
import { z } from 'zod';
import type { SiteOrder } from '../../ledger/budget/index.ts';

/** Whom a sum goes to. The parts add up to the sum, to the base unit; how they are divided follows from offers and terms, and is an estimate. */
export interface SpendingParties {
  readonly relays: string;
  readonly host: string;
  /** The site's owner: the royalty of its own content. */
  readonly owner: string;
  /** Owners of what the site's pages show of others, without what the page gets of it. */
  readonly embedded: string;
  /** The site's owner, for showing that: the page's part of others' royalties. */
  readonly page: string;
  /** The bank's part of what relays and hosts settle. */
  readonly fee: string;
}

interface Figures {
  /** Frame bytes that circuits carried for it, both ways: what is paid for. */
  readonly bytes: number;
  /** Bytes that were shown from what was kept, for nothing. */
  readonly cached: number;
  /** What the first relays are paid for it: exact. */
  readonly cost: string;
  readonly parties: SpendingParties;
}

/** Content that one site's pages showed: its own, or that of another name. */
export interface SpendingContent extends Figures {
  readonly name: string;
  /** The terms on the ledger by which its royalty was reckoned, basis points; null: not known. */
  readonly terms: { readonly royaltyBps: number; readonly referrerBps: number } | null;
}

/** In any hour. */
export interface SpendingBudget {
  readonly limit: string;
  readonly hasOwnLimit: boolean;
  readonly spent: string;
  readonly stopped: boolean;
  /** When some of it may be spent again, UNIX milliseconds; null: nothing was spent. */
  readonly freesAt: number | null;
}

export interface SpendingSite extends Figures {
  readonly name: string;
  readonly contents: readonly SpendingContent[];
  readonly budget: SpendingBudget;
  /** When something of it was last fetched or shown, UNIX milliseconds; null: not since the start. */
  readonly lastAt: number | null;
}

export interface SpendingView {
  /** When the gateway started, from which on all but the budgets is counted, and when this was read; UNIX milliseconds. */
  readonly since: number;
  readonly now: number;
  /** What the sites cost together, those that were forgotten included. */
  readonly spent: string;
  /** Beside that, what keeping circuits ready cost: it is of no one site. */
  readonly upkeep: string;
  /** The bank's fee; null: the ledger has not said. No fee is reckoned then. */
  readonly feeBps: number | null;
  /** Those that cost most first. */
  readonly sites: readonly SpendingSite[];
  /** What is no longer kept by site: how many, and what they cost. */
  readonly forgotten: { readonly contents: number; readonly cost: string };
  /** Frame bytes that were paid for in each step, the oldest first; the last step goes on. */
  readonly throughput: { readonly stepMillis: number; readonly bytes: readonly number[] };
}

/** Behind the visitor's page. */
export interface Spending {
  view(): Promise<SpendingView>;
  /** @throws RelaymintError when nothing changed; its message is shown. */
  order(order: SiteOrder): Promise<void>;
}

/** A sum of some u64. */
const decimal = z.string().regex(/^\d{1,39}$/);
const whole = z.int().min(0);
const name = z.string().max(63);
const parties = z.object({
  relays: decimal,
  host: decimal,
  owner: decimal,
  embedded: decimal,
  page: decimal,
  fee: decimal,
});
const figures = { bytes: whole, cached: whole, cost: decimal, parties };
const bps = whole.max(10_000);

/** Checks what the composition root hands over before a page sees it. */
export const spendingViewSchema: z.ZodType<SpendingView> = z.object({
  since: whole,
  now: whole,
  spent: decimal,
  upkeep: decimal,
  feeBps: bps.nullable(),
  sites: z
    .array(
      z.object({
        name,
        ...figures,
        contents: z
          .array(z.object({ name, ...figures, terms: z.object({ royaltyBps: bps, referrerBps: bps }).nullable() }))
          .max(1024),
        budget: z.object({
          limit: decimal,
          hasOwnLimit: z.boolean(),
          spent: decimal,
          stopped: z.boolean(),
          freesAt: whole.nullable(),
        }),
        lastAt: whole.nullable(),
      }),
    )
    .max(4096),
  forgotten: z.object({ contents: whole, cost: decimal }),
  throughput: z.object({ stepMillis: whole, bytes: z.array(whole).max(60) }),
});
