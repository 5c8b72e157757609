/** Which channel leaves the books when they are full. */
import type { ChannelId, LedgerAddress } from '../../core/ids.ts';
import type { ChannelState } from '../contract.ts';
import type { Entry } from './entry.ts';

/** A channel of which nothing more can come. */
export interface Droppable {
  readonly entry: Entry;
  /** It is closed, or about to be. One that may still be open is entered again when it is used, with all that it paid. */
  readonly over: boolean;
}

/**
 * One that no link carries and of which nothing more can come, the oldest first:
 * one that is settled and whose wallet owes us nothing; else one that is settled and whose slot has a later channel (what its
 * wallet owes stays with the wallet); else one that we pay ourselves: its payee presents our newest receipt when we come back.
 */
export function droppable(
  entries: ReadonlyMap<ChannelId, Entry>,
  arrearsOf: (wallet: LedgerAddress) => bigint,
  isLive: (id: ChannelId) => boolean,
): Droppable | undefined {
  let newest: ReadonlyMap<string, number> | undefined;
  const hasLater = ({ channel }: Entry): boolean => {
    newest ??= newestGenerations(entries.values());
    return (newest.get(slotOf(channel)) ?? 0) > channel.generation;
  };
  const isSettled = ({ latest, channel }: Entry): boolean => (latest?.amount ?? 0n) <= channel.settled;
  const rules: readonly ((entry: Entry) => boolean)[] = [
    (entry) => isSettled(entry) && (entry.role === 'payer' ? entry.owed : arrearsOf(entry.channel.payer)) === 0n,
    (entry) => isSettled(entry) && hasLater(entry),
    (entry) => entry.role === 'payer',
  ];
  for (const rule of rules) {
    for (const [id, entry] of entries) {
      if (!rule(entry) || isLive(id)) continue;
      return { entry, over: entry.channel.closeAt !== undefined || hasLater(entry) };
    }
  }
  return undefined;
}

function newestGenerations(entries: Iterable<Entry>): ReadonlyMap<string, number> {
  const newest = new Map<string, number>();
  for (const { channel } of entries) {
    const slot = slotOf(channel);
    if (channel.generation > (newest.get(slot) ?? 0)) newest.set(slot, channel.generation);
  }
  return newest;
}

function slotOf({ till, slot }: ChannelState): string {
  return `${till}/${slot}`;
}
