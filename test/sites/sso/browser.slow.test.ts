/** Signing in by a person: real Chromium, a wallet that keeps Phantom's rules, and a site of others on another origin. */
import { existsSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type * as oidc from 'openid-client';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../core/ports.ts';
import { answerByHand, readChallenge } from '../../../sites/siws/index.ts';
import { axeFaults } from '../../axe.ts';
import { Cleanup } from '../kit.ts';
import { TestWallet, type TestWalletOptions } from '../siws/test-wallet.ts';
import { ask, openPlace, redeem, register, startIssuer, wallet, type Asked, type TestIssuer } from './kit.ts';

const CHROMIUM = '/usr/bin/chromium';
const here = existsSync(CHROMIUM);
if (!here) process.stderr.write(`skipped: these tests need ${CHROMIUM}: apt-get install chromium\n`);

const cleanup = new Cleanup();
let browser: Browser;
let issuer: TestIssuer;

/** A site that knows only OpenID Connect. */
interface Site {
  readonly url: string;
  /** What it was told of who came back. */
  readonly told: () => Readonly<Record<string, unknown>> | string | undefined;
}

async function startSite(scope: string): Promise<Site> {
  let told: Readonly<Record<string, unknown>> | string | undefined;
  let asked: Asked | undefined;
  let client: oidc.Configuration | undefined;
  const server: Server = createServer((request, response) => {
    const { port } = server.address() as AddressInfo;
    const base = `http://demo-web3.localhost:${port}`;
    const url = new URL(request.url ?? '/', base);
    const answer = async (): Promise<void> => {
      if (url.pathname === '/back' && asked !== undefined && client !== undefined) {
        const refused = url.searchParams.get('error');
        told = refused ?? { ...(await redeem(client, url, asked)).claims() };
        response.setHeader('content-type', 'text/html').end('<!doctype html><title>back</title>');
        return;
      }
      client ??= await register(issuer, { redirect_uris: [`${base}/back`], client_name: 'The shop \u202eeht' });
      asked = await ask(client, { scope, redirectUri: `${base}/back` });
      response.writeHead(302, { Location: asked.url.href }).end();
    };
    answer().catch((error: unknown) => {
      told = String(error);
      response.writeHead(500).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanup.add(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const { port } = server.address() as AddressInfo;
  return { url: `http://demo-web3.localhost:${port}/`, told: () => told };
}

async function visitor(
  options?: TestWalletOptions,
): Promise<{ readonly page: Page; readonly wallet: TestWallet; readonly context: BrowserContext }> {
  const context = await browser.newContext({ viewport: { width: 320, height: 640 } });
  cleanup.add(() => context.close());
  const held = new TestWallet(options);
  await held.injectInto(context);
  return { page: await context.newPage(), wallet: held, context };
}

/** For who wants to look at them. */
async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env['SCREENSHOTS'];
  if (folder === undefined) return;
  const size = page.viewportSize();
  for (const width of [320, 1280]) {
    await page.setViewportSize({ width, height: 800 });
    await page.screenshot({ path: `${folder}/${name}-${width}.png`, fullPage: true });
  }
  if (size !== null) await page.setViewportSize(size);
}

describe.runIf(here)('signing in with a wallet in Chromium', () => {
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
  });
  afterAll(() => browser.close());
  beforeEach(async () => {
    issuer = await startIssuer();
    cleanup.add(() => issuer[Symbol.asyncDispose]());
  });
  afterEach(() => cleanup.run());

  it('takes one click, says what the site learns, and comes back (B2, B3)', async () => {
    const site = await startSite('openid profile wallet posts');
    const { page, wallet: held } = await visitor({ needsGesture: true });
    issuer.names.hold('alice.sso', held.address);
    await page.goto(site.url);
    expect(new URL(page.url()).host).toBe(issuer.url.host);
    expect(await axeFaults(page)).toEqual([]);
    await page.getByLabel('Sign in as your profile').fill('Alice.sso');
    await page.getByRole('button', { name: held.name }).click();
    await page.getByRole('button', { name: 'Allow', exact: true }).waitFor();
    expect(await axeFaults(page)).toEqual([]);
    const said = await page.locator('main').innerText();
    expect(said).toContain(`demo-web3.localhost`);
    expect(said).toContain('alice.sso');
    expect(said).toContain(held.address);
    expect(said).not.toContain('\u202e');
    await page.getByRole('button', { name: 'Allow', exact: true }).click();
    await page.waitForURL(/\/back/);
    expect(site.told()).toMatchObject({ preferred_username: 'alice.sso', wallet_address: held.address });
    expect(held.signed).toHaveLength(1);
  });

  it.each<readonly [string, TestWalletOptions, boolean]>([
    ['signs messages and knows no sign-in', { features: ['solana:signMessage'] }, false],
    ['puts a preamble before what it signs', { form: 'offchain-v0' }, false],
    ['signs transactions only', { form: 'memo-transaction' }, false],
    ['is told to sign a transaction', {}, true],
  ])('works with a wallet that %s (B1)', async (_what, options, asTransaction) => {
    const site = await startSite('openid wallet');
    const { page, wallet: held } = await visitor(options);
    await page.goto(site.url);
    if (asTransaction) await page.getByLabel('It is a hardware wallet').check();
    await page.getByRole('button', { name: held.name }).click();
    await page.getByRole('button', { name: 'Allow', exact: true }).click();
    await page.waitForURL(/\/back/);
    expect(site.told()).toMatchObject({ wallet_address: held.address });
  });

  it('shows a second button where a wallet wants a click for each step (B2)', async () => {
    const site = await startSite('openid wallet');
    const { page, wallet: held } = await visitor({ needsGesture: true, features: ['solana:signMessage'] });
    await page.goto(site.url);
    const button = page.getByRole('button', { name: held.name });
    await button.click();
    await page.getByText(/is connected\. Press the button again|did not sign/).waitFor();
    await button.click();
    await page.getByRole('button', { name: 'Allow', exact: true }).waitFor();
    expect(held.signed).toHaveLength(1);
  });

  it('says so when the wallet refuses, and lets the person try again or leave', async () => {
    const site = await startSite('openid');
    const { page, wallet: held } = await visitor({ refuses: true });
    await page.goto(site.url);
    await page.getByRole('button', { name: held.name }).click();
    await page.getByText('did not sign').waitFor();
    await page.getByRole('button', { name: /Cancel/ }).click();
    await page.waitForURL(/\/back/);
    expect(site.told()).toBe('access_denied');
  });

  it('works without script, by the command line', async () => {
    const site = await startSite('openid wallet');
    const context = await browser.newContext({ javaScriptEnabled: false });
    cleanup.add(() => context.close());
    const page = await context.newPage();
    await page.goto(site.url);
    await page.getByText('Sign on the command line', { exact: true }).click();
    const [, code = ''] = /relaymint sso sign (\S+)/.exec(await page.locator('main').innerText()) ?? [];
    const signer = wallet();
    const answer = await answerByHand(readChallenge(code, systemClock.now()), signer, undefined);
    await page.getByLabel('Paste here').fill(answer);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.getByRole('button', { name: 'Allow', exact: true }).click();
    await page.waitForURL(/\/back/);
    expect(site.told()).toMatchObject({ wallet_address: signer.address });
  });

  it('signs in with the wallet of this machine where its link was opened, and says so (I12)', async () => {
    const own = wallet();
    await using home = await startIssuer({ wallet: own });
    issuer = home;
    const site = await startSite('openid wallet');
    const context = await browser.newContext({ viewport: { width: 320, height: 640 } });
    cleanup.add(() => context.close());
    const page = await context.newPage();
    const button = page.getByRole('button', { name: 'Wallet of this machine' });
    await page.goto(site.url);
    await page.getByText('open the link that was printed').waitFor();
    expect(await button.count()).toBe(0);

    // A link that was planted takes nothing away, and stands nowhere.
    await page.goto(new URL('/wallet#bm90LXRoZS10b2tlbg', home.url).href);
    await page.getByText('no longer, that of the wallet').waitFor();
    await page.goto(home.walletLink ?? '');
    await page.getByText(own.address).waitFor();
    expect(page.url()).toBe(new URL('/wallet', home.url).href);
    expect(await axeFaults(page)).toEqual([]);
    await picture(page, 'wallet');
    await page.goto(new URL('/wallet#bm90LXRoZS10b2tlbg', home.url).href);
    await page.getByText('no longer, that of the wallet').waitFor();

    await page.goto(site.url);
    await button.waitFor();
    expect(await axeFaults(page)).toEqual([]);
    expect(await page.locator('main').innerText()).toContain('anybody who can read them can sign in as you');
    await picture(page, 'sign-in');
    await button.click();
    await page.getByRole('button', { name: 'Allow', exact: true }).click();
    await page.waitForURL(/\/back/);
    expect(site.told()).toMatchObject({ wallet_address: own.address });

    await page.goto(new URL('/account', home.url).href);
    await button.click();
    await page.getByRole('heading', { name: 'Sites that know you' }).waitFor();

    await page.goto(new URL('/wallet', home.url).href);
    await page.getByRole('button', { name: 'Forget in this browser' }).click();
    await page.getByText('has forgotten it').waitFor();
    await page.goto(new URL('/account', home.url).href);
    await page.getByText('open the link that was printed').waitFor();
    expect(await button.count()).toBe(0);
  });

  it('says what to do where the wallet of this machine was started again', async () => {
    await using place = await openPlace();
    const own = wallet();
    const first = await startIssuer({ place, wallet: own });
    const context = await browser.newContext({ viewport: { width: 320, height: 640 } });
    cleanup.add(() => context.close());
    const [page, other] = [await context.newPage(), await context.newPage()];
    await page.goto(first.walletLink ?? '');
    await page.getByText(own.address).waitFor();
    await page.goto(new URL('/account', first.url).href);
    const button = page.getByRole('button', { name: 'Wallet of this machine' });
    await button.waitFor();
    await first[Symbol.asyncDispose]();

    await using second = await startIssuer({ place, wallet: own });
    await button.click();
    await page.getByText('Open the one that was printed at its last start').waitFor();
    await page.reload();
    await page.getByText('Open the one that was printed at its last start').waitFor();
    expect(await button.count()).toBe(0);
    expect(await axeFaults(page)).toEqual([]);
    await picture(page, 'stale');
    // The new link in another tab is enough.
    await other.goto(second.walletLink ?? '');
    await button.click();
    await page.getByRole('heading', { name: 'Sites that know you' }).waitFor();
  });

  it('has no wallet of this machine without script', async () => {
    await using home = await startIssuer({ wallet: wallet() });
    const context = await browser.newContext({ javaScriptEnabled: false });
    cleanup.add(() => context.close());
    const page = await context.newPage();
    await page.goto(home.walletLink ?? '');
    await page.getByRole('heading', { name: 'Wallet of this machine' }).waitFor();
    expect(await page.getByRole('button').count()).toBe(0);
    await page.goto(new URL('/account', home.url).href);
    expect(await page.getByRole('button', { name: 'Wallet of this machine' }).count()).toBe(0);
  });

  it('lets a person see and end what they allowed', async () => {
    const site = await startSite('openid wallet');
    const { page, wallet: held } = await visitor();
    await page.goto(site.url);
    await page.getByRole('button', { name: held.name }).click();
    await page.getByRole('button', { name: 'Allow', exact: true }).click();
    await page.waitForURL(/\/back/);
    await page.goto(new URL('/account', issuer.url).href);
    expect(await axeFaults(page)).toEqual([]);
    await page.getByRole('button', { name: held.name }).click();
    await page.getByRole('heading', { name: 'Sites that know you' }).waitFor();
    expect(await axeFaults(page)).toEqual([]);
    await page.getByRole('button', { name: /^End it for/ }).click();
    await page.getByText('the site has to ask you again').waitFor();
    expect(await page.getByRole('button', { name: /^End it for/ }).count()).toBe(0);
  });
});
