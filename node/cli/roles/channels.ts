/** Finds or opens the channel through which this node pays a neighbour, and keeps its deposit filled. */
import { setTimeout as delay } from 'node:timers/promises';
import { RelaymintError, isRelaymintError } from '../../../core/errors.ts';
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
  /** Whose close is requested and whose challenge period was not over yet. */
  readonly pending: readonly ChannelState[];
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
    return closeChannels(this.#options.reader, this.#options.wallet, { signal });
  }

  async #findOrOpen(payee: LedgerAddress): Promise<ChannelState> {
    const { reader, wallet, delegate, deposit, log } = this.#options;
    const usable = (await reader.channelsOf(wallet.address)).find(
      (channel) => channel.payee === payee && channel.delegate === delegate.address && channel.closeAt === undefined,
    );
    if (usable !== undefined) return usable;
    // Nobody is paid for more than it could cost: what is burned at the opening stays below what the channel holds.
    const channel = await wallet.openChannel(payee, delegate.address, { deposit, maxOpening: deposit });
    log.info({ payee: shortId(payee), channel: channel.id, deposit: deposit.toString() }, 'opened a channel');
    return channel;
  }
}

export interface CloseOptions {
  /** Which of the wallet's channels; all of them when absent. */
  readonly only?: (channel: ChannelState) => boolean;
  /** The longest challenge period that is waited for, seconds: a longer one is left for a later call to finish. Default 10. */
  readonly patienceSeconds?: bigint;
  readonly signal: AbortSignal;
  /** Told of each step: `closing` when the close was requested, `closed` with what the channel held at its end. */
  readonly onStep?: (step: 'closing' | 'closed', channel: ChannelState) => void;
}

/**
 * See `Channels.closeAll`. A challenge period beyond the caller's patience is not waited for: the close is requested, and
 * a later call finishes it. @throws the signal's reason.
 */
export async function closeChannels(
  reader: LedgerReader,
  wallet: LedgerWallet,
  options: CloseOptions,
): Promise<ClosedChannels> {
  const { only = () => true, patienceSeconds = MAX_WAIT_SECONDS, onStep = () => {} } = options;
  const open = (await reader.channelsOf(wallet.address)).filter(only);
  for (const channel of open) {
    if (channel.closeAt !== undefined) continue;
    await wallet.requestClose(channel);
    onStep('closing', channel);
  }
  const patient = (await reader.bank()).challengeSeconds <= patienceSeconds;
  let closed = 0;
  let returned = 0n;
  const pending: ChannelState[] = [];
  for (const channel of open) {
    const { last, done } = await finishClose({ reader, wallet, channel, patient, signal: options.signal });
    if (last === undefined) continue;
    if (!done) {
      pending.push(last);
      continue;
    }
    closed += 1;
    returned += subtractAmount(last.deposit, last.settled);
    onStep('closed', last);
  }
  return { closed, returned: amount(returned), pending };
}

function closing(): RelaymintError {
  return new RelaymintError('CLOSED', 'This node is closing its channels and pays for nothing new.', {
    remedy: 'Start it again to open others.',
  });
}

const MAX_WAIT_SECONDS = 10n;
const CLOSE_POLL_MILLIS = 200;
const SLOWEST_CLOSE_POLL_MILLIS = 5000;

interface Closing {
  readonly reader: LedgerReader;
  readonly wallet: LedgerWallet;
  readonly channel: ChannelState;
  /** Whether the end of the challenge period is waited for. */
  readonly patient: boolean;
  readonly signal: AbortSignal;
}

/** `last` is the channel as it was seen last; undefined when somebody else closed it. */
async function finishClose({
  reader,
  wallet,
  channel,
  patient,
  signal,
}: Closing): Promise<{ readonly last: ChannelState | undefined; readonly done: boolean }> {
  for (;;) {
    signal.throwIfAborted();
    const last = await reader.channel(channel.till, channel.slot);
    if (last?.id !== channel.id) return { last: undefined, done: true };
    const left = millisLeft(last);
    if (left <= 0 && (await closeUnlessEarly(wallet, last))) return { last, done: true };
    if (!patient) return { last, done: false };
    const pause = Math.min(Math.max(left / 2, CLOSE_POLL_MILLIS), SLOWEST_CLOSE_POLL_MILLIS);
    await delay(pause, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

/** Until the challenge period has passed, by our clock; infinite when no close was requested. */
function millisLeft({ closeAt }: ChannelState): number {
  return closeAt === undefined ? Number.POSITIVE_INFINITY : Number(closeAt) * 1000 - Date.now();
}

/** False when the chain's clock is behind ours and the period is not over yet: the chain decides. */
async function closeUnlessEarly(wallet: LedgerWallet, channel: ChannelState): Promise<boolean> {
  try {
    await wallet.closeChannel(channel);
    return true;
  } catch (error) {
    if (isRelaymintError(error, 'CHANNEL_CLOSING')) return false;
    throw error;
  }
}
