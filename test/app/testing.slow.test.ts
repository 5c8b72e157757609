/** A marketplace for the tests of a site, as the built package gives it: what it shows, what it refuses, and what it leaves behind. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readManifest, type Client } from '../../sdk/index.ts';
import { createTestnet, type Testnet } from '../../app/testing/index.ts';

let testnet: Testnet;
let scratch: string;
const before = process.env['TMPDIR'];
beforeAll(async () => {
  scratch = await mkdtemp(path.join(tmpdir(), 'relaymint-scratch-'));
  process.env['TMPDIR'] = scratch;
  testnet = await createTestnet({ relays: 1 });
});
afterAll(async () => {
  await testnet[Symbol.asyncDispose]();
  if (before === undefined) delete process.env['TMPDIR'];
  else process.env['TMPDIR'] = before;
  await rm(scratch, { recursive: true, force: true });
});

const MANIFEST = { creator: 'Ana Lima', title: 'Tides', embedding: ['news.web3'] };

it('shows what is published, with its manifest, and then what is published anew', async () => {
  const { fetch: ask } = testnet.client;
  const first = await testnet.publish(
    { 'index.html': 'one', 'a/b.txt': 'two' },
    { name: 'tides.web3', manifest: MANIFEST },
  );
  expect(first).toMatchObject({ name: 'tides.web3', files: 2, url: testnet.addressOf('tides.web3') });
  expect(await (await ask(first.url)).text()).toBe('one');
  expect(await (await ask(testnet.addressOf('tides.web3', '/a/b.txt'))).text()).toBe('two');
  const manifest = await ask(testnet.addressOf('tides.web3', '/.well-known/relaymint/manifest.json'));
  expect(await manifest.json()).toMatchObject({ creator: 'Ana Lima', root: first.root });
  const page: Client = testnet.clientOf('tides.web3');
  expect(await readManifest(page)).toMatchObject({ title: 'Tides' });
  expect(await readManifest(testnet.client, { name: 'tides.web3' })).toMatchObject({ title: 'Tides' });
  const second = await testnet.publish({ 'index.html': 'three' }, { name: 'tides.web3' });
  expect(second.root).not.toBe(first.root);
  await testnet.advance(60);
  expect(await (await ask(second.url)).text()).toBe('three');
});

it.each([
  ['a name that is none', { name: 'nothing' }, 'NAME_INVALID'],
  ['a manifest that is none', { name: 'a.web3', manifest: { creator: 7 } }, 'INVALID_ARGUMENT'],
])('refuses %s', async (_what, options, code) => {
  await expect(testnet.publish({ 'index.html': 'x' }, options)).rejects.toMatchObject({ code });
});

it.each(['https://example.org/', 'http://localhost.example.org/', 'https://a.localhost/'])(
  'asks nobody at %s',
  async (url) => {
    await expect(testnet.client.fetch(url)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  },
);

it('writes no file outside its own folder', async () => {
  await expect(testnet.publish({ '../../out.txt': 'x' }, { name: 'b.web3' })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
  expect(await readdir(scratch)).not.toContain('out.txt');
});

it.each([0, 4, 1.5])('is not made of %d relays', async (relays) => {
  await expect(createTestnet({ relays })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});

it('leaves nothing behind, and no gateway', async () => {
  const folders = await readdir(scratch);
  const other = await createTestnet();
  expect((await other.client.fetch(other.gateway)).status).toBe(200);
  await other[Symbol.asyncDispose]();
  await expect(other.client.fetch(other.gateway)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  expect(await readdir(scratch)).toEqual(folders);
});
