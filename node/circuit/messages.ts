/**
 * The messages that build a circuit. Fixed layouts, little-endian:
 *
 *   CREATE    version u8 | price u64 | X 32
 *   CREATED   Y 32 | auth 32                                  (also the data of an EXTENDED cell)
 *   EXTEND    node id 32 | price u64 | X 32 | address count u8 | addresses (length u16, text)
 */
import { Reader, Writer } from '../../core/codec.ts';
import { RelaymintError } from '../../core/errors.ts';
import { KEY_BYTES, nodeId, nodeIdBytes } from '../../core/ids.ts';
import type { NodeId } from '../../core/ids.ts';
import { MAX_ADDRESSES, MAX_ADDRESS_BYTES } from '../../core/limits.ts';
import { pricePerMiB } from '../../core/units.ts';
import type { PricePerMiB } from '../../core/units.ts';
import { AUTH_BYTES } from './handshake.ts';

export const CIRCUIT_VERSION = 1;
const CREATE_BYTES: number = 1 + 8 + KEY_BYTES;
const EXTEND_FIXED_BYTES: number = KEY_BYTES + 8 + KEY_BYTES + 1;

export interface Create {
  readonly version: number;
  /** What whoever sends it will pay for the circuit's frames on this link. */
  readonly price: PricePerMiB;
  readonly ephemeral: Uint8Array;
}

export interface Created {
  readonly ephemeral: Uint8Array;
  readonly auth: Uint8Array;
}

export interface Extend {
  readonly node: NodeId;
  readonly price: PricePerMiB;
  readonly ephemeral: Uint8Array;
  readonly addresses: readonly string[];
}

export function encodeCreate(value: Omit<Create, 'version'>): Uint8Array {
  return new Writer(CREATE_BYTES).u8(CIRCUIT_VERSION).u64(value.price).bytes(value.ephemeral).finish();
}

/** @throws RelaymintError INVALID_ENCODING. The version is for the caller to judge. */
export function decodeCreate(payload: Uint8Array): Create {
  const reader = new Reader(payload, 'CREATE');
  const version = reader.u8();
  const price = readPrice(reader, 'CREATE');
  const ephemeral = Uint8Array.from(reader.bytes(KEY_BYTES));
  reader.end();
  return { version, price, ephemeral };
}

export function encodeCreated(value: Created): Uint8Array {
  return new Writer(KEY_BYTES + AUTH_BYTES).bytes(value.ephemeral).bytes(value.auth).finish();
}

/** @throws RelaymintError INVALID_ENCODING. */
export function decodeCreated(payload: Uint8Array): Created {
  const reader = new Reader(payload, 'CREATED');
  const ephemeral = Uint8Array.from(reader.bytes(KEY_BYTES));
  const auth = Uint8Array.from(reader.bytes(AUTH_BYTES));
  reader.end();
  return { ephemeral, auth };
}

export function encodeExtend(value: Extend): Uint8Array {
  const writer = new Writer(EXTEND_FIXED_BYTES + MAX_ADDRESSES * (2 + MAX_ADDRESS_BYTES))
    .bytes(nodeIdBytes(value.node))
    .u64(value.price)
    .bytes(value.ephemeral)
    .u8(value.addresses.length);
  for (const address of value.addresses) writer.string16(address);
  return writer.finish();
}

/** @throws RelaymintError INVALID_ENCODING. */
export function decodeExtend(data: Uint8Array): Extend {
  const reader = new Reader(data, 'EXTEND');
  const node = nodeId(reader.bytes(KEY_BYTES));
  const price = readPrice(reader, 'EXTEND');
  const ephemeral = Uint8Array.from(reader.bytes(KEY_BYTES));
  const count = reader.u8();
  if (count > MAX_ADDRESSES) throw malformed('EXTEND', `it names ${count} addresses`);
  const addresses: string[] = [];
  for (let index = 0; index < count; index += 1) addresses.push(reader.string16(MAX_ADDRESS_BYTES));
  reader.end();
  return { node, price, ephemeral, addresses };
}

function readPrice(reader: Reader, what: string): PricePerMiB {
  const value = reader.u64();
  try {
    return pricePerMiB(value);
  } catch (cause) {
    throw malformed(what, `its price of ${value} cannot be`, cause);
  }
}

function malformed(what: string, detail: string, cause?: unknown): RelaymintError {
  return new RelaymintError('INVALID_ENCODING', `Malformed ${what}: ${detail}.`, { cause });
}
