/** What a name earned: from whom, in whose pages, and whether the chain's own total agrees. */
import type { LedgerReader, NameEarning } from '../../ledger/contract.ts';
import type { UnixSeconds } from '../../core/units.ts';
import { nameUnknown } from './own-name.ts';

/** Sums of base units, decimal strings. */
export interface RevenueRow {
  /** What the content earned for who served it, by their own word. */
  readonly gross: string;
  /** What the name got of that. */
  readonly earned: string;
  readonly settlements: number;
}

export interface SiteRevenue {
  readonly name: string;
  /** Base units, decimal strings, as the record says: not yet paid out, and all that ever accrued. */
  readonly accrued: string;
  readonly lifetime: string;
  readonly royaltyBps: number;
  readonly referrerBps: number;
  /** What was read. `unread`: transactions of which the node does not say what happened. */
  readonly transactions: number;
  readonly unread: number;
  /** UNIX seconds: only what happened since. */
  readonly since?: string;
  /** All that was read together. */
  readonly total: RevenueRow;
  /** All of the history was read, and it comes to `lifetime`. Absent where only a part was to be read. */
  readonly adds?: boolean;
  /** Of its own content, by the page that showed it: null is its own page. */
  readonly shownBy: readonly (RevenueRow & { readonly referrer: string | null; readonly referred: string })[];
  /** Of the content of others that its pages showed. */
  readonly showing: readonly (RevenueRow & { readonly name: string })[];
  /** Of its own content, by who served it. */
  readonly sellers: readonly (RevenueRow & { readonly seller: string })[];
}

export interface RevenueOptions {
  readonly ledger: Pick<LedgerReader, 'name' | 'nameEarnings'>;
  readonly name: string;
  readonly since?: UnixSeconds | undefined;
  readonly signal: AbortSignal;
  readonly onProgress: (read: number, of: number) => void;
}

/** @throws RelaymintError NAME_UNKNOWN, ABORTED, and what the ledger throws. */
export async function siteRevenue({ ledger, name, ...options }: RevenueOptions): Promise<SiteRevenue> {
  const { earnings, transactions, unread } = await ledger.nameEarnings(name, options);
  // Read last: it may count what settled meanwhile, and never less.
  const record = await ledger.name(name);
  if (record === undefined) throw nameUnknown(name);
  const own = earnings.filter((one) => one.name === name);
  const total = rowOf(earnings, (one) => partOf(one, name));
  return {
    name,
    accrued: String(record.accrued),
    lifetime: String(record.lifetime),
    royaltyBps: record.royaltyBps,
    referrerBps: record.referrerBps,
    transactions,
    unread: unread.length,
    ...(options.since !== undefined && { since: String(options.since) }),
    total,
    ...(options.since === undefined && { adds: unread.length === 0 && total.earned === String(record.lifetime) }),
    shownBy: grouped(own, ({ referrer }) => referrer ?? null).map(([referrer, some]) => ({
      referrer,
      referred: String(sum(some, (one) => one.referred)),
      ...rowOf(some, (one) => partOf(one, name)),
    })),
    showing: grouped(
      earnings.filter((one) => one.name !== name),
      (one) => one.name,
    ).map(([shown, some]) => ({ name: shown, ...rowOf(some, (one) => partOf(one, name)) })),
    sellers: grouped(own, ({ seller }) => seller).map(([seller, some]) => ({
      seller,
      ...rowOf(some, (one) => partOf(one, name)),
    })),
  };
}

/** What of a share is this name's: as its owner, or as the one that showed it. */
function partOf({ name: owner, royalty, referred }: NameEarning, name: string): bigint {
  return owner === name ? royalty - referred : referred;
}

function rowOf(earnings: readonly NameEarning[], part: (earning: NameEarning) => bigint): RevenueRow {
  return {
    gross: String(sum(earnings, ({ gross }) => gross)),
    earned: String(sum(earnings, part)),
    settlements: new Set(earnings.map(({ signature }) => signature)).size,
  };
}

function sum(earnings: readonly NameEarning[], of: (earning: NameEarning) => bigint): bigint {
  return earnings.reduce((total, earning) => total + of(earning), 0n);
}

/** Those that earned most first. */
function grouped<Key>(
  earnings: readonly NameEarning[],
  key: (earning: NameEarning) => Key,
): readonly (readonly [Key, readonly NameEarning[]])[] {
  const groups = new Map<Key, NameEarning[]>();
  for (const earning of earnings) {
    const group = groups.get(key(earning));
    if (group === undefined) groups.set(key(earning), [earning]);
    else group.push(earning);
  }
  const worth = (group: readonly NameEarning[]): bigint => sum(group, ({ gross }) => gross);
  return [...groups].toSorted(([, one], [, other]) => Number(worth(other) - worth(one)));
}
