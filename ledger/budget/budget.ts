/** See `contract.ts`. */
import { uptime as secondsSinceBoot } from 'node:os';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import { ledgerAddress, type LedgerAddress } from '../../core/ids.ts';
import { MAX_BUDGET_ENTRIES } from '../../core/limits.ts';
import { U64_MAX, amount, formatCredits, unixMillis, type Amount } from '../../core/units.ts';
import type {
  Budget,
  BudgetOptions,
  BudgetView,
  Reservation,
  SiteReservation,
  SiteSpending,
  SpendLimits,
  SpendRow,
} from './contract.ts';
import { readBudget, writeBudget } from './budget-file.ts';
import type { FiledBudget, FiledEntry, Kind } from './budget-file.ts';

const SLOT_MILLIS = 5 * 60_000;
/** Twelve slots are an hour; with the one that has begun, what is forgotten is at least an hour old. */
const SLOTS = 13;
/** A site's spending is recorded ahead of need, this part of its limit at a time: not once for every block. */
const SITE_STEPS = 16n;
/** Rows of a view. */
const MAX_ROWS = 20;

const OPTIONS: Readonly<Record<keyof SpendLimits, string>> = {
  perPeer: '--spend-limit-peer',
  perSite: '--spend-limit-site',
  total: '--spend-limit',
};

interface Entry {
  readonly kind: Kind;
  readonly slot: number;
  readonly who: string;
  spent: bigint;
  /** What the file says: never less than was spent. */
  filed: bigint;
}

/** What a person said of one site. */
interface SiteRule {
  readonly limit?: Amount | undefined;
  readonly isStopped: boolean;
}

/** Reads what was spent before. A damaged file is logged, and nothing is spent until an hour has passed. @throws RelaymintError STORAGE_FAILED. */
export async function openBudget(options: BudgetOptions): Promise<Budget> {
  const uptime = options.uptime ?? ((): number => secondsSinceBoot() * 1000);
  try {
    return new HourBudget(options, uptime, await readBudget(options.file));
  } catch (error) {
    if (!isRelaymintError(error, 'INVALID_ENCODING')) throw error;
    options.log.error(
      { file: options.file },
      'what was spent in the last hour cannot be read, so nothing is spent for an hour; delete the file to start again at once. Sites that were stopped, and limits of single sites, are forgotten: say them again ("relaymint budget")',
    );
    const all: FiledEntry = { kind: 'peer', slot: 0, who: UNKNOWN, amount: amount(U64_MAX) };
    const budget = new HourBudget(options, uptime, undefined, [all]);
    await budget.save();
    return budget;
  }
}

/** The payee of spending whose payee is no longer known. */
const UNKNOWN = '';

