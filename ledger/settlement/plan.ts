/** Which receipts and shares go into which transaction. Pure: figures in, batches out. */
import { earnersKey } from '../../core/attribution.ts';
import { MAX_RECEIPTS_PER_TRANSACTION, MAX_SHARES_PER_TRANSACTION } from '../../core/limits.ts';
import { amount } from '../../core/units.ts';
import type { Amount } from '../../core/units.ts';
import type { ChannelState, ContentShare, ShareNames } from '../contract.ts';
import type { Receipt, SignedReceipt } from '../receipt/index.ts';

/** A receipt that would move credits. */
export interface Candidate {
  readonly channel: ChannelState;
  readonly receipt: SignedReceipt;
}

export interface Batch {
  readonly candidates: readonly Candidate[];
  readonly shares: readonly ContentShare[];
  /** What it moves from the deposits. */
  readonly increase: Amount;
}

/** How many of the receipts, from the first on, fit a transaction with those shares: the wallet knows. */
export type Fit = (receipts: readonly Receipt[], shares: readonly ShareNames[]) => number;

/** What a candidate would move. */
export function increaseOf({ channel, receipt }: Candidate): bigint {
  return receipt.amount - channel.settled;
}

/**
 * Fills transactions: what closes first, then the greatest values. `earned` is what names may be paid, once with each
 * referrer: all of it is placed if it fits, never more than a batch's increase. Fewer receipts share a transaction when names need the
 * room.
 */
export function planBatches(
  candidates: readonly Candidate[],
  earned: readonly ContentShare[],
  fit: Fit,
): readonly Batch[] {
  const left = candidates.toSorted((a, b) => closes(b) - closes(a) || compare(increaseOf(b), increaseOf(a)));
  const due = byEarners(earned.filter(({ gross }) => gross > 0n));
  const batches: Batch[] = [];
  while (left.length > 0) {
    const next = left.slice(0, MAX_RECEIPTS_PER_TRANSACTION).map(({ receipt }) => receipt);
    const wanted = greatestShares(Array.from(due.values()));
    batches.push(batchOf(left.splice(0, Math.max(1, fit(next, wanted))), due));
  }
  return batches;
}

/**
 * The same batch in parts that fit, when it does not any more: the ledger refused a transaction as long as it would be.
 * undefined when it fits.
 */
export function refitBatch({ candidates, shares }: Batch, fit: Fit): readonly Batch[] | undefined {
  const receipts = candidates.map(({ receipt }) => receipt);
  if (receipts.length <= 1 || fit(receipts, shares) >= receipts.length) return undefined;
  return planBatches(candidates, shares, fit);
}

function closes({ channel }: Candidate): number {
  return channel.closeAt === undefined ? 0 : 1;
}

/** The same receipts in two transactions, with as much of the same shares as each can carry. */
export function splitBatch({ candidates, shares }: Batch): readonly Batch[] {
  const due = byEarners(shares);
  const middle = Math.ceil(candidates.length / 2);
  return [candidates.slice(0, middle), candidates.slice(middle)].map((half) => batchOf(half, due));
}

/** As many of them as one transaction pays at most, the greatest first. */
export function greatestShares(shares: readonly ContentShare[]): readonly ContentShare[] {
  return shares.toSorted((a, b) => compare(b.gross, a.gross)).slice(0, MAX_SHARES_PER_TRANSACTION);
}

/** Takes what it pays from `due`. */
function batchOf(candidates: readonly Candidate[], due: Map<string, ContentShare>): Batch {
  const increase = candidates.reduce((sum, candidate) => sum + increaseOf(candidate), 0n);
  return { candidates, shares: takeShares(due, increase), increase: amount(increase) };
}

function byEarners(shares: readonly ContentShare[]): Map<string, ContentShare> {
  return new Map(shares.map((share) => [earnersKey(share), share]));
}

function takeShares(due: Map<string, ContentShare>, increase: bigint): readonly ContentShare[] {
  const shares: ContentShare[] = [];
  let room = increase;
  for (const share of greatestShares(Array.from(due.values()))) {
    const { gross } = share;
    const placed = gross < room ? gross : room;
    if (placed === 0n) break;
    room -= placed;
    if (placed === gross) due.delete(earnersKey(share));
    else due.set(earnersKey(share), { ...share, gross: amount(gross - placed) });
    shares.push({ ...share, gross: amount(placed) });
  }
  return shares;
}

function compare(a: bigint, b: bigint): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
