/** Finds or opens the channel through which this node pays a neighbour, and keeps its deposit filled. */
import { RelaymintError } from '../../../core/errors.ts';
import { shortId, type LedgerAddress } from '../../../core/ids.ts';
import type { Log } from '../../../core/ports.ts';
import { amount, subtractAmount, type Amount } from '../../../core/units.ts';
import type { ChannelState, LedgerReader, LedgerWallet } from '../../../ledger/contract.ts';
import type { Signer } from '../../../ledger/receipt/index.ts';

export interface ChannelsOptions {
  readonly reader: LedgerReader;
  readonly wallet: LedgerWallet;
  readonly delegate: Signer;
  /** What a new channel holds, and what a top-up adds. */
  readonly deposit: Amount;
  readonly log: Log;
}

export interface ClosedChannels {
  readonly closed: number;
  readonly returned: Amount;
}

export class Channels {
  readonly #options: ChannelsOptions;
  /** By payee; a promise while it is looked up or opened, so that concurrent circuits share one channel. */
  readonly #open = new Map<LedgerAddress, Promise<ChannelState>>();

  #closing = false;

  constructor(options: ChannelsOptions) {
    this.#options = options;
  }

  /** @throws RelaymintError CHANNEL_UNKNOWN (the payee has no till), LIMIT_EXCEEDED (it is full), INSUFFICIENT_FUNDS, CLOSED (after closeAll). */
  async channelTo(payee: LedgerAddress): Promise<{ channel: ChannelState; delegate: Signer }> {
    if (this.#closing) throw closing();
    let opening = this.#open.get(payee);
    if (opening === undefined) {
      opening = this.#findOrOpen(payee);
      this.#open.set(payee, opening);
      opening.catch(() => this.#open.delete(payee));
    }
    const known = await opening;
    const channel = await this.#options.reader.channel(known.till, known.slot);
    if (channel?.id === known.id && channel.closeAt === undefined) return { channel, delegate: this.#options.delegate };
    this.#open.delete(payee);
    return this.channelTo(payee);
  }

  /** Adds a deposit's worth to a channel that runs low, and resolves with what the ledger shows then. */
  async topUp(channel: ChannelState): Promise<ChannelState> {
    const { wallet, reader, deposit, log } = this.#options;
    await wallet.topUp(channel, deposit);
    log.info({ channel: channel.id, amount: deposit.toString() }, 'topped up a channel');
    return (await reader.channel(channel.till, channel.slot)) ?? channel;
  }

  /**
   * Closes every channel that this wallet pays: requests it, waits for the challenge period (within which the payee
   * settles what it holds), and takes back what is left.
   */
  async closeAll(signal: AbortSignal): Promise<ClosedChannels> {
    this.#closing = true;
    // What is being opened is closed as well.
    await Promise.allSettled(this.#open.values());
    this.#open.clear();
    return closeChannels(this.#options.reader, this.#options.wallet, signal);
  }

  async #findOrOpen(payee: LedgerAddress): Promise<ChannelState> {
    const { reader, wallet, delegate, deposit, log } = this.#options;
    const usable = (await reader.channelsOf(wallet.address)).find(
      (channel) => channel.payee === payee && channel.delegate === delegate.address && channel.closeAt === undefined,
    );
    if (usable !== undefined) return usable;
    const channel = await wallet.openChannel(payee, delegate.address, deposit);
    log.info({ payee: shortId(payee), channel: channel.id, deposit: deposit.toString() }, 'opened a channel');
    return channel;
  }
}

/**
 * See `Channels.closeAll`. A challenge period of more than ten seconds is not waited for: the close is requested, and a
 * later call finishes it.
 */
export async function closeChannels(
  reader: LedgerReader,
  wallet: LedgerWallet,
  signal: AbortSignal,
): Promise<ClosedChannels> {
  const open = await reader.channelsOf(wallet.address);
  for (const channel of open) if (channel.closeAt === undefined) await wallet.requestClose(channel);
  const patient = (await reader.bank()).challengeSeconds <= MAX_WAIT_SECONDS;
  let closed = 0;
  let returned = 0n;
  for (const { till, slot } of open) {
    if (patient) await untilOver(reader, till, slot, signal);
    const channel = await reader.channel(till, slot);
    if (channel === undefined || !isOver(channel)) continue;
    await wallet.closeChannel(channel);
    closed += 1;
    returned += subtractAmount(channel.deposit, channel.settled);
  }
  return { closed, returned: amount(returned) };
}

function closing(): RelaymintError {
  return new RelaymintError('CLOSED', 'This node is closing its channels and pays for nothing new.', {
    remedy: 'Start it again to open others.',
  });
}

const MAX_WAIT_SECONDS = 10n;
const CLOSE_POLL_MILLIS = 200;

async function untilOver(reader: LedgerReader, till: LedgerAddress, slot: number, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const channel = await reader.channel(till, slot);
    if (channel === undefined || isOver(channel)) return;
    await new Promise((resolve) => setTimeout(resolve, CLOSE_POLL_MILLIS));
  }
}

/** The challenge period has passed, by our clock; the chain decides by its own. */
function isOver(channel: ChannelState): boolean {
  return channel.closeAt !== undefined && BigInt(Math.floor(Date.now() / 1000)) >= channel.closeAt;
}
