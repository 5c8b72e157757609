/** Reads of the ledger may come late: what they show never takes a channel back. */
import type { ChannelState } from '../contract.ts';

/**
 * What the ledger shows now, unless it is a stale read: what was settled never shrinks, nor what was burned into the channel in all,
 * and of that the deposit never does. So a read from before more was staked is not taken for a return.
 */
export function takeOver(known: ChannelState, read: ChannelState): ChannelState {
  const newer = read.settled >= known.settled ? read : known;
  const more = read.deposit + read.opening - known.deposit - known.opening;
  const funds = more > 0n || (more === 0n && read.deposit > known.deposit) ? read : known;
  return {
    ...read,
    deposit: funds.deposit,
    opening: funds.opening,
    settled: newer.settled,
    settledUp: newer.settledUp,
    settledDown: newer.settledDown,
    closeAt: read.closeAt ?? known.closeAt,
  };
}
