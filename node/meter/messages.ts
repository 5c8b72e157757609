/**
 * How a payer presents its channel at the start of a link, and what the payee answers. Fixed layouts, little-endian:
 *
 *   CHANNEL   till 32 | slot u16 | generation u32 | proof 64
 *   ACCOUNT   status u8 (0: accepted) | terms when accepted, text of at most 100 bytes otherwise
 *   WIDEN     from the payer nothing: it burned or deposited more; from the payee window u64: so much it may owe from now on
 *
 * The proof is the channel delegate's Ed25519 signature over "relaymint:channel-proof:v1" | channel id | payer's node id | payee's
 * node id: nobody can run up debts on a channel that is another's.
 */
import { Reader, Writer, concatBytes, utf8 } from '../../core/codec.ts';
import { RelaymintError } from '../../core/errors.ts';
import type { ErrorCode } from '../../core/errors.ts';
import { KEY_BYTES, channelIdBytes, ledgerAddress, ledgerAddressBytes, nodeIdBytes } from '../../core/ids.ts';
import type { ChannelId, LedgerAddress, NodeId } from '../../core/ids.ts';
import { amount } from '../../core/units.ts';
import type { Amount } from '../../core/units.ts';
import { MAX_TERMS_BYTES, decodeTerms, encodeTerms } from '../../ledger/accounting/index.ts';
import type { Terms } from '../../ledger/accounting/index.ts';
import type { ChannelState } from '../../ledger/contract.ts';
import { SIGNATURE_BYTES } from '../../ledger/receipt/index.ts';
import { verifySignature } from '../../platform/keys/identity.ts';

const PROOF_DOMAIN = utf8('relaymint:channel-proof:v1');
const CHANNEL_BYTES: number = KEY_BYTES + 2 + 4 + SIGNATURE_BYTES;
const MAX_TEXT_BYTES = 100;
const WINDOW_BYTES = 8;

/** ACCOUNT's first byte. Never renumbered. */
export const AccountStatus = {
  ACCEPTED: 0,
  /** No such channel is open. */
  UNKNOWN: 1,
  /** It pays somebody else. */
  NOT_OURS: 2,
  CLOSING: 3,
  /** The proof is not its delegate's. */
  NOT_PROVED: 4,
  /** The payee cannot read the ledger now. */
  LEDGER: 5,
  /** The payee keeps no more accounts. */
  LIMIT: 6,
} as const;
export type AccountStatus = (typeof AccountStatus)[keyof typeof AccountStatus];

const CODES: readonly ErrorCode[] = [
  'INTERNAL',
  'CHANNEL_UNKNOWN',
  'CHANNEL_UNKNOWN',
  'CHANNEL_CLOSING',
  'RECEIPT_INVALID',
  'LEDGER_UNREACHABLE',
  'LIMIT_EXCEEDED',
];

export interface ChannelClaim {
  readonly till: LedgerAddress;
  readonly slot: number;
  readonly generation: number;
  readonly proof: Uint8Array;
}

export type AccountAnswer =
  { readonly terms: Terms; readonly error: undefined } | { readonly terms: undefined; readonly error: RelaymintError };

/** What the delegate signs. */
export function proofMessage(channel: ChannelId, payer: NodeId, payee: NodeId): Uint8Array {
  return concatBytes(PROOF_DOMAIN, channelIdBytes(channel), nodeIdBytes(payer), nodeIdBytes(payee));
}

/** True when the channel's delegate signed for this payer and payee. */
export function provesChannel(claim: ChannelClaim, channel: ChannelState, payer: NodeId, payee: NodeId): boolean {
  return verifySignature(ledgerAddressBytes(channel.delegate), proofMessage(channel.id, payer, payee), claim.proof);
}

export function encodeClaim(claim: ChannelClaim): Uint8Array {
  return new Writer(CHANNEL_BYTES)
    .bytes(ledgerAddressBytes(claim.till))
    .u16(claim.slot)
    .u32(claim.generation)
    .bytes(claim.proof)
    .finish();
}

/** @throws RelaymintError INVALID_ENCODING. */
export function decodeClaim(payload: Uint8Array): ChannelClaim {
  const reader = new Reader(payload, 'CHANNEL');
  const till = ledgerAddress(reader.bytes(KEY_BYTES));
  const slot = reader.u16();
  const generation = reader.u32();
  const proof = Uint8Array.from(reader.bytes(SIGNATURE_BYTES));
  reader.end();
  return { till, slot, generation, proof };
}

export function encodeAccepted(terms: Terms): Uint8Array {
  return new Writer(1 + MAX_TERMS_BYTES).u8(AccountStatus.ACCEPTED).bytes(encodeTerms(terms)).finish();
}

export function encodeWiden(window: Amount): Uint8Array {
  return new Writer(WINDOW_BYTES).u64(window).finish();
}

/** undefined: the payer asks the payee to look. @throws RelaymintError INVALID_ENCODING. */
export function decodeWiden(payload: Uint8Array): Amount | undefined {
  if (payload.length === 0) return undefined;
  const reader = new Reader(payload, 'WIDEN');
  const window = amount(reader.u64());
  reader.end();
  return window;
}

/** `text` is our own, in plain ASCII. */
export function encodeRefused(status: AccountStatus, text: string): Uint8Array {
  return new Writer(1 + MAX_TEXT_BYTES)
    .u8(status)
    .bytes(utf8(text.slice(0, MAX_TEXT_BYTES)))
    .finish();
}

/** @throws RelaymintError INVALID_ENCODING. */
export function decodeAccount(payload: Uint8Array): AccountAnswer {
  const reader = new Reader(payload, 'ACCOUNT');
  const status = reader.u8();
  if (status === AccountStatus.ACCEPTED) return { terms: decodeTerms(reader.rest()), error: undefined };
  if (reader.remaining > MAX_TEXT_BYTES) throw new RelaymintError('INVALID_ENCODING', 'Malformed ACCOUNT: too long.');
  const text = Buffer.from(reader.rest())
    .toString('latin1')
    .replace(/[^\u0020-\u007e]/g, '?');
  const error = new RelaymintError(
    CODES[status] ?? 'CHANNEL_UNKNOWN',
    `The peer does not accept our channel: ${text}.`,
    {
      remedy: 'See the accounts with "relaymint stats". The next attempt opens another channel.',
      details: { status },
    },
  );
  return { terms: undefined, error };
}
