/** Sites made of templates, as a visitor's browser shows them: a real gateway, a real issuer and Chromium. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { gateway as gatewayRole } from '../../app/roles/index.ts';
import { initSite, TEMPLATES } from '../../app/site/index.ts';
import { startIssuer, type RunningIssuer } from '../../app/sso/index.ts';
import { createTestnet, type Testnet } from '../../app/testnet/index.ts';
import { KEY_BYTES } from '../../core/ids.ts';
import { silentLog } from '../../core/ports.ts';
import { readManifestFile } from '../../sites/manifest/index.ts';
import { axeFaults } from '../axe.ts';
import { freePort } from '../port.ts';
import { describeUnless, missingPrograms } from '../programs.ts';
import { openBrowser } from '../sdk/served.ts';
import { Cleanup, temporaryFolder } from '../sites/kit.ts';
import { TestWallet } from '../sites/siws/test-wallet.ts';
import { publisherRole } from './publisher.ts';
import { fetchHere } from './visitor.ts';

/** Where screenshots go, for who wants to look at them. */
const PICTURES = process.env['RELAYMINT_SCREENSHOTS'];
const AUTHOR = 'ann.sso';
const SEED: Uint8Array = new Uint8Array(KEY_BYTES).fill(3);
const TITLE = `Ann's <b>"harbour"</b> & wall`;
const PAGES: Readonly<Record<(typeof TEMPLATES)[number], readonly string[]>> = {
  blog: ['/', '/posts/first.html'],
  gallery: ['/'],
  forum: ['/', '/hello.html'],
};
const LOOKS = [
  [320, 'light'],
  [320, 'dark'],
  [1280, 'light'],
  [1280, 'dark'],
] as const;
const { signal } = new AbortController();

