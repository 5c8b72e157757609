/** Channels with receipts that wait to be settled, and what this process knows of each beside the books. */
import { toHex } from '../../core/codec.ts';
import type { ChannelId } from '../../core/ids.ts';
import type { Log } from '../../core/ports.ts';
import { amount, formatCredits } from '../../core/units.ts';
import type { Amount, UnixMillis } from '../../core/units.ts';
import type { BookStore } from '../accounting/index.ts';
import type { ChannelState, LedgerReader, LedgerWallet, TillState } from '../contract.ts';
import type { SignedReceipt } from '../receipt/index.ts';
import type { Patience } from './patience.ts';
import { increaseOf } from './plan.ts';
import type { Batch, Candidate } from './plan.ts';
import { costOf, pressureOf } from './worth.ts';
import type { Pressure, Worth } from './worth.ts';

const LOST_TEXT =
  'a payer closed its channel before this node settled its newest receipt, and that much is lost: the node did not reach the ledger during the challenge period, or its wallet agreed to an early close';
const LEFT_TEXT = 'a channel that was not worth settling is closed, and that much is lost';

export interface WaitingParts {
  readonly store: Pick<BookStore, 'entries' | 'entry' | 'forfeit'>;
  readonly wallet: Pick<LedgerWallet, 'address'>;
  readonly reader: Pick<LedgerReader, 'till'>;
  readonly patience: Patience;
  readonly log: Log;
  /** The ledger shows this channel so. */
  readonly onChannel: (channel: ChannelState) => void;
  /** It is over. */
  readonly onClosed: (channel: ChannelState) => void;
}

export class WaitingChannels {
  readonly #parts: WaitingParts;
  #closing: readonly ChannelState[] = [];
  /** When value first waited on a channel, by this process's clock. */
  readonly #since = new Map<ChannelId, UnixMillis>();
  /** What this process itself saw settled for good. */
  readonly #booked = new Map<ChannelId, Amount>();
  /** Receipts that the chain refused by themselves: not retried automatically until a greater one comes or the channel closes. */
  readonly #refused = new Map<ChannelId, Amount>();
  /** Closing channels that are worth less than settling them costs, and of which that was said. */
  readonly #left = new Set<ChannelId>();

  constructor(parts: WaitingParts) {
    this.#parts = parts;
  }

  /** Channels that the last look showed closing. */
  get closing(): readonly ChannelState[] {
    return this.#closing;
  }

  /** What could be settled now, by what the till shows. Channels that are over are forgotten here. */
  async look(stop: AbortSignal): Promise<readonly Candidate[]> {
    const { store, wallet, reader, patience, onChannel } = this.#parts;
    const till = await patience.retried(stop, () => reader.till(wallet.address, 'finalized'));
    if (till === undefined) return [];
    this.#forgetClosed(till);
    this.#closing = till.channels.filter(({ closeAt }) => closeAt !== undefined);
    const candidates: Candidate[] = [];
    for (const read of till.channels) {
      onChannel(read);
      const entry = store.entry(read.id);
      if (entry?.role !== 'payee' || entry.latest === undefined) continue;
      const { latest: receipt, channel } = entry;
      // The books may know more from a fork that was given up since; only a read that lags behind us may know less.
      const settled = maximum(read.settled, this.#booked.get(read.id) ?? read.settled);
      const waits = receipt.amount > settled && receipt.amount <= channel.deposit;
      if (waits) candidates.push({ channel: { ...channel, settled }, receipt });
      else for (const memory of [this.#since, this.#left]) memory.delete(channel.id);
    }
    return candidates;
  }

  /** A closing channel brings no greater receipt, and what is not settled of it is lost: it is not given up while it is there. */
  isHopeful({ channel, receipt }: Candidate): boolean {
    return channel.closeAt !== undefined || this.#refused.get(channel.id) !== receipt.amount;
  }

  /** How pressing each is, from when it first waited. */
  pressures(
    candidates: readonly Candidate[],
    now: UnixMillis,
    maxAgeMillis: number,
  ): (candidate: Candidate) => Pressure {
    const pressures = new Map<ChannelId, Pressure>();
    for (const candidate of candidates) {
      const { id } = candidate.channel;
      const since = this.#since.get(id) ?? now;
      this.#since.set(id, since);
      pressures.set(id, pressureOf(candidate, now - since, maxAgeMillis));
    }
    return ({ channel }) => pressures.get(channel.id) ?? 'growing';
  }

  /** It was settled for good. */
  settled({ channel, receipt }: Candidate): void {
    this.#booked.set(channel.id, receipt.amount);
  }

  /** The chain refused it by itself. */
  refused({ channel, receipt }: Candidate): void {
    this.#refused.set(channel.id, receipt.amount);
  }

  /** Logs once for each closing channel that it is not worth settling. It is checked again each time. */
  leave(batch: Batch, worth: Worth): void {
    const closing = batch.candidates.filter(({ channel }) => channel.closeAt !== undefined);
    const news = closing.filter(({ channel }) => !this.#left.has(channel.id));
    if (news.length === 0) return;
    for (const { channel } of news) this.#left.add(channel.id);
    const held = closing.reduce((sum, candidate) => sum + increaseOf(candidate), 0n);
    this.#parts.log.warn(
      {
        channels: news.map(({ channel }) => channel.id),
        credits: formatCredits(amount(held)),
        costCredits: formatCredits(amount(costOf(batch, worth) * worth.unitsPerLamport)),
      },
      'payers ask to close channels whose receipts are worth less than settling them costs: they wait for a cheaper moment or more value, and are lost when the channels close',
    );
  }

  /**
   * A channel whose slot has a later generation is closed for good: the books forget it, and what its newest receipt adds is
   * lost. (One that is merely missing may be missing because the ledger's node lags behind.)
   */
  #forgetClosed(till: TillState): void {
    const { store, onClosed } = this.#parts;
    for (const entry of Array.from(store.entries())) {
      const { role, channel, latest } = entry;
      if (role !== 'payee' || channel.till !== till.address) continue;
      if ((till.generations[channel.slot] ?? 0) <= channel.generation) continue;
      const left = this.#left.has(channel.id);
      for (const memory of [this.#since, this.#refused, this.#booked, this.#left]) memory.delete(channel.id);
      if (latest !== undefined && latest.amount > channel.settled) this.#sayLost(channel, latest, left);
      // Of one that was evicted nobody knows here what was returned: its payer's debt stays.
      if (channel.closeAt !== undefined) store.forfeit(channel.payer, channel.opening);
      onClosed(channel);
    }
  }

  #sayLost(channel: ChannelState, latest: SignedReceipt, left: boolean): void {
    this.#parts.log[left ? 'info' : 'warn'](
      {
        channel: channel.id,
        payer: channel.payer,
        lostCredits: formatCredits(amount(latest.amount - channel.settled)),
        ...(channel.closeAt === undefined ? {} : { couldCloseAt: String(channel.closeAt) }),
        // Not a secret, and the only evidence if the ledger's node lied.
        receipt: toHex(latest.bytes),
      },
      left ? LEFT_TEXT : LOST_TEXT,
    );
  }
}

function maximum(a: Amount, b: Amount): Amount {
  return a > b ? a : b;
}
