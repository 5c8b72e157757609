/**
 * The control interface of a running node: what `relaymint stats`, `relaymint settle` and the marketplace page ask it.
 * HTTP on loopback, every call with the bearer token of `control.json` in the node's data directory. Amounts and counts
 * are decimal strings of base units and bytes.
 */
import { z } from 'zod';
import { siteOrderSchema, type SiteOrder } from '../../ledger/budget/index.ts';
import type { JournalEntryText } from '../../ledger/settlement/index.ts';

/** Bytes each way of one account: up is payer to payee. */
export interface PairCounts {
  readonly up: string;
  readonly down: string;
}

/** One account with a neighbour: it pays us (`earns`) or we pay it (`pays`). */
export interface PairStats {
  readonly side: 'earns' | 'pays';
  readonly peer: string;
  /** The payer's wallet. */
  readonly payer: string;
  readonly transport: string;
  readonly channel: string;
  /** A link carries it now. A debt on a lost link waits for the next one. */
  readonly live: boolean;
  readonly counts: PairCounts;
  /** What the counted bytes cost at the agreed prices. */
  readonly owed: string;
  /** The latest receipt's amount. */
  readonly receipted: string;
  /** What the chain settled, as this node last saw it. */
  readonly settled: string;
}

/** The channels of one side that are over, all together. */
export interface ClosedStats {
  readonly channels: string;
  /** By their newest receipts, as what they paid. */
  readonly counts: PairCounts;
  readonly receipted: string;
  /** How much of it was settled, as far as this node knows. */
  readonly settled: string;
}

/** The newest receipts that were settled, and withdrawals, the oldest of them first. */
export interface SettledList {
  readonly settlements: readonly JournalEntryText[];
  /** Lines of the file that cannot be read. */
  readonly damaged: number;
}

/** What this node ever settled; `signatures` are the latest ones. */
export interface SettlementStats {
  readonly transactions: number;
  readonly receipts: number;
  readonly computeUnits: number;
  readonly feeLamports: number;
  readonly signatures: readonly string[];
}

/** Receipts that are not on chain yet. Base units. */
export interface WaitingStats {
  readonly value: string;
  /** Value from which it is settled automatically; null: unknown, because the ledger has not said what a transaction costs. */
  readonly from: string | null;
  /** The fee may be this part of what is settled, basis points: what `from` follows from. */
  readonly feeShareBps: number;
}

/** What was spent in the last hour, and the limits. Base units. */
export interface BudgetStats {
  /** In an hour: for one wallet, for one site, in all. */
  readonly limits: { readonly peer: string; readonly site: string; readonly total: string };
  /** Deposits, opening payments and top-ups. */
  readonly spent: string;
  /** Receipts of others: added to the limits for a wallet and in all. */
  readonly earned: string;
  /** On whom most was spent. */
  readonly peers: readonly { readonly wallet: string; readonly spent: string }[];
  /** What the bytes of sites cost, in a gateway. */
  readonly sites: readonly SiteBudgetStats[];
}

/** What one site may spend in an hour, and has in the last one. Base units. */
export interface SiteBudgetStats {
  readonly name: string;
  readonly spent: string;
  /** Absent in nodes of the version before: what all sites may. */
  readonly limit?: string | undefined;
  /** The limit was set for it alone. */
  readonly hasOwnLimit: boolean;
  readonly stopped: boolean;
  /** When some of it may be spent again, UNIX milliseconds; null: nothing was spent. */
  readonly freesAt: number | null;
}

/** A first relay of this node's circuits; the first one is tried first. Circuits that are older count less. */
export interface GuardStats {
  readonly node: string;
  readonly state: 'used' | 'sampled' | 'waiting' | 'dropped';
  /** When it was drawn, UNIX milliseconds. */
  readonly since: number;
  readonly tried: number;
  readonly failed: number;
}

/** One transaction that a settlement would send. Values in base units. */
export interface PlannedBatch {
  readonly receipts: readonly { readonly channel: string; readonly payer: string; readonly value: string }[];
  /** What of the value the names' content earned, with the site that showed it, before their royalty is taken. */
  readonly names: readonly {
    readonly name: string;
    readonly referrer?: string | undefined;
    readonly gross: string;
  }[];
  readonly value: string;
  readonly feeLamports: string;
}

/** What a settlement would do now. */
export interface SettlementPlan {
  readonly batches: readonly PlannedBatch[];
}