describeUnless(missingPrograms(['chromium']), 'Tests of templates')('a site of a template', () => {
  const standing = new Cleanup();
  const cleanup = new Cleanup();
  let testnet: Testnet;
  let issuer: RunningIssuer;
  let browser: Browser;
  let port: string;

  beforeAll(async () => {
    testnet = await createTestnet({ relays: 1 });
    standing.add(() => testnet[Symbol.asyncDispose]());
    for (const template of TEMPLATES) {
      const folder = path.join(await temporaryFolder(standing), template);
      const { manifest = '' } = await initSite(folder, { template, title: TITLE, signal });
      const name = `${template}.web3`;
      await testnet.publish(folder, name, {}, await readManifestFile(manifest, name));
    }
    {
      await using opened = await testnet.open(publisherRole, 'registrar');
      const root = new Uint8Array();
      await opened.node.wallet.registerName({ name: AUTHOR, root, royaltyBps: 5_000, referrerBps: 0 });
      await opened.node.wallet.transferName(AUTHOR, new TestWallet({ seed: SEED }).address);
    }
    const at = await freePort();
    const telling = { port: '0', relays: '1', issuer: `http://localhost:${at}` };
    const opened = await testnet.open(gatewayRole, 'telling', telling);
    ({ port } = new URL(String(opened.ready['gateway'])));
    issuer = await startIssuer({
      dataDir: await temporaryFolder(standing),
      port: at,
      address: '127.0.0.1',
      issuer: undefined,
      gateway: new URL(`http://localhost:${port}`),
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

  const addressOf = (template: string, at: string): string => `http://${template}-web3.localhost:${port}${at}`;

  async function open(url: string): Promise<{ page: Page; held: TestWallet; trouble: string[] }> {
    const context = await browser.newContext({ viewport: { width: 320, height: 640 } });
    cleanup.add(() => context.close());
    const held = new TestWallet({ seed: SEED });
    await held.injectInto(context);
    const page = await context.newPage();
    const trouble: string[] = [];
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) trouble.push(message.text());
    });
    page.on('pageerror', (error) => trouble.push(error.message));
    page.on('request', (request) => {
      if (new URL(request.url()).origin !== new URL(url).origin) trouble.push(`It asks ${request.url()}`);
    });
    await page.goto(url);
    return { page, held, trouble };
  }

  /** Until each element of the SDK shows what it has. */
  async function drawn(page: Page): Promise<void> {
    for (const element of await page.locator('relaymint-posts, relaymint-image').all())
      await element.and(page.locator('[data-state=shown]')).waitFor({ state: 'attached' });
    await page.evaluate(
      "Promise.all([...document.images].map((one) => { one.loading = 'eager'; return one.decode(); })).then(() => undefined)",
    );
  }

  it.each(TEMPLATES)('looks as it should in each light and width, for everybody: %s', async (template) => {
    for (const at of PAGES[template]) {
      const { page, trouble } = await open(addressOf(template, at));
      await drawn(page);
      expect(await page.title()).toContain(TITLE);
      for (const [width, colorScheme] of LOOKS) {
        await page.setViewportSize({ width, height: 800 });
        await page.emulateMedia({ colorScheme });
        expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
        expect(await axeFaults(page)).toEqual([]);
        await picture(page, `${template}${at.replaceAll('/', '-')}${width}-${colorScheme}`);
      }
      expect(trouble).toEqual([]);
    }
  });

  it('keeps out what a page brings from elsewhere, and has a page for what is missing at any depth', async () => {
    for (const template of TEMPLATES) {
      const { page } = await open(addressOf(template, '/no/such/page'));
      expect(await page.textContent('h1')).toBe('There is no such page');
      expect(await page.evaluate("getComputedStyle(document.querySelector('.skip')).position")).toBe('absolute');
      const run =
        "document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.ran = true' }))";
      await page.evaluate(run);
      expect(await page.evaluate('window.ran')).toBeUndefined();
    }
  });

  it('has a feed that is XML, with the title and addresses of its posts', async () => {
    const { page } = await open(addressOf('blog', '/'));
    const read = `fetch('./feed.xml').then((response) => response.text()).then((text) => {
      const feed = new DOMParser().parseFromString(text, 'application/xml');
      return [feed.querySelector('title').textContent, feed.querySelector('entry link').getAttribute('href')];
    })`;
    expect(await page.evaluate(read)).toEqual([TITLE, 'posts/first.html']);
  });

  it('lets nobody write in the forum who says no, and says so', async () => {
    const { page } = await open(addressOf('forum', '/hello.html'));
    await ask(page);
    await page.getByRole('button', { name: 'No, go back to forum.web3' }).click();
    await page.waitForURL(addressOf('forum', '/**'));
    await page.getByText('This page was not allowed to write posts.').waitFor();
    await page.goto(addressOf('forum', '/hello.html'));
    await page.getByLabel('Your profile').waitFor();
    expect(await page.isVisible('#write')).toBe(false);
  });

  it('takes a post in the forum after one signature, and shows it as text', async () => {
    const { page, held } = await open(addressOf('forum', '/hello.html'));
    await ask(page);
    await page.getByRole('button', { name: held.name }).click();
    await page.waitForURL(addressOf('forum', '/hello.html'));
    await page.getByLabel(`As ${AUTHOR}`).fill('Good <b>morning</b>');
    await page.getByRole('button', { name: 'Post' }).click();
    await page.getByText('Good <b>morning</b>').and(page.locator('relaymint-posts p')).waitFor();
    expect(await page.inputValue('#text')).toBe('');
    expect(held.signed).toHaveLength(1);
    expect(await axeFaults(page)).toEqual([]);
    await picture(page, 'forum-said');
    await page.setViewportSize({ width: 1280, height: 900 });
    await picture(page, 'forum-said-1280');
  });

  async function ask(page: Page): Promise<void> {
    await page.getByLabel('Your profile').fill(AUTHOR);
    await page.getByRole('button', { name: 'Ask the wallet' }).click();
    await page.waitForURL(`${issuer.issuer}/permit?*`);
  }
});

async function picture(page: Page, name: string): Promise<void> {
  if (PICTURES === undefined) return;
  await mkdir(PICTURES, { recursive: true });
  await page.screenshot({ path: path.join(PICTURES, `${name}.png`), fullPage: true });
}
