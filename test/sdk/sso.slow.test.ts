/** A site of a .web3 name signs people in by the SDK: a real gateway, a real issuer, real Chromium; first by those who gain if it is careless. */
import { cp, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { gateway as gatewayRole } from '../../app/roles/index.ts';
import { publish } from '../../app/roles/publisher.ts';
import { startIssuer, type RunningIssuer } from '../../app/sso/index.ts';
import { createTestnet, type Testnet } from '../../app/testnet/index.ts';
import { silentLog } from '../../core/ports.ts';
import { parseManifestFile } from '../../sites/manifest/index.ts';
import { publisherRole } from '../app/publisher.ts';
import { fetchHere } from '../app/visitor.ts';
import { freePort } from '../port.ts';
import { describeUnless, missingPrograms } from '../programs.ts';
import { Cleanup, temporaryFolder } from '../sites/kit.ts';
import { TestWallet } from '../sites/siws/test-wallet.ts';
import { ROOT } from './packed.ts';
import { openBrowser, pageOf } from './served.ts';

const NAME = 'shop.web3';
const PLAIN = 'plain.web3';
const PREPARED = `
  import * as sdk from './sdk/index.js';
  import * as sso from './sdk/sso.js';
  Object.assign(window, { sdk, sso, client: sdk.createClient(), told: undefined });
  window.attempt = async (work) => {
    try { return { done: await work() }; } catch ({ code, message }) { return { code, message }; }
  };`;
const COMPLETE = `${PREPARED}
  const asked = location.href;
  window.heldBack = sessionStorage.getItem('held back') !== null;
  if (window.heldBack) await new Promise(() => {});
  const first = attempt(() => sso.completeSignIn(client, asked));
  const again = attempt(() => sso.completeSignIn(client, asked));
  window.told = { first: await first, again: await again, at: location.href };`;

interface Told {
  readonly first: { readonly done?: Record<string, unknown>; readonly code?: string; readonly message?: string };
  readonly again: Told['first'];
  readonly at: string;
}

describeUnless(missingPrograms(['chromium']), 'Tests of signing in with the SDK')('a .web3 site', () => {
  const cleanup = new Cleanup();
  const visits = new Cleanup();
  const { signal } = new AbortController();
  let browser: Browser;
  let testnet: Testnet;
  let issuer: RunningIssuer;
  let port: string;

  const published = async (name: string, signing: object): Promise<void> => {
    const folder = path.join(await temporaryFolder(cleanup), 'site');
    await mkdir(folder);
    await cp(path.join(ROOT, 'dist/sdk'), path.join(folder, 'sdk'), { recursive: true });
    await writeFile(path.join(folder, 'index.html'), pageOf(PREPARED));
    await writeFile(path.join(folder, 'signed-in.html'), pageOf(COMPLETE));
    const words = JSON.stringify({ creator: 'Ana', ...signing });
    const terms = parseManifestFile(words, { file: 'manifest.json', name });
    await using owner = await testnet.open(publisherRole, name.replace('.', '-'));
    const where = { hosts: [], replicas: 1, relays: 0, signal };
    const silent = { onImport: () => {}, onUpload: () => {}, onRegistration: () => {} };
    await publish(owner.node, { directory: folder, name, terms, royaltyBps: 0, years: 1, ...where, ...silent });
  };

  beforeAll(async () => {
    browser = await openBrowser(cleanup);
    testnet = await createTestnet({ relays: 1 });
    cleanup.add(() => testnet[Symbol.asyncDispose]());
    await published(NAME, { signIn: { redirects: ['/signed-in.html'], signedOut: ['/'] } });
    await published(PLAIN, {});
    const at = await freePort();
    const opened = await testnet.open(gatewayRole, 'telling', {
      port: '0',
      relays: '1',
      issuer: `http://localhost:${at}`,
    });
    ({ port } = new URL(String(opened.ready['gateway'])));
    issuer = await startIssuer({
      dataDir: await temporaryFolder(cleanup),
      port: at,
      address: '127.0.0.1',
      issuer: undefined,
      gateway: new URL(testnet.url),
      ledger: testnet.gateway.node.ledger,
      fetch: fetchHere,
      connect: () => Promise.reject(new Error('its records are here')),
      clock: testnet.clock,
      log: silentLog,
    });
    cleanup.add(() => issuer[Symbol.asyncDispose]());
  });
  afterAll(() => cleanup.run());
  afterEach(() => visits.run());

  const siteOf = (name: string): string => `http://${name.replace('.', '-')}.localhost:${port}`;
  const visitor = async (): Promise<{ page: Page; held: TestWallet; context: BrowserContext }> => {
    const context = await browser.newContext();
    visits.add(() => context.close());
    const held = new TestWallet();
    await held.injectInto(context);
    return { page: await context.newPage(), held, context };
  };
  const open = async (page: Page, url: string): Promise<void> => {
    await page.goto(url);
    await page.waitForFunction('window.sso !== undefined');
  };
  /** To the issuer, through it, and to where it sends the person back. */
  const through = async (page: Page, held: TestWallet, options: object = {}): Promise<void> => {
    await page.evaluate(`void sso.signIn(client, ${JSON.stringify(options)})`);
    await page.getByRole('button', { name: held.name }).click();
    await page.getByRole('button', { name: 'Allow', exact: true }).click();
  };
  const told = async (page: Page): Promise<Told> => {
    await page.waitForFunction('window.told !== undefined');
    return await page.evaluate<Told>('told');
  };
  /** The answer of the issuer, which the site's page has not looked at. */
  const caught = async (page: Page, held: TestWallet): Promise<URL> => {
    await page.evaluate("sessionStorage.setItem('held back', 'yes')");
    await through(page, held);
    await page.waitForFunction('window.heldBack === true');
    await page.evaluate("sessionStorage.removeItem('held back')");
    return new URL(page.url());
  };

  it('knows who it is, once, and forgets it at the end', async () => {
    const { page, held } = await visitor();
    await open(page, `${siteOf(NAME)}/index.html?topic=1#here`);
    expect(await page.evaluate('sso.session(client) ?? null')).toBeNull();
    await through(page, held, { scope: ['wallet'] });
    const { first, again, at } = await told(page);
    expect(first.done).toMatchObject({
      claims: { wallet_address: held.address },
      issuer: issuer.issuer,
      returnTo: `${siteOf(NAME)}/index.html?topic=1#here`,
    });
    expect(again.code).toBe('SIGN_IN_REFUSED');
    expect(at).toBe(`${siteOf(NAME)}/signed-in.html`);
    await open(page, `${siteOf(NAME)}/`);
    expect(await page.evaluate('sso.session(client).subject')).toBe(first.done?.['subject']);
    expect(await page.evaluate('"idToken" in sso.session(client)')).toBe(false);

    await page.evaluate('void sso.signOut(client)');
    await page.getByRole('button', { name: 'Sign out', exact: true }).click();
    await page.waitForURL(`${siteOf(NAME)}/**`);
    await page.waitForFunction('window.sso !== undefined');
    expect(await page.evaluate('sso.session(client) ?? null')).toBeNull();
  });

  it.each<readonly [string, (answer: URL) => void, string]>([
    ['another state', (answer) => answer.searchParams.set('state', 'x'), 'did not ask'],
    ['two states', (answer) => answer.searchParams.append('state', 'x'), 'did not ask'],
    ['another issuer', (answer) => answer.searchParams.set('iss', 'http://localhost:1'), 'Another issuer'],
    ['no issuer', (answer) => answer.searchParams.delete('iss'), 'Another issuer'],
    ['a code of nobody', (answer) => answer.searchParams.set('code', 'x'), 'The issuer refuses'],
    ['no code', (answer) => answer.searchParams.delete('code'), 'The issuer refuses'],
  ])('signs nobody in with %s', async (_what, change, words) => {
    const { page, held } = await visitor();
    await open(page, `${siteOf(NAME)}/`);
    const answer = await caught(page, held);
    change(answer);
    await open(page, answer.href);
    const { first, at } = await told(page);
    expect([first.code, first.message]).toEqual(['SIGN_IN_REFUSED', expect.stringContaining(words) as unknown]);
    expect(at).not.toContain('?');
    expect(await page.evaluate('sso.session(client) ?? null')).toBeNull();
  });

  it('signs nobody in with an answer that another tab asked for, and so that was given to somebody', async () => {
    const { page, held, context } = await visitor();
    await open(page, `${siteOf(NAME)}/`);
    const answer = await caught(page, held);
    const victim = await context.newPage();
    await open(victim, answer.href);
    expect((await told(victim)).first.code).toBe('SIGN_IN_REFUSED');
    await open(page, answer.href);
    expect((await told(page)).first.done).toHaveProperty('subject');
    // Replayed: by the address, as from a history.
    await open(page, answer.href);
    expect((await told(page)).first.code).toBe('SIGN_IN_REFUSED');
  });

  it.each([
    [
      'an issuer that says it is another',
      '{ issuer: location.origin.replace("shop-web3.", "") }',
      'PROTOCOL_VIOLATION|CONNECTION_LOST|SIGN_IN_REFUSED',
    ],
    ['an issuer that anybody on the way can be', '{ issuer: "http://id.example.org" }', 'INVALID_ARGUMENT'],
    ['an issuer with a path', '{ issuer: "https://id.example.org/x" }', 'INVALID_ARGUMENT'],
    ['a way back to another site', '{ returnTo: "https://evil.example.org/" }', 'INVALID_ARGUMENT'],
  ])('goes nowhere for %s', async (_what, options, code) => {
    const { page } = await visitor();
    await open(page, `${siteOf(NAME)}/`);
    const answer = await page.evaluate<{ code: string }>(`attempt(() => sso.signIn(client, ${options}))`);
    expect(answer.code).toMatch(new RegExp(`^(${code})$`));
    expect(page.url()).toBe(`${siteOf(NAME)}/`);
  });

  it('says what is missing: in its manifest, at its gateway, at its address', async () => {
    const { page } = await visitor();
    await open(page, `${siteOf(PLAIN)}/`);
    const plain = await page.evaluate<{ message: string }>('attempt(() => sso.signIn(client))');
    expect(plain.message).toContain('"signIn"');
    await open(page, testnet.url.replace('//localhost', '//shop-web3.localhost'));
    const untold = await page.evaluate<{ message: string }>('attempt(() => sso.signIn(client))');
    expect(untold.message).toContain('start the gateway with --issuer');
    const elsewhere = `sdk.createClient({ gateway: 'http://plain-web3.localhost:${port}' })`;
    const wrong = await page.evaluate<{ code: string }>(`attempt(() => sso.signIn(${elsewhere}))`);
    expect(wrong.code).toBe('INVALID_ARGUMENT');
  });

  it('says that the visitor did not allow it', async () => {
    const { page, held } = await visitor();
    await open(page, `${siteOf(NAME)}/`);
    await page.evaluate('void sso.signIn(client)');
    await page.getByRole('button', { name: held.name }).click();
    await page.getByRole('button', { name: 'Do not allow' }).click();
    const { first } = await told(page);
    expect([first.code, first.message]).toEqual([
      'SIGN_IN_REFUSED',
      expect.stringContaining('did not allow it') as unknown,
    ]);
  });

  it('reads profiles, and says why not', async () => {
    const { page } = await visitor();
    await open(page, `${siteOf(NAME)}/`);
    const answer = await page.evaluate<object>(
      `Promise.all([attempt(() => sso.profile(client, 'nobody.sso')), attempt(() => sso.profile(client, 'not a name'))])`,
    );
    expect(answer).toMatchObject([{ code: 'NAME_UNKNOWN' }, { code: 'NAME_INVALID' }]);
  });
});
