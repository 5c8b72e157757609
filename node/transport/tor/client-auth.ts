/** Keys that let clients into private onion services, as texts and files in tor's own forms (rend-spec, client authorization). */
import { readFileSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { base32 } from 'multiformats/bases/base32';
import { RelaymintError, messageOf } from '../../../core/errors.ts';
import { ensurePrivate } from '../../../platform/keys/secret-file.ts';
import { readOnion } from './address.ts';
import type { OnionAccess } from './commands.ts';
import { clientKeyText } from './key.ts';

const KEY_BYTES = 32;
const WHAT = 'client keys';
const MAX_FILE_CHARACTERS = 100_000;

/** Reads what `relaymint tor client-key` printed: 52 characters of base32, with or without tor's words before them. @throws RelaymintError INVALID_ARGUMENT. */
export function parseClientKey(text: string): Uint8Array {
  return decodeKey(text.trim().replace(/^descriptor:x25519:/i, ''), 'public client key');
}

/** One line of a file of keys; the holder keeps it, and nobody else. */
function accessLine(onion: string, privateKey: Uint8Array): string {
  return `${onion}:descriptor:x25519:${clientKeyText(privateKey)}`;
}

/**
 * Adds one such line to a file, which is made (mode 0600) when there is none.
 * @throws RelaymintError KEY_FILE_UNSAFE before anything is written, STORAGE_FAILED.
 */
export async function appendAccess(file: string, onion: string, privateKey: Uint8Array): Promise<void> {
  try {
    await using handle = await open(file, 'a', 0o600);
    ensurePrivate({ path: file, what: WHAT }, (await handle.stat()).mode);
    await handle.appendFile(`${accessLine(onion, privateKey)}\n`);
  } catch (cause) {
    if (cause instanceof RelaymintError) throw cause;
    throw new RelaymintError('STORAGE_FAILED', `The client key cannot be added to ${file} (${messageOf(cause)}).`, {
      remedy: 'Check --out.',
      cause,
    });
  }
}

/**
 * Reads a file of lines `ADDRESS:descriptor:x25519:KEY`, as tor's own `.auth_private` files have them.
 * @throws RelaymintError FILE_NOT_FOUND, KEY_FILE_UNSAFE, INVALID_CONFIG naming the line (never showing it).
 */
export function readAccessFile(file: string): OnionAccess[] {
  let text: string;
  try {
    ensurePrivate({ path: file, what: WHAT }, statSync(file).mode);
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    if (cause instanceof RelaymintError) throw cause;
    throw new RelaymintError('FILE_NOT_FOUND', `The client keys ${file} cannot be read (${messageOf(cause)}).`, {
      remedy: 'Check --onion-auth.',
      cause,
    });
  }
  return text
    .slice(0, MAX_FILE_CHARACTERS)
    .split(/\r?\n/)
    .flatMap((line, index) => (line.trim() === '' || line.startsWith('#') ? [] : [readLine(line.trim(), index + 1)]));
}

function readLine(line: string, number: number): OnionAccess {
  const [, onion, key] = /^([^:]+):descriptor:x25519:(\S+)$/i.exec(line) ?? [];
  try {
    if (onion !== undefined && key !== undefined) {
      return { onion: readOnion(onion).onion, privateKey: decodeKey(key, 'client key') };
    }
  } catch {
    // Said below, without the secret.
  }
  throw new RelaymintError('INVALID_CONFIG', `Line ${number} of the client keys is not a client key.`, {
    remedy: 'Write ADDRESS:descriptor:x25519:KEY, as "relaymint tor client-key" does.',
  });
}

function decodeKey(text: string, what: string): Uint8Array {
  let key: Uint8Array | undefined;
  try {
    key = base32.decode(`b${text.toLowerCase()}`);
  } catch {
    // No base32.
  }
  if (key?.length === KEY_BYTES) return key;
  throw new RelaymintError('INVALID_ARGUMENT', `This is not a ${what}.`, { remedy: 'It is 52 characters of base32.' });
}