export interface NodeStats {
  /** Its role: relay, host, gateway, site .. */
  readonly role: string;
  readonly label: string;
  readonly nodeId: string;
  readonly wallet: string;
  readonly addresses: readonly string[];
  /** Service name to price in base units per MiB. */
  readonly prices: Readonly<Record<string, string>>;
  readonly startedAt: number;
  readonly rssBytes: number;
  readonly links: number;
  readonly circuits: number;
  /** What their channels are worth on chain is of `ledgerAt`. */
  readonly pairs: readonly PairStats[];
  /** Channels that are over: `earns` are those that paid us. */
  readonly closed: Readonly<Record<PairStats['side'], ClosedStats>>;
  /** When the ledger last answered, UNIX milliseconds; null: not yet. `pairs` holds closed channels too then. */
  readonly ledgerAt: number | null;
  readonly settlement: SettlementStats;
  /** What was sent for names since the start, by the name whose page showed it; null: its own. `gross`: base units. */
  readonly content: readonly {
    readonly name: string;
    readonly referrer: string | null;
    readonly bytes: number;
    readonly gross: string;
  }[];
  readonly waiting: WaitingStats;
  readonly budget: BudgetStats;
  /** None in a node that builds no circuits. */
  readonly guards: readonly GuardStats[];
  /** What its role counts since its start. */
  readonly figures: Readonly<Record<string, number>>;
}

const decimal = z.string().regex(/^\d{1,39}$/);

export const pairSchema: z.ZodType<PairStats> = z.object({
  side: z.enum(['earns', 'pays']),
  peer: z.string(),
  payer: z.string(),
  transport: z.string(),
  channel: z.string(),
  live: z.boolean(),
  counts: z.object({ up: decimal, down: decimal }),
  owed: decimal,
  receipted: decimal,
  settled: decimal,
});

const closedSchema: z.ZodType<ClosedStats> = z.object({
  channels: decimal,
  counts: z.object({ up: decimal, down: decimal }),
  receipted: decimal,
  settled: decimal,
});

export const settledSchema: z.ZodType<SettledList> = z.object({
  settlements: z.array(
    z.union([
      z.object({
        // Nodes of the version before say nothing else.
        kind: z.literal('receipt').default('receipt'),
        at: z.int(),
        channel: z.string(),
        payer: z.string(),
        amount: decimal,
        up: decimal,
        down: decimal,
        signature: z.string(),
        feeLamports: decimal.nullable(),
        bankFee: decimal.nullable(),
        royalties: decimal.nullable(),
      }),
      z.object({
        kind: z.literal('withdrawal'),
        at: z.int(),
        amount: decimal,
        signature: z.string(),
        feeLamports: decimal.nullable(),
      }),
    ]),
  ),
  damaged: z.int(),
});

export const settlementSchema: z.ZodType<SettlementStats> = z.object({
  transactions: z.number().int(),
  receipts: z.number().int(),
  computeUnits: z.number().int(),
  feeLamports: z.number().int(),
  signatures: z.array(z.string()),
});

const siteBudgetSchema: z.ZodType<SiteBudgetStats> = z.object({
  name: z.string(),
  spent: decimal,
  limit: decimal.optional(),
  hasOwnLimit: z.boolean().default(false),
  stopped: z.boolean().default(false),
  freesAt: z.int().nullable().default(null),
});

const budgetSchema: z.ZodType<BudgetStats> = z.object({
  limits: z.object({ peer: decimal, site: decimal, total: decimal }),
  spent: decimal,
  earned: decimal,
  peers: z.array(z.object({ wallet: z.string(), spent: decimal })),
  sites: z.array(siteBudgetSchema),
});

export const planSchema: z.ZodType<SettlementPlan> = z.object({
  batches: z.array(
    z.object({
      receipts: z.array(z.object({ channel: z.string(), payer: z.string(), value: decimal })),
      names: z.array(z.object({ name: z.string(), referrer: z.string().optional(), gross: decimal })),
      value: decimal,
      feeLamports: decimal,
    }),
  ),
});

