/**
 * The channels that this wallet pays from, as the books remember them. The chain is asked for their slots only. The books may still
 * remember one that the chain no longer shows: it is left out here.
 */
import type { ChannelId, LedgerAddress } from '../../core/ids.ts';
import type { BookStore } from '../../ledger/accounting/index.ts';
import type { ChannelState, LedgerReader } from '../../ledger/contract.ts';

export interface OwnChannelsOptions {
  readonly store: Pick<BookStore, 'entries'>;
  readonly reader: Pick<LedgerReader, 'channels'>;
  /** Who pays. */
  readonly wallet: LedgerAddress;
  /** Whose key signs its receipts. */
  readonly delegate: LedgerAddress;
}

export interface OwnChannel {
  readonly channel: ChannelState;
  /** Of the newest receipt, base units; at least what is settled. */
  readonly signed: bigint;
}

export class OwnChannels {
  readonly #options: OwnChannelsOptions;
  /** Closed channels that the books still remember. */
  readonly #gone = new Set<ChannelId>();

  constructor(options: OwnChannelsOptions) {
    this.#options = options;
  }

  *all(): Generator<OwnChannel> {
    const { store, wallet } = this.#options;
    for (const { role, channel, latest } of store.entries()) {
      if (role !== 'payer' || channel.payer !== wallet || this.#gone.has(channel.id)) continue;
      yield { channel, signed: latest?.amount ?? channel.settled };
    }
  }

  /** Those from which this payee can be paid without more being staked. */
  for(payee: LedgerAddress): ChannelState[] {
    const found: ChannelState[] = [];
    for (const { channel, signed } of this.all()) {
      if (channel.payee === payee && this.isUsable(channel) && signed < channel.deposit) found.push(channel);
    }
    return found;
  }

  isUsable(channel: ChannelState): boolean {
    return channel.delegate === this.#options.delegate && channel.closeAt === undefined;
  }

  /** As the chain shows them now. Those that are over are not asked for again. */
  async onChain(channels: readonly ChannelState[]): Promise<ChannelState[]> {
    const found = await this.#options.reader.channels(channels);
    return channels.flatMap(({ id }, index) => {
      const now = found[index];
      if (now?.id === id) return [now];
      // If that is wrong, the till itself shows the channel when it is needed.
      this.forget(id);
      return [];
    });
  }

  forget(id: ChannelId): void {
    this.#gone.add(id);
  }

  /** The chain shows it. */
  remember(id: ChannelId): void {
    this.#gone.delete(id);
  }
}
