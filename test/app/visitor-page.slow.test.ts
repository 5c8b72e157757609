/** The visitor's page in a browser: the figures, the orders, a hostile site, and whether everybody can use it. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { controlHandlers } from '../../app/node/index.ts';
import { createTestnet, type Testnet } from '../../app/testnet/index.ts';
import { amount, formatCredits } from '../../core/units.ts';
import { axeFaults } from '../axe.ts';
import { temporaryFolder } from '../e2e/marketplace.ts';

const CHROMIUM = '/usr/bin/chromium';
const here = existsSync(CHROMIUM);
if (!here) process.stderr.write(`skipped: these tests need ${CHROMIUM}: apt-get install chromium\n`);

/** Where screenshots go, for who wants to look at them. */
const PICTURES = process.env['RELAYMINT_SCREENSHOTS'];
const FITS = 'document.documentElement.scrollWidth <= innerWidth';

describe.skipIf(!here)("the visitor's page", () => {
  const stack = new AsyncDisposableStack();
  let pages = new AsyncDisposableStack();
  let testnet: Testnet;
  let browser: Browser;
  let port: string;

  const home = (): string => `http://localhost:${port}/`;
  const siteUrl = (name: string, file = '/'): string => `http://${name.replace('.', '-')}.localhost:${port}${file}`;

  beforeAll(async () => {
    const folder = stack.use(await temporaryFolder()).path;
    await writeFile(
      path.join(folder, 'index.html'),
      '<!doctype html><title>a page</title><h1>a page</h1><script src="/film.bin"></script>',
    );
    for (const file of ['film', 'more', 'last'])
      await writeFile(path.join(folder, `${file}.bin`), randomBytes(600_000));
    testnet = stack.use(await createTestnet({ relays: 2 }));
    for (const name of ['news.web3', 'shop.web3', 'evil.web3']) await testnet.publish(folder, name, { royalty: '20%' });
    port = new URL(testnet.url).port;
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
    });
    stack.defer(() => browser.close());
  }, 120_000);
  afterAll(() => stack.disposeAsync());
  afterEach(async () => {
    await pages.disposeAsync();
    pages = new AsyncDisposableStack();
  });

  async function open(
    url: string,
    options: BrowserContextOptions = {},
  ): Promise<{ page: Page; trouble: string[]; asked: string[] }> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    pages.defer(() => context.close());
    const page = await context.newPage();
    const trouble: string[] = [];
    const asked: string[] = [];
    page.on('console', (message) => message.type() === 'error' && trouble.push(message.text()));
    page.on('pageerror', (error) => trouble.push(error.message));
    page.on('request', (request) => asked.push(request.url()));
    await page.goto(url);
    return { page, trouble, asked };
  }

  async function picture(page: Page, name: string): Promise<void> {
    if (PICTURES === undefined) return;
    await mkdir(PICTURES, { recursive: true });
    await page.screenshot({ path: path.join(PICTURES, `${name}.png`), fullPage: true });
  }

  const live = async (page: Page): Promise<void> => await page.locator('#state[data-state=live]').waitFor();

  /** What `relaymint stats` says that a site cost, as text. */
  async function statsSay(name: string): Promise<string> {
    const { node } = testnet.gateway;
    const handlers = controlHandlers({ node, addresses: [], figures: () => ({}), stop: () => undefined });
    const { budget } = await handlers.stats();
    return formatCredits(amount(BigInt(budget.sites.find((row) => row.name === name)?.spent ?? '0')));
  }

  const LOOKS = [
    ['320-light', { viewport: { width: 320, height: 640 }, colorScheme: 'light' }],
    ['320-dark', { viewport: { width: 320, height: 640 }, colorScheme: 'dark', reducedMotion: 'reduce' }],
    ['1280-light', { viewport: { width: 1280, height: 900 }, colorScheme: 'light' }],
    ['1280-dark', { viewport: { width: 1280, height: 900 }, colorScheme: 'dark' }],
  ] as const;

  it.each(LOOKS)('says what to do while nothing was spent: %s', async (look, options) => {
    const { page, trouble, asked } = await open(home(), options);
    await live(page);
    expect(await page.textContent('h1')).toBe('You have spent nothing yet');
    expect(await page.isVisible('#none')).toBe(true);
    expect(await page.evaluate(FITS)).toBe(true);
    expect(await faults(page)).toEqual([]);
    expect(trouble).toEqual([]);
    expect(asked.every((url) => url.startsWith(home()))).toBe(true);
    await picture(page, `empty-${look}`);
  });

  it('opens a site by its name, and says what is none', async () => {
    const { page } = await open(home());
    await page.fill('#open-name', 'nothing');
    await page.keyboard.press('Enter');
    expect(await page.textContent('#open-wrong')).toBe('A name looks like news.web3.');
    expect(await page.getAttribute('#open-name', 'aria-invalid')).toBe('true');
    await page.fill('#open-name', 'News.web3');
    await page.keyboard.press('Enter');
    await page.waitForURL(siteUrl('news.web3'));
  });

  it('shows what two sites cost, as relaymint stats says, and goes on by itself', async () => {
    const { page: visitor } = await open(siteUrl('news.web3'));
    await visitor.goto(siteUrl('shop.web3'));
    const { page } = await open(home());
    await live(page);
    expect(await page.textContent('h1')).toMatch(/^You spent 0\.\d+ credits on 2 sites$/);
    for (const name of ['news.web3', 'shop.web3']) {
      const card = page.locator('.card', { has: page.locator(`[id="site-${name}"]`) });
      expect(await card.locator('.sum').textContent()).toBe(`${await statsSay(name)} credits`);
    }
    const before = await page.textContent('h1');
    await visitor.goto(siteUrl('news.web3', '/more.bin')).catch(() => undefined);
    await page.locator('h1', { hasNotText: before ?? '' }).waitFor();
  });

  it.each(LOOKS)('fits, and everybody can use it: %s', async (look, options) => {
    const { page, trouble } = await open(home(), options);
    await live(page);
    await page.locator('summary').first().click();
    await page.locator('summary').last().click();
    expect(await page.evaluate(FITS)).toBe(true);
    expect(await faults(page)).toEqual([]);
    expect(trouble).toEqual([]);
    await picture(page, `busy-${look}`);
  });

  it('stops a site, whose next visit is refused and leads back; starts it again, and changes its limit, by keyboard alone', async () => {
    const { page } = await open(home());
    await live(page);
    const focused = async (): Promise<string> => await page.evaluate("document.activeElement?.textContent ?? ''");
    const press = async (name: string): Promise<void> => {
      for (let tabs = 0; tabs < 60 && (await focused()) !== name; tabs += 1) await page.keyboard.press('Tab');
      expect(await focused()).toBe(name);
      expect(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle')).toBe('solid');
      await page.keyboard.press('Enter');
    };
    await press('Stop news.web3');
    await page.locator('#said', { hasText: 'news.web3 is stopped' }).waitFor();
    await picture(page, 'stopped');

    const { page: visitor } = await open(siteUrl('news.web3'));
    expect(await visitor.textContent('.status')).toBe('403');
    expect(await visitor.textContent('h1')).toBe('news.web3 was stopped');
    await picture(visitor, 'refused');
    await visitor.click('main a');
    await visitor.waitForURL(`${home()}#news.web3`);
    await visitor.locator('[id="site-news.web3"]:focus').waitFor();

    await press('Start news.web3 again');
    await page.locator('#said', { hasText: 'may spend again' }).waitFor();
    expect((await visitor.goto(siteUrl('news.web3')))?.status()).toBe(200);

    const field = page.getByLabel('Most that news.web3 may cost');
    await field.fill('a lot');
    await page.keyboard.press('Enter');
    await page.getByText('Write an amount of credits').waitFor();
    // Less than one block may cost: the next thing that is not kept is refused.
    await field.fill('0.001');
    await page.keyboard.press('Enter');
    await page.locator('#said', { hasText: 'may cost 0.001 credits in an hour' }).waitFor();
    const refused = await visitor.goto(siteUrl('news.web3', '/last.bin'));
    expect([refused?.status(), await visitor.textContent('h1')]).toEqual([
      402,
      'news.web3 has reached its spending limit',
    ]);
    // As it is written in much of Europe: a thousandth of it must not become all of it.
    await field.fill('0,25');
    await page.keyboard.press('Enter');
    await page.locator('#said', { hasText: 'may cost 0.25 credits in an hour' }).waitFor();
    await field.fill('25.5');
    await page.keyboard.press('Enter');
    await page.locator('#said', { hasText: 'may cost 25.5 credits in an hour' }).waitFor();
    const film = await visitor
      .context()
      .request.get(`http://127.0.0.1:${port}/last.bin`, { headers: { host: new URL(siteUrl('news.web3')).host } });
    expect([film.status(), (await film.body()).length]).toEqual([200, 600_000]);
  });

  it('asks no more while nobody looks, and at once when somebody does', async () => {
    const { page, asked } = await open(home());
    await live(page);
    const polls = (): number => asked.filter((url) => url.endsWith('/api/spending')).length;
    const look = async (state: string): Promise<void> => {
      await page.evaluate(`Object.defineProperty(document, 'visibilityState', { configurable: true, value: '${state}' });
        document.dispatchEvent(new Event('visibilitychange'))`);
    };
    await page.clock.install();
    await look('hidden');
    const before = polls();
    await page.clock.runFor(20_000);
    expect(polls()).toBe(before);
    const next = page.waitForRequest((request) => request.url().endsWith('/api/spending'));
    await look('visible');
    await next;
  });

  it('is of no use to a hostile site', async () => {
    const { page } = await open(siteUrl('evil.web3'));
    const api = `${home()}api/spending`;
    const answers: number[] = [];
    page.on('response', (answer) => answer.url().endsWith('/api/spending') && answers.push(answer.status()));
    const got = await page.evaluate(`(async () => {
      const order = JSON.stringify({ do: 'stop', name: 'shop.web3' });
      const tries = [];
      const attempt = async (url, init) => {
        try {
          const answer = await fetch(url, init);
          return answer.type + ' ' + answer.status + ' ' + (await answer.text()).length;
        } catch { return 'refused'; }
      };
      for (const url of ['${api}', '${api.replace('localhost', '127.0.0.1')}']) {
        tries.push(await attempt(url, { credentials: 'include' }));
        tries.push(await attempt(url, { credentials: 'include', mode: 'no-cors' }));
        tries.push(await attempt(url, { method: 'POST', credentials: 'include', headers: { 'content-type': 'application/json' }, body: order }));
        tries.push(await attempt(url, { method: 'POST', credentials: 'include', mode: 'no-cors', body: order }));
      }
      tries.push(navigator.sendBeacon('${api}', new Blob([order], { type: 'text/plain' })) ? 'sent' : 'not sent');
      const image = new Image();
      tries.push(await new Promise((done) => { image.onload = () => done('shown'); image.onerror = () => done('refused'); image.src = '${api}'; }));
      const script = document.createElement('script');
      tries.push(await new Promise((done) => { script.onload = () => done('ran'); script.onerror = () => done('refused'); script.src = '${api}'; document.head.append(script); }));
      const frame = document.createElement('iframe');
      frame.src = '${home()}';
      document.body.append(frame);
      await new Promise((done) => { frame.onload = done; });
      try { tries.push(frame.contentWindow.document.body.textContent); } catch { tries.push('refused'); }
      return tries;
    })()`);
    // What is asked for blindly is answered, with a refusal that the page cannot read either.
    const blind = ['refused', 'opaque 0 0', 'refused', 'refused'];
    expect(got).toEqual([...blind, ...blind, 'sent', 'refused', 'refused', 'refused']);
    expect(new Set(answers)).toEqual(new Set([403]));
    // A form goes there as the visitor's own act would.
    await page.evaluate(`(() => {
      const form = document.createElement('form');
      form.method = 'post'; form.action = '${api}'; form.enctype = 'text/plain';
      const field = document.createElement('input');
      field.name = '{"do":"stop","name":"shop.web3","x":"'; field.value = '"}';
      form.append(field); document.body.append(form); form.submit();
    })()`);
    await page.waitForURL(api);
    expect(await page.textContent('body')).toContain('Only this gateway');
    expect(testnet.gateway.node.budget.isStopped('shop.web3')).toBe(false);
  });
});