export const statsSchema: z.ZodType<NodeStats> = z.object({
  role: z.string(),
  label: z.string(),
  nodeId: z.string(),
  wallet: z.string(),
  addresses: z.array(z.string()),
  prices: z.record(z.string(), decimal),
  startedAt: z.number().int(),
  rssBytes: z.number().int(),
  links: z.number().int(),
  circuits: z.number().int(),
  pairs: z.array(pairSchema),
  closed: z.object({ earns: closedSchema, pays: closedSchema }),
  ledgerAt: z.int().nullable(),
  settlement: settlementSchema,
  // Nodes of the version before do not say it.
  content: z
    .array(z.object({ name: z.string(), referrer: z.string().nullable(), bytes: z.int(), gross: decimal }))
    .default([]),
  waiting: z.object({ value: decimal, from: decimal.nullable(), feeShareBps: z.int() }),
  budget: budgetSchema,
  guards: z.array(
    z.object({
      node: z.string(),
      state: z.enum(['used', 'sampled', 'waiting', 'dropped']),
      since: z.int(),
      tried: z.int(),
      failed: z.int(),
    }),
  ),
  figures: z.record(z.string(), z.number()),
});

/** What `control.json` holds: where the node answers and the secret to show. */
export interface ControlFile {
  readonly url: string;
  readonly token: string;
  readonly pid: number;
}

export const controlFileSchema: z.ZodType<ControlFile> = z.object({
  url: z.url(),
  token: z.string().min(32),
  pid: z.number().int(),
});

export const CONTROL_FILE = 'control.json';

/** The answer of each call. */
export interface ControlResults {
  /** What the node knows. It waits only a moment for the ledger. */
  readonly stats: NodeStats;
  /** The same, with what the ledger shows now. */
  readonly audit: NodeStats;
  /** Signs receipts for all that is due now. */
  readonly flush: { readonly flushed: boolean };
  /** Ends our circuits for good and pays what ending them cost: nothing more will be owed. */
  readonly drain: { readonly drained: boolean };
  readonly settle: SettlementStats;
  /** The newest receipts that it settled, and withdrawals, thousands at most. */
  readonly settlements: SettledList;
  /** By payer: what is kept back of its opening payments when its channels close, base units. */
  readonly debts: { readonly debts: Readonly<Record<string, string>> };
  /** What `settle` would do; nothing is sent. */
  readonly plan: SettlementPlan;
  readonly withdraw: { readonly withdrawn: string; readonly signature?: string | undefined };
  /** Drains, then requests the close of every channel we pay, and closes those whose challenge period has ended. */
  readonly close: { readonly closed: number; readonly returned: string };
  /** Signs a fresh offer and tells it to every linked peer. */
  readonly advertise: { readonly addresses: readonly string[]; readonly peers: number };
  /** The budgets of all sites that spent something lately, are stopped or have a limit of their own. */
  readonly budgets: { readonly sites: readonly SiteBudgetStats[] };
  /** Changes that of one site, and says how it is then. */
  readonly budget: SiteBudgetStats;
  readonly stop: { readonly stopping: boolean };
}

export type ControlCall = keyof ControlResults;

/** What calls say besides their name: a body of JSON. */
export interface ControlOrders {
  readonly budget: SiteOrder;
}

export type ControlQuestion = Exclude<ControlCall, keyof ControlOrders>;

/** What a running node does for each call. */
export type ControlHandlers = { readonly [C in ControlQuestion]: () => Promise<ControlResults[C]> } & {
  readonly [C in keyof ControlOrders]: (order: ControlOrders[C]) => Promise<ControlResults[C]>;
};

export const orderSchemas: { readonly [C in keyof ControlOrders]: z.ZodType<ControlOrders[C]> } = {
  budget: siteOrderSchema,
};

export const resultSchemas: { readonly [C in ControlCall]: z.ZodType<ControlResults[C]> } = {
  stats: statsSchema,
  audit: statsSchema,
  flush: z.object({ flushed: z.boolean() }),
  drain: z.object({ drained: z.boolean() }),
  settle: settlementSchema,
  settlements: settledSchema,
  debts: z.object({ debts: z.record(z.string(), decimal) }),
  plan: planSchema,
  withdraw: z.object({ withdrawn: decimal, signature: z.string().optional() }),
  close: z.object({ closed: z.number().int(), returned: decimal }),
  advertise: z.object({ addresses: z.array(z.string()), peers: z.number().int() }),
  budgets: z.object({ sites: z.array(siteBudgetSchema) }),
  budget: siteBudgetSchema,
  stop: z.object({ stopping: z.boolean() }),
};

export const errorSchema: z.ZodType<{ readonly error: { readonly code: string; readonly message: string } }> = z.object(
  {
    error: z.object({ code: z.string(), message: z.string() }),
  },
);
