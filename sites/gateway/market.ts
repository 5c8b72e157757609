/** What the marketplace page shows. Amounts, prices and byte counts are decimal strings: base units, base units per MiB, bytes. */
import { z } from 'zod';

const decimal = z.string().regex(/^\d{1,39}$/);
const counts = z.object({ up: decimal, down: decimal });

const marketNode = z.object({
  id: z.string().max(64),
  role: z.enum(['relay', 'host', 'gateway', 'publisher']),
  /** Multiaddr texts. */
  addresses: z.array(z.string().max(256)).max(8),
  /** Base units per MiB; absent for a node that sells nothing. */
  price: decimal.optional(),
  online: z.boolean(),
});

const marketPair = z.object({
  payer: z.string().max(64),
  payee: z.string().max(64),
  transport: z.string().max(16),
  payerCounts: counts.nullable(),
  /** null when that end's book is not known to this gateway. */
  payeeCounts: counts.nullable(),
  owed: decimal,
  paid: decimal,
  settled: decimal,
});

const marketBalance = z.object({
  owner: z.string().max(64),
  role: z.enum(['relay', 'host', 'gateway', 'visitor', 'site', 'publisher']),
  credits: decimal,
  /** Earned and not yet withdrawn. */
  earned: decimal.optional(),
  before: decimal.optional(),
});

const marketName = z.object({
  name: z.string().max(63),
  root: z.string().max(128),
  owner: z.string().max(64),
  royaltyBps: z.int().min(0).max(10_000),
  accrued: decimal,
  lifetime: decimal,
});

export const marketViewSchema = z.object({
  nodes: z.array(marketNode).max(512),
  pairs: z.array(marketPair).max(1024),
  balances: z.array(marketBalance).max(512),
  names: z.array(marketName).max(512),
  supply: z.object({
    bought: decimal,
    redeemed: decimal,
    burned: decimal,
    minted: decimal,
    circulating: decimal,
    openDeposits: decimal,
    unminted: decimal,
  }),
  settlement: z
    .object({
      transactions: z.int().min(0),
      receipts: z.int().min(0),
      computeUnits: z.int().min(0),
      feeLamports: z.int().min(0),
    })
    .optional(),
  /** Unix milliseconds. */
  updatedAt: z.int().min(0),
});

export type MarketView = z.infer<typeof marketViewSchema>;
export type MarketNode = MarketView['nodes'][number];
export type MarketPair = MarketView['pairs'][number];
export type MarketBalance = MarketView['balances'][number];
export type MarketName = MarketView['names'][number];
