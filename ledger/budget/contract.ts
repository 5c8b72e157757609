/**
 * What this node may spend. Every deposit, opening payment and top-up is taken from a budget before it is sent, counted both for
 * the wallet it pays and in total; a gateway's bytes are counted for their site. Money that is bound in a deposit
 * counts as spent: it comes back only when the channel closes.
 *
 * Each limit holds in any hour, counted in slots of five minutes, so that what was spent is forgotten after 60 to 65
 * minutes. What was earned in the same time (receipts that others signed) is added to the limits per wallet and in total: a
 * relay passes on what it is paid.
 *
 * A site can have a limit of its own, and a person can stop it: both hold over restarts.
 */
import type { RelaymintError } from '../../core/errors.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import type { Clock, Log } from '../../core/ports.ts';
import type { Amount, UnixMillis } from '../../core/units.ts';

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

/** What one site may spend in an hour, and has in the last one. */
export interface SiteSpending extends SpendRow {
  readonly limit: Amount;
  /** The limit was set for this site alone. */
  readonly hasOwnLimit: boolean;
  /** A person stopped it: it spends nothing until it is started again. */
  readonly isStopped: boolean;
  /** When the oldest of what it spent is forgotten, so that it may spend that again. undefined: it spent nothing. */
  readonly freesAt: UnixMillis | undefined;
}

/** What a person wants of one site's budget. */
export type SiteOrder =
  | { readonly do: 'stop' | 'start'; readonly name: string }
  /** Base units in an hour, as text; null: what all sites may. */
  | { readonly do: 'limit'; readonly name: string; readonly limit: string | null };

/** The last hour. */
export interface BudgetView {
  readonly limits: SpendLimits;
  readonly spent: Amount;
  /** Added to the limits by wallet and in all. */
  readonly earned: Amount;
  /** Those on whom most was spent, at most 20. */
  readonly peers: readonly SpendRow<LedgerAddress>[];
  readonly sites: readonly SiteSpending[];
}

export interface Budget extends AsyncDisposable {
  /**
   * Takes out money for a payee's wallet and resolves once that is on disk, so that a node that is made to restart again and again
   * forgets nothing.
   * @throws RelaymintError BUDGET_EXHAUSTED, with the option that allows more; STORAGE_FAILED.
   */
  reserve(peer: LedgerAddress, value: Amount): Promise<Reservation>;
  /** The same for a site's bytes. @throws RelaymintError BUDGET_EXHAUSTED, BUDGET_STOPPED, STORAGE_FAILED. */
  reserveSite(site: string, value: Amount): Promise<SiteReservation>;
  view(): BudgetView;
  /** Of one site, whether it ever spent anything or not. */
  site(name: string): SiteSpending;
  /** Those that spent something in the last hour, have a limit of their own or are stopped; most first. */
  sites(): readonly SiteSpending[];
  isStopped(site: string): boolean;
  /** @throws RelaymintError BUDGET_STOPPED. */
  requireStarted(site: string): void;
  /**
   * From now on it spends nothing, also after a restart. What listens to `onStop` is told before this returns.
   * @throws RelaymintError LIMIT_EXCEEDED; STORAGE_FAILED: it is stopped, until the node is restarted.
   */
  stopSite(site: string): Promise<void>;
  /** @throws RelaymintError STORAGE_FAILED: it stays stopped. */
  startSite(site: string): Promise<void>;
  /** What it may spend in an hour from now on; undefined: what all others may. @throws RelaymintError LIMIT_EXCEEDED, STORAGE_FAILED: nothing changed. */
  limitSite(site: string, limit: Amount | undefined): Promise<void>;
  /** Called with each site that is stopped, and the error that its downloads end with. */
  onStop(listener: (site: string, error: RelaymintError) => void): Disposable;
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
