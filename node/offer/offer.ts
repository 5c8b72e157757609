/**
 * The signed offer: what a node says about itself. Layout (docs/wire-format.md, "Offer"):
 * version u8 | node id 32 | onion key 32 | wallet 32 | wallet binding 64 | sequence u64 | expires u64 |
 * address count u8 | addresses (length u16, text) | service count u8 | services (length u8, name, price u64) |
 * from version 2 on kept names (length u16, bytes; in version 3 none if the length is 0) | in version 3 room u8 | signature 64
 */
import { Reader, Writer, concatBytes, utf8 } from '../../core/codec.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import {
  KEY_BYTES,
  ledgerAddress,
  ledgerAddressBytes,
  nodeId,
  nodeIdBytes,
  type LedgerAddress,
  type NodeId,
} from '../../core/ids.ts';
import {
  MAX_ADDRESSES,
  MAX_ADDRESS_BYTES,
  MAX_KEPT_NAME_BYTES,
  MAX_OFFER_BYTES,
  MAX_OFFER_LIFE_MILLIS,
  MAX_OFFER_SERVICES,
} from '../../core/limits.ts';
import { U64_MAX, pricePerMiB, unixMillis, type Bytes, type PricePerMiB, type UnixMillis } from '../../core/units.ts';
import { walletBindingMessage } from '../../platform/keys/binding.ts';
import { SIGNATURE_BYTES, verifySignature, type NodeIdentity } from '../../platform/keys/identity.ts';
import { decodeKeptNames, encodeKeptNames, keptNames, saysItKeeps, type KeptNames } from './kept.ts';
import { decodeRoom, encodeRoom, fitsRoom, roundedRoom } from './room.ts';

const VERSION = 1;
/** Version of an offer that lists kept names and no room; one without either has version 1. */
const VERSION_WITH_NAMES = 2;
/** Of a host that says how much it still takes. */
const VERSION_WITH_ROOM = 3;
const OFFER_DOMAIN = utf8('relaymint:offer:v1');
/** After version, node id, onion key, wallet and its binding. */
const SEQUENCE_OFFSET = 1 + 3 * KEY_BYTES + SIGNATURE_BYTES;
/** Printable ASCII without space: what a multiaddr is made of. */
const ADDRESS_PATTERN = /^\/[\x21-\x7e]+$/;
const SERVICE_PATTERN = /^[a-z0-9][a-z0-9._-]{0,31}$/;
/** Clocks of honest nodes differ by less than this, milliseconds. */
const CLOCK_SKEW_MILLIS = 5 * 60_000;

/** Something the node sells: 'relay' carries circuits onward, 'content' serves pages. */
export interface OfferedService {
  /** 1 to 32 of a-z 0-9 . _ - */
  readonly name: string;
  readonly price: PricePerMiB;
}

export interface Offer {
  readonly nodeId: NodeId;
  /** X25519 public key for hop handshakes, 32 bytes. */
  readonly onionKey: Uint8Array;
  /** The wallet that owns the till and earns. */
  readonly wallet: LedgerAddress;
  /** The wallet's Ed25519 signature over walletBindingMessage(nodeId), 64 bytes. */
  readonly walletBinding: Uint8Array;
  /** At most MAX_ADDRESSES multiaddr texts; none when the node only dials out. */
  readonly addresses: readonly string[];
  readonly services: readonly OfferedService[];
  /** Names that a host keeps; undefined if the offer has no such list. */
  readonly kept: KeptNames | undefined;
  /** How much content it takes at least, rounded (`roundedRoom`); undefined if the offer does not say. */
  readonly room: Bytes | undefined;
  /** The higher one of two offers replaces the other; see `OfferSequence`. */
  readonly sequence: bigint;
  /** At most MAX_OFFER_LIFE_MILLIS ahead. */
  readonly expires: UnixMillis;
}

/** An offer with valid signatures. Only signOffer and readOffer make one. */
export interface SignedOffer extends Offer {
  /** As it goes over the wire, signature included; at most MAX_OFFER_BYTES. */
  readonly encoded: Uint8Array;
}

/** The price of a service in this offer, undefined when it is not offered. */
export function priceOf(offer: Offer, service: string): PricePerMiB | undefined {
  return offer.services.find((offered) => offered.name === service)?.price;
}

/** Whether this host says that it keeps the name; wrong about a name that it does not keep once in 65,536. */
export function keepsName(offer: Offer, name: string): boolean {
  return saysItKeeps(offer.nodeId, offer.kept, name);
}

/** False if this host says that it has no room for so many bytes. */
export function hasRoomFor(offer: Pick<Offer, 'room'>, size: number): boolean {
  return fitsRoom(offer.room, size);
}

