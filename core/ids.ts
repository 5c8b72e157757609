/** Identities. All are Ed25519 public keys or hashes; the text forms are what people and logs see. */
import bs58 from 'bs58';
import { RelaymintError } from './errors.ts';
import { fromHex, toHex } from './codec.ts';

declare const id: unique symbol;
type Id<Name extends string> = string & { readonly [id]: Name };

/** base58 of a node's 32-byte Ed25519 public key. */
export type NodeId = Id<'NodeId'>;
/** base58 of a 32-byte address on the ledger: a wallet, a till, a name record, a delegate key. */
export type LedgerAddress = Id<'LedgerAddress'>;
/** Hex of the 22-byte channel id that receipts carry. */
export type ChannelId = Id<'ChannelId'>;

export const KEY_BYTES = 32;
export const CHANNEL_ID_BYTES = 22;

export function nodeId(value: string | Uint8Array): NodeId {
  return base58Key(value, 'node id') as NodeId;
}

export function nodeIdBytes(value: NodeId): Uint8Array {
  return bs58.decode(value);
}

export function ledgerAddress(value: string | Uint8Array): LedgerAddress {
  return base58Key(value, 'ledger address') as LedgerAddress;
}

export function ledgerAddressBytes(value: LedgerAddress): Uint8Array {
  return bs58.decode(value);
}

export function channelId(value: string | Uint8Array): ChannelId {
  const raw = typeof value === 'string' ? fromHex(value) : value;
  if (raw.length !== CHANNEL_ID_BYTES) {
    throw new RelaymintError('INVALID_ENCODING', `A channel id has ${CHANNEL_ID_BYTES} bytes, this one ${raw.length}.`);
  }
  return toHex(raw) as ChannelId;
}

export function channelIdBytes(value: ChannelId): Uint8Array {
  return fromHex(value);
}

/** First characters of an id, for logs and tables. */
export function shortId(value: string): string {
  return value.length <= 10 ? value : `${value.slice(0, 8)}..`;
}

function base58Key(value: string | Uint8Array, what: string): string {
  let raw: Uint8Array;
  try {
    raw = typeof value === 'string' ? bs58.decode(value.length > 64 ? '' : value) : value;
  } catch (cause) {
    throw new RelaymintError('INVALID_ENCODING', `"${String(value).slice(0, 64)}" is not a ${what}.`, {
      remedy: 'It is written in base58, 43 or 44 characters.',
      cause,
    });
  }
  if (raw.length !== KEY_BYTES) {
    throw new RelaymintError('INVALID_ENCODING', `A ${what} has ${KEY_BYTES} bytes, this one ${raw.length}.`, {
      remedy: 'It is written in base58, 43 or 44 characters.',
    });
  }
  return bs58.encode(raw);
}
