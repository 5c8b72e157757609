/** Reads a secret without showing it to anybody: from a file, a pipe or a terminal that shows nothing. */
import { RelaymintError } from '../core/errors.ts';
import { readSecretFile } from '../ledger/solana/index.ts';
import { askHidden } from './prompt.ts';

/** More than any secret key has; a pipe that gives more is not a key. */
const MAX_SECRET_BYTES = 1024;
/** The form of a base58 secret or seed. A file with such a name can still be given with a slash. */
const LOOKS_SECRET = /^\s*\[|^[1-9A-HJ-NP-Za-km-z]{40,}$/;

/**
 * The secret's bytes; wipe them after use. `file` undefined or `-`: standard input, asked for when that is a terminal.
 * @throws RelaymintError INVALID_ARGUMENT when a secret is given instead of the file's name; errors of `readSecretFile`.
 */
export async function readSecret(file: string | undefined): Promise<Buffer> {
  if (file !== undefined && LOOKS_SECRET.test(file)) {
    // Not quoted: it may be the secret.
    throw new RelaymintError('INVALID_ARGUMENT', 'Do not write a secret key on the command line.', {
      remedy:
        'Other users can see it there, and the shell keeps it in its history. Delete it from the history, then give the key in a file or on standard input.',
    });
  }
  if (file !== undefined && file !== '-') return readSecretFile(file);
  if (!process.stdin.isTTY) return readPipe();
  return Buffer.from(await askHidden('Secret key (not shown): '), 'latin1');
}

async function readPipe(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_SECRET_BYTES) {
      throw new RelaymintError('INVALID_ENCODING', 'Standard input is longer than any secret key.', {
        remedy: 'Give a Solana key file (id.json), or the base58 text that a wallet exports.',
      });
    }
    chunks.push(chunk);
  }
  const secret = Buffer.concat(chunks);
  for (const chunk of chunks) chunk.fill(0);
  return secret;
}
