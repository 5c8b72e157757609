/** The marketplace page's files, read once. */
import { readFile } from 'node:fs/promises';
import type { Response } from 'express';
import { RelaymintError } from '../../core/errors.ts';
import { hasErrno } from '../../platform/errno.ts';

interface PageFile {
  readonly file: string;
  /** Its media type. */
  readonly type: string;
}

const FILES: Readonly<Record<string, PageFile>> = {
  '/': { file: 'index.html', type: 'text/html; charset=utf-8' },
  '/market.css': { file: 'market.css', type: 'text/css; charset=utf-8' },
  '/market.js': { file: 'market.js', type: 'text/javascript; charset=utf-8' },
  '/icon.svg': { file: 'icon.svg', type: 'image/svg+xml' },
};

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Beside this file when run from source, in the source tree when run from the build. */
const PLACES = ['./page/', '../../../sites/gateway/page/'];

export class MarketPage {
  readonly #files = new Map<string, Promise<Buffer>>();

  has(path: string): boolean {
    return fileAt(path) !== undefined;
  }

  /** For a path that it has. @throws RelaymintError FILE_NOT_FOUND when the installation lacks the file. */
  async send(path: string, response: Response): Promise<void> {
    const known = fileAt(path);
    if (known === undefined) throw new TypeError(`the marketplace page has no ${path}`);
    let body = this.#files.get(known.file);
    if (body === undefined) {
      body = load(known.file);
      this.#files.set(known.file, body);
    }
    response.set({
      'Content-Type': known.type,
      'Content-Security-Policy': POLICY,
      'Cache-Control': 'no-cache',
    });
    response.send(await body);
  }
}

function fileAt(path: string): PageFile | undefined {
  return Object.hasOwn(FILES, path) ? FILES[path] : undefined;
}

async function load(file: string): Promise<Buffer> {
  for (const place of PLACES) {
    try {
      return await readFile(new URL(place + file, import.meta.url));
    } catch (error) {
      if (!hasErrno(error, 'ENOENT')) throw error;
    }
  }
  throw new RelaymintError('FILE_NOT_FOUND', `The marketplace page's ${file} is missing from this installation.`, {
    remedy: 'Install Relaymint again.',
  });
}
