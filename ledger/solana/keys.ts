/**
 * Wallet keys as every Solana tool stores them: a JSON array of 64 numbers (seed, then public key) in a file that only
 * its owner may read. Keys never appear in an error.
 */
import { hkdfSync } from 'node:crypto';
import { Keypair } from '@solana/web3.js';
import bs58 from 'bs58';
import { RelaymintError } from '../../core/errors.ts';
import { ledgerAddress } from '../../core/ids.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import { createSecret, readSecret } from '../../platform/keys/secret-file.ts';

/** A wallet's Ed25519 key pair. Opaque to everything outside `ledger/solana`: read it, hand it to `ledger.wallet`. */
export type WalletKey = Keypair;

const SECRET_KEY_BYTES = 64;
const SEED_BYTES = 32;
/** base58 of 64 bytes has at most 88 characters. */
const MAX_BASE58 = 88;
/** 64 numbers of at most three digits, commas and generous white space; anything longer is not a key file. */
const MAX_KEY_FILE_BYTES = 1024;
const WHAT = 'key file';

export function generateWalletKey(): WalletKey {
  return Keypair.generate();
}

export function walletAddress(key: WalletKey): LedgerAddress {
  return ledgerAddress(key.publicKey.toBytes());
}

/**
 * The same key for the same seed and label on every machine: HKDF-SHA256, salt "relaymint:wallet:v1", info = label.
 * As good as the seed is secret: for tests, demonstrations and reproducible networks.
 */
export function walletKeyFromSeed(seed: string, label: string): WalletKey {
  const derived = new Uint8Array(hkdfSync('sha256', seed, 'relaymint:wallet:v1', label, 32));
  try {
    return Keypair.fromSeed(derived);
  } finally {
    derived.fill(0);
  }
}

/** The form browser wallets export: base58 of the 64-byte secret key. @throws RelaymintError INVALID_ENCODING. */
export function walletKeyFromBase58(secret: string): WalletKey {
  const text = secret.trim();
  const raw = text.startsWith('[') ? undefined : secretBytes(text);
  try {
    const key = raw?.length === SECRET_KEY_BYTES ? keyFromBytes(raw) : undefined;
    if (key !== undefined) return key;
    throw new RelaymintError('INVALID_ENCODING', 'This is not a base58 secret key.', {
      remedy: 'Export the key again; it is one word of 87 or 88 characters.',
    });
  } finally {
    raw?.fill(0);
  }
}

/**
 * The secret in any form that wallets export: the JSON array of a key file or base58, of the 64-byte secret key or of
 * its 32-byte seed. `address`, when given, must be the key's; a seed must come with it, since nothing else tells a seed
 * from somebody's public address, which would make a wallet that everybody can open.
 * @throws RelaymintError INVALID_ENCODING when it is no key; INVALID_ARGUMENT when the address is another's or missing.
 */
export function parseWalletKey(secret: Uint8Array, address?: LedgerAddress): WalletKey {
  const raw = secretBytes(Buffer.from(secret.buffer, secret.byteOffset, secret.byteLength).toString('latin1').trim());
  try {
    if (raw?.length === SEED_BYTES && address === undefined) {
      throw new RelaymintError('INVALID_ARGUMENT', 'This is a 32-byte seed, which does not contain its address.', {
        remedy: 'Give the address of the wallet with --address.',
      });
    }
    const key = raw === undefined ? undefined : keyFromBytes(raw);
    if (key === undefined) {
      throw new RelaymintError('INVALID_ENCODING', 'This is not a secret key.', {
        remedy: 'Give a Solana key file (id.json), or the base58 text that a wallet exports.',
      });
    }
    if (address === undefined || walletAddress(key) === address) return key;
    throw new RelaymintError('INVALID_ARGUMENT', `This is the key of ${walletAddress(key)}, not of ${address}.`, {
      remedy: 'Export the key of the other wallet, or check the address.',
    });
  } finally {
    raw?.fill(0);
  }
}

/**
 * Reads a Solana key file (`id.json`).
 * @throws RelaymintError FILE_NOT_FOUND; KEY_FILE_UNSAFE when others may read it; INVALID_ENCODING when it is no key.
 */
export async function readKeyFile(path: string): Promise<WalletKey> {
  const text = await readSecretFile(path);
  try {
    return parseKeyFile(text, path);
  } finally {
    text.fill(0);
  }
}

/**
 * The bytes of a file that holds one secret, for `parseWalletKey`. Wipe them after use.
 * @throws RelaymintError FILE_NOT_FOUND; KEY_FILE_UNSAFE when others may read it; INVALID_ENCODING when it is too long.
 */
export async function readSecretFile(path: string): Promise<Buffer> {
  const secret = await readSecret({ path, what: WHAT }, MAX_KEY_FILE_BYTES);
  if (secret !== undefined) return secret;
  throw new RelaymintError('FILE_NOT_FOUND', `There is no key file ${path}.`, {
    remedy: 'Create one with "relaymint wallet create", or check the path.',
  });
}

/** Writes a new key file, 0600, synced; its folder is created 0700. @throws RelaymintError FILE_EXISTS (never overwrites), STORAGE_FAILED. */
export async function writeKeyFile(path: string, key: WalletKey): Promise<void> {
  await createSecret({ path, what: WHAT, makesFolder: true }, JSON.stringify([...key.secretKey]));
}

function parseKeyFile(text: Buffer, path: string): WalletKey {
  const raw = arrayBytes(text.toString('utf8'));
  try {
    const key = raw?.length === SECRET_KEY_BYTES ? keyFromBytes(raw) : undefined;
    if (key === undefined) throw notAKeyFile(path);
    return key;
  } finally {
    raw?.fill(0);
  }
}

function secretBytes(text: string): Uint8Array | undefined {
  if (text.startsWith('[')) return arrayBytes(text);
  try {
    return bs58.decode(text.length > MAX_BASE58 ? '' : text);
  } catch {
    return undefined;
  }
}

function arrayBytes(text: string): Uint8Array | undefined {
  let values: unknown;
  try {
    values = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(values) || values.length > SECRET_KEY_BYTES) return undefined;
  const whole = values.every((value) => Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 255);
  return whole ? Uint8Array.from(values as number[]) : undefined;
}

/** undefined if no key has this length, or if the public half does not belong to the secret one. */
function keyFromBytes(raw: Uint8Array): WalletKey | undefined {
  try {
    return raw.length === SEED_BYTES
      ? Keypair.fromSeed(Uint8Array.from(raw))
      : Keypair.fromSecretKey(Uint8Array.from(raw));
  } catch {
    // The cause is dropped: errors about a secret may quote it.
    return undefined;
  }
}

function notAKeyFile(path: string): RelaymintError {
  return new RelaymintError('INVALID_ENCODING', `${path} is not a Solana key file.`, {
    remedy: 'It holds a JSON array of 64 numbers.',
  });
}
