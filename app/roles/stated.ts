/** What sellers signed for visitors beside what they declared on chain: who declares too little. */
import type { LedgerAddress } from '../../core/ids.ts';
import type { UnixSeconds } from '../../core/units.ts';
import type { NameEarning } from '../../ledger/contract.ts';
import { grossOf, type SignedStatement } from '../../sites/statement/index.ts';

/** What one seller stated, and what it declared. Sums of base units and bytes are decimal strings. */
export interface Stated {
  readonly seller: string;
  /** The nodes whose statements they are. */
  readonly hosts: readonly string[];
  readonly statements: number;
  readonly bytes: string;
  /** What these bytes cost at least, at the prices that the seller stated. Its cells come on top of it. */
  readonly stated: string;
  /** What of that it may not have settled yet. */
  readonly recent: string;
  /** What it said on chain that the name's content earned. */
  readonly declared: string;
  /**
   * `little`: it declared less than it stated and had the time to settle; `unknown`: the ledger's node does not tell all that was settled;
   * otherwise `enough`.
   */
  readonly verdict: 'enough' | 'little' | 'unknown';
  /** By the page that showed it: null is its own page. A seller may count pages that it has no room for as the name's own. */
  readonly pages: readonly {
    readonly referrer: string | null;
    readonly stated: string;
    readonly declared: string;
  }[];
}

export interface Compared {
  readonly name: string;
  readonly statements: readonly SignedStatement[];
  /** Of the name's own content. */
  readonly earnings: readonly NameEarning[];
  /** Nothing that was settled is missing among `earnings`. */
  readonly isComplete: boolean;
  /** They are of the time since then. */
  readonly since?: UnixSeconds | undefined;
  readonly now: UnixSeconds;
  /** A seller does not settle what is worth less than the fee: so much nobody is named for, base units. */
  readonly settlingCosts: bigint;
}

const HOUR_SECONDS = 3_600n;
/** How long a seller has to settle what it stated, seconds: receipts are settled when they are worth a fee, and at the latest when they are old. */
export const SETTLES_SECONDS: bigint = 7n * 86_400n;
/**
 * A seller is named when it declared less than this part of what it stated. What it delivered and was never paid for, it may leave out: a
 * neighbour that goes without paying costs it a window.
 */
const PART_LEFT_OUT = 8n;

/** Those that lack most first. */
export function compareStatements({
  name,
  statements,
  earnings,
  isComplete,
  since,
  now,
  settlingCosts,
}: Compared): readonly Stated[] {
  // What began earlier may have been declared before.
  const ours = statements.filter(
    (one) => one.name === name && (since === undefined || BigInt(one.from) * HOUR_SECONDS >= since),
  );
  const sellers = new Set<LedgerAddress>(ours.map(({ wallet }) => wallet));
  const isRecent = ({ until }: SignedStatement): boolean => (BigInt(until) + 1n) * HOUR_SECONDS + SETTLES_SECONDS > now;
  const compared = Array.from(sellers, (seller): Stated => {
    const own = ours.filter(({ wallet }) => wallet === seller);
    const settled = earnings.filter((one) => one.seller === seller);
    const [stated, recent, declared] = [grossIn(own), grossIn(own.filter(isRecent)), declaredIn(settled)];
    const due = stated - recent;
    const isLittle = declared < due - due / PART_LEFT_OUT && due - declared > settlingCosts;
    const pages = new Set([...own, ...settled].map(({ referrer }) => referrer ?? null));
    return {
      seller,
      hosts: Array.from(new Set(own.map(({ host }) => host))),
      statements: own.length,
      bytes: String(own.reduce((sum, one) => sum + BigInt(one.bytes), 0n)),
      stated: String(stated),
      recent: String(recent),
      declared: String(declared),
      verdict: isLittle ? (isComplete ? 'little' : 'unknown') : 'enough',
      pages: Array.from(pages, (referrer) => {
        const isOf = (one: { readonly referrer?: string | undefined }): boolean => (one.referrer ?? null) === referrer;
        return {
          referrer,
          stated: String(grossIn(own.filter(isOf))),
          declared: String(declaredIn(settled.filter(isOf))),
        };
      }),
    };
  });
  const lack = (one: Stated): bigint => BigInt(one.stated) - BigInt(one.recent) - BigInt(one.declared);
  return compared.toSorted((one, other) => Number(lack(other) - lack(one)));
}

function grossIn(statements: readonly SignedStatement[]): bigint {
  return statements.reduce((sum, one) => sum + grossOf(one), 0n);
}

function declaredIn(earnings: readonly NameEarning[]): bigint {
  return earnings.reduce((sum, { gross }) => sum + gross, 0n);
}
