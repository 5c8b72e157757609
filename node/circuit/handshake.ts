/**
 * The hop handshake, in the manner of ntor. The initiator knows the hop's node id and onion key B from its signed offer.
 *
 *   initiator -> hop   X                  an ephemeral X25519 key
 *   hop -> initiator   Y | auth           an ephemeral X25519 key, and proof that the hop holds B
 *
 *   secret = X25519(x,Y) | X25519(x,B) | B | X | Y | node id
 *   HKDF-SHA256(secret, salt = "relaymint:hop:v1")
 *     = forward key 32 | backward key 32 | auth 32 | forward stream key 32 | backward stream key 32
 *
 * Neither end reveals who it is, x and y are forgotten at once (forward secrecy), and only the holder of B gets the keys.
 */
import { diffieHellman, generateKeyPairSync, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { utf8 } from '../../core/codec.ts';
import { RelaymintError, violation } from '../../core/errors.ts';
import { KEY_BYTES, nodeIdBytes } from '../../core/ids.ts';
import type { NodeId } from '../../core/ids.ts';
import { X25519 } from '../../platform/keys/der.ts';
import type { OnionKey } from './contract.ts';

const SALT = utf8('relaymint:hop:v1');
const NO_INFO = new Uint8Array(0);
export const AUTH_BYTES = 32;

/** The keys of one hop. The layers take them over and wipe them. */
export interface HopKeys {
  readonly forward: Buffer;
  readonly backward: Buffer;
}

/** What a hop answers. */
export interface HopAnswer {
  readonly keys: HopKeys;
  /** Y, 32 bytes. */
  readonly ephemeral: Uint8Array;
  /** 32 bytes. */
  readonly auth: Uint8Array;
}

/** The onion key of a 32-byte seed (the X25519 scalar). The caller wipes its own copy. */
export function onionKeyFromSeed(seed: Uint8Array): OnionKey {
  const privateKey = X25519.privateKey(seed);
  return { privateKey, publicKey: X25519.rawPublic(privateKey) };
}

/** Initiator's half, good for one hop. */
export class HopInitiation {
  /** X, 32 bytes. */
  readonly ephemeral: Uint8Array;
  readonly #node: NodeId;
  readonly #onionKey: Uint8Array;
  #private: KeyObject | undefined;

  constructor(node: NodeId, onionKey: Uint8Array) {
    const pair = generateKeyPairSync('x25519');
    this.#node = node;
    this.#onionKey = onionKey;
    this.#private = pair.privateKey;
    this.ephemeral = X25519.rawPublic(pair.publicKey);
  }

  /**
   * @throws RelaymintError CIRCUIT_TAMPERED: the node that answered does not hold the onion key of the offer; PROTOCOL_VIOLATION: a
   * weak key.
   */
  finish(answer: { readonly ephemeral: Uint8Array; readonly auth: Uint8Array }): HopKeys {
    const own = this.#private;
    if (own === undefined) throw new TypeError('a hop initiation finishes once');
    this.#private = undefined;
    const derived = derive(
      exchange(own, answer.ephemeral),
      exchange(own, this.#onionKey),
      this.#onionKey,
      this.ephemeral,
      answer.ephemeral,
      this.#node,
    );
    if (answer.auth.length === AUTH_BYTES && timingSafeEqual(derived.auth, answer.auth)) return derived.keys;
    derived.keys.forward.fill(0);
    derived.keys.backward.fill(0);
    throw new RelaymintError('CIRCUIT_TAMPERED', `The hop ${this.#node} did not prove its onion key.`, {
      remedy: 'Its offer may be out of date, or a relay before it answered in its place. Build another circuit.',
    });
  }
}

/** The hop's half. @throws RelaymintError PROTOCOL_VIOLATION on a weak key. */
export function answerInitiation(initiator: Uint8Array, node: NodeId, onionKey: OnionKey): HopAnswer {
  const pair = generateKeyPairSync('x25519');
  const ephemeral = X25519.rawPublic(pair.publicKey);
  const derived = derive(
    exchange(pair.privateKey, initiator),
    exchange(onionKey.privateKey, initiator),
    onionKey.publicKey,
    initiator,
    ephemeral,
    node,
  );
  return { keys: derived.keys, ephemeral, auth: derived.auth };
}

function derive(
  ephemeralSecret: Buffer,
  staticSecret: Buffer,
  onionKey: Uint8Array,
  initiator: Uint8Array,
  answerer: Uint8Array,
  node: NodeId,
): { readonly keys: HopKeys; readonly auth: Uint8Array } {
  const secret = Buffer.concat([ephemeralSecret, staticSecret, onionKey, initiator, answerer, nodeIdBytes(node)]);
  const okm = Buffer.from(hkdfSync('sha256', secret, SALT, NO_INFO, 5 * KEY_BYTES));
  const key = (index: number): Buffer => okm.subarray(index * KEY_BYTES, (index + 1) * KEY_BYTES);
  const derived = {
    keys: { forward: Buffer.concat([key(0), key(3)]), backward: Buffer.concat([key(1), key(4)]) },
    auth: Uint8Array.from(key(2)),
  };
  for (const used of [ephemeralSecret, staticSecret, secret, okm]) used.fill(0);
  return derived;
}

/** X25519; an all-zero result (a key of small order) is refused. */
function exchange(own: KeyObject, peer: Uint8Array): Buffer {
  let shared: Buffer | undefined;
  try {
    shared = diffieHellman({ privateKey: own, publicKey: X25519.publicKey(peer) });
  } catch (cause) {
    throw weakKey(cause);
  }
  if (shared.every((byte) => byte === 0)) throw weakKey();
  return shared;
}

function weakKey(cause?: unknown): RelaymintError {
  return violation('An X25519 key in a hop handshake is not usable.', 'Build another circuit without this hop.', cause);
}
