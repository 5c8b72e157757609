/** A check and the gateway agree where an address leads. */
import { request } from 'node:http';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { afterEach, expect, it } from 'vitest';
import { openPreview } from '../../../app/site/index.ts';
import { silentLog } from '../../../core/ports.ts';
import { parseRedirects } from '../../../sites/gateway/index.ts';
import { SitePaths } from '../../../sites/check/paths.ts';
import { Cleanup, writeTree } from '../kit.ts';
import { folderWith } from './kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const REDIRECTS =
  '/old/:page /new/:page 302\n/app/* /index.html 200\n/about /other.html\n/void /nothing\n/no/* /404.html 404\n';
const FILES = [
  'index.html',
  'about.html',
  'docs/index.html',
  'docs/a.b.html',
  'empty/x.txt',
  'a b/é.html',
  'new/1.html',
  '404.html',
];
const ASKED = [
  '/',
  '/index.html',
  '/index',
  '/about',
  '/about/',
  '/about.html',
  '/about.html/',
  '/docs',
  '/docs/',
  '/docs/a.b',
  '/docs/a.b.html',
  '/empty/',
  '/empty/x',
  '/empty/x.txt',
  '/a%20b/%C3%A9',
  '/a%20b/%C3%A9.html',
  '/a%2520b/',
  '/old/1.html',
  '/old/1',
  '/old/2',
  '/app/any/thing.js',
  '/void',
  '/no/thing',
  '/nothing',
  '/404',
  '/docs//',
  '/docs%2Findex.html',
  '/%ff',
];

it('for each form of address', async () => {
  const folder = await folderWith(cleanup, {});
  await writeTree(folder, { ...Object.fromEntries(FILES.map((file) => [file, file])), _redirects: REDIRECTS });
  const { signal } = new AbortController();
  const preview = await openPreview({ paths: [folder], port: 0, signal, log: silentLog });
  cleanup.add(() => preview[Symbol.asyncDispose]());
  const site = new URL(preview.sites[0]?.url ?? '');
  const kinds = new Map<string, 'file' | 'folder'>([['_redirects', 'file']]);
  for (const file of FILES) {
    kinds.set(file, 'file');
    if (file.includes('/')) kinds.set(file.slice(0, file.indexOf('/')), 'folder');
  }
  const paths = new SitePaths(kinds, parseRedirects(REDIRECTS));
  const ask = async (path: string): Promise<IncomingMessage> => {
    const asking = request({ host: '127.0.0.1', port: site.port, path, agent: false, headers: { host: site.host } });
    const [response] = (await once(asking.end(), 'response')) as [IncomingMessage];
    response.resume();
    return response;
  };
  const seen: Record<string, boolean> = {};
  for (const path of ASKED) {
    let response = await ask(path);
    for (let hops = 0; hops < 5 && response.headers.location !== undefined; hops += 1) {
      response = await ask(new URL(response.headers.location, site).pathname);
    }
    seen[path] = response.statusCode === 200;
  }
  expect(Object.fromEntries(ASKED.map((path) => [path, paths.answer(path).found]))).toEqual(seen);
  expect(Object.values(seen).filter(Boolean).length).toBeGreaterThan(10);
});
