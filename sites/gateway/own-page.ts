/** The files of the gateway's own pages, read once: the marketplace, and what the visitor's sites cost. */
import { readFile } from 'node:fs/promises';
import type { Response } from 'express';
import { RelaymintError } from '../../core/errors.ts';
import { hasErrno } from '../../platform/errno.ts';

interface PageFile {
  readonly file: string;
  /** Its media type. */
  readonly type: string;
}

type Files = Readonly<Record<string, PageFile>>;

const HTML = 'text/html; charset=utf-8';
const CSS = 'text/css; charset=utf-8';
const SCRIPT = 'text/javascript; charset=utf-8';

/** Also at the front, unless the visitor's page is there. */
const MARKET_FILES: Files = {
  '/': { file: 'index.html', type: HTML },
  '/market': { file: 'index.html', type: HTML },
  '/market.css': { file: 'market.css', type: CSS },
  '/market.js': { file: 'market.js', type: SCRIPT },
  '/figures.js': { file: 'figures.js', type: SCRIPT },
  '/icon.svg': { file: 'icon.svg', type: 'image/svg+xml' },
};
const SPENDING_FILES: Files = {
  '/': { file: 'spending.html', type: HTML },
  '/spending.css': { file: 'spending.css', type: CSS },
  '/spending.js': { file: 'spending.js', type: SCRIPT },
};

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Beside this file when run from source, in the source tree when run from the build. */
const PLACES = ['./page/', '../../../sites/gateway/page/'];

/** The marketplace. */
export function marketPage(): OwnPage {
  return new OwnPage(MARKET_FILES);
}

/** What the visitor's sites cost. */
export function spendingPage(): OwnPage {
  return new OwnPage(SPENDING_FILES);
}

export class OwnPage {
  readonly #known: Files;
  readonly #files = new Map<string, Promise<Buffer>>();

  constructor(files: Files) {
    this.#known = files;
  }

  has(path: string): boolean {
    return Object.hasOwn(this.#known, path);
  }

  /** For a path that it has. @throws RelaymintError FILE_NOT_FOUND when the installation lacks the file. */
  async send(path: string, response: Response): Promise<void> {
    const known = this.has(path) ? this.#known[path] : undefined;
    if (known === undefined) throw new TypeError(`this page has no ${path}`);
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

async function load(file: string): Promise<Buffer> {
  for (const place of PLACES) {
    try {
      return await readFile(new URL(place + file, import.meta.url));
    } catch (error) {
      if (!hasErrno(error, 'ENOENT')) throw error;
    }
  }
  throw new RelaymintError('FILE_NOT_FOUND', `The page's ${file} is missing from this installation.`, {
    remedy: 'Install Relaymint again.',
  });
}
