/** A visitor posts in a page: Chromium, a wallet that keeps Phantom's rules, the issuer, and a gateway that pays real hosts. */
import { cp, mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { publish } from '../../app/roles/publisher.ts';
import { startIssuer, type RunningIssuer } from '../../app/sso/index.ts';
import { createTestnet, type Testnet } from '../../app/testnet/index.ts';
import { KEY_BYTES } from '../../core/ids.ts';
import { inlineName } from '../../core/name.ts';
import { silentLog } from '../../core/ports.ts';
import { parseManifestFile } from '../../sites/manifest/index.ts';
import { fetchHere } from '../app/visitor.ts';
import { publisherRole } from '../app/publisher.ts';
import { describeUnless, missingPrograms } from '../programs.ts';
import { axeFaults } from '../axe.ts';
import { Cleanup, temporaryFolder } from '../sites/kit.ts';
import { TestWallet } from '../sites/siws/test-wallet.ts';
import { openBrowser } from './served.ts';

const FORUM = 'forum.web3';
const OTHER = 'other.web3';
const AUTHOR = 'ann.sso';
const SDK = 'dist/sdk';
const { signal } = new AbortController();
const standing = new Cleanup();
const cleanup = new Cleanup();
const SEED: Uint8Array = new Uint8Array(KEY_BYTES).fill(3);

let testnet: Testnet;
let issuer: RunningIssuer;
let browser: Browser;

async function publishSite(name: string): Promise<void> {
  const folder = path.join(await temporaryFolder(standing), 'site');
  await mkdir(folder);
  for (const file of await readdir(SDK))
    if (file.endsWith('.js')) await cp(path.join(SDK, file), path.join(folder, file));
  await writeFile(path.join(folder, 'index.html'), '<!doctype html><html lang="en"><title>Forum</title></html>');
  const terms = parseManifestFile(
    JSON.stringify({ creator: 'The town', comments: 'anybody', signIn: { redirects: ['/'], signedOut: ['/'] } }),
    { file: 'manifest.json', name },
  );
  await using owner = await testnet.open(publisherRole, inlineName(name));
  const where = { hosts: [], replicas: 1, relays: 0, signal };
  const silent = { onImport: () => {}, onUpload: () => {}, onRegistration: () => {} };
  await publish(owner.node, { directory: folder, name, terms, royaltyBps: 2_000, years: 1, ...where, ...silent });
}

function originOf(name: string): string {
  return `http://${inlineName(name)}.localhost:${new URL(testnet.url).port}`;
}

interface Visitor {
  readonly page: Page;
  readonly held: TestWallet;
  readonly context: BrowserContext;
}

async function visitor(seed: Uint8Array = SEED): Promise<Visitor> {
  const context = await browser.newContext({ viewport: { width: 320, height: 640 } });
  cleanup.add(() => context.close());
  const held = new TestWallet({ seed });
  await held.injectInto(context);
  const page = await context.newPage();
  await page.goto(`${originOf(FORUM)}/`);
  await load(page);
  return { page, held, context };
}

/** Modules go with the page that loaded them. */
async function load(page: Page): Promise<void> {
  await page.evaluate(`(async () => {
    const { createClient } = await import('/index.js');
    window.posts = await import('/posts.js');
    window.client = createClient();
  })()`);
}

async function ask(page: Page, author: string = AUTHOR): Promise<void> {
  await page.evaluate(`void posts.askToPost(client, { author: '${author}', issuer: '${issuer.issuer}' })`);
  await page.waitForURL(`${issuer.issuer}/permit?*`);
}

async function comeBack(page: Page): Promise<unknown> {
  await page.waitForURL(`${originOf(FORUM)}/**`);
  await load(page);
  return await page.evaluate(`posts.finishAsking(client).catch(({ code }) => code)`);
}

async function allowed(): Promise<Visitor> {
  const made = await visitor();
  await ask(made.page);
  await made.page.getByRole('button', { name: made.held.name }).click();
  await comeBack(made.page);
  return made;
}

function said(page: Page, call: string): Promise<unknown> {
  return page.evaluate(`posts.${call}.catch(({ code, message }) => code + ': ' + message)`);
}

async function thread(topic: string): Promise<readonly Record<string, unknown>[]> {
  const url = `${originOf(FORUM)}/.well-known/relaymint/posts?path=${encodeURIComponent(topic)}`;
  const { posts } = (await (await fetchHere(url)).json()) as { posts: readonly Record<string, unknown>[] };
  return posts;
}

describeUnless(missingPrograms(['chromium']), 'Tests of posts from a page')('a page that posts', () => {
  beforeAll(async () => {
    testnet = await createTestnet({ relays: 1 });
    standing.add(() => testnet[Symbol.asyncDispose]());
    await publishSite(FORUM);
    await publishSite(OTHER);
    {
      await using opened = await testnet.open(publisherRole, 'registrar');
      const { address } = new TestWallet({ seed: SEED });
      const root = new Uint8Array();
      await opened.node.wallet.registerName({ name: AUTHOR, root, royaltyBps: 5_000, referrerBps: 0 });
      await opened.node.wallet.transferName(AUTHOR, address);
    }
    issuer = await startIssuer({
      dataDir: await temporaryFolder(standing),
      port: 0,
      address: '127.0.0.1',
      issuer: undefined,
      gateway: new URL(testnet.url),
      ledger: testnet.gateway.node.ledger,
      fetch: fetchHere,
      connect: () => Promise.reject(new Error('its records are here')),
      clock: testnet.clock,
      log: silentLog,
    });
    standing.add(() => issuer[Symbol.asyncDispose]());
    browser = await openBrowser(standing);
  });
  afterEach(() => cleanup.run());
  afterAll(() => standing.run());

  it('is permitted once by the wallet, and writes, changes and takes back', async () => {
    const { page, held } = await visitor();
    await ask(page);
    expect(await axeFaults(page)).toEqual([]);
    await page.getByRole('button', { name: held.name }).click();
    expect(await comeBack(page)).toMatchObject({ author: AUTHOR });
    expect(new URL(page.url()).hash).toBe('');
    expect(held.signed).toHaveLength(1);
    expect(held.signed[0]).toContain('Pages of forum.web3 may write, change and take back posts there as ann.sso.');
    const post = (await said(page, `writePost(client, '/talk', 'Good morning')`)) as { sequence: number };
    expect(post).toMatchObject({ author: AUTHOR });
    await said(page, `writePost(client, '/talk', 'It rains', { answers: ${JSON.stringify(post)} })`);
    await said(page, `editPost(client, '/talk', ${post.sequence}, 'Good evening')`);
    expect(held.signed).toHaveLength(1);
    expect(await thread('/talk')).toMatchObject([
      { author: { name: AUTHOR, royaltyBps: 5_000 }, text: 'Good evening' },
      { text: 'It rains', answers: post },
    ]);
    await said(page, `removePost(client, '/talk', ${post.sequence})`);
    expect(await thread('/talk')).toMatchObject([{ state: 'removed' }, { text: 'It rains' }]);
  });

  it('keeps the key over visits, and no script reads it', async () => {
    const { page, context } = await allowed();
    const again = await context.newPage();
    await again.goto(`${originOf(FORUM)}/`);
    await load(again);
    expect(await again.evaluate('posts.postingAs(client)')).toMatchObject({ author: AUTHOR });
    const read = `(async () => {
      const open = indexedDB.open('relaymint-posting');
      const database = await new Promise((resolve) => { open.onsuccess = () => resolve(open.result); });
      const asked = database.transaction('keys').objectStore('keys').get('${FORUM}');
      const { key } = await new Promise((resolve) => { asked.onsuccess = () => resolve(asked.result); });
      return crypto.subtle.exportKey('pkcs8', key).then(() => 'read', ({ name }) => name);
    })()`;
    expect(await again.evaluate(read)).toBe('InvalidAccessError');
    await page.evaluate('posts.endPosting(client)');
    expect(await again.evaluate('posts.postingAs(client)')).toBeUndefined();
    expect(await said(page, `writePost(client, '/talk', 'again')`)).toContain('SIGN_IN_REFUSED');
  });

  it('writes nothing when the visitor says no, or another wallet signs', async () => {
    const { page } = await visitor();
    await ask(page);
    await page.getByRole('button', { name: 'No, go back to forum.web3' }).click();
    expect(await comeBack(page)).toBe('SIGN_IN_REFUSED');
    expect(await page.evaluate('posts.postingAs(client)')).toBeUndefined();
    const stranger = await visitor(new Uint8Array(KEY_BYTES).fill(9));
    await ask(stranger.page);
    await stranger.page.getByRole('button', { name: stranger.held.name }).click();
    await stranger.page.getByText('is not a profile of the wallet').waitFor();
  });

  it('takes no permit that is for another key, as a link would bring it', async () => {
    const { page } = await allowed();
    const permit = await page.evaluate<string>(`(async () => {
      const open = indexedDB.open('relaymint-posting');
      const database = await new Promise((resolve) => { open.onsuccess = () => resolve(open.result); });
      const asked = database.transaction('keys').objectStore('keys').get('${FORUM}');
      const { permit } = await new Promise((resolve) => { asked.onsuccess = () => resolve(asked.result); });
      return btoa(JSON.stringify(permit));
    })()`);
    const victim = await visitor(new Uint8Array(KEY_BYTES).fill(8));
    await victim.page.goto(`${originOf(FORUM)}/#permit=${permit}`);
    await load(victim.page);
    expect(await victim.page.evaluate(`posts.finishAsking(client).catch(({ code }) => code)`)).toBe('SIGN_IN_REFUSED');
  });

  it('is the name’s own: pages of others, forms and sites on the web cost it nothing', async () => {
    const { page, context } = await allowed();
    const body = await page.evaluate<string>(`(async () => {
      let sent;
      const spy = (url, init) => { sent = init.body; return Promise.reject(new Error('kept')); };
      await posts.writePost({ ...client, fetch: spy }, '/talk', 'stolen').catch(() => undefined);
      return btoa(String.fromCharCode(...sent));
    })()`);
    const url = `${originOf(FORUM)}/.well-known/relaymint/posts`;
    const other = await context.newPage();
    await other.goto(`${originOf(OTHER)}/`);
    const sent = (mode: string): string => `fetch('${url}', {
      method: 'POST', mode: '${mode}', headers: ${mode === 'cors' ? "{ 'content-type': 'application/vnd.ipld.dag-cbor' }" : '{}'},
      body: Uint8Array.from(atob('${body}'), (one) => one.charCodeAt(0)),
    }).then(({ type, status }) => type + status, () => 'failed')`;
    expect(await other.evaluate(sent('cors'))).toBe('failed');
    expect(await other.evaluate(sent('no-cors'))).toBe('opaque0');
    const bytes = Buffer.from(body, 'base64');
    const headers = { 'content-type': 'application/vnd.ipld.dag-cbor' };
    const asked = async (more: Record<string, string>): Promise<number> =>
      (await fetchHere(url, { method: 'POST', headers: { ...headers, ...more }, body: bytes })).status;
    expect(await asked({ origin: originOf(OTHER), 'sec-fetch-site': 'same-site' })).toBe(403);
    expect(await asked({ origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' })).toBe(403);
    expect(await asked({ origin: originOf(FORUM) })).toBe(403);
    expect((await thread('/talk')).some(({ text }) => text === 'stolen')).toBe(false);
    // What was stolen is good where it belongs.
    expect(await asked({})).toBe(201);
    const flipped = Uint8Array.from(bytes);
    flipped[flipped.length - 1] = (flipped.at(-1) ?? 0) ^ 1;
    expect((await fetchHere(url, { method: 'POST', headers, body: flipped })).status).toBe(400);
  });

  it('says only so much at once', async () => {
    const { page } = await allowed();
    const answers: unknown[] = [];
    for (let number = 0; number < 8; number += 1)
      answers.push(await said(page, `writePost(client, '/talk', 'number ${number}')`));
    expect(answers.some((answer) => String(answer).startsWith('LIMIT_EXCEEDED'))).toBe(true);
  });
});
