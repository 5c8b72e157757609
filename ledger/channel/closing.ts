/** Takes back what is left in channels: asks, waits for the challenge period, closes. */
import { assertNotAborted, orAborted, pause } from '../../core/abort.ts';
import { isRelaymintError } from '../../core/errors.ts';
import { amount, subtractAmount, type Amount } from '../../core/units.ts';
import type { ChannelState, LedgerReader, LedgerWallet } from '../contract.ts';

export interface ClosedChannels {
  readonly closed: number;
  readonly returned: Amount;
  /** Channels whose close is requested and whose challenge period is not over yet. */
  readonly pending: readonly ChannelState[];
}

export interface CloseOptions {
  readonly reader: Pick<LedgerReader, 'bank' | 'channels'>;
  readonly wallet: LedgerWallet;
  /** The longest challenge period that is waited for, seconds: a longer one is left for a later call to finish. Default 10. */
  readonly patienceSeconds?: bigint;
  /**
   * How much longer than the challenge period the payee has to return the opening payment, seconds: it may have been away, or wait
   * for its own payees. Default 20.
   */
  readonly graceSeconds?: bigint;
  readonly signal: AbortSignal;
  /** Called with the ledger's state of each channel, until it is closed. */
  readonly onSeen?: (channel: ChannelState) => void;
  /** Called for each step: `closing` when the close was requested, `closed` with what the channel held at its end. */
  readonly onStep?: (step: 'closing' | 'closed', channel: ChannelState) => void;
}

const MAX_WAIT_SECONDS = 10n;
const GRACE_SECONDS = 20n;
const CLOSE_POLL_MILLIS = 200;
const SLOWEST_CLOSE_POLL_MILLIS = 5000;
const CLOSING = 'Closing channels';
const LATER = 'Do it again: it goes on where it stopped.';

/**
 * Closes channels that the wallet pays: requests it, waits for the challenge period (within which the payee settles what it
 * holds and returns the opening payment), and takes back what is left. A challenge period longer than the caller's limit is not waited for: the close is
 * requested, and a later call finishes it. @throws RelaymintError as the ledger does; ABORTED: what was requested stays requested, and a later
 * call finishes it.
 */
export async function closeChannels(open: readonly ChannelState[], options: CloseOptions): Promise<ClosedChannels> {
  const { reader, wallet, signal, onSeen = () => {}, onStep = () => {} } = options;
  const { patienceSeconds = MAX_WAIT_SECONDS, graceSeconds = GRACE_SECONDS } = options;
  for (const channel of open) {
    assertNotAborted(signal, CLOSING, LATER);
    if (channel.closeAt !== undefined) continue;
    await wallet.requestClose(channel);
    onStep('closing', channel);
  }
  if (open.length === 0) return { closed: 0, returned: amount(0n), pending: [] };
  const patient = (await orAborted(reader.bank(), signal, CLOSING, LATER)).challengeSeconds <= patienceSeconds;
  let closed = 0;
  let returned = 0n;
  let left = open;
  for (;;) {
    assertNotAborted(signal, CLOSING, LATER);
    const seen = await orAborted(reader.channels(left), signal, CLOSING, LATER);
    const pending: ChannelState[] = [];
    let soonest = Number.POSITIVE_INFINITY;
    for (const [index, { id }] of left.entries()) {
      const last = seen[index];
      // Somebody else closed it.
      if (last?.id !== id) continue;
      onSeen(last);
      const wait = millisLeft(last, graceSeconds);
      if (wait > 0 || !(await closeUnlessEarly(wallet, last))) {
        pending.push(last);
        // From the end of the challenge period on the payee may return the opening payment at any moment.
        soonest = Math.min(soonest, millisLeft(last, 0n));
        continue;
      }
      closed += 1;
      returned += subtractAmount(last.deposit, last.settled);
      onStep('closed', last);
    }
    if (!patient || pending.length === 0) return { closed, returned: amount(returned), pending };
    left = pending;
    const next = Math.min(Math.max(soonest / 2, CLOSE_POLL_MILLIS), SLOWEST_CLOSE_POLL_MILLIS);
    await pause(next, signal, CLOSING, LATER);
  }
}

/** Until it is to be closed, by our clock; infinite when no close was requested. */
export function millisLeft({ closeAt, opening }: ChannelState, grace: bigint): number {
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