class HourBudget implements Budget {
  readonly #options: BudgetOptions;
  readonly #uptime: () => number;
  readonly #entries = new Map<string, Entry>();
  /** The budget's own time, milliseconds: it follows the machine's uptime, whatever happens to the clock. */
  #time: number;
  #uptimeThen: number;
  #earnedThen: bigint;
  readonly #rules = new Map<string, SiteRule>();
  readonly #stopListeners = new Set<(site: string, error: RelaymintError) => void>();
  /** Limits that were logged as reached, each with its wallet or site. */
  readonly #said = new Set<string>();
  #writing: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  constructor(
    options: BudgetOptions,
    uptime: () => number,
    filed: FiledBudget | undefined,
    entries: readonly FiledEntry[] = [],
  ) {
    this.#options = options;
    this.#uptime = uptime;
    this.#uptimeThen = uptime();
    this.#earnedThen = options.earned?.() ?? 0n;
    this.#time = filed === undefined ? 0 : filed.time + this.#away(filed);
    for (const { kind, slot, who, amount: value } of filed?.entries ?? entries) {
      if (kind === 'limit') this.#rule(who, { limit: value });
      else if (kind === 'stopped') this.#rule(who, { isStopped: true });
      else this.#entries.set(keyOf(kind, slot, who), { kind, slot, who, spent: value, filed: value });
    }
  }

  async reserve(peer: LedgerAddress, value: Amount): Promise<Reservation> {
    this.#look();
    const { perPeer, total } = this.#options.limits;
    const earned = this.#sum('earned');
    this.#check('perPeer', { who: peer, value, spent: this.#sum('peer', peer), allowed: perPeer + earned });
    this.#check('total', { who: UNKNOWN, value, spent: this.#sum('peer'), allowed: total + earned });
    const entry = this.#entry('peer', peer);
    entry.spent += value;
    entry.filed += value;
    const release = (): void => {
      entry.spent -= value;
      entry.filed -= value;
    };
    try {
      await this.save();
    } catch (error) {
      release();
      throw error;
    }
    let released = false;
    return {
      release: () => {
        if (released) return;
        released = true;
        release();
        this.#saveLater();
      },
    };
  }

  async reserveSite(site: string, value: Amount): Promise<SiteReservation> {
    this.#look();
    this.requireStarted(site);
    const perSite = this.#limitOf(site);
    this.#check('perSite', { who: site, value, spent: this.#sum('site', site), allowed: perSite });
    const entry = this.#entry('site', site);
    entry.spent += value;
    if (entry.spent > entry.filed) {
      entry.filed = entry.spent + perSite / SITE_STEPS;
      try {
        await this.save();
        // It may have been stopped meanwhile.
        this.requireStarted(site);
      } catch (error) {
        entry.spent -= value;
        // What could not be written is not on disk: the next one has to write it.
        if (!isRelaymintError(error, 'BUDGET_STOPPED')) entry.filed = entry.spent;
        throw error;
      }
    }
    let settled = false;
    return {
      settle: (actual) => {
        if (settled) return;
        settled = true;
        entry.spent += actual - value;
        if (entry.spent <= entry.filed) return;
        entry.filed = entry.spent;
        this.#saveLater();
      },
    };
  }

  view(): BudgetView {
    this.#look();
    return {
      limits: this.#options.limits,
      spent: clamped(this.#sum('peer')),
      earned: clamped(this.#sum('earned')),
      peers: this.#rows('peer')
        .slice(0, MAX_ROWS)
        .map(({ who, spent }) => ({ who: ledgerAddress(who), spent })),
      sites: this.#siteRows().slice(0, MAX_ROWS),
    };
  }

  site(name: string): SiteSpending {
    this.#look();
    return this.#siteRow(name, clamped(this.#sum('site', name)));
  }

  sites(): readonly SiteSpending[] {
    this.#look();
    return this.#siteRows();
  }

  isStopped(site: string): boolean {
    return this.#rules.get(site)?.isStopped ?? false;
  }

  requireStarted(site: string): void {
    if (this.isStopped(site)) throw stopped(site);
  }

  async stopSite(site: string): Promise<void> {
    this.#rule(site, { isStopped: true });
    const error = stopped(site);
    for (const listener of this.#stopListeners) listener(site, error);
    await this.save();
  }

  async startSite(site: string): Promise<void> {
    await this.#change(site, { isStopped: false });
  }

  async limitSite(site: string, limit: Amount | undefined): Promise<void> {
    await this.#change(site, { limit });
  }

  onStop(listener: (site: string, error: RelaymintError) => void): Disposable {
    this.#stopListeners.add(listener);
    return { [Symbol.dispose]: () => void this.#stopListeners.delete(listener) };
  }

  /** Resolves once all that was reserved before the call is on disk. Calls that come meanwhile share the next write. */
  save(): Promise<void> {
    this.#next ??= this.#writing
      .catch(() => {})
      .then(() => {
        this.#writing = this.#write();
        this.#next = undefined;
        return this.#writing;
      });
    return this.#next;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const entry of this.#entries.values()) if (entry.kind === 'site') entry.filed = entry.spent;
    await this.save().catch((error: unknown) => this.#notSaved(error));
  }

  async #write(): Promise<void> {
    const { file, clock } = this.#options;
    const entries = [...this.#entries.values()].map(({ kind, slot, who, filed }): FiledEntry => ({
      kind,
      slot,
      who,
      amount: clamped(filed),
    }));
    for (const [who, { limit, isStopped }] of this.#rules) {
      if (limit !== undefined) entries.push({ kind: 'limit', slot: 0, who, amount: limit });
      if (isStopped) entries.push({ kind: 'stopped', slot: 0, who, amount: amount(0n) });
    }
    await writeBudget(file, { time: this.#time, wall: clock.now(), uptime: this.#uptimeThen, entries });
  }

  /** What is said holds once it is on disk, and not at all if it cannot be written. */
  async #change(site: string, said: Partial<SiteRule>): Promise<void> {
    const before = this.#rules.get(site);
    this.#rule(site, said);
    try {
      await this.save();
    } catch (error) {
      // Of the rest something else may have been said meanwhile.
      this.#rule(site, {
        ...('limit' in said && { limit: before?.limit }),
        ...('isStopped' in said && { isStopped: before?.isStopped ?? false }),
      });
      throw error;
    }
  }

  /** @throws RelaymintError LIMIT_EXCEEDED. */
  #rule(site: string, said: Partial<SiteRule>): void {
    const rule: SiteRule = { isStopped: false, ...this.#rules.get(site), ...said };
    if (rule.limit === undefined && !rule.isStopped) {
      this.#rules.delete(site);
      return;
    }
    if (!this.#rules.has(site) && this.#rules.size >= MAX_BUDGET_ENTRIES) {
      throw new RelaymintError('LIMIT_EXCEEDED', `${MAX_BUDGET_ENTRIES} sites are stopped or have their own limits.`, {
        remedy: 'Start one of them, or give one the limit of all others again.',
      });
    }
    this.#rules.set(site, rule);
  }

  #limitOf(site: string): Amount {
    return this.#rules.get(site)?.limit ?? this.#options.limits.perSite;
  }

  #siteRows(): SiteSpending[] {
    const rows = this.#rows('site').map(({ who, spent }) => this.#siteRow(who, spent));
    const seen = new Set(rows.map(({ who }) => who));
    const others = Array.from(this.#rules.keys()).filter((who) => !seen.has(who));
    return [...rows, ...others.map((who) => this.#siteRow(who, amount(0n)))];
  }

  #siteRow(who: string, spent: Amount): SiteSpending {
    const rule = this.#rules.get(who);
    const oldest = this.#oldestSlot(who);
    const freesIn = oldest === undefined ? undefined : (oldest + SLOTS) * SLOT_MILLIS - this.#time;
    return {
      who,
      spent,
      limit: this.#limitOf(who),
      hasOwnLimit: rule?.limit !== undefined,
      isStopped: this.isStopped(who),
      freesAt: freesIn === undefined ? undefined : unixMillis(Math.ceil(this.#options.clock.now() + freesIn)),
    };
  }

  #oldestSlot(site: string): number | undefined {
    let oldest: number | undefined;
    for (const { kind, who, slot, spent } of this.#entries.values()) {
      if (kind === 'site' && who === site && spent > 0n && (oldest === undefined || slot < oldest)) oldest = slot;
    }
    return oldest;
  }

  #saveLater(): void {
    this.save().catch((error: unknown) => this.#notSaved(error));
  }

  #notSaved(error: unknown): void {
    this.#options.log.warn({ err: error }, 'what was spent could not be recorded');
  }

  /** How much time has passed for certain since the file was written, by the clock and by the machine's uptime. */
  #away({ wall, uptime }: FiledBudget): number {
    const byClock = this.#options.clock.now() - wall;
    const byUptime = this.#uptimeThen >= uptime ? this.#uptimeThen - uptime : this.#uptimeThen;
    return Math.max(0, Math.min(byClock, byUptime));
  }

  /** Lets time pass, forgets what is older than an hour, counts what was earned. */
  #look(): void {
    const uptime = this.#uptime();
    this.#time += Math.max(0, uptime - this.#uptimeThen);
    this.#uptimeThen = uptime;
    const oldest = this.#slot - SLOTS + 1;
    for (const [key, { slot }] of this.#entries) if (slot < oldest) this.#entries.delete(key);
    const earned = this.#options.earned?.() ?? 0n;
    if (earned > this.#earnedThen) {
      const entry = this.#entry('earned', UNKNOWN);
      entry.spent += earned - this.#earnedThen;
      entry.filed = entry.spent;
    }
    this.#earnedThen = earned;
  }

  get #slot(): number {
    return Math.floor(this.#time / SLOT_MILLIS);
  }

  #entry(kind: Kind, who: string): Entry {
    const key = keyOf(kind, this.#slot, who);
    let entry = this.#entries.get(key);
    if (entry !== undefined) return entry;
    this.#makeRoom(kind);
    entry = { kind, slot: this.#slot, who, spent: 0n, filed: 0n };
    this.#entries.set(key, entry);
    return entry;
  }

  /** A site may be forgotten, the cheapest first. A wallet may not: that would be a way to spend more on it. @throws BUDGET_EXHAUSTED. */
  #makeRoom(kind: Kind): void {
    const same = [...this.#entries.values()].filter((entry) => entry.kind === kind);
    if (same.length < MAX_BUDGET_ENTRIES) return;
    if (kind !== 'site') {
      throw new RelaymintError('BUDGET_EXHAUSTED', `This node paid ${same.length} wallets within an hour.`, {
        remedy: 'Wait an hour: a node does not need that many neighbours.',
      });
    }
    const least = same.reduce((a, b) => (b.spent < a.spent ? b : a));
    this.#entries.delete(keyOf(least.kind, least.slot, least.who));
  }

  #sum(kind: Kind, who?: string): bigint {
    let sum = 0n;
    for (const entry of this.#entries.values()) {
      if (entry.kind === kind && (who === undefined || entry.who === who)) sum += entry.spent;
    }
    return sum;
  }

  #check(
    limit: keyof SpendLimits,
    { who, value, spent, allowed }: { who: string; value: bigint; spent: bigint; allowed: bigint },
  ): void {
    const key = `${limit} ${who}`;
    if (spent + value <= allowed) {
      this.#said.delete(key);
      return;
    }
    const error = exhausted(limit, { who, value, spent, allowed });
    if (!this.#said.has(key)) {
      if (this.#said.size >= MAX_BUDGET_ENTRIES) this.#said.clear();
      this.#said.add(key);
      this.#options.log.warn({ ...error.details }, error.message);
    }
    throw error;
  }

  #rows(kind: Kind): SpendRow[] {
    const sums = new Map<string, bigint>();
    for (const entry of this.#entries.values()) {
      if (entry.kind === kind && entry.who !== UNKNOWN) {
        sums.set(entry.who, (sums.get(entry.who) ?? 0n) + entry.spent);
      }
    }
    return [...sums]
      .filter(([, spent]) => spent > 0n)
      .sort(([, a], [, b]) => (a > b ? -1 : a < b ? 1 : 0))
      .map(([who, spent]) => ({ who, spent: clamped(spent) }));
  }
}

