/** A payee's answers to a receipt that it cannot accept. */
import { RelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import type { ChannelState } from '../contract.ts';
import type { Receipt } from '../receipt/index.ts';

/** What is due, for which bytes: cumulative since the channel opened. */
export interface Figures {
  readonly amount: bigint;
  readonly up: bigint;
  readonly down: bigint;
}

const VERSIONS = 'The link is closed. If this happens again, one of the two nodes runs a faulty version.';

export function receiptInvalid(reason: string, channel: ChannelState): RelaymintError {
  return new RelaymintError('RECEIPT_INVALID', `A receipt was refused. ${reason}`, {
    remedy: VERSIONS,
    details: { channel: channel.id },
  });
}

export function receiptNotNewer(receipt: Receipt, accepted: Figures): RelaymintError {
  return new RelaymintError(
    'RECEIPT_NOT_NEWER',
    `The receipt pays ${receipt.amount} base units for ${receipt.up} bytes up and ${receipt.down} down; the one before it ${accepted.amount} for ${accepted.up} and ${accepted.down}.`,
    { remedy: VERSIONS, details: { channel: receipt.channel } },
  );
}

/** `due` is undefined when nothing is known of the payer's figure for the bytes down. */
export function meterDisagreement(
  peer: NodeId,
  theirs: Receipt,
  ours: { readonly up: bigint; readonly down: bigint; readonly due: bigint | undefined },
): RelaymintError {
  return new RelaymintError(
    'METER_DISAGREEMENT',
    `${peer} says ${theirs.up} bytes up, ${theirs.down} down, ${theirs.amount} due; this node counted ${ours.up} bytes up, ${ours.down} down, ${ours.due ?? 'no known amount'} due at its figure.`,
    {
      remedy: VERSIONS,
      details: {
        theirUp: String(theirs.up),
        ourUp: String(ours.up),
        theirDown: String(theirs.down),
        ourDown: String(ours.down),
        theirDue: String(theirs.amount),
        ourDue: ours.due === undefined ? 'unknown' : String(ours.due),
      },
    },
  );
}

export function depositExceeded(peer: NodeId, wanted: bigint, channel: ChannelState): RelaymintError {
  return new RelaymintError(
    'DEPOSIT_EXHAUSTED',
    `${peer} signed for ${wanted} base units; its deposit is ${channel.deposit}.`,
    { remedy: 'It must top up its channel.', details: { channel: channel.id } },
  );
}

export function channelClosing(peer: NodeId, channel: ChannelState): RelaymintError {
  return new RelaymintError('CHANNEL_CLOSING', `${peer} asked to close its channel.`, {
    remedy: 'It must open a new channel to go on.',
    details: { channel: channel.id },
  });
}
