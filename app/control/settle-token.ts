/**
 * The secret that a page has to show to have the nodes beside a gateway settle. It stands in the gateway's data folder, as that of
 * the control port does, and is in no answer of any server: a person carries it from the terminal to the page.
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { replaceFile } from '../../platform/disk/atomic-file.ts';

const FILE = 'settle.token';
const TOKEN_BYTES = 32;

/** A new one, which takes the place of the one before. @throws RelaymintError STORAGE_FAILED. */
export async function createSettleToken(dataDir: string): Promise<string> {
  const token = randomBytes(TOKEN_BYTES).toString('base64url');
  await replaceFile(path.join(dataDir, FILE), Buffer.from(`${token}\n`));
  return token;
}

export async function readSettleToken(dataDir: string): Promise<string> {
  return (await readFile(path.join(dataDir, FILE), 'utf8')).trim();
}
