/** Which receipts and shares go into which transaction. Pure: figures in, batches out. */
import { MAX_RECEIPTS_PER_TRANSACTION, MAX_SHARES_PER_TRANSACTION } from '../../core/limits.ts';
import { amount } from '../../core/units.ts';
import type { Amount } from '../../core/units.ts';
import type { ChannelState, ContentShare } from '../contract.ts';
import type { SignedReceipt } from '../receipt/index.ts';

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

/**
 * Bytes of a 1,232-byte transaction left for receipts and shares: signature, header, blockhash, seven accounts and
 * their instructions' headers take about 380.
 */
const ROOM_BYTES = 850;
/** Key, signature, message, offsets and slot of one receipt. */
const RECEIPT_ROOM = 159;
/** Address, index and gross of one name. */
const SHARE_ROOM = 41;

/** What a candidate would move. */
export function increaseOf({ channel, receipt }: Candidate): bigint {
  return receipt.amount - channel.settled;
}

/** Names that fit beside `receipts` receipts. */
export function sharesBeside(receipts: number): number {
  return Math.min(MAX_SHARES_PER_TRANSACTION, Math.floor((ROOM_BYTES - receipts * RECEIPT_ROOM) / SHARE_ROOM));
}

/**
 * Fills transactions, the greatest values first. `earned` is what each name may be paid, base units: all of it is
 * placed if it fits, never more than a batch's increase. Fewer receipts share a transaction when names need the room.
 */
export function planBatches(candidates: readonly Candidate[], earned: ReadonlyMap<string, bigint>): readonly Batch[] {
  const left = candidates.toSorted((a, b) => compare(increaseOf(b), increaseOf(a)));
  const names = new Map(Array.from(earned).filter(([, gross]) => gross > 0n));
  const batches: Batch[] = [];
  while (left.length > 0) {
    const count = receiptsBeside(names.size, left.length);
    const chosen = left.splice(0, count);
    const increase = chosen.reduce((sum, candidate) => sum + increaseOf(candidate), 0n);
    const shares = takeShares(names, increase, sharesBeside(chosen.length));
    batches.push({ candidates: chosen, shares, increase: amount(increase) });
  }
  return batches;
}

/** The same receipts, each in a transaction of its own, with as much of the same shares as each can carry. */
export function splitBatch(batch: Batch): readonly Batch[] {
  const names = new Map(batch.shares.map(({ name, gross }): [string, bigint] => [name, gross]));
  return batch.candidates.map((candidate) => {
    const increase = increaseOf(candidate);
    return {
      candidates: [candidate],
      shares: takeShares(names, increase, sharesBeside(1)),
      increase: amount(increase),
    };
  });
}

/** As many receipts as leave room for the names that wait, at least one. */
function receiptsBeside(names: number, available: number): number {
  let count = Math.min(MAX_RECEIPTS_PER_TRANSACTION, available);
  const wanted = Math.min(names, MAX_SHARES_PER_TRANSACTION);
  while (count > 1 && sharesBeside(count) < wanted) count -= 1;
  return count;
}

function takeShares(names: Map<string, bigint>, increase: bigint, most: number): readonly ContentShare[] {
  const shares: ContentShare[] = [];
  let room = increase;
  for (const [name, gross] of Array.from(names)
    .toSorted((a, b) => compare(b[1], a[1]))
    .slice(0, most)) {
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
