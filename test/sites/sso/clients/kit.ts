/**
 * Clients of others, as they are, before our issuer: each shows a page that says who is signed in, and goes through the same journeys of a
 * person with a wallet in real Chromium. What a client does with its own state is its own affair; what the issuer does is looked at here.
 */
import { createServer, type RequestListener } from 'node:http';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { existsSync } from 'node:fs';
import { freePort } from '../../../port.ts';
import { describeUnless } from '../../../programs.ts';
import { Cleanup } from '../../kit.ts';
import { TestWallet } from '../../siws/test-wallet.ts';
import { startIssuer, type TestIssuer } from '../kit.ts';

const CHROMIUM = '/usr/bin/chromium';
/** More than a person has for a sign-in. */
const TOO_LONG_MILLIS = 16 * 60_000;

/** A site of others that runs. */
export interface Site {
  /** Its page: `#who` has the wallet that is signed in, and is not there when nobody is. It has what `SIGN_IN` and `SIGN_OUT` name. */
  readonly home: string;
  /** Where the issuer sends people back to. */
  readonly callback: string;
  /** What a visitor reads there who did not allow it. */
  readonly refused: RegExp;
  /** It tells the issuer that a person signs out (RP-initiated logout). */
  readonly tellsIssuer: boolean;
}

export interface StartSite {
  (issuer: TestIssuer, cleanup: Cleanup): Promise<Site>;
}

export const SIGN_IN = 'Sign in';
export const SIGN_OUT = 'Sign out';

/** What a client shows, whatever it is made of. */
export function homePage(who: string | undefined, more: string = ''): string {
  const state =
    who === undefined
      ? `<p>Nobody is signed in.</p><a href="/login">${SIGN_IN}</a>`
      : `<p id="who">${who}</p><a href="/logout">${SIGN_OUT}</a>`;
  return `<!doctype html><html lang="en"><title>A shop</title><h1>A shop</h1>${state}${more}</html>`;
}

/** On loopback; its address has to be known before. */
export async function serveAt(port: number, listener: RequestListener, cleanup: Cleanup): Promise<void> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  cleanup.add(async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  });
}

export async function siteOrigin(): Promise<{ readonly port: number; readonly origin: string }> {
  const port = await freePort();
  return { port, origin: `http://127.0.0.1:${port}` };
}

/** A person with a browser and a wallet of their own. */
interface Visitor {
  readonly context: BrowserContext;
  readonly wallet: TestWallet;
  /** What came back to the site, in order. */
  readonly answers: readonly URL[];
}

