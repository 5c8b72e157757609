/**
 * The keys of a node, each for one purpose: the node key names it on links (and the onion key that answers circuit
 * handshakes is derived from it), the delegate key signs receipts, the wallet owns what is earned.
 */
import { hkdfSync } from 'node:crypto';
import path from 'node:path';
import { RelaymintError, isRelaymintError, messageOf } from '../../core/errors.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import { delegateFromSeed, type Signer } from '../../ledger/receipt/index.ts';
import {
  generateWalletKey,
  readKeyFile,
  walletAddress,
  walletKeyFromSeed,
  writeKeyFile,
  type WalletKey,
} from '../../ledger/solana/index.ts';
import { onionKeyFromSeed, type OnionKey } from '../../node/circuit/index.ts';
import { createNodeKey, readNodeKey } from '../../platform/keys/key-file.ts';
import type { NodeIdentity } from '../../platform/keys/identity.ts';
import { makeFolder } from '../../platform/disk/folder.ts';
import { WALLET_FILE } from '../config/index.ts';

export interface NodeKeys extends Disposable {
  readonly identity: NodeIdentity;
  readonly onionKey: OnionKey;
  readonly delegate: Signer;
  readonly walletKey: WalletKey;
}

export interface KeyOptions {
  /** Created 0700 when missing. */
  readonly dataDir: string;
  /** Derives every key from this text and `label` instead of drawing them: tests and reproducible networks only. */
  readonly seed: string | undefined;
  readonly label: string;
}

export const NODE_KEY_FILE = 'node.key';
const DELEGATE_FILE = 'delegate.json';
const SEED_BYTES = 32;

/** Reads the keys of a data directory, making those that are missing. */
export async function loadNodeKeys(options: KeyOptions): Promise<NodeKeys> {
  await makeFolder(options.dataDir).catch((cause: unknown) => {
    if (isRelaymintError(cause)) throw cause;
    throw new RelaymintError(
      'STORAGE_FAILED',
      `The data folder ${options.dataDir} cannot be created: ${messageOf(cause)}.`,
      {
        remedy: 'Give another folder with --data.',
        cause,
      },
    );
  });
  const identity = await loadIdentity(options);
  const delegate = signerOf(await loadKeyFile(options, DELEGATE_FILE, `${options.label}/delegate`));
  return {
    identity,
    onionKey: onionKeyOf(identity),
    delegate,
    walletKey: await loadWalletKey(options),
    [Symbol.dispose]() {
      identity[Symbol.dispose]();
      delegate.close();
    },
  };
}

/** Reads `wallet.json` of a data directory, or makes it. */
export async function loadWalletKey(options: KeyOptions): Promise<WalletKey> {
  return loadKeyFile(options, WALLET_FILE, options.label);
}

/** The address of the delegate key of a data directory; the key is created if there is none. */
export async function delegateAddress(dataDir: string): Promise<LedgerAddress> {
  return walletAddress(await readOrMakeKey(path.join(dataDir, DELEGATE_FILE)));
}

/** The key in a file; it is created if there is none. */
export function readOrMakeKey(file: string, make: () => WalletKey = generateWalletKey): Promise<WalletKey> {
  return orElse(
    () => readKeyFile(file),
    async () => {
      const key = make();
      await writeKeyFile(file, key);
      return key;
    },
  );
}

/** The Ed25519 signer of a wallet or delegate key, for statements that are not transactions. */
export function signerOf(key: WalletKey): Signer {
  return delegateFromSeed(key.secretKey.subarray(0, SEED_BYTES));
}

async function loadIdentity(options: KeyOptions): Promise<NodeIdentity> {
  const file = path.join(options.dataDir, NODE_KEY_FILE);
  return orElse(
    () => readNodeKey(file),
    () =>
      options.seed === undefined
        ? createNodeKey(file)
        : createNodeKey(file, derive(options.seed, 'relaymint:node-key:v1', options.label)),
  );
}

async function loadKeyFile({ dataDir, seed }: KeyOptions, name: string, label: string): Promise<WalletKey> {
  return readOrMakeKey(path.join(dataDir, name), () =>
    seed === undefined ? generateWalletKey() : walletKeyFromSeed(seed, label),
  );
}

async function orElse<T>(read: () => Promise<T>, create: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!isRelaymintError(error, 'FILE_NOT_FOUND')) throw error;
    return create();
  }
}

function onionKeyOf(identity: NodeIdentity): OnionKey {
  const nodeKey = identity.exportKey();
  const seed = derive(nodeKey, 'relaymint:onion-key:v1', '');
  try {
    return onionKeyFromSeed(seed);
  } finally {
    nodeKey.fill(0);
    seed.fill(0);
  }
}

function derive(secret: string | Uint8Array, salt: string, info: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, salt, info, SEED_BYTES));
}
