/** Pages as any web server serves files, in Chromium, and what the browser complains of. */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { chromium, type Browser, type Page } from 'playwright-core';
import type { Cleanup } from '../sites/kit.ts';

const CHROMIUM = '/usr/bin/chromium';
/** It connects to nobody by itself. */
const ARGUMENTS: readonly string[] = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
];
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
};

export async function openBrowser(cleanup: Cleanup): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: [...ARGUMENTS] });
  cleanup.add(() => browser.close());
  return browser;
}

export interface Served {
  /** `http://localhost:PORT`; below localhost too, each host name with the same files. */
  readonly origin: string;
  readonly port: number;
  /** What is at a path instead of a file. */
  readonly pages: Map<string, string>;
  /** What was asked for, in its order. */
  readonly asked: string[];
}

/** Serves a folder as it is. */
export async function serveFolder(cleanup: Cleanup, folder: string): Promise<Served> {
  const pages = new Map<string, string>();
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    asked.push(pathname);
    const page = pages.get(pathname);
    const head = {
      'Content-Type': TYPES[path.extname(pathname)] ?? 'text/html; charset=utf-8',
      'Cache-Control': 'no-store',
    };
    if (page !== undefined) {
      response.writeHead(200, head).end(page);
      return;
    }
    readFile(path.join(folder, path.normalize(pathname))).then(
      (content) => response.writeHead(200, head).end(content),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanup.add(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { origin: `http://localhost:${port}`, port, pages, asked };
}

/** Opens an address. `trouble`: what the page or the browser complained of, and what did not come. */
export async function openPage(
  browser: Browser,
  cleanup: Cleanup,
  url: string,
): Promise<{ readonly page: Page; readonly trouble: string[] }> {
  const page = await browser.newPage();
  cleanup.add(() => page.close());
  const trouble: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) trouble.push(message.text());
  });
  page.on('pageerror', (error) => trouble.push(error.message));
  page.on('requestfailed', (request) => trouble.push(`${request.url()}: ${request.failure()?.errorText}`));
  page.on('response', (response) => {
    if (response.status() >= 400) trouble.push(`${response.url()}: ${response.status()}`);
  });
  await page.goto(url);
  return { page, trouble };
}

/** A page that runs a module. An icon of its own, so that the browser asks for none. */
export function pageOf(script: string, head: string = ''): string {
  return `<!doctype html><meta charset="utf-8"><title>page</title><link rel="icon" href="data:,">${head}<body><script type="module">${script}</script>`;
}