/** What axe finds (where it is installed), and what can be told without it. */
async function faults(page: Page): Promise<readonly string[]> {
  const own = await page.evaluate<readonly string[]>(CHECKS);
  return [...own, ...(await axeFaults(page))];
}

/** Names of controls, headings, table heads, unique ids, and contrast of text (WCAG 2.2 AA) and of what pictures are made of. */
const CHECKS = `(() => {
  const faults = [];
  const seen = (element) => element.checkVisibility({ visibilityProperty: true }) && element.getClientRects().length > 0;
  const nameOf = (element) => element.getAttribute('aria-label')
    ?? (element.labels?.length ? [...element.labels].map(({ textContent }) => textContent).join(' ') : element.textContent);
  for (const control of document.querySelectorAll('a, button, input, select, summary')) {
    if ((nameOf(control) ?? '').trim() === '') faults.push('no name: ' + control.outerHTML);
  }
  for (const picture of document.querySelectorAll('svg[role=img]')) {
    const ids = picture.getAttribute('aria-labelledby')?.split(' ') ?? [];
    if (!picture.getAttribute('aria-label') && !ids.every((id) => document.getElementById(id)?.textContent)) faults.push('no words for a picture');
  }
  for (const image of document.images) if (!image.hasAttribute('alt')) faults.push('no alt');
  let level = 0;
  for (const heading of document.querySelectorAll('h1, h2, h3, h4')) {
    const now = Number(heading.tagName[1]);
    if (now > level + 1) faults.push('heading skips: ' + heading.textContent);
    level = now;
  }
  if (document.querySelectorAll('h1').length !== 1) faults.push('not one h1');
  for (const table of document.querySelectorAll('table')) {
    if (!table.caption) faults.push('a table without a caption');
    for (const head of table.querySelectorAll('th')) if (!head.scope) faults.push('a head of nothing: ' + head.textContent);
  }
  const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
  if (new Set(ids).size !== ids.length) faults.push('an id twice');
  for (const element of document.querySelectorAll('[aria-labelledby], [aria-describedby], label[for]')) {
    const named = [element.getAttribute('aria-labelledby'), element.getAttribute('aria-describedby'), element.getAttribute('for')];
    for (const id of named.flatMap((text) => text?.split(' ') ?? [])) if (!document.getElementById(id)) faults.push('no ' + id);
  }
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const contrast = (a, b) => {
    const [dark, bright] = [light(a), light(b)].sort((x, y) => x - y);
    return (bright + 0.05) / (dark + 0.05);
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (node.data.trim() === '' || !seen(element) || element.matches('script, noscript, option')) continue;
    const ratio = contrast(parse(getComputedStyle(element).color), behind(element));
    if (ratio < 4.5) faults.push(ratio.toFixed(2) + ' is little contrast: ' + node.data.trim().slice(0, 40));
  }
  for (const part of document.querySelectorAll('.f-relays, .f-host, .f-owner, .f-embedded, .f-page, .f-fee, .used .part, .chart rect')) {
    const card = parse(getComputedStyle(document.documentElement).getPropertyValue('color-scheme') && getComputedStyle(document.querySelector('.card') ?? document.body).backgroundColor);
    const ratio = contrast(parse(getComputedStyle(part).fill), card);
    if (ratio < 3) faults.push(ratio.toFixed(2) + ' is little contrast of a picture: ' + part.getAttribute('class'));
  }
  for (const field of document.querySelectorAll('input, select')) {
    if (!seen(field)) continue;
    const ratio = contrast(parse(getComputedStyle(field).borderTopColor), behind(field.parentElement));
    if (ratio < 3) faults.push(ratio.toFixed(2) + ' is little contrast of a field: ' + field.id);
  }
  for (const control of document.querySelectorAll('button, input, select')) {
    if (!seen(control)) continue;
    const { width, height } = control.getBoundingClientRect();
    if (width < 24 || height < 24) faults.push('a small target: ' + control.outerHTML);
  }
  return faults;
})()`;
