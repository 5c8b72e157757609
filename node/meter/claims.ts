/** The payee's side of a link's start: is the channel that a peer presents one that pays us? */
import { isRelaymintError } from '../../core/errors.ts';
import type { TokenBucket } from '../../core/rate.ts';
import type { ChannelState } from '../../ledger/contract.ts';
import type { Link } from '../link/contract.ts';
import type { MeteringOptions } from './contract.ts';
import { AccountStatus, provesChannel } from './messages.ts';
import type { ChannelClaim } from './messages.ts';

/** A claim that is answered with a status. */
export class Refused extends Error {
  readonly status: AccountStatus;

  constructor(status: AccountStatus, text: string) {
    super(text);
    this.status = status;
  }
}

/** The answer to a claim that failed for any reason. */
export function refusalFor(error: unknown): Refused {
  if (error instanceof Refused) return error;
  if (isRelaymintError(error, 'LIMIT_EXCEEDED')) return new Refused(AccountStatus.LIMIT, 'too many accounts');
  if (isRelaymintError(error, 'CHANNEL_CLOSING')) return new Refused(AccountStatus.CLOSING, 'it is being closed');
  return new Refused(AccountStatus.LEDGER, 'the ledger cannot be read now');
}

/** Looks the channel up, if `lookups` have one to spare. @throws Refused, RelaymintError LEDGER_UNREACHABLE. */
export async function judgeClaim(
  claim: ChannelClaim,
  { peer, self }: Pick<Link, 'peer' | 'self'>,
  { reader, wallet }: Pick<MeteringOptions, 'reader' | 'wallet'>,
  lookups: TokenBucket,
): Promise<ChannelState> {
  // A stranger names an account: we only ever read one slot of our own till for it.
  if (claim.till !== reader.tillAddress(wallet)) {
    throw new Refused(AccountStatus.NOT_OURS, 'it pays another wallet');
  }
  if (!lookups.take()) throw new Refused(AccountStatus.LIMIT, 'too many channels are looked up now');
  const channel = await reader.channel(claim.till, claim.slot);
  if (channel === undefined || channel.generation !== claim.generation) {
    throw new Refused(AccountStatus.UNKNOWN, 'no such channel is open');
  }
  if (channel.payee !== wallet) throw new Refused(AccountStatus.NOT_OURS, 'it pays another wallet');
  if (channel.closeAt !== undefined) throw new Refused(AccountStatus.CLOSING, 'its payer asked to close it');
  if (!provesChannel(claim, channel, peer, self)) {
    throw new Refused(AccountStatus.NOT_PROVED, 'its delegate did not sign for this link');
  }
  return channel;
}
