/** The preview of a site: a folder and its changes, without any node. */
import { existsSync, writeFileSync } from 'node:fs';
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
import { admitting } from '../../app/site/policy.ts';
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
    expect(await textOf(site?.url ?? '')).toMatch(/^<p>page<script async src="\/\.relaymint\/reload\.js"/);
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

describe('a preview under a manifest', () => {
  const PNG = Buffer.from('89504e470d0a1a0a0000000d', 'hex');
  const SVG = '<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>';
  const embedding = (page: string): Record<string, string> => ({
    'sec-fetch-site': 'cross-site',
    'sec-fetch-mode': 'cors',
    'sec-fetch-dest': 'image',
    origin: page.replace(/\/$/, ''),
  });

  async function withTerms(
    name: string,
    files: Readonly<Record<string, string | Buffer>>,
    terms: object,
  ): Promise<string> {
    const folder = await folderOf(name, {});
    await writeTree(folder, files);
    await writeFile(`${folder}.manifest.json`, JSON.stringify({ creator: 'Ana', ...terms }));
    return folder;
  }

  it('found beside the folder says what visitors will be told, and who may embed it', async () => {
    const licence = { permits: { usage: ['search'] }, payment: 'attribution' };
    const terms = { kind: 'image', mediaType: 'image/png', licence, embedding: ['news.web3'] };
    const folder = await withTerms('dawn', { 'a.png': PNG, 'b.svg': SVG, 'c.png': '<html>' }, terms);
    const news = await folderOf('news', { 'index.html': 'page' });
    const others = await folderOf('others', { 'index.html': 'page' });
    const preview = await opened([folder, news, others]);
    const [dawn = '', page = '', other = ''] = preview.sites.map(({ url }) => url);
    expect([new URL(dawn).hostname, preview.sites[0]?.manifest]).toEqual([
      'dawn-image.localhost',
      `${folder}.manifest.json`,
    ]);
    const picture = await ask(`${dawn}a.png`);
    expect([picture.statusCode, picture.headers['content-type'], picture.headers['link']]).toEqual([
      200,
      'image/png',
      '</license.xml>; rel="license"; type="application/rsl+xml"',
    ]);
    expect(await textOf(`${dawn}license.xml`)).toContain('<permits type="usage">search</permits>');
    expect(JSON.parse(await textOf(`${dawn}.well-known/relaymint/manifest.json`))).toMatchObject({
      name: 'dawn.image',
      creator: 'Ana',
    });
    expect((await ask(`${dawn}b.svg`)).headers['content-security-policy']).toMatch(/^sandbox;/);
    expect((await ask(`${dawn}c.png`)).statusCode).toBe(502);
    const embedded = await ask(`${dawn}a.png`, embedding(page));
    expect([embedded.statusCode, embedded.headers['access-control-allow-origin']]).toEqual([200, page.slice(0, -1)]);
    expect((await ask(`${dawn}a.png`, embedding(other))).statusCode).toBe(403);
    expect((await ask(page, embedding(dawn))).statusCode).toBe(403);
  });

  it('shows what changed in the file, and goes on with the one before while there is a fault in it', async () => {
    const folder = await withTerms('site', { 'index.html': 'page' }, { title: 'one' });
    const seen: unknown[] = [];
    let told = (): void => {};
    const preview = await opened([folder], {
      onChange: (_site, error) => {
        seen.push(error);
        told();
      },
    });
    const url = preview.sites[0]?.url ?? '';
    const title = async (): Promise<unknown> =>
      (JSON.parse(await textOf(`${url}.well-known/relaymint/manifest.json`)) as { title: unknown }).title;
    const state = await textOf(`${url}.relaymint/state`);
    const rewritten = async (text: string): Promise<void> => {
      const changed = new Promise<void>((resolve) => (told = resolve));
      await writeFile(`${folder}.manifest.json`, text);
      await changed;
    };
    await rewritten('{ "creator": "Ana", "titel": "two" }');
    expect([await title(), seen]).toEqual([
      'one',
      [expect.objectContaining({ message: expect.stringContaining('titel: there is no such field') })],
    ]);
    await rewritten('{ "creator": "Ana", "title": "two" }');
    expect([await title(), await textOf(`${url}.relaymint/state`)]).not.toEqual(['one', state]);
    expect(await title()).toBe('two');
  });

  it('shows what was written into the file while the folder was read', async () => {
    const folder = await withTerms('site', { 'index.html': 'page' }, { title: 'one' });
    let written = false;
    let told = (): void => {};
    const changed = new Promise<void>((resolve) => (told = resolve));
    const preview = await opened([folder], {
      // The manifest was read before.
      onImport: () => {
        if (written) return;
        written = true;
        writeFileSync(`${folder}.manifest.json`, '{ "creator": "Ana", "title": "two" }');
      },
      onChange: () => told(),
    });
    await changed;
    const found = await textOf(`${preview.sites[0]?.url}.well-known/relaymint/manifest.json`);
    expect(JSON.parse(found)).toMatchObject({ title: 'two' });
  });

  it('that is given, or a name, is for one folder; a name that needs one shows nothing without', async () => {
    const folder = await withTerms('site', { 'a.png': PNG }, { mediaType: 'image/png' });
    const terms = path.join(path.dirname(folder), 'terms.json');
    await writeFile(terms, '{ "creator": "Bo", "mediaType": "image/png" }');
    const shown = await opened([folder], { manifest: terms, name: 'dusk.image' });
    const url = shown.sites[0]?.url ?? '';
    expect(JSON.parse(await textOf(`${url}.well-known/relaymint/manifest.json`))).toMatchObject({
      name: 'dusk.image',
      kind: 'image',
      creator: 'Bo',
    });
    const bare = await opened([await folderOf('bare', { 'a.txt': 'words' })], { name: 'bare.image' });
    const refused = await ask(`${bare.sites[0]?.url}a.txt`);
    expect(refused.statusCode).toBe(502);
    const refusal = { code: 'INVALID_ARGUMENT', message: expect.stringContaining('for one folder') };
    await expect(opened([folder, folder], { manifest: terms })).rejects.toMatchObject(refusal);
    await expect(opened([folder, folder], { name: 'a.web3' })).rejects.toMatchObject(refusal);
    await writeFile(`${folder}.manifest.json`, '{}');
    await expect(opened([folder])).rejects.toMatchObject({
      message: expect.stringContaining('creator: it is missing'),
    });
  });
});

