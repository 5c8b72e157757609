/** A page that follows the updates of another name, in a browser: where that name's owner lets it, and nowhere else. */
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { chromium, type Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FeedWorld, NAME, bring, type FeedHost } from './feed/updates-kit.ts';
import { letEmbed, startFront, type Front } from './gateway/kit.ts';
import { Cleanup } from './kit.ts';

const CHROMIUM = '/usr/bin/chromium';
const here = existsSync(CHROMIUM);
if (!here) process.stderr.write(`skipped: these tests need ${CHROMIUM}: apt-get install chromium\n`);

/** Its title is what it heard last. */
function pageOf(port: number): string {
  const address = `http://ferry-route.localhost:${port}/.well-known/relaymint/updates`;
  return `<!doctype html><title>waits</title><script>
    const events = new EventSource('${address}');
    events.addEventListener('update', ({ data }) => (document.title = JSON.parse(data).text));
    events.addEventListener('stale', () => (document.title = 'stale'));
    events.addEventListener('error', () => { if (events.readyState === EventSource.CLOSED) document.title = 'refused'; });
  </script>`;
}

describe.skipIf(!here)('the updates of another name', () => {
  const cleanup = new Cleanup();
  let browser: Browser;
  let world: FeedWorld;
  let host: FeedHost;
  let front: Front;
  /** Of a web page that is no name's. */
  let foreign: number;

  beforeAll(async () => {
    world = new FeedWorld(cleanup);
    host = await world.host();
    front = await startFront(cleanup, { feeds: world.source([host]) });
    await front.publish(NAME, { 'index.html': '<!doctype html><title>ferry</title>' });
    await letEmbed(front, NAME, ['news.web3', 'guarded.web3']);
    const page = pageOf(front.port);
    for (const name of ['news.web3', 'other.web3']) await front.publish(name, { 'index.html': page });
    const _headers = "/*\n  Content-Security-Policy: default-src 'self' 'unsafe-inline'\n";
    await front.publish('guarded.web3', { 'index.html': page, _headers });
    const server = createServer((_request, response) => response.setHeader('Content-Type', 'text/html').end(page));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanup.add(() => {
      server.closeAllConnections();
      server.close();
    });
    foreign = (server.address() as AddressInfo).port;
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
    });
    cleanup.add(() => browser.close());
  });
  afterAll(() => cleanup.run());

  it('are followed by a page that its owner lets, as they come, and pay that page its part', async () => {
    await bring(host, await world.update(1, { words: 'at the pier' }));
    const page = await browser.newPage();
    await page.goto(`http://news-web3.localhost:${front.port}/`);
    await expect.poll(() => page.title(), { timeout: 10_000 }).toBe('at the pier');
    await bring(host, await world.update(2, { words: 'on the river' }));
    await expect.poll(() => page.title(), { timeout: 10_000 }).toBe('on the river');
    expect(host.shares.at(-1)).toEqual([{ name: NAME, referrer: 'news.web3', share: 10_000 }]);
    await page.close();
  });

  it.each([
    ['a name whom its owner does not let', () => `http://other-web3.localhost:${front.port}/`],
    ['a page that says itself that it reads nothing of others', () => `http://guarded-web3.localhost:${front.port}/`],
    ['a web page that is no name', () => `http://localhost:${foreign}/`],
    ['a web page that calls itself one', () => `http://news-web3.localhost:${foreign}/`],
  ])('are refused to %s', async (_what, address) => {
    const asked = host.shares.length;
    const page = await browser.newPage();
    await page.goto(address());
    await expect.poll(() => page.title(), { timeout: 10_000 }).toBe('refused');
    expect(host.shares.length).toBe(asked);
    await page.close();
  });
});
