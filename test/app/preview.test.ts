/** The preview of a site: a folder and its changes, without any node. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { CarBufferWriter } from '@ipld/car';
import { request } from 'node:http';
import { once } from 'node:events';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { openPreview, type Preview, type PreviewOptions } from '../../app/site/index.ts';
import { silentLog } from '../../core/ports.ts';
import { Cleanup, rawBlock, temporaryFolder, writeTree } from '../sites/kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

async function folderOf(name: string, files: Readonly<Record<string, string>>): Promise<string> {
  const folder = path.join(await temporaryFolder(cleanup), name);
  await mkdir(folder);
  await writeTree(folder, files);
  return folder;
}

async function opened(paths: readonly string[], options: Partial<PreviewOptions> = {}): Promise<Preview> {
  const { signal } = new AbortController();
  const preview = await openPreview({ paths, port: 0, signal, log: silentLog, ...options });
  cleanup.add(() => preview[Symbol.asyncDispose]());
  return preview;
}

async function ask(url: string, headers: Readonly<Record<string, string>> = {}, method = 'GET') {
  const { port, pathname, host } = new URL(url);
  const asking = request({
    host: '127.0.0.1',
    port,
    path: pathname,
    method,
    agent: false,
    headers: { host, ...headers },
  });
  const [response] = (await once(asking.end(), 'response')) as [
    Readable & { statusCode: number; headers: Record<string, string> },
  ];
  return response;
}

async function textOf(url: string): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of (await ask(url)) as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe('a preview', () => {
  it('shows each folder at an origin of its own, and links to it', async () => {
    const [one, two] = [
      await folderOf('My Site', { 'index.html': 'one' }),
      await folderOf('my-site', { 'index.html': 'two' }),
    ];
    const preview = await opened([one, two]);
    expect(preview.sites.map(({ url }) => new URL(url).hostname)).toEqual([
      'my--site-web3.localhost',
      'my--site2-web3.localhost',
    ]);
    expect(await Promise.all(preview.sites.map(({ url }) => textOf(url)))).toEqual([
      expect.stringMatching(/^one/),
      expect.stringMatching(/^two/),
    ]);
    const front = await textOf(preview.url);
    for (const { url } of preview.sites) expect(front).toContain(`href="${url}"`);
  });

  it('shows what changed, tells open pages, and goes on after a folder that cannot be read', async () => {
    const folder = await folderOf('site', { 'index.html': 'before' });
    const seen: unknown[] = [];
    let told = (): void => {};
    const onChange: PreviewOptions['onChange'] = ({ root }, error) => {
      seen.push(error ?? root.toString());
      told();
    };
    const preview = await opened([folder], { onChange });
    const next = (): Promise<void> => new Promise((resolve) => (told = resolve));
    const [site] = preview.sites;
    const url = site?.url ?? '';
    const state = (): Promise<string> => textOf(`${url}.relaymint/state`);
    expect(await state()).toBe(site?.root.toString());
    let changed = next();
    await writeFile(path.join(folder, 'index.html'), 'after');
    await changed;
    expect(await textOf(url)).toMatch(/^after/);
    expect(await state()).toBe(seen.at(-1));
    changed = next();
    await rm(path.join(folder, 'index.html'));
    await changed;
    expect(seen.at(-1)).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await textOf(url)).toMatch(/^after/);
    changed = next();
    await writeFile(path.join(folder, 'index.html'), 'again');
    await changed;
    expect(await textOf(url)).toMatch(/^again/);
  });

  it('goes on with a folder that is made anew, as generators of sites do', async () => {
    const folder = await folderOf('site', { 'index.html': 'one' });
    const preview = await opened([folder]);
    const page = (): Promise<string> => textOf(preview.sites[0]?.url ?? '');
    for (const text of ['two', 'three']) {
      await rm(folder, { recursive: true });
      await mkdir(folder);
      await writeFile(path.join(folder, 'index.html'), text);
      await expect.poll(page).toMatch(new RegExp(`^${text}`));
    }
    await writeFile(path.join(folder, 'index.html'), 'four');
    await expect.poll(page).toMatch(/^four/);
  });

  it('removes what a preview that was killed left', async () => {
    const left = await mkdtemp(path.join(tmpdir(), 'relaymint-scratch-999999999-preview-'));
    await opened([await folderOf('site', { 'index.html': 'page' })]);
    expect(existsSync(left)).toBe(false);
  });

  it('says what of a CAR file cannot be shown', async () => {
    const [here, gone] = [rawBlock('here'), rawBlock('gone')];
    const file = path.join(await folderOf('x', { y: '' }), 'a.car');
    const writer = CarBufferWriter.createWriter(new ArrayBuffer(1_000), { roots: [gone.cid] });
    writer.write({ cid: here.cid, bytes: here.block });
    await writeFile(file, writer.close({ resize: true }));
    const preview = await opened([file]);
    expect(preview.sites).toEqual([]);
    expect(preview.remarks).toEqual([expect.stringContaining('none of its roots can be shown; its 1 blocks')]);
    expect(await textOf(`${preview.url}ipfs/${here.cid.toString()}`)).toBe('here');
  });

  it('adds what reloads a page to whole pages of a site, and to nothing else', async () => {
    const folder = await folderOf('site', { 'index.html': '<p>page', 'a.txt': 'words' });
    const preview = await opened([folder]);
    const [site] = preview.sites;
    expect(await textOf(site?.url ?? '')).toMatch(/^<p>page<script>/);
    expect(await textOf(`${site?.url}a.txt`)).toBe('words');
    expect(await textOf(`${preview.url}ipfs/${site?.root.toString()}/`)).toBe('<p>page');
  });

  it('lets pages of other origins read content by its address, and not by its name', async () => {
    const preview = await opened([await folderOf('site', { 'index.html': 'page' })]);
    const [site] = preview.sites;
    const foreign = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' };
    const byAddress = await ask(`${preview.url}ipfs/${site?.root.toString()}/`, foreign);
    expect([byAddress.statusCode, byAddress.headers['access-control-allow-origin']]).toEqual([200, '*']);
    const asked = await ask(`${preview.url}ipfs/${site?.root.toString()}/`, foreign, 'OPTIONS');
    expect([asked.statusCode, asked.headers['access-control-allow-methods']]).toEqual([204, 'GET, HEAD, OPTIONS']);
    expect((await ask(site?.url ?? '', foreign)).statusCode).toBe(403);
    expect((await ask(preview.url, foreign)).statusCode).toBe(403);
    for (const at of [site?.url ?? '', preview.url, `${preview.url}ipfs/${site?.root.toString()}/`]) {
      expect((await ask(at, {}, 'POST')).statusCode).toBe(405);
    }
  });

  it.each([
    ['a folder that does not exist', async () => '/nowhere/at/all', 'FILE_NOT_FOUND'],
    ['nothing', async () => ' ', 'INVALID_ARGUMENT'],
    ['an empty folder', () => folderOf('empty', {}), 'INVALID_ARGUMENT'],
    [
      'a file that is no CAR file',
      async () => path.join(await folderOf('x', { 'a.car': 'text' }), 'a.car'),
      'CONTENT_REFUSED',
    ],
  ])('of %s says so', async (_what, given, code) => {
    await expect(opened([await given()])).rejects.toMatchObject({ code });
  });
});
