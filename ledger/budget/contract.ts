/**
 * What this node lets itself spend. Every deposit, opening payment and top-up is taken out of a budget before it is sent, by
 * the wallet that it is for and in all; a gateway's bytes by the site that they are for. Money that is bound in a deposit
 * counts as spent: it comes back only when the channel closes.
 *
 * Each limit holds in any hour, counted in slots of five minutes, so that what was spent is forgotten after 60 to 65
 * minutes. What was earned in the same time (receipts that others signed) is added to the limits by wallet and in all: a
 * relay pays on what it is paid.
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

/** Money that was taken out. */
export interface Reservation {
  /** It was certainly not spent: puts it back. */
  release(): void;
}

export interface SiteReservation {
  /** It cost this much, more or less than was reserved. */
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
   * Takes money for a payee's wallet out, resolving once that is on disk: a node that is made to restart again and again
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
