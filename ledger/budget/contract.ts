/**
 * What this node may spend. Every deposit, opening payment and top-up is taken from a budget before it is sent, counted both for
 * the wallet it pays and in total; a gateway's bytes are counted for their site. Money that is bound in a deposit
 * counts as spent: it comes back only when the channel closes.
 *
 * Each limit holds in any hour, counted in slots of five minutes, so that what was spent is forgotten after 60 to 65
 * minutes. What was earned in the same time (receipts that others signed) is added to the limits per wallet and in total: a
 * relay passes on what it is paid.
 */
import type { LedgerAddress } from '../../core/ids.ts';
import type { Clock, Log } from '../../core/ports.ts';
import type { Amount } from '../../core/units.ts';

/** In an hour, base units. */
export interface SpendLimits {
  readonly perPeer: Amount;
  readonly perSite: Amount;
  readonly total: Amount;
}

/** Money that was taken from the budget. */
export interface Reservation {
  /** Puts the money back, when it was certainly not spent. */
  release(): void;
}

export interface SiteReservation {
  /** Records what it cost, which may be more or less than was reserved. */
  settle(actual: bigint): void;
}

export interface SpendRow<Who extends string = string> {
  readonly who: Who;
  readonly spent: Amount;
}

/** The last hour. */
export interface BudgetView {
  readonly limits: SpendLimits;
  readonly spent: Amount;
  /** Added to the limits by wallet and in all. */
  readonly earned: Amount;
  /** Those on whom most was spent, at most 20. */
  readonly peers: readonly SpendRow<LedgerAddress>[];
  readonly sites: readonly SpendRow[];
}

export interface Budget extends AsyncDisposable {
  /**
   * Takes out money for a payee's wallet and resolves once that is on disk, so that a node that is made to restart again and again
   * forgets nothing.
   * @throws RelaymintError BUDGET_EXHAUSTED, with the option that allows more; STORAGE_FAILED.
   */
  reserve(peer: LedgerAddress, value: Amount): Promise<Reservation>;
  /** The same for a site's bytes. @throws RelaymintError BUDGET_EXHAUSTED, STORAGE_FAILED. */
  reserveSite(site: string, value: Amount): Promise<SiteReservation>;
  view(): BudgetView;
}

export interface BudgetOptions {
  /** Where it is kept; its folder must exist. */
  readonly file: string;
  readonly limits: SpendLimits;
  /** All that others ever signed receipts for, base units; only its growth counts. Absent: nothing is earned. */
  readonly earned?: () => bigint;
  readonly clock: Clock;
  /** Milliseconds since this machine started, which no change of its clock moves. Default: the system's. */
  readonly uptime?: () => number;
  readonly log: Log;
}
