/** The node key on disk: PKCS8 DER (`openssl pkey -inform DER -in FILE -noout -text` reads it), mode 0600. */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { link, open, unlink, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { RelaymintError } from '../../core/errors.ts';
import { PKCS8_PREFIX, SEED_BYTES, identityFromSeed, type NodeIdentity } from './identity.ts';

const FILE_BYTES = PKCS8_PREFIX.length + SEED_BYTES;

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
    await writeOnce(path, der);
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
  const file = await openExisting(path);
  const content = Buffer.alloc(FILE_BYTES + 1);
  try {
    const { mode } = await file.stat();
    if ((mode & 0o077) !== 0) {
      throw new RelaymintError('KEY_FILE_UNSAFE', `Other users of this machine may read the node key ${path}.`, {
        remedy: `Run: chmod 600 ${path}`,
      });
    }
    const { bytesRead } = await file.read(content, 0, content.length, 0);
    const prefix = content.subarray(0, PKCS8_PREFIX.length);
    if (bytesRead !== FILE_BYTES || !timingSafeEqual(prefix, PKCS8_PREFIX)) {
      throw new RelaymintError('INVALID_ENCODING', `${path} is not a node key.`, {
        remedy: 'A node key is an Ed25519 key in PKCS8 DER, 48 bytes.',
      });
    }
    return identityFromSeed(content.subarray(PKCS8_PREFIX.length, FILE_BYTES));
  } finally {
    content.fill(0);
    await file.close();
  }
}

async function openExisting(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new RelaymintError('FILE_NOT_FOUND', `There is no node key at ${path}.`, {
        remedy: 'Create one first.',
        cause,
      });
    }
    throw storageFailed(path, cause);
  }
}

/** Writes beside the target, syncs, then links: link() fails where rename() would overwrite. */
async function writeOnce(path: string, content: Uint8Array): Promise<void> {
  const draft = `${path}.${randomBytes(6).toString('hex')}.new`;
  try {
    const file = await open(draft, 'wx', 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    try {
      await link(draft, path);
    } finally {
      await unlink(draft);
    }
    await syncFolder(dirname(path));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') {
      throw new RelaymintError('FILE_EXISTS', `There is a node key at ${path} already.`, {
        remedy: 'Use it, or move it away: a lost key is a lost node id.',
        cause,
      });
    }
    throw storageFailed(path, cause);
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function storageFailed(path: string, cause: unknown): RelaymintError {
  return new RelaymintError('STORAGE_FAILED', `The node key ${path} cannot be read or written.`, {
    remedy: 'Check the folder, its permissions and the free space.',
    cause,
  });
}
