/**
 * A statement of delivery: what a host says that it delivered on one stream, signed by its node key. Layout (docs/wire-format.md,
 * "Statements"), little-endian:
 *
 *   version u8 | host 32 | wallet 32 | wallet binding 64 | nonce 16 | from hour u32 | until hour u32 | bytes u64 | price u64 |
 *   name text (u16 length) | referrer text (u16 length; empty: none) | signature 64
 */
import { Reader, Writer, concatBytes, utf8 } from '../../core/codec.ts';
import { RelaymintError } from '../../core/errors.ts';
import {
  KEY_BYTES,
  ledgerAddress,
  ledgerAddressBytes,
  nodeId,
  nodeIdBytes,
  type LedgerAddress,
  type NodeId,
} from '../../core/ids.ts';
import { MAX_NAME_BYTES, MAX_STATEMENT_BYTES } from '../../core/limits.ts';
import { parseName } from '../../core/name.ts';
import type { Clock } from '../../core/ports.ts';
import {
  MIB,
  amount,
  bytes,
  pricePerMiB,
  type Amount,
  type Bytes,
  type PricePerMiB,
  type UnixMillis,
} from '../../core/units.ts';
import { walletBindingMessage } from '../../platform/keys/binding.ts';
import { SIGNATURE_BYTES, verifySignature, type NodeIdentity } from '../../platform/keys/identity.ts';

const VERSION = 1;
const DOMAIN = utf8('relaymint:statement:v1');
export const NONCE_BYTES = 16;
const HOUR_MILLIS = 3_600_000;

/** What was delivered on one stream. */
export interface Delivered {
  readonly name: string;
  /** The name whose page embeds it. Absent: its own pages. */
  readonly referrer?: string | undefined;
  /** Chosen by the visitor, at random, for this stream. Of two statements with one nonce that with more bytes counts. */
  readonly nonce: Uint8Array;
  /** Of all blocks so far, without headers and padding. */
  readonly bytes: Bytes;
  /** When the stream began. */
  readonly since: UnixMillis;
}

/** Nothing in it is about the visitor. */
export interface Statement extends Omit<Delivered, 'since'> {
  readonly host: NodeId;
  /** Of the till that earns. */
  readonly wallet: LedgerAddress;
  /** What the host asks for content, base units per MiB. */
  readonly price: PricePerMiB;
  /** The hours, counted from 1970, in which the stream began and in which this was signed. */
  readonly from: number;
  readonly until: number;
}

/** A statement whose signatures hold. Only `readStatement` makes one. */
export interface SignedStatement extends Statement {
  /** At most MAX_STATEMENT_BYTES, signatures included. */
  readonly encoded: Uint8Array;
}

/** States what a host delivered: the bytes of a signed statement. */
export type StatementSigner = (delivered: Delivered) => Uint8Array;

export interface SignerOptions {
  readonly identity: NodeIdentity;
  readonly wallet: LedgerAddress;
  /** The wallet's signature over `walletBindingMessage`, as in the host's offer. */
  readonly walletBinding: Uint8Array;
  readonly price: PricePerMiB;
  readonly clock: Clock;
}

export function createStatementSigner(options: SignerOptions): StatementSigner {
  const { identity, wallet, walletBinding, price, clock } = options;
  return ({ name, referrer = '', nonce, bytes: delivered, since }) => {
    if (nonce.length !== NONCE_BYTES) throw new TypeError(`a nonce has ${NONCE_BYTES} bytes, not ${nonce.length}`);
    const from = hourOf(since);
    const body = new Writer(MAX_STATEMENT_BYTES - SIGNATURE_BYTES)
      .u8(VERSION)
      .bytes(nodeIdBytes(identity.nodeId))
      .bytes(ledgerAddressBytes(wallet))
      .bytes(walletBinding)
      .bytes(nonce)
      .u32(from)
      // A clock that was set back does not make a statement that nobody reads.
      .u32(Math.max(from, hourOf(clock.now())))
      .u64(BigInt(delivered))
      .u64(price)
      .string16(name)
      .string16(referrer)
      .finish();
    return concatBytes(body, identity.sign(concatBytes(DOMAIN, body)));
  };
}

/**
 * Decodes and verifies it, with no more than what it says. Copies: `encoded` may be reused.
 * @throws RelaymintError INVALID_ENCODING (malformed, or a signature does not hold), NAME_INVALID.
 */
export function readStatement(encoded: Uint8Array): SignedStatement {
  if (encoded.length > MAX_STATEMENT_BYTES) throw malformed(`it has more than ${MAX_STATEMENT_BYTES} bytes`);
  const own = Uint8Array.from(encoded);
  const input = new Reader(own, 'statement of delivery');
  const version = input.u8();
  if (version !== VERSION) throw malformed(`version ${version} is unknown`);
  const host = input.bytes(KEY_BYTES);
  const wallet = input.bytes(KEY_BYTES);
  const walletBinding = input.bytes(SIGNATURE_BYTES);
  const nonce = input.bytes(NONCE_BYTES);
  const [from, until] = [input.u32(), input.u32()];
  const delivered = input.u64();
  const price = input.u64();
  const name = nameIn(input.string16(MAX_NAME_BYTES));
  const shown = input.string16(MAX_NAME_BYTES);
  const body = own.subarray(0, own.length - input.remaining);
  const signature = input.bytes(SIGNATURE_BYTES);
  input.end();
  if (from > until) throw malformed('it ends before it begins');
  if (delivered === 0n || delivered > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed(`it states ${delivered} bytes`);
  if (shown === name) throw malformed(`${name} is said to be embedded by itself`);
  if (!verifySignature(host, concatBytes(DOMAIN, body), signature))
    throw malformed('it is not signed by the host it names');
  const id = nodeId(host);
  // Otherwise a host could have another one's wallet blamed.
  if (!verifySignature(wallet, walletBindingMessage(id), walletBinding))
    throw malformed('its wallet did not sign for its host');
  return {
    host: id,
    wallet: ledgerAddress(wallet),
    nonce,
    from,
    until,
    bytes: bytes(Number(delivered)),
    price: priceIn(price),
    name,
    ...(shown !== '' && { referrer: nameIn(shown) }),
    encoded: own,
  };
}

/** What the host was paid at least for what it states: its cells, which cost more, are not in it. Rounded down. */
export function grossOf({ bytes: delivered, price }: Pick<Statement, 'bytes' | 'price'>): Amount {
  return amount((BigInt(delivered) * price) / BigInt(MIB));
}

export function hourOf(time: UnixMillis): number {
  return Math.floor(time / HOUR_MILLIS);
}

/** Two statements with the same are of one stream. */
export function streamOf({ host, nonce, name, referrer = '' }: Statement): string {
  return [host, Buffer.from(nonce).toString('base64'), name, referrer].join(' ');
}

/** Only as names are written: a name must not count as two. */
function nameIn(text: string): string {
  const { name } = parseName(text);
  if (name !== text) throw malformed(`a name is written ${JSON.stringify(text)} instead of ${name}`);
  return name;
}

function priceIn(value: bigint): PricePerMiB {
  try {
    return pricePerMiB(value);
  } catch (cause) {
    throw malformed('its price is above the highest possible one', cause);
  }
}

function malformed(detail: string, cause?: unknown): RelaymintError {
  return new RelaymintError('INVALID_ENCODING', `Malformed statement of delivery: ${detail}.`, { cause });
}
