/** Which receipts and shares go into which transaction. Pure: figures in, batches out. */
import { MAX_RECEIPTS_PER_TRANSACTION, MAX_SHARES_PER_TRANSACTION } from '../../core/limits.ts';
import { amount } from '../../core/units.ts';
import type { Amount } from '../../core/units.ts';
import type { ChannelState, ContentShare } from '../contract.ts';
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

/** How many of the receipts, from the first on, share a transaction with that many names: the wallet knows. */
export type Fit = (receipts: readonly Receipt[], names: number) => number;

/** What a candidate would move. */
export function increaseOf({ channel, receipt }: Candidate): bigint {
  return receipt.amount - channel.settled;
}

/**
 * Fills transactions: what closes first, then the greatest values. `earned` is what each name may be paid, base units: all of it is
 * placed if it fits, never more than a batch's increase. Fewer receipts share a transaction when names need the room.
 */
export function planBatches(
  candidates: readonly Candidate[],
  earned: ReadonlyMap<string, bigint>,
  fit: Fit,
): readonly Batch[] {
  const left = candidates.toSorted((a, b) => closes(b) - closes(a) || compare(increaseOf(b), increaseOf(a)));
  const names = new Map(Array.from(earned).filter(([, gross]) => gross > 0n));
  const batches: Batch[] = [];
  while (left.length > 0) {
    const wanted = Math.min(names.size, MAX_SHARES_PER_TRANSACTION);
    const next = left.slice(0, MAX_RECEIPTS_PER_TRANSACTION).map(({ receipt }) => receipt);
    batches.push(batchOf(left.splice(0, Math.max(1, fit(next, wanted))), names));
  }
  return batches;
}

function closes({ channel }: Candidate): number {
  return channel.closeAt === undefined ? 0 : 1;
}

/** The same receipts in two transactions, with as much of the same shares as each can carry. */
export function splitBatch({ candidates, shares }: Batch): readonly Batch[] {
  const names = new Map(shares.map(({ name, gross }): [string, bigint] => [name, gross]));
  const middle = Math.ceil(candidates.length / 2);
  return [candidates.slice(0, middle), candidates.slice(middle)].map((half) => batchOf(half, names));
}

/** Takes what it pays from `names`. */
function batchOf(candidates: readonly Candidate[], names: Map<string, bigint>): Batch {
  const increase = candidates.reduce((sum, candidate) => sum + increaseOf(candidate), 0n);
  return { candidates, shares: takeShares(names, increase), increase: amount(increase) };
}

function takeShares(names: Map<string, bigint>, increase: bigint): readonly ContentShare[] {
  const shares: ContentShare[] = [];
  let room = increase;
  for (const [name, gross] of Array.from(names)
    .toSorted((a, b) => compare(b[1], a[1]))
    .slice(0, MAX_SHARES_PER_TRANSACTION)) {
    const placed = gross < room ? gross : room;
    if (placed === 0n) break;
    room -= placed;
    if (placed === gross) names.delete(name);
    else names.set(name, gross - placed);
    shares.push({ name, gross: amount(placed) });
  }
  return shares;
}

function compare(a: bigint, b: bigint): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
