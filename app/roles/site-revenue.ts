/** What a name earned: from whom, in whose pages, whether the chain's own total agrees, and whether hosts declared what they stated. */
import path from 'node:path';
import { RelaymintError } from '../../core/errors.ts';
import { readWhole } from '../../platform/disk/atomic-file.ts';
import type { LedgerReader, NameEarning } from '../../ledger/contract.ts';
import type { UnixSeconds } from '../../core/units.ts';
import { readInbox, type SignedStatement } from '../../sites/statement/index.ts';
import { INBOX_FILE } from './inbox.ts';
import { nameUnknown } from './own-name.ts';
import { compareStatements, type Compared, type Stated } from './stated.ts';

/** What a settlement may cost a seller, lamports: two signatures, and what it bids for its place in a busy hour. */
const SETTLING_LAMPORTS = 20_000n;

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
  /** What sellers signed for visitors beside what they declared. Absent where no inbox was read. */
  readonly statements?: readonly Stated[];
}

export interface RevenueOptions {
  readonly ledger: Pick<LedgerReader, 'name' | 'nameEarnings' | 'now' | 'bank'>;
  readonly name: string;
  readonly since?: UnixSeconds | undefined;
  /** Those of the owner's inbox. */
  readonly statements?: readonly SignedStatement[] | undefined;
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
  const { statements, since } = options;
  const total = rowOf(earnings, (one) => partOf(one, name));
  const isComplete = unread.length === 0 && (since !== undefined || total.earned === String(record.lifetime));
  const stated = statements === undefined ? undefined : await againstChain(ledger, statements);
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
    ...(options.since === undefined && { adds: isComplete }),
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
    ...(stated !== undefined && {
      statements: compareStatements({ ...stated, name, earnings: own, isComplete, since }),
    }),
  };
}

/** The chain's clock, and what settling costs there. */
async function againstChain(
  ledger: RevenueOptions['ledger'],
  statements: readonly SignedStatement[],
): Promise<Pick<Compared, 'statements' | 'now' | 'settlingCosts'>> {
  const [now, { unitsPerLamport }] = [await ledger.now(), await ledger.bank()];
  return { statements, now, settlingCosts: SETTLING_LAMPORTS * unitsPerLamport };
}

/** Those in the inbox of the node with this data folder, running or not. @throws RelaymintError INVALID_ARGUMENT, STORAGE_FAILED. */
export async function statementsIn(dataDir: string): Promise<readonly SignedStatement[]> {
  const file = path.join(dataDir, INBOX_FILE);
  // Without this, a folder that was mistyped would say that everybody is honest.
  if ((await readWhole(file)) === undefined) {
    throw new RelaymintError('INVALID_ARGUMENT', `There is no inbox in ${dataDir}.`, {
      remedy: 'Name the data folder of a node that runs with --inbox, whose wallet owns or manages the name.',
    });
  }
  return await readInbox(file);
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
