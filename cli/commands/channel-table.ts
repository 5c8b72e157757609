/** Shows channels: one row each for people, base units as decimal text for scripts. */
import { RelaymintError } from '../../core/errors.ts';
import { shortId, type LedgerAddress } from '../../core/ids.ts';
import { amount, formatBytes, formatCredits, subtractAmount, type Amount } from '../../core/units.ts';
import type { ChannelState } from '../../ledger/contract.ts';
import { durationText, table } from '../output.ts';

export type Side = 'pays' | 'earns';

/** A channel and on which side of it the wallet stands. */
export interface SidedChannel {
  readonly side: Side;
  readonly channel: ChannelState;
}

/** Characters of a channel id that the table shows: enough to tell a wallet's channels apart, and to name one. */
export const SHOWN_ID_CHARACTERS = 8;

export function channelTable(channels: readonly SidedChannel[], now: number): string {
  return table(
    [
      ['  CHANNEL', 'SIDE', 'PEER', 'DEPOSIT', 'OPENING', 'SETTLED', 'LEFT', 'UP', 'DOWN', 'CLOSES'],
      ...channels.map(({ side, channel }) => [
        `  ${channel.id.slice(0, SHOWN_ID_CHARACTERS)}`,
        side,
        shortId(peerOf(side, channel)),
        formatCredits(channel.deposit),
        formatCredits(channel.opening),
        formatCredits(channel.settled),
        formatCredits(leftIn(channel)),
        formatBytes(Number(channel.settledUp)),
        formatBytes(Number(channel.settledDown)),
        closesText(channel, now),
      ]),
    ],
    [3, 4, 5, 6, 7, 8],
  );
}

export function channelValue({ side, channel }: SidedChannel): object {
  return {
    id: channel.id,
    side,
    peer: peerOf(side, channel),
    till: channel.till,
    slot: channel.slot,
    generation: channel.generation,
    payer: channel.payer,
    payee: channel.payee,
    delegate: channel.delegate,
    deposit: channel.deposit.toString(),
    opening: channel.opening.toString(),
    settled: channel.settled.toString(),
    left: leftIn(channel).toString(),
    settledUp: channel.settledUp.toString(),
    settledDown: channel.settledDown.toString(),
    closeAt: channel.closeAt === undefined ? null : channel.closeAt.toString(),
  };
}

export function leftIn(channel: ChannelState): Amount {
  return subtractAmount(channel.deposit, channel.settled);
}

export function totalLeft(channels: readonly SidedChannel[]): Amount {
  return amount(channels.reduce((sum, { channel }) => sum + leftIn(channel), 0n));
}

/** "in 59 min", "now", or "-" when no close was requested. `now` in milliseconds. */
export function closesText({ closeAt }: ChannelState, now: number): string {
  if (closeAt === undefined) return '-';
  const seconds = Number(closeAt) - Math.floor(now / 1000);
  return seconds <= 0 ? 'now' : `in ${durationText(seconds)}`;
}

/** The one channel whose id begins with the text. @throws RelaymintError CHANNEL_UNKNOWN, INVALID_ARGUMENT (several). */
export function named(channels: readonly ChannelState[], text: string): ChannelState {
  const [found, ...more] = text === '' ? [] : channels.filter(({ id }) => id.startsWith(text.toLowerCase()));
  if (found === undefined) {
    throw new RelaymintError('CHANNEL_UNKNOWN', `There is no open channel ${text}.`, {
      remedy: 'List the open ones with "relaymint channel list".',
    });
  }
  if (more.length === 0) return found;
  throw new RelaymintError('INVALID_ARGUMENT', `${more.length + 1} channels begin with ${text}.`, {
    remedy: 'Give more characters of the one you mean.',
  });
}

function peerOf(side: Side, channel: ChannelState): LedgerAddress {
  return side === 'pays' ? channel.payee : channel.payer;
}
