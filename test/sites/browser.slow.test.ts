import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { importSite } from '../../sites/unixfs/index.ts';
import type { MarketView } from '../../sites/gateway/index.ts';
import { emptyMarket, startFront } from './gateway/kit.ts';
import type { Front } from './gateway/kit.ts';
import { Cleanup } from './kit.ts';

const CHROMIUM = '/usr/bin/chromium';
const EXAMPLE = fileURLToPath(new URL('../../examples/site/', import.meta.url));
/** Nothing sticks out to the right. */
const FITS = 'document.documentElement.scrollWidth <= innerWidth';
const here = existsSync(CHROMIUM);
const TOKEN = 'a'.repeat(43);
const NODE_A = '8Zk3vQw9mN2pTfXyR4sLdHbGcJ7eKuA6iWtDxV5qBnMp';
const NODE_B = '4RtYu7QwErTyUiPAsDfGhJkLzXcVbNm1234567QwErTy';

if (!here) process.stderr.write(`skipped: these tests need ${CHROMIUM}: apt-get install chromium\n`);

describe.skipIf(!here)('in a browser', () => {
  const cleanup = new Cleanup();
  const pages = new Cleanup();
  let browser: Browser;
  let front: Front;
  let settled = 0;
  let view: MarketView = {
    ...emptyMarket,
    nodes: [
      { id: NODE_A, label: 'relay-1', role: 'relay', addresses: ['/ip4/127.0.0.1/tcp/1'], price: '1500', online: true },
    ],
    pairs: [
      {
        payer: NODE_B,
        payerLabel: 'gateway',
        payee: NODE_A,
        payeeLabel: 'relay-1',
        transport: 'tcp',
        payerCounts: { up: '1024', down: '2097152' },
        payeeCounts: { up: '1024', down: '2097152' },
        owed: '3001',
        paid: '3001',
        settled: '3000',
      },
    ],
    names: [
      { name: 'demo.web3', root: 'bafy', owner: NODE_A, royaltyBps: 1000, accrued: '5', lifetime: '1234567000001' },
    ],
    waiting: [{ node: NODE_A, label: 'relay-1', value: '1', from: '500000', feeShareBps: 100 }],
    supply: {
      ...emptyMarket.supply,
      bought: '18446744073709551615',
      circulating: '18446744073709411615',
      forgone: '140000',
    },
  };

  beforeAll(async () => {
    front = await startFront(cleanup, {
      market: () => Promise.resolve(view),
      settle: {
        token: TOKEN,
        now: () => {
          settled += 1;
          return Promise.resolve({ transactions: 1, receipts: 3, failed: 0 });
        },
      },
    });
    const { root } = await importSite(front.host.store, 'demo.web3', EXAMPLE);
    front.ledger.register('demo.web3', root.bytes);
    await front.publish('other.web3', { 'index.html': '<!doctype html><title>other</title>' });
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
    });
    cleanup.add(() => browser.close());
  });
  afterAll(() => cleanup.run());
  afterEach(() => pages.run());

  async function open(url: string, width = 1400): Promise<{ page: Page; trouble: string[]; asked: string[] }> {
    const page = await browser.newPage({ viewport: { width, height: 900 } });
    pages.add(() => page.close());
    const trouble: string[] = [];
    const asked: string[] = [];
    page.on('console', (message) => message.type() === 'error' && trouble.push(message.text()));
    page.on('pageerror', (error) => trouble.push(error.message));
    page.on('request', (request) => asked.push(request.url()));
    await page.goto(url);
    return { page, trouble, asked };
  }

  async function shows(page: Page, selector: string, text: string): Promise<void> {
    await page.locator(selector, { hasText: text }).waitFor();
  }

  const site = (name: string, path = '/'): string => `http://${name}.localhost:${front.port}${path}`;

  it('shows the example site; its own check finds every file unchanged, in a secure context', async () => {
    const { page, trouble, asked } = await open(site('demo-web3', '/check/'));
    const files = await readdir(EXAMPLE, { recursive: true, withFileTypes: true });
    const count = files.filter((entry) => entry.isFile()).length;
    await shows(page, '#verdict', 'All');
    expect(await page.textContent('#verdict')).toContain(`All ${count} files`);
    await shows(page, '#range', 'got');
    expect(await page.textContent('#range')).toContain('got 100: bytes 90000-90099/192044');
    expect(await page.evaluate('isSecureContext')).toBe(true);
    expect(trouble).toEqual([]);
    expect(asked.every((url) => url.startsWith(site('demo-web3')))).toBe(true);
  });

  it('has no broken link and fits narrow and wide screens', async () => {
    for (const width of [390, 1400]) {
      for (const path of ['/', '/journey/', '/check/', '/about.html']) {
        const { page, trouble } = await open(site('demo-web3', path), width);
        expect(trouble).toEqual([]);
        expect(await page.evaluate(FITS)).toBe(true);
        const links = await page.evaluate<string[]>('[...document.links].map((link) => link.href)');
        for (const link of new Set(links)) {
          const { hostname, pathname } = new URL(link);
          expect([link, (await front.get(pathname, { host: hostname })).status]).toEqual([link, 200]);
        }
        await page.close();
      }
    }
    const { page } = await open(site('demo-web3', '/nothing/here'));
    expect(await page.textContent('h1')).toBe('Nothing was ever published here');
    // Its style sheet came too, though the path is two folders deep.
    expect(await page.evaluate('getComputedStyle(document.body).maxWidth')).not.toBe('none');
  });

  it('keeps sites apart: no shared cookies, no reading across', async () => {
    const { page } = await open(site('demo-web3'));
    await page.evaluate(`document.cookie = 'mine=1; Domain=localhost; path=/';
      document.cookie = 'own=1; path=/';
      localStorage.setItem('mine', '1')`);
    expect(await page.evaluate('document.cookie')).toContain('own=1');
    const stolen = await page.evaluate(`fetch('${front.url}api/market').then(({ status }) => status, () => 'refused')`);
    expect(stolen).toBe('refused');
    await page.goto(site('other-web3'));
    expect(await page.evaluate(`[document.cookie, localStorage.getItem('mine')]`)).toEqual(['', null]);
  });

  it('a foreign page can lead to a site, and make nobody fetch or pay', async () => {
    const at = site('demo-web3');
    const server = createServer((_request, response) => {
      response.setHeader('content-type', 'text/html');
      response.end(`<!doctype html><link rel="icon" href="data:,"><link rel="stylesheet" href="${at}style.css">
        <link rel="prefetch" href="${at}journey/"><img src="${at}"><video src="${at}"></video><iframe src="${at}"></iframe>
        <object data="${at}"></object><script src="${at}x.js"></script><a href="${at}">go there</a>`);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    pages.add(() => server.close());
    const questions = front.ledger.questions;
    const page = await browser.newPage();
    pages.add(() => page.close());
    const asked = new Set<string>();
    page.on('request', (request) => request.url().startsWith(at) && asked.add(request.resourceType()));
    // The browser does not show every answer that it keeps from a page. That nothing was served, the ledger says.
    const answered: [string, number][] = [];
    page.on('response', (response) => {
      if (response.url().startsWith(at)) answered.push([response.request().resourceType(), response.status()]);
    });
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    for (const mode of ['cors', 'no-cors']) {
      await page.evaluate(`fetch('${at}', { mode: '${mode}' }).then(() => undefined, () => undefined)`);
    }
    for (const type of ['document', 'fetch', 'image', 'media', 'script', 'stylesheet']) {
      await expect.poll(() => [...asked]).toContain(type);
    }
    expect(answered.length).toBeGreaterThan(0);
    expect(answered.every(([, status]) => status === 403)).toBe(true);
    expect(front.ledger.questions).toBe(questions);
    await page.click('a');
    await page.waitForURL(at);
    expect(await page.title()).not.toBe('');
    // Its own style sheet and pictures load as ever.
    expect(answered.filter(([type, status]) => type === 'document' && status === 200)).toHaveLength(1);
    expect(answered.filter(([type, status]) => type === 'stylesheet' && status === 200)).toHaveLength(1);
    await page.goto(site('other-web3'));
    expect(await page.title()).toBe('other');
  });

  it('settles for a visitor who opens the terminal’s link, and for no other site or page', async () => {
    const context = await browser.newContext();
    pages.add(() => context.close());
    const market = await context.newPage();
    await market.goto(`${front.url}#settle=${TOKEN}`);
    await market.waitForSelector('#state[data-state=live]');
    // The secret is not left in the address.
    expect(market.url()).toBe(front.url);

    const server = createServer((_request, response) => {
      response.setHeader('content-type', 'text/html');
      response.end('<!doctype html><link rel="icon" href="data:,"><title>beside</title>');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    pages.add(() => server.close());
    const { port } = server.address() as AddressInfo;
    const at = `${front.url}api/settle`;
    for (const from of [
      site('demo-web3'),
      site('other-web3'),
      `http://localhost:${port}/`,
      `http://127.0.0.1:${port}/`,
    ]) {
      const attacker = await context.newPage();
      await attacker.goto(from);
      // With the token too, which it cannot know.
      const tried = await attacker.evaluate<string[]>(`(async () => {
        const said = [];
        const attempt = (work) => work.then(({ type, status }) => said.push(type + status), () => said.push('refused'));
        const authorization = 'Bearer ${TOKEN}';
        await attempt(fetch('${at}', { method: 'POST', headers: { authorization } }));
        await attempt(fetch('${at}', { method: 'POST', mode: 'no-cors', credentials: 'include', body: 'x' }));
        navigator.sendBeacon('${at}', 'x');
        said.push(Object.keys(sessionStorage).join());
        const frame = document.body.appendChild(Object.assign(document.createElement('iframe'), { name: 'into' }));
        const form = Object.assign(document.createElement('form'), { action: '${at}', method: 'post', target: 'into' });
        document.body.append(form);
        const loaded = new Promise((resolve) => frame.addEventListener('load', resolve, { once: true }));
        form.submit();
        await loaded;
        return said;
      })()`);
      expect([from, tried]).toEqual([from, ['refused', 'refused', '']]);
      await attacker.evaluate(
        `document.querySelector('form').target = '_top'; document.querySelector('form').submit()`,
      );
      await attacker.waitForURL(at);
      await attacker.close();
    }
    expect(settled).toBe(0);

    await market.click('#settle');
    await shows(market, '#settle-state', '3 receipts settled in 1 transaction.');
    expect(settled).toBe(1);
    // Another person at this gateway has no button, and is told what else there is.
    const { page } = await open(front.url);
    await shows(page, '#settle-how', 'relaymint settle');
    expect(await page.isVisible('#settle')).toBe(false);
  });

  it('says what waits to be settled, and names nodes as the terminal does', async () => {
    const { page } = await open(front.url);
    await page.waitForSelector('#state[data-state=live]');
    expect(await page.textContent('#unsettled')).toContain('0.000001 credits are paid by receipt and wait');
    expect(await page.textContent('#rule')).toContain('at most 1 %');
    expect(await page.textContent('#waiting tbody')).toContain('relay-1');
    expect(await page.textContent('#waiting tbody')).toContain('once 0.499999 more are earned');
    expect(await page.textContent('#nodes tbody')).toContain('relay-1 8Zk3vQw9…');
    expect(await page.textContent('#pairs tbody')).toContain('gateway');
  });

  it('shows what the nodes know while the ledger says nothing', async () => {
    const before = view;
    pages.add(() => {
      view = before;
    });
    view = { ...before, names: [], balances: [], supply: null, ledger: { at: null, answers: false } };
    const { page, trouble } = await open(front.url);
    await shows(page, '#ledger', 'The ledger does not answer');
    expect(await page.textContent('#pairs tbody')).toContain('relay-1');
    expect(await page.textContent('#names')).toContain('The ledger has not answered yet.');
    view = before;
    await shows(page, '#names', 'demo.web3');
    expect(await page.isVisible('#ledger')).toBe(false);
    expect(trouble).toEqual([]);
  });

  it('shows the marketplace live, exact, and only from here', async () => {
    const { page, trouble, asked } = await open(front.url);
    await page.waitForSelector('#state[data-state=live]');
    expect(await page.textContent('#pairs tbody')).toContain('✓ equal');
    expect(await page.textContent('#pairs tbody')).toContain('0.003001');
    expect(await page.textContent('#supply')).toContain('✓ 18,446,744,073,709.551615');
    expect(await page.textContent('#supply')).toContain('Staked and lost0.14');
    expect(await page.textContent('#names')).toContain('1,234,567.000001');
    expect(await page.getAttribute('#names a', 'href')).toBe(site('demo-web3'));
    const [pair] = view.pairs;
    if (pair === undefined) throw new Error('the view has a pair');
    view = { ...view, pairs: [{ ...pair, payeeCounts: { up: '1024', down: '3145728' }, owed: '4501' }] };
    await shows(page, '#pairs', '0.004501');
    expect(await page.textContent('#pairs tbody')).toContain('in flight');
    expect(await page.textContent('#total-bytes')).toBe('3.0 MiB');
    expect(trouble).toEqual([]);
    expect(asked.every((url) => url.startsWith(front.url))).toBe(true);
    for (const width of [390, 1400]) {
      await page.setViewportSize({ width, height: 900 });
      expect(await page.evaluate(FITS)).toBe(true);
    }
  });
});
