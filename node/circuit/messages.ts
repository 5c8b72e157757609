/**
 * The messages that build a circuit. Fixed layouts, little-endian:
 *
 *   CREATE    version u8 | price u64 | grant u32 | hops u8 | X 32
 *   CREATED   Y 32 | auth 32                                  (also the data of an EXTENDED cell)
 *   EXTEND    price u64 | X 32 | the next hop's signed offer (length u16, bytes)
 *   GRANT     for each circuit: id u32 | bytes u32              (RETURN likewise)
 */
import { Reader, Writer } from '../../core/codec.ts';
import { RelaymintError } from '../../core/errors.ts';
import { KEY_BYTES, type NodeId } from '../../core/ids.ts';
import { CIRCUIT_WINDOW, MAX_GRANTS_PER_FRAME, MAX_HOPS, MAX_OFFER_BYTES } from '../../core/limits.ts';
import { pricePerMiB, type PricePerMiB } from '../../core/units.ts';
import { peekOffer } from '../offer/index.ts';
import { AUTH_BYTES } from './handshake.ts';

export const CIRCUIT_VERSION = 6;
const CREATE_BYTES: number = 1 + 8 + 4 + 1 + KEY_BYTES;
/** Before the offer. */
const EXTEND_FIXED_BYTES: number = 8 + KEY_BYTES + 2;
const GRANT_BYTES = 8;

export interface Create {
  readonly version: number;
  /** What its sender will pay for the circuit's frames on this link. */
  readonly price: PricePerMiB;
  /** Bytes of RELAY frames that the receiver may send down. */
  readonly grant: number;
  /** How many hops may follow, 0 .. MAX_HOPS - 1: each CREATE onward says one less. */
  readonly hops: number;
  readonly ephemeral: Uint8Array;
}

export interface Created {
  readonly ephemeral: Uint8Array;
  readonly auth: Uint8Array;
}

export interface Extend {
  /** The node whose offer it claims to be. */
  readonly node: NodeId;
  readonly price: PricePerMiB;
  readonly ephemeral: Uint8Array;
  /** The next hop's offer, as the sender knows it. Not verified. */
  readonly offer: Uint8Array;
}

export function encodeCreate(value: Omit<Create, 'version'>): Uint8Array {
  return new Writer(CREATE_BYTES)
    .u8(CIRCUIT_VERSION)
    .u64(value.price)
    .u32(value.grant)
    .u8(value.hops)
    .bytes(value.ephemeral)
    .finish();
}

/** @throws RelaymintError VERSION_UNSUPPORTED, INVALID_ENCODING. */
export function decodeCreate(payload: Uint8Array): Create {
  const reader = new Reader(payload, 'CREATE');
  const version = reader.u8();
  if (version !== CIRCUIT_VERSION) {
    throw new RelaymintError(
      'VERSION_UNSUPPORTED',
      `Circuit version ${CIRCUIT_VERSION} is spoken here, not ${version}.`,
      {
        remedy: 'Update the older node.',
      },
    );
  }
  const price = readPrice(reader, 'CREATE');
  const grant = reader.u32();
  if (grant > CIRCUIT_WINDOW) throw malformed('CREATE', `it grants ${grant} bytes`);
  const hops = reader.u8();
  if (hops >= MAX_HOPS) throw malformed('CREATE', `${hops} hops are to follow`);
  const ephemeral = Uint8Array.from(reader.bytes(KEY_BYTES));
  reader.end();
  return { version, price, grant, hops, ephemeral };
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

export function encodeExtend(value: Omit<Extend, 'node'>): Uint8Array {
  return new Writer(EXTEND_FIXED_BYTES + value.offer.length)
    .u64(value.price)
    .bytes(value.ephemeral)
    .bytes16(value.offer)
    .finish();
}

/** @throws RelaymintError INVALID_ENCODING. Copies: `data` may be reused. */
export function decodeExtend(data: Uint8Array): Extend {
  const reader = new Reader(data, 'EXTEND');
  const price = readPrice(reader, 'EXTEND');
  const ephemeral = Uint8Array.from(reader.bytes(KEY_BYTES));
  const offer = Uint8Array.from(reader.bytes16(MAX_OFFER_BYTES));
  reader.end();
  const node = peekOffer(offer)?.nodeId;
  if (node === undefined) throw malformed('EXTEND', `its offer has ${offer.length} bytes`);
  return { node, price, ephemeral, offer };
}

/** Calls `write` for as many frames as are needed. */
export function encodeGrants(grants: ReadonlyMap<number, number>, write: (payload: Uint8Array) => void): void {
  let left = grants.size;
  let writer: Writer | undefined;
  let room = 0;
  for (const [circuit, bytes] of grants) {
    if (writer === undefined) {
      room = Math.min(left, MAX_GRANTS_PER_FRAME);
      left -= room;
      writer = new Writer(room * GRANT_BYTES);
    }
    writer.u32(circuit).u32(bytes);
    room -= 1;
    if (room > 0) continue;
    write(writer.finish());
    writer = undefined;
  }
}

/** Calls `take` for each circuit. @throws RelaymintError INVALID_ENCODING when it names none, too many, or no bytes. */
export function decodeGrants(payload: Uint8Array, take: (circuit: number, bytes: number) => void): void {
  const count = payload.length / GRANT_BYTES;
  if (!Number.isInteger(count) || count < 1 || count > MAX_GRANTS_PER_FRAME) {
    throw malformed('GRANT', `it has ${payload.length} bytes`);
  }
  const reader = new Reader(payload, 'GRANT');
  for (let index = 0; index < count; index += 1) {
    const circuit = reader.u32();
    const bytes = reader.u32();
    if (bytes === 0) throw malformed('GRANT', `it grants circuit ${circuit} nothing`);
    take(circuit, bytes);
  }
}

function readPrice(reader: Reader, what: string): PricePerMiB {
  const value = reader.u64();
  try {
    return pricePerMiB(value);
  } catch (cause) {
    throw malformed(what, `its price of ${value} is impossible`, cause);
  }
}

function malformed(what: string, detail: string, cause?: unknown): RelaymintError {
  return new RelaymintError('INVALID_ENCODING', `Malformed ${what}: ${detail}.`, { cause });
}
