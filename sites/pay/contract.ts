/** What a gateway sells to its visitors: bytes of a site, in quotas. */
import type { LedgerAddress } from '../../core/ids.ts';
import type { Amount, Bytes } from '../../core/units.ts';

/** What a quota costs in one kind of token. */
export interface QuotaPrice {
  readonly mint: LedgerAddress;
  /** Base units for a whole quota, more than 0. */
  readonly amount: Amount;
  /** For people: "0.64 credits". */
  readonly text: string;
}

export interface SaleTerms {
  /** CAIP-2. */
  readonly network: string;
  /** Pays the network's fees. */
  readonly feePayer: LedgerAddress;
  /** Whose token accounts get it. */
  readonly payTo: LedgerAddress;
  readonly quotaBytes: Bytes;
  /** One at least. */
  readonly prices: readonly QuotaPrice[];
}

/** Bytes of one site that somebody bought. */
export interface Quota {
  /** Not sent yet. */
  readonly left: number;
  /** Takes as many of `bytes` as are left. @returns how many may be sent */
  take(bytes: number): number;
}

/** A payment that counts. */
export interface Paid {
  readonly quota: Quota;
  /** Whoever shows it fetches from the quota, at that site of that gateway. */
  readonly token: string;
  /** PAYMENT-RESPONSE, encoded. */
  readonly response: string;
}

/** A sale as a gateway's front sees it. */
export interface QuotaSale {
  readonly terms: SaleTerms;
  /** Sites whose owners pay for their visitors. */
  isFree(site: string): boolean;
  /** What to pay for the site, anew for each answer. Asks nobody. */
  required(site: string, url: string, error?: string): Required402;
  /** What the token still has, at this site; undefined if it has nothing. */
  quotaOf(site: string, token: string): Quota | undefined;
  /**
   * Takes the payment in a PAYMENT-SIGNATURE header. The same one again, or another one for the same offer, gives the same quota and is
   * not charged.
   * @throws RelaymintError PAYMENT_INVALID; LIMIT_EXCEEDED, LEDGER_UNREACHABLE, INSUFFICIENT_FUNDS, STORAGE_FULL, STORAGE_FAILED;
   * TIMEOUT when it is on its way still: shown again later, it counts
   */
  pay(site: string, header: string): Promise<Paid>;
}

/** What a 402 answer says. */
export interface Required402 {
  /** PAYMENT-REQUIRED, encoded. */
  readonly header: string;
  /** The same as an object, for the body. */
  readonly body: object;
}
