/** The issuer's own files: its style, its script and its icon, read once. */
import { readFile } from 'node:fs/promises';
import type { Response } from 'express';
import { RelaymintError } from '../../core/errors.ts';
import { hasErrno } from '../../platform/errno.ts';

const TYPES: Readonly<Record<string, string>> = {
  '/sso.css': 'text/css; charset=utf-8',
  '/sso.js': 'text/javascript; charset=utf-8',
  '/wallet.js': 'text/javascript; charset=utf-8',
  '/icon.svg': 'image/svg+xml',
};
/** Beside this file when run from source, in the source tree when run from the build. */
const PLACES = ['./page', '../../../sites/sso/page'];

const files = new Map<string, Promise<Buffer>>();

/** `path` is one of `TYPES`. @throws RelaymintError FILE_NOT_FOUND when the installation lacks it. */
export async function sendFile(path: string, response: Response): Promise<void> {
  const body = files.get(path) ?? load(path);
  files.set(path, body);
  response.set({ 'Cache-Control': 'no-cache', 'X-Content-Type-Options': 'nosniff' });
  response.setHeader('Content-Type', TYPES[path] ?? 'application/octet-stream');
  response.end(await body);
}

async function load(path: string): Promise<Buffer> {
  for (const place of PLACES) {
    try {
      return await readFile(new URL(place + path, import.meta.url));
    } catch (error) {
      if (!hasErrno(error, 'ENOENT')) throw error;
    }
  }
  throw new RelaymintError('FILE_NOT_FOUND', `${path} is missing from this installation.`, {
    remedy: 'Install Relaymint again.',
  });
}
