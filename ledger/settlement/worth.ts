/** When settling is worth its fee, and what may be bid for it. Pure: figures in, a choice out. Values are base units. */
import { BID_PARTS, MAX_CLOSING_BID, MAX_SETTLE_BID } from '../../core/limits.ts';
import { lamports } from '../../core/units.ts';
import type { Lamports } from '../../core/units.ts';
import type { FeePerReceipt, SettleFees } from '../contract.ts';
import type { Batch, Candidate } from './plan.ts';
import { increaseOf } from './plan.ts';

/** What the choice depends on: what a transaction costs now, in lamports, and what they are worth. */
export interface Worth extends SettleFees {
  /** The bank's price of a lamport. */
  readonly unitsPerLamport: bigint;
  /** Most of the value that the fee may take, in basis points. */
  readonly maxFeeShareBps: bigint;
}

/**
 * - `closing`: its payer asked to close: what is not settled soon is lost;
 * - `ripe`: waiting longer would not make it cheaper (it is old, or the deposit is nearly used up);
 * - `growing`: settled once the fee is a small enough share of it.
 *
 * What presses, closing and ripe together, is settled as soon as it is worth its cost, bid included, and never before:
 * whoever opens channels for next to nothing and asks to close them all makes nobody spend more than it takes.
 */
export type Pressure = 'closing' | 'ripe' | 'growing';

const ALL_BPS = 10_000n;
/** Less of the deposit left than this part: its payer tops up at a quarter, so this one will not any more. */
const DEPOSIT_END_PARTS = 16n;

export function pressureOf(candidate: Candidate, waitedMillis: number, maxAgeMillis: number): Pressure {
  const { channel, receipt } = candidate;
  if (channel.closeAt !== undefined) return 'closing';
  const left = channel.deposit - receipt.amount;
  return waitedMillis >= maxAgeMillis || left * DEPOSIT_END_PARTS < channel.deposit ? 'ripe' : 'growing';
}

/**
 * Does it pay for its own place in a transaction that goes anyhow? What closes adds no more to the bid than a part of its
 * value.
 */
export function isWorthAdding(candidate: Candidate, pressure: Pressure, worth: Worth): boolean {
  const { fee, bid, unitsPerLamport } = worth;
  const value = increaseOf(candidate);
  const asked = bid.further * unitsPerLamport;
  const bids = pressure === 'closing' ? least(asked, value / BID_PARTS) : asked;
  return pays(value, fee.further * unitsPerLamport + bids, pressure === 'growing' ? worth.maxFeeShareBps : ALL_BPS);
}

/** Does the transaction pay for itself? `pressing`: how each of its receipts presses. */
export function isWorthSending(batch: Batch, pressing: (candidate: Candidate) => Pressure, worth: Worth): boolean {
  const cost = costOf(batch, worth) * worth.unitsPerLamport;
  const pressed = batch.candidates.filter((candidate) => pressing(candidate) !== 'growing');
  return pays(valueOf(pressed), cost, ALL_BPS) || pays(batch.increase, cost, worth.maxFeeShareBps);
}

/** Lamports that the transaction costs at most: its fee, and what is asked beside that as far as it may be bid. */
export function costOf(batch: Batch, { fee, bid, unitsPerLamport }: Worth): bigint {
  const all = ({ first, further }: FeePerReceipt): bigint => first + further * BigInt(batch.candidates.length - 1);
  return all(fee) + least(all(bid), mostBid(batch, unitsPerLamport));
}

/**
 * Most to bid for the transaction's place: a part of what is at stake. Anybody can raise the price that is asked of
 * everybody who writes the bank's account; so only what would be lost, and by its own value, may be bid more than
 * `MAX_SETTLE_BID` for.
 */
export function mostBid(
  { candidates, increase }: Pick<Batch, 'candidates' | 'increase'>,
  unitsPerLamport: bigint,
): Lamports {
  const closing = candidates.filter(({ channel }) => channel.closeAt !== undefined);
  const part = (value: bigint): bigint => value / BID_PARTS / unitsPerLamport;
  const urgent = least(part(valueOf(closing)), MAX_CLOSING_BID);
  const usual = least(part(increase), MAX_SETTLE_BID);
  return lamports(urgent > usual ? urgent : usual);
}

function valueOf(candidates: readonly Candidate[]): bigint {
  return candidates.reduce((sum, candidate) => sum + increaseOf(candidate), 0n);
}

function pays(value: bigint, fee: bigint, shareBps: bigint): boolean {
  return fee * ALL_BPS <= value * shareBps;
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
