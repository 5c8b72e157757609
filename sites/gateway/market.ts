/** What the marketplace page shows. Amounts, prices and byte counts are decimal strings: base units, base units per MiB, bytes. */
import { z } from 'zod';

/** relay, host, gateway, publisher, or whatever else a node says that it is run for. */
export type MarketRole = string;

export interface MarketNode {
  readonly id: string;
  /** Its label in the terminal; absent for a node that is only known from its offer. */
  readonly label?: string | undefined;
  readonly role: MarketRole;
  /** Multiaddr texts. */
  readonly addresses: readonly string[];
  /** Base units per MiB; absent for a node that sells nothing. */
  readonly price?: string | undefined;
  readonly online: boolean;
}

/** Bytes as one end counted them: up = payer to payee. */
export interface MarketCounts {
  readonly up: string;
  readonly down: string;
}

export interface MarketPair {
  readonly payer: string;
  readonly payerLabel?: string | undefined;
  readonly payee: string;
  readonly payeeLabel?: string | undefined;
  readonly transport: string;
  /** null when that end's book is not known here. */
  readonly payerCounts: MarketCounts | null;
  readonly payeeCounts: MarketCounts | null;
  /** Worth of what was carried. */
  readonly owed: string;
  /** Covered by receipts. */
  readonly paid: string;
  /** Settled on chain. */
  readonly settled: string;
}

export interface MarketBalance {
  readonly owner: string;
  readonly label?: string | undefined;
  readonly role: MarketRole;
  readonly credits: string;
  /** Earned and not yet withdrawn. */
  readonly earned?: string | undefined;
  readonly before?: string | undefined;
}

export interface MarketName {
  readonly name: string;
  /** CID as text. */
  readonly root: string;
  readonly owner: string;
  readonly royaltyBps: number;
  readonly accrued: string;
  readonly lifetime: string;
}

export interface MarketSupply {
  readonly bought: string;
  readonly redeemed: string;
  readonly burned: string;
  readonly minted: string;
  readonly circulating: string;
  readonly openDeposits: string;
  readonly unminted: string;
  /** Opening payments that no payee returned. */
  readonly forgone: string;
}

export interface MarketSettlement {
  readonly transactions: number;
  readonly receipts: number;
  readonly computeUnits: number;
  readonly feeLamports: number;
}

/** Receipts of one node that are not on chain yet. */
export interface MarketWaiting {
  readonly node: string;
  readonly label?: string | undefined;
  readonly value: string;
  /** Value from which the node settles automatically: the fee is then at most `feeShareBps` of it. null: not known yet. */
  readonly from: string | null;
  readonly feeShareBps: number;
}

/** What a settlement that a person asked for put on chain. */
export interface MarketSettled {
  readonly transactions: number;
  readonly receipts: number;
  /** Nodes that could not settle. */
  readonly failed: number;
}

/** How old what the ledger says is: names, balances and supply. */
export interface MarketLedger {
  /** When it last answered, Unix milliseconds; null: not yet. */
  readonly at: number | null;
  /** It answered recently. */
  readonly answers: boolean;
}

export interface MarketView {
  readonly nodes: readonly MarketNode[];
  readonly pairs: readonly MarketPair[];
  readonly balances: readonly MarketBalance[];
  readonly names: readonly MarketName[];
  /** Number of names left out because they point to no content. */
  readonly namesLeftOut?: number | undefined;
  /** null while the ledger has not answered: names and balances are missing too then. */
  readonly supply: MarketSupply | null;
  readonly ledger: MarketLedger;
  readonly settlement?: MarketSettlement | undefined;
  /** Receipts of the nodes whose figures are known here; a page with the token can make them settle. Absent if there are none. */
  readonly waiting?: readonly MarketWaiting[] | undefined;
  /** Unix milliseconds. */
  readonly updatedAt: number;
}

/** A u64, or a sum of some. */
const decimal = z.string().regex(/^\d{1,39}$/);
const key = z.string().max(64);
const role = z.enum(['relay', 'host', 'gateway', 'publisher']);
const label = z.string().max(96).optional();
const counts = z.object({ up: decimal, down: decimal });
const whole = z.int().min(0);

/** Checks what the composition root hands over before a page sees it. Unknown fields are dropped. */
export const marketViewSchema: z.ZodType<MarketView> = z.object({
  nodes: z
    .array(
      z.object({
        id: key,
        label,
        role,
        addresses: z.array(z.string().max(256)).max(8),
        price: decimal.optional(),
        online: z.boolean(),
      }),
    )
    .max(512),
  pairs: z
    .array(
      z.object({
        payer: key,
        payerLabel: label,
        payee: key,
        payeeLabel: label,
        transport: z.string().max(16),
        payerCounts: counts.nullable(),
        payeeCounts: counts.nullable(),
        owed: decimal,
        paid: decimal,
        settled: decimal,
      }),
    )
    .max(1024),
  balances: z
    .array(
      z.object({ owner: key, label, role, credits: decimal, earned: decimal.optional(), before: decimal.optional() }),
    )
    .max(512),
  names: z
    .array(
      z.object({
        name: z.string().max(63),
        root: z.string().max(128),
        owner: key,
        royaltyBps: whole.max(10_000),
        accrued: decimal,
        lifetime: decimal,
      }),
    )
    .max(512),
  namesLeftOut: whole.optional(),
  supply: z
    .object({
      bought: decimal,
      redeemed: decimal,
      burned: decimal,
      minted: decimal,
      circulating: decimal,
      openDeposits: decimal,
      unminted: decimal,
      forgone: decimal,
    })
    .nullable(),
  ledger: z.object({ at: whole.nullable(), answers: z.boolean() }),
  settlement: z.object({ transactions: whole, receipts: whole, computeUnits: whole, feeLamports: whole }).optional(),
  waiting: z
    .array(z.object({ node: key, label, value: decimal, from: decimal.nullable(), feeShareBps: whole.max(10_000) }))
    .max(512)
    .optional(),
  updatedAt: whole,
});