describe('what a page obeys beside what reloads it', () => {
  const added = { script: 'http://a/reload.js', hash: "'sha256-x'", asks: 'http://a/state' };
  it.each([
    ["default-src 'self'", "default-src 'self'"],
    ['img-src data:; sandbox', 'img-src data:; sandbox'],
    ["script-src * 'unsafe-inline'; connect-src 'SELF'", "script-src * 'unsafe-inline'; connect-src 'SELF'"],
    ["default-src 'none'", "default-src 'none'; script-src-elem 'sha256-x'; connect-src http://a/state"],
    [
      "Default-Src 'none'; img-src 'self'; default-src *",
      "default-src 'none'; img-src 'self'; script-src-elem 'sha256-x'; connect-src http://a/state",
    ],
    [
      "script-src 'nonce-1' 'strict-dynamic' 'self'; connect-src",
      "script-src 'nonce-1' 'strict-dynamic' 'self'; connect-src http://a/state; script-src-elem 'nonce-1' 'strict-dynamic' 'self' 'sha256-x'",
    ],
    ["script-src 'unsafe-inline'", "script-src 'unsafe-inline'; script-src-elem 'unsafe-inline' http://a/reload.js"],
    [
      "script-src 'unsafe-inline' 'nonce-1'; script-src-elem 'none'",
      "script-src 'unsafe-inline' 'nonce-1'; script-src-elem 'sha256-x'",
    ],
    ["default-src 'self', connect-src 'none'", "default-src 'self',connect-src http://a/state"],
  ])('%s becomes %s', (policy, wanted) => {
    expect(admitting(policy, added)).toBe(wanted);
  });
});
