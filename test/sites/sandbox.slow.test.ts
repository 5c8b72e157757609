/** Frames without an origin, in a browser: a site's own page may show them, and a foreign page gets nothing by making one. */
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startFront, type Front } from './gateway/kit.ts';
import { Cleanup } from './kit.ts';

const CHROMIUM = '/usr/bin/chromium';
const here = existsSync(CHROMIUM);
if (!here) process.stderr.write(`skipped: these tests need ${CHROMIUM}: apt-get install chromium\n`);

const DOT = '<svg xmlns="http://www.w3.org/2000/svg" width="7" height="7"/>';
/** Says in its title what came into its frames. */
const HEARS = `<link rel="icon" href="data:,"><title>waits</title><script>addEventListener('message', ({ data }) => (document.title = data))</script>`;
/** Loads what a page can load without the right to read it, and says what came. */
const loads = (at: string): string => `<link rel="stylesheet" href="${at}s.css"><img src="${at}a.svg">
<video src="${at}v.webm"></video><script src="${at}s.js"></script><iframe src="${at}nested.html"></iframe><script>
let nested = false;
const tell = () => parent.postMessage([getComputedStyle(document.body).color, document.images[0].naturalWidth, globalThis.ran, nested].join(' '), '*');
addEventListener('message', () => { nested = true; tell() });
addEventListener('load', tell)</script>`;
const sandboxed = (content: string): string =>
  `<iframe sandbox="allow-scripts" srcdoc="${content.replaceAll('&', '&amp;').replaceAll('"', '&quot;')}"></iframe>`;
const CAME = 'rgb(1, 2, 3) 7 true true';

describe.skipIf(!here)('a sandboxed frame', () => {
  const cleanup = new Cleanup();
  const pages = new Cleanup();
  let browser: Browser;
  let front: Front;
  let demo: string;
  /** Where pages are that are not the gateway's. */
  let foreign: string;
  let foreignPage = '';

  beforeAll(async () => {
    front = await startFront(cleanup);
    demo = `http://demo-web3.localhost:${front.port}/`;
    const server = createServer((_request, response) => {
      response.setHeader('content-type', 'text/html').setHeader('referrer-policy', 'unsafe-url').end(foreignPage);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanup.add(() => server.close());
    foreign = `http://evil-web3.localhost:${(server.address() as AddressInfo).port}/`;
    await front.publish('demo.web3', {
      'index.html': `${HEARS}<iframe sandbox="allow-scripts" src="frame.html"></iframe>`,
      'inline.html': `${HEARS}${sandboxed(loads('/'))}`,
      'guest.html': `${HEARS}<iframe src="${foreign}"></iframe>`,
      'frame.html': loads('/'),
      'nested.html': `<img src="/inner.svg" onload="parent.postMessage('nested', '*')">`,
      's.css': 'body{color:rgb(1,2,3)}',
      's.js': 'globalThis.ran = true',
      'a.svg': DOT,
      'inner.svg': DOT,
      'v.webm': 'no film',
    });
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
    });
    cleanup.add(() => browser.close());
  });
  afterAll(() => cleanup.run());
  afterEach(() => pages.run());

  /** Opens a page. `asked`: the paths that it asks the site for. What the gateway serves, the ledger hears of. */
  async function open(url: string): Promise<{ page: Page; asked: Set<string> }> {
    const page = await browser.newPage();
    pages.add(() => page.close());
    const asked = new Set<string>();
    page.on('request', (request) => request.url().startsWith(demo) && asked.add(request.url().slice(demo.length)));
    await page.goto(url);
    return { page, asked };
  }

  it.each(['', 'inline.html'])('of a site’s own page /%s loads the site’s files', async (path) => {
    const { page } = await open(demo + path);
    await expect.poll(() => page.title()).toBe(CAME);
  });

  it('of a foreign page loads nothing, however it is made', async () => {
    // The visitor knows the site: it may have left something in the browser.
    await open(demo);
    const tries = `${loads(demo)}<script>for (const mode of ['cors', 'no-cors']) for (const credentials of ['omit', 'include'])
      for (const referrer of ['', '${demo}']) fetch('${demo}fetched', { mode, credentials, referrer }).catch(() => {})</script>`;
    foreignPage = `${HEARS}${sandboxed(tries)}<iframe sandbox="allow-scripts" src="data:text/html,${encodeURIComponent(tries)}"></iframe>
      <iframe sandbox="allow-scripts" src="${demo}frame.html"></iframe><iframe sandbox="allow-scripts allow-same-origin" src="${demo}frame.html"></iframe>`;
    const questions = front.ledger.questions;
    const { page, asked } = await open(foreign);
    const tried = ['a.svg', 'fetched', 'frame.html', 'nested.html', 's.css', 's.js', 'v.webm'];
    await expect.poll(() => [...asked].toSorted()).toEqual(tried);
    await page.waitForLoadState('networkidle');
    expect(front.ledger.questions).toBe(questions);
  });

  it('of a page that a site shows in a frame does not pass for the site’s', async () => {
    foreignPage = `<link rel="icon" href="data:,">${loads(demo)}`;
    const questions = front.ledger.questions;
    const { page, asked } = await open(`${demo}guest.html`);
    await expect.poll(() => page.title()).toBe('rgb(0, 0, 0) 0 false');
    expect([...asked]).toContain('v.webm');
    expect(front.ledger.questions).toBe(questions + 1);
  });
});
