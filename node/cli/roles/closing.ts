/** Takes back what is left in channels: asks, waits for the challenge period, closes. */
import { setTimeout as delay } from 'node:timers/promises';
import { isRelaymintError } from '../../../core/errors.ts';
import { amount, subtractAmount, type Amount } from '../../../core/units.ts';
import type { ChannelState, LedgerReader, LedgerWallet } from '../../../ledger/contract.ts';

export interface ClosedChannels {
  readonly closed: number;
  readonly returned: Amount;
  /** Whose close is requested and whose challenge period was not over yet. */
  readonly pending: readonly ChannelState[];
}

export interface CloseOptions {
  readonly reader: Pick<LedgerReader, 'bank' | 'channel'>;
  readonly wallet: LedgerWallet;
  /** The longest challenge period that is waited for, seconds: a longer one is left for a later call to finish. Default 10. */
  readonly patienceSeconds?: bigint;
  /**
   * How much longer the payee has to return the opening payment, seconds, beside the challenge period and no more than that: it may have
   * been away. Default 10.
   */
  readonly graceSeconds?: bigint;
  readonly signal: AbortSignal;
  /** Told of each step: `closing` when the close was requested, `closed` with what the channel held at its end. */
  readonly onStep?: (step: 'closing' | 'closed', channel: ChannelState) => void;
}

const MAX_WAIT_SECONDS = 10n;
const GRACE_SECONDS = 10n;
const CLOSE_POLL_MILLIS = 200;
const SLOWEST_CLOSE_POLL_MILLIS = 5000;

/**
 * Closes channels that the wallet pays: requests it, waits for the challenge period (within which the payee settles what it
 * holds and returns the opening payment), and takes back what is left. A challenge period beyond the caller's patience is not waited for: the close is
 * requested, and a later call finishes it. @throws the signal's reason.
 */
export async function closeChannels(open: readonly ChannelState[], options: CloseOptions): Promise<ClosedChannels> {
  const { reader, wallet, signal, onStep = () => {} } = options;
  const { patienceSeconds = MAX_WAIT_SECONDS, graceSeconds = GRACE_SECONDS } = options;
  for (const channel of open) {
    if (channel.closeAt !== undefined) continue;
    await wallet.requestClose(channel);
    onStep('closing', channel);
  }
  if (open.length === 0) return { closed: 0, returned: amount(0n), pending: [] };
  const { challengeSeconds } = await reader.bank();
  const patient = challengeSeconds <= patienceSeconds;
  const grace = challengeSeconds < graceSeconds ? challengeSeconds : graceSeconds;
  let closed = 0;
  let returned = 0n;
  const pending: ChannelState[] = [];
  for (const channel of open) {
    const { last, done } = await finishClose({ reader, wallet, channel, patient, grace, signal });
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

interface Closing {
  readonly reader: Pick<LedgerReader, 'channel'>;
  readonly wallet: LedgerWallet;
  readonly channel: ChannelState;
  /** Whether the end of the challenge period is waited for. */
  readonly patient: boolean;
  /** Seconds. */
  readonly grace: bigint;
  readonly signal: AbortSignal;
}

/** `last` is the channel as it was seen last; undefined when somebody else closed it. */
async function finishClose({
  reader,
  wallet,
  channel,
  patient,
  grace,
  signal,
}: Closing): Promise<{ readonly last: ChannelState | undefined; readonly done: boolean }> {
  for (;;) {
    signal.throwIfAborted();
    const last = await reader.channel(channel.till, channel.slot);
    if (last?.id !== channel.id) return { last: undefined, done: true };
    const left = millisLeft(last, grace);
    if (left <= 0 && (await closeUnlessEarly(wallet, last))) return { last, done: true };
    if (!patient) return { last, done: false };
    const pause = Math.min(Math.max(left / 2, CLOSE_POLL_MILLIS), SLOWEST_CLOSE_POLL_MILLIS);
    await delay(pause, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

/** Until it is to be closed, by our clock; infinite when no close was requested. */
function millisLeft({ closeAt, opening }: ChannelState, grace: bigint): number {
  if (closeAt === undefined) return Number.POSITIVE_INFINITY;
  return Number(closeAt + (opening > 0n ? grace : 0n)) * 1000 - Date.now();
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