/** `programs`: what the client needs of this machine besides Chromium. */
export function describeClient(name: string, start: StartSite, programs?: string): void {
  const chromiumMissing = existsSync(CHROMIUM) ? undefined : 'apt-get install chromium';
  const lacking = [chromiumMissing, programs].filter((one) => one !== undefined).join('; ');

  describeUnless(lacking === '' ? undefined : lacking, `journeys with ${name}`)(`${name} before our issuer`, () => {
    const standing = new Cleanup();
    const cleanup = new Cleanup();
    let browser: Browser;
    let issuer: TestIssuer;
    let site: Site;

    beforeAll(async () => {
      issuer = await startIssuer();
      standing.add(() => issuer[Symbol.asyncDispose]());
      site = await start(issuer, standing);
      browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
      standing.add(() => browser.close());
    });
    afterAll(() => standing.run());
    afterEach(() => cleanup.run());

    async function visitor(): Promise<Visitor> {
      const context = await browser.newContext();
      cleanup.add(() => context.close());
      const wallet = new TestWallet();
      await wallet.injectInto(context);
      const answers: URL[] = [];
      context.on('request', (request) => {
        if (request.isNavigationRequest() && request.url().startsWith(`${site.callback}?`)) {
          answers.push(new URL(request.url()));
        }
      });
      return { context, wallet, answers };
    }

    async function begin({ context }: Visitor): Promise<Page> {
      const page = await context.newPage();
      await page.goto(site.home);
      await signInAgain(page);
      return page;
    }

    async function signInAgain(page: Page): Promise<void> {
      await named(page, SIGN_IN).click();
      await page.waitForURL((url) => url.host === issuer.url.host);
    }

    async function sign(page: Page, { wallet }: Visitor): Promise<void> {
      await page.getByRole('button', { name: wallet.name }).click();
      await page.getByRole('button', { name: 'Allow', exact: true }).waitFor();
    }

    /** From the consent page back to the site, until the client has settled who that is. */
    async function decide(page: Page, what: 'Allow' | 'Do not allow'): Promise<void> {
      await page.getByRole('button', { name: what, exact: true }).click();
      await page.waitForURL((url) => url.host === new URL(site.home).host);
    }

    async function who(page: Page): Promise<string | null> {
      await page.goto(site.home);
      await page.getByText(new RegExp(`${SIGN_IN}|${SIGN_OUT}`)).waitFor();
      const shown = page.locator('#who');
      return (await shown.count()) === 0 ? null : (await shown.innerText()).trim();
    }

    it('signs a person in', async () => {
      const person = await visitor();
      const page = await begin(person);
      await sign(page, person);
      await decide(page, 'Allow');
      await page.locator('#who').waitFor();
      expect(await who(page)).toBe(person.wallet.address);
    });

    it('is told that the person did not allow it, and lets them in when they do', async () => {
      const person = await visitor();
      const page = await begin(person);
      await sign(page, person);
      await decide(page, 'Do not allow');
      await page.getByText(site.refused).first().waitFor();
      expect(person.answers.map((url) => url.searchParams.get('error'))).toEqual(['access_denied']);
      expect(await who(page)).toBeNull();

      await signInAgain(page);
      await sign(page, person);
      await decide(page, 'Allow');
      await page.locator('#who').waitFor();
      expect(await who(page)).toBe(person.wallet.address);
    });

    it('gets a person who took too long, by the link of the page that says so', async () => {
      const person = await visitor();
      const page = await begin(person);
      issuer.clock.ahead = TOO_LONG_MILLIS;
      cleanup.add(() => (issuer.clock.ahead = 0));
      await page.getByRole('button', { name: person.wallet.name }).click();
      await page.getByRole('heading', { name: 'This sign-in is over' }).waitFor();
      expect(person.answers).toEqual([]);

      // Wallets look at their own clock.
      issuer.clock.ahead = 0;
      await page.getByRole('link', { name: 'Begin again' }).click();
      await sign(page, person);
      await decide(page, 'Allow');
      await page.locator('#who').waitFor();
      expect(await who(page)).toBe(person.wallet.address);
    });

    it('gets a person who went back to it before signing in', async () => {
      const person = await visitor();
      const page = await begin(person);
      await page.goBack();
      expect(await who(page)).toBeNull();
      await signInAgain(page);
      await sign(page, person);
      await decide(page, 'Allow');
      await page.locator('#who').waitFor();
      expect(await who(page)).toBe(person.wallet.address);
    });

    it('gets a person who went back from the consent to the wallet', async () => {
      const person = await visitor();
      const page = await begin(person);
      await sign(page, person);
      await page.goBack();
      await page.getByRole('heading', { name: 'This sign-in is over' }).waitFor();
      await page.getByRole('link', { name: 'Begin again' }).click();
      await sign(page, person);
      await decide(page, 'Allow');
      await page.locator('#who').waitFor();
      expect(await who(page)).toBe(person.wallet.address);
    });

    it('keeps a person signed in who goes back to the issuer afterwards', async () => {
      const person = await visitor();
      const page = await begin(person);
      await sign(page, person);
      await decide(page, 'Allow');
      await page.locator('#who').waitFor();
      await page.goBack();
      await page.getByRole('heading', { name: 'This sign-in is over' }).waitFor();
      expect(await who(page)).toBe(person.wallet.address);
      expect(person.answers).toHaveLength(1);
    });

    it('gets its answer in each of two tabs, each its own', async () => {
      const person = await visitor();
      const first = await begin(person);
      const second = await begin(person);
      await sign(first, person);
      await sign(second, person);
      await decide(second, 'Allow');
      await second.locator('#who').waitFor();
      expect(await who(second)).toBe(person.wallet.address);
      await decide(first, 'Allow');
      // Whether a client has one state for all tabs is its own affair.
      expect(new Set(person.answers.map((url) => url.searchParams.get('code') ?? 'none')).size).toBe(2);
    });

    it('signs a person out, who then needs the wallet again', async () => {
      const person = await visitor();
      const page = await begin(person);
      await sign(page, person);
      await decide(page, 'Allow');
      await page.locator('#who').waitFor();
      await named(page, SIGN_OUT).click();
      if (site.tellsIssuer) {
        await page.getByRole('heading', { name: 'Sign out of this browser?' }).waitFor();
        await page.getByRole('button', { name: 'Sign out', exact: true }).click();
      }
      await page.getByText('Nobody is signed in.').waitFor();
      expect(await who(page)).toBeNull();
      await signInAgain(page);
      await page.getByRole('button', { name: person.wallet.name }).click();
      // Where the issuer was not told, it may know what was allowed a minute ago; who it is it never takes as known.
      await page.getByRole('button', { name: 'Allow', exact: true }).or(page.locator('#who')).waitFor();
      expect(person.wallet.signed).toHaveLength(2);
    });
  });
}

/** A link or a button, as the client has it. */
function named(page: Page, name: string): ReturnType<Page['locator']> {
  return page.getByRole('link', { name, exact: true }).or(page.getByRole('button', { name, exact: true }));
}