/** What our own offer says. */
export type OfferFields = Omit<Offer, 'nodeId' | 'kept' | 'room'> & {
  /** How much content we take; it is said rounded. undefined: nothing is said. */
  readonly room?: Bytes | undefined;
  /** The names that we keep; if not all fit, the first ones, and that there are more. None: no list. */
  readonly keeps?: readonly string[];
};

/**
 * Signs our own offer with the node key.
 * @throws RelaymintError INVALID_ARGUMENT (a field is out of its range, or the wallet binding is not this wallet's for this
 * node), LIMIT_EXCEEDED (more than MAX_OFFER_BYTES).
 */
export function signOffer({ keeps = [], room, ...fields }: OfferFields, identity: NodeIdentity): SignedOffer {
  const rounded = room === undefined ? undefined : roundedRoom(room);
  const plain = { ...fields, nodeId: identity.nodeId, kept: undefined, room: rounded };
  // With room, the length of the list is there already.
  const spare = MAX_OFFER_BYTES - SIGNATURE_BYTES - encodeBody(plain).length - (rounded === undefined ? 2 : 0);
  const body = encodeBody({ ...plain, kept: keptNames(identity.nodeId, keeps, spare) });
  const encoded = concatBytes(body, identity.sign(concatBytes(OFFER_DOMAIN, body)));
  try {
    return decode(encoded);
  } catch (cause) {
    if (!isRelaymintError(cause, 'INVALID_ENCODING')) throw cause;
    throw new RelaymintError('INVALID_ARGUMENT', `Others would refuse this offer: ${cause.message}`, { cause });
  }
}

/**
 * Decodes and verifies what came over the wire. Copies: `encoded` may be reused.
 * @throws RelaymintError INVALID_ENCODING (malformed, oversize, a signature that does not hold) or
 * TIMEOUT (expired, or it would outlive MAX_OFFER_LIFE_MILLIS).
 */
export function readOffer(encoded: Uint8Array, now: UnixMillis): SignedOffer {
  const offer = decode(Uint8Array.from(encoded.subarray(0, MAX_OFFER_BYTES + 1)));
  if (isExpired(offer, now)) throw new RelaymintError('TIMEOUT', `The offer of ${offer.nodeId} has expired.`);
  if (offer.expires > now + MAX_OFFER_LIFE_MILLIS + CLOCK_SKEW_MILLIS) {
    throw new RelaymintError('TIMEOUT', `The offer of ${offer.nodeId} claims to be valid for too long.`, {
      remedy: 'Check the clocks of both nodes.',
    });
  }
  return offer;
}

/** Whom an encoded offer claims to come from and how new it claims to be, unverified; undefined when it is too short. */
export function peekOffer(encoded: Uint8Array): { readonly nodeId: NodeId; readonly sequence: bigint } | undefined {
  if (encoded.length < SEQUENCE_OFFSET + 8) return undefined;
  const view = new DataView(encoded.buffer, encoded.byteOffset, encoded.byteLength);
  return { nodeId: nodeId(encoded.subarray(1, 1 + KEY_BYTES)), sequence: view.getBigUint64(SEQUENCE_OFFSET, true) };
}

export function isExpired(offer: Offer, now: UnixMillis): boolean {
  return offer.expires <= now;
}

function encodeBody(offer: Offer): Uint8Array {
  checkRanges(offer);
  const out = new Writer(MAX_OFFER_BYTES - SIGNATURE_BYTES);
  try {
    out.u8(versionOf(offer)).bytes(nodeIdBytes(offer.nodeId));
    out.bytes(offer.onionKey).bytes(ledgerAddressBytes(offer.wallet));
    out.bytes(offer.walletBinding).u64(offer.sequence).u64(BigInt(offer.expires));
    out.u8(offer.addresses.length);
    for (const address of offer.addresses) out.string16(address);
    out.u8(offer.services.length);
    for (const { name, price } of offer.services) out.u8(name.length).bytes(utf8(name)).u64(price);
    if (offer.kept !== undefined) out.bytes16(encodeKeptNames(offer.kept));
    else if (offer.room !== undefined) out.u16(0);
    if (offer.room !== undefined) out.u8(encodeRoom(offer.room));
  } catch (cause) {
    throw new RelaymintError('LIMIT_EXCEEDED', `An offer has at most ${MAX_OFFER_BYTES} bytes; this one has more.`, {
      remedy: 'Announce fewer or shorter addresses.',
      cause,
    });
  }
  return out.finish();
}

/** The lowest that has what is said, so that nodes of before read it. */
function versionOf({ kept, room }: Pick<Offer, 'kept' | 'room'>): number {
  if (room !== undefined) return VERSION_WITH_ROOM;
  return kept === undefined ? VERSION : VERSION_WITH_NAMES;
}

