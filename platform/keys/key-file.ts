/** The node key on disk: PKCS8 DER (`openssl pkey -inform DER -in FILE -noout -text` reads it), mode 0600. */
import { randomBytes } from 'node:crypto';
import { RelaymintError } from '../../core/errors.ts';
import { ED25519 } from './der.ts';
import { SEED_BYTES, identityFromSeed, type NodeIdentity } from './identity.ts';
import { createSecret, readSecret } from './secret-file.ts';

const WHAT = 'node key';
/** A key has 48 bytes; nothing is read of a file longer than this. */
const MAX_FILE_BYTES = 1024;

/**
 * Writes a new node key, drawn at random unless its 32-byte seed is given (reproducible networks); the file is there
 * whole or not at all, even when the power fails. The seed is wiped.
 * @throws RelaymintError FILE_EXISTS (an existing key is never overwritten), STORAGE_FAILED.
 */
export async function createNodeKey(path: string, seed: Uint8Array = randomBytes(SEED_BYTES)): Promise<NodeIdentity> {
  const identity = identityFromSeed(seed);
  seed.fill(0);
  const der = identity.exportKey();
  try {
    await createSecret({ path, what: WHAT }, der);
  } catch (cause) {
    identity[Symbol.dispose]();
    throw cause;
  } finally {
    der.fill(0);
  }
  return identity;
}

/**
 * @throws RelaymintError FILE_NOT_FOUND, KEY_FILE_UNSAFE (others may read it), INVALID_ENCODING (not a key), STORAGE_FAILED.
 */
export async function readNodeKey(path: string): Promise<NodeIdentity> {
  const content = await readSecret({ path, what: WHAT }, MAX_FILE_BYTES);
  if (content === undefined) {
    throw new RelaymintError('FILE_NOT_FOUND', `There is no node key at ${path}.`, {
      remedy: 'A node creates it at its first start.',
    });
  }
  try {
    const seed = ED25519.secretIn(content);
    if (seed !== undefined) return identityFromSeed(seed);
    throw new RelaymintError('INVALID_ENCODING', `${path} is not a node key.`, {
      remedy: 'A node key is an Ed25519 key in PKCS8 DER, 48 bytes.',
    });
  } finally {
    content.fill(0);
  }
}
