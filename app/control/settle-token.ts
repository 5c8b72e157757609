/**
 * The secret that a page must show to make the nodes of a gateway's marketplace settle. It is in the gateway's data folder, like that of
 * the control port, and no server ever sends it: a person carries it from the terminal to the page.
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { replaceFile } from '../../platform/disk/atomic-file.ts';

const FILE = 'settle.token';
const TOKEN_BYTES = 32;

/** Makes a new one, which replaces the previous one. @throws RelaymintError STORAGE_FAILED. */
export async function createSettleToken(dataDir: string): Promise<string> {
  const token = randomBytes(TOKEN_BYTES).toString('base64url');
  await replaceFile(path.join(dataDir, FILE), Buffer.from(`${token}\n`));
  return token;
}

export async function readSettleToken(dataDir: string): Promise<string> {
  return (await readFile(path.join(dataDir, FILE), 'utf8')).trim();
}
