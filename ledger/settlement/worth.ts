/** When settling is worth its fee. Pure: figures in, a choice out. All values are base units. */
import type { Batch, Candidate } from './plan.ts';
import { increaseOf } from './plan.ts';

/** What the choice depends on. */
export interface Worth {
  /** Cost of a transaction with one receipt, as the bank prices lamports. */
  readonly first: bigint;
  /** What each further receipt adds to it. */
  readonly further: bigint;
  /** Most of the value that the fee may take, in basis points. */
  readonly maxFeeShareBps: bigint;
}

/**
 * - `closing`: its payer asked to close: settled whatever it costs, so that asking never pays;
 * - `ripe`: waiting longer would not make it cheaper (it is old, or the deposit is nearly used up): settled unless the
 *   fee would eat all of it;
 * - `growing`: settled once the fee is a small enough share of it.
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

/** Does it pay for its own place in a transaction that goes anyhow? */
export function isWorthAdding(candidate: Candidate, pressure: Pressure, worth: Worth): boolean {
  return pressure === 'closing' || pays(increaseOf(candidate), worth.further, shareFor(pressure, worth));
}

/** Does the transaction pay for itself? `pressures` are those of its receipts, in order. */
export function isWorthSending(batch: Batch, pressures: readonly Pressure[], worth: Worth): boolean {
  if (pressures.includes('closing')) return true;
  const fee = worth.first + worth.further * BigInt(batch.candidates.length - 1);
  const share = shareFor(pressures.includes('ripe') ? 'ripe' : 'growing', worth);
  return pays(batch.increase, fee, share);
}

function shareFor(pressure: Pressure, worth: Worth): bigint {
  return pressure === 'growing' ? worth.maxFeeShareBps : ALL_BPS;
}

function pays(value: bigint, fee: bigint, shareBps: bigint): boolean {
  return fee * ALL_BPS <= value * shareBps;
}
