import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { MAX_MARKET_WATCHERS } from '../../../core/limits.ts';
import type { MarketView } from '../../../sites/gateway/index.ts';
import { Cleanup } from '../kit.ts';
import { emptyMarket, startFront } from './kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

describe('gateway: marketplace', () => {
  it('serves its page and files under a strict policy, on its own host names only', async () => {
    const front = await startFront(cleanup);
    for (const [path, type] of [
      ['/', 'text/html'],
      ['/market.css', 'text/css'],
      ['/market.js', 'text/javascript'],
      ['/icon.svg', 'image/svg+xml'],
    ] as const) {
      const answer = await front.get(path, { host: 'localhost' });
      expect(answer.status).toBe(200);
      expect(answer.headers['content-type']).toContain(type);
      expect(answer.headers['content-security-policy']).toContain("default-src 'none'; script-src 'self'");
      expect(answer.headers['content-security-policy']).toContain("frame-ancestors 'none'");
      expect(answer.headers['cross-origin-resource-policy']).toBe('same-origin');
      expect(answer.headers['access-control-allow-origin']).toBeUndefined();
      // Nothing is loaded from elsewhere (the one http address is SVG's namespace).
      expect(answer.text.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(
        /(?:src|href|url\()\s*=?["']?https?:/,
      );
    }
    expect((await front.get('/market.js')).status).toBe(404);
    expect((await front.get('/constructor', { host: 'localhost' })).status).toBe(404);
  });

  it('gives the figures as JSON, checked', async () => {
    let view: MarketView = emptyMarket;
    const front = await startFront(cleanup, { market: () => Promise.resolve(view) });
    const answer = await front.get('/api/market', { host: 'localhost' });
    expect(JSON.parse(answer.text)).toEqual(emptyMarket);
    expect(answer.headers['cache-control']).toBe('no-store');
    view = { ...emptyMarket, supply: { ...emptyMarket.supply, bought: '-1' } };
    // The last good figures are used for half a second.
    await expect
      .poll(async () => (await front.get('/api/market', { host: 'localhost' })).status, { timeout: 20_000 })
      .toBe(500);
  });

  it('tells watchers what changed, and asks once for all of them', async () => {
    let view = emptyMarket;
    let asked = 0;
    const front = await startFront(cleanup, {
      market: () => {
        asked += 1;
        return Promise.resolve(view);
      },
    });
    const watchers = await Promise.all(
      Array.from({ length: 4 }, () => front.open('/api/market/events', { host: 'localhost' })),
    );
    const firsts = await Promise.all(watchers.map((watcher) => once(watcher, 'data') as Promise<[Buffer]>));
    for (const [first] of firsts) expect(first.toString()).toContain('data: {"nodes":[]');
    expect(asked).toBe(1);
    view = { ...emptyMarket, supply: { ...emptyMarket.supply, bought: '12345' } };
    await Promise.all(
      watchers.map(async (watcher) => {
        for await (const chunk of watcher as AsyncIterable<Buffer>) if (chunk.includes('"bought":"12345"')) return;
      }),
    );
  });

  it('tells a page that joined in between when the figures change back', async () => {
    let view: MarketView = emptyMarket;
    const front = await startFront(cleanup, { market: () => Promise.resolve(view) });
    const watch = () => front.open('/api/market/events', { host: 'localhost' });
    const told = async (watcher: AsyncIterable<Buffer>, what: string): Promise<void> => {
      for await (const chunk of watcher) if (chunk.includes(what)) return;
    };
    const [old, other] = ['"bought":"0"', '"bought":"7"'];
    const first = await watch();
    let times = 0;
    // What it is given, and what it is sent once more.
    for await (const chunk of first as AsyncIterable<Buffer>) {
      times += chunk.toString().split(old).length - 1;
      if (times === 2) break;
    }
    view = { ...emptyMarket, supply: { ...emptyMarket.supply, bought: '7' } };
    // The last figures are given for half a second.
    await expect.poll(async () => (await front.get('/api/market', { host: 'localhost' })).text).toContain(other);
    const second = (await watch()) as AsyncIterable<Buffer>;
    view = emptyMarket;
    await told(second, old);
  });

  it('serves a bounded number of watchers', async () => {
    const front = await startFront(cleanup);
    const ask = () => front.open('/api/market/events', { host: 'localhost' });
    const watchers = await Promise.all(Array.from({ length: MAX_MARKET_WATCHERS }, ask));
    expect(watchers.every(({ statusCode }) => statusCode === 200)).toBe(true);
    expect((await ask()).statusCode).toBe(503);
    watchers[0]?.destroy();
    await expect.poll(async () => (await ask()).statusCode, { timeout: 20_000 }).toBe(200);
  });
});