function keyOf(kind: Kind, slot: number, who: string): string {
  return `${kind} ${slot} ${who}`;
}

function clamped(value: bigint): Amount {
  return amount(value < 0n ? 0n : value > U64_MAX ? U64_MAX : value);
}

function stopped(site: string): RelaymintError {
  return new RelaymintError(
    'BUDGET_STOPPED',
    `${site} was stopped by who pays for it: nothing of it is fetched or shown.`,
    {
      remedy: `Start it again on the gateway's own page, or by "relaymint budget start ${site}".`,
      details: { limit: 'perSite', who: site },
    },
  );
}

function exhausted(
  limit: keyof SpendLimits,
  { who, value, spent, allowed }: { who: string; value: bigint; spent: bigint; allowed: bigint },
): RelaymintError {
  const text = (units: bigint): string => formatCredits(clamped(units));
  const whom = limit === 'total' ? 'this node' : limit === 'perSite' ? `the site ${who}` : `the wallet ${who}`;
  return new RelaymintError(
    'BUDGET_EXHAUSTED',
    `The spending limit of ${whom} is reached: ${text(spent)} credits in the last hour, ${text(value)} more are needed and ${text(allowed)} are allowed.`,
    {
      remedy:
        limit === 'perSite'
          ? `Wait, allow it more by "relaymint budget limit ${who} CREDITS", or all sites with ${OPTIONS.perSite}.`
          : `Wait, or allow more with ${OPTIONS[limit]}.`,
      details: {
        limit,
        ...(who === UNKNOWN ? {} : { who }),
        spent: spent.toString(),
        wanted: value.toString(),
        allowed: allowed.toString(),
      },
    },
  );
}