function checkRanges(offer: Offer): void {
  const wrong =
    offer.onionKey.length !== KEY_BYTES
      ? `the onion key has ${offer.onionKey.length} bytes instead of ${KEY_BYTES}`
      : offer.walletBinding.length !== SIGNATURE_BYTES
        ? `the wallet binding has ${offer.walletBinding.length} bytes instead of ${SIGNATURE_BYTES}`
        : offer.addresses.length > MAX_ADDRESSES
          ? `it has ${offer.addresses.length} addresses, at most ${MAX_ADDRESSES} are allowed`
          : offer.services.length > MAX_OFFER_SERVICES
            ? `it has ${offer.services.length} services, at most ${MAX_OFFER_SERVICES} are allowed`
            : offer.sequence < 0n || offer.sequence > U64_MAX
              ? `the sequence ${offer.sequence} is not an unsigned 64-bit number`
              : undefined;
  if (wrong !== undefined) throw new RelaymintError('INVALID_ARGUMENT', `This cannot be offered: ${wrong}.`);
}

/** Structure and signatures; the clock is the caller's. `encoded` becomes the offer's own. */
function decode(encoded: Uint8Array): SignedOffer {
  if (encoded.length > MAX_OFFER_BYTES) throw malformed(`it has more than ${MAX_OFFER_BYTES} bytes`);
  const input = new Reader(encoded, 'offer');
  const version = input.u8();
  if (version < VERSION || version > VERSION_WITH_ROOM) throw malformed(`version ${version} is unknown`);
  const id = input.bytes(KEY_BYTES);
  const onionKey = input.bytes(KEY_BYTES);
  const wallet = input.bytes(KEY_BYTES);
  const walletBinding = input.bytes(SIGNATURE_BYTES);
  const sequence = input.u64();
  const expires = input.u64();
  if (expires > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed('it never expires');
  const addresses = readAddresses(input);
  const services = readServices(input);
  const list = version === VERSION ? undefined : input.bytes16(MAX_KEPT_NAME_BYTES);
  const isList = list !== undefined && (version === VERSION_WITH_NAMES || list.length > 0);
  const kept = isList ? decodeKeptNames(list) : undefined;
  const room = version === VERSION_WITH_ROOM ? decodeRoom(input.u8()) : undefined;
  const body = encoded.subarray(0, encoded.length - input.remaining);
  const signature = input.bytes(SIGNATURE_BYTES);
  input.end();
  if (!verifySignature(id, concatBytes(OFFER_DOMAIN, body), signature)) {
    throw malformed('it is not signed by the node it names');
  }
  const node = nodeId(id);
  if (!verifySignature(wallet, walletBindingMessage(node), walletBinding)) {
    throw malformed('the wallet it names did not sign for this node');
  }
  return {
    nodeId: node,
    onionKey,
    wallet: ledgerAddress(wallet),
    walletBinding,
    addresses,
    services,
    kept,
    room,
    sequence,
    expires: unixMillis(Number(expires)),
    encoded,
  };
}

function readAddresses(input: Reader): string[] {
  const count = input.u8();
  if (count > MAX_ADDRESSES) throw malformed(`it has ${count} addresses, at most ${MAX_ADDRESSES} are allowed`);
  const addresses: string[] = [];
  for (let i = 0; i < count; i += 1) {
    const address = input.string16(MAX_ADDRESS_BYTES);
    if (!ADDRESS_PATTERN.test(address)) throw malformed('an address is not a multiaddr');
    addresses.push(address);
  }
  return addresses;
}

function readServices(input: Reader): OfferedService[] {
  const count = input.u8();
  if (count > MAX_OFFER_SERVICES) {
    throw malformed(`it has ${count} services, at most ${MAX_OFFER_SERVICES} are allowed`);
  }
  const services: OfferedService[] = [];
  for (let i = 0; i < count; i += 1) {
    const name = Buffer.from(input.bytes(input.u8())).toString('latin1');
    if (!SERVICE_PATTERN.test(name)) throw malformed('a service name is not 1 to 32 of a-z 0-9 . _ -');
    if (services.some((other) => other.name === name)) throw malformed(`it offers ${name} twice`);
    services.push({ name, price: readPrice(input.u64()) });
  }
  return services;
}

function readPrice(value: bigint): PricePerMiB {
  try {
    return pricePerMiB(value);
  } catch (cause) {
    throw malformed('a price is above the highest possible price', cause);
  }
}

function malformed(detail: string, cause?: unknown): RelaymintError {
  return new RelaymintError('INVALID_ENCODING', `Malformed offer: ${detail}.`, { cause });
}
