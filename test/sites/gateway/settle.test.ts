/** Who may have nodes settle: a person who has the secret of the terminal, on the marketplace's own page. Nobody else, whatever they send. */
import { afterEach, describe, expect, it } from 'vitest';
import { RelaymintError } from '../../../core/errors.ts';
import { silentLog } from '../../../core/ports.ts';
import type { SettleOptions } from '../../../sites/gateway/index.ts';
import { Cleanup } from '../kit.ts';
import { emptyMarket, startFront, type AskOptions, type Front } from './kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const TOKEN = 'x'.repeat(43);
const SETTLED = { transactions: 1, receipts: 3, failed: 0 };

async function frontThatSettles(
  now: SettleOptions['now'] = () => Promise.resolve(SETTLED),
): Promise<{ readonly front: Front; readonly settled: () => number }> {
  let count = 0;
  const settle: SettleOptions = {
    token: TOKEN,
    now: () => {
      count += 1;
      return now();
    },
  };
  const market = { ...emptyMarket, waiting: [] };
  return { front: await startFront(cleanup, { settle, market: () => Promise.resolve(market) }), settled: () => count };
}

/** As the marketplace's own page sends it. */
function own({ port }: Front, changes: Readonly<Record<string, string | undefined>> = {}): AskOptions {
  const headers = {
    origin: `http://localhost:${port}`,
    'sec-fetch-site': 'same-origin',
    authorization: `Bearer ${TOKEN}`,
    ...changes,
  };
  const given = Object.entries(headers).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]]));
  return { method: 'POST', host: 'localhost', headers: Object.fromEntries(given) as Record<string, string> };
}

describe('settling from the marketplace page', () => {
  it.each([
    ['a site of this gateway', { origin: 'http://demo-web3.localhost:PORT', 'sec-fetch-site': 'cross-site' }],
    [
      'a site of this gateway, in a browser without Fetch Metadata',
      { origin: 'http://demo-web3.localhost:PORT', 'sec-fetch-site': undefined },
    ],
    ['another server on this machine', { origin: 'http://localhost:3000', 'sec-fetch-site': 'same-site' }],
    [
      'the same page under another name of this machine',
      { origin: 'http://127.0.0.1:PORT', 'sec-fetch-site': 'cross-site' },
    ],
    ['a page of the web', { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }],
    ['a sandboxed frame', { origin: 'null', 'sec-fetch-site': 'cross-site' }],
    ['somebody who forges the origin alone', { 'sec-fetch-site': 'cross-site' }],
    ['who does not say where it comes from', { origin: undefined }],
    ['the own page without a token', { authorization: undefined }],
    ['the own page with a token of another start', { authorization: `Bearer ${'y'.repeat(43)}` }],
    ['the own page with a part of the token', { authorization: `Bearer ${'x'.repeat(42)}` }],
    ['a form, which cannot show the token', { authorization: undefined, 'content-type': 'text/plain' }],
  ] as const)('is refused to %s', async (_who, changes) => {
    const { front, settled } = await frontThatSettles();
    const filled = Object.entries(changes).map(([key, value]) => [key, value?.replace('PORT', String(front.port))]);
    const answer = await front.get('/api/settle', own(front, Object.fromEntries(filled) as typeof changes));
    expect(answer.status).toBe(403);
    expect(answer.headers['access-control-allow-origin']).toBeUndefined();
    expect(settled()).toBe(0);
  });

  it('is refused to GET, to preflight and to another host, even with the token', async () => {
    const { front, settled } = await frontThatSettles();
    expect((await front.get('/api/settle', { ...own(front), method: 'GET' })).status).toBe(404);
    for (const method of ['OPTIONS', 'PUT']) {
      expect((await front.get('/api/settle', { ...own(front), method })).status).toBe(405);
    }
    expect((await front.get('/api/settle', { ...own(front), host: 'demo-web3.localhost' })).status).toBe(405);
    expect((await front.get('/api/settle', { ...own(front), host: 'evil.example' })).status).toBe(421);
    expect((await front.get('/api/market', own(front))).status).toBe(405);
    expect(settled()).toBe(0);
  });

  it('tells nobody the token', async () => {
    const { front } = await frontThatSettles();
    for (const path of ['/', '/market.js', '/market.css', '/icon.svg', '/api/market', '/api/settle', '/nothing']) {
      const { text, headers } = await front.get(path, { host: 'localhost' });
      expect(text + JSON.stringify(headers)).not.toContain(TOKEN);
    }
    const refused = await front.get('/api/settle', own(front, { authorization: undefined }));
    expect(refused.text).not.toContain(TOKEN);
  });

  it('is done for a page that has the token', async () => {
    const { front, settled } = await frontThatSettles();
    const answer = await front.get('/api/settle', own(front));
    expect([answer.status, JSON.parse(answer.text), settled()]).toEqual([200, SETTLED, 1]);
    expect(answer.headers['cache-control']).toBe('no-store');
  });

  it('says that it failed, and says why only in the log', async () => {
    const warned: object[] = [];
    const down = new RelaymintError('LEDGER_UNREACHABLE', 'https://tenant.example does not answer.');
    const front = await startFront(cleanup, {
      settle: { token: TOKEN, now: () => Promise.reject(down) },
      log: { ...silentLog, warn: (fields) => void warned.push(fields) },
    });
    const answer = await front.get('/api/settle', own(front));
    expect([answer.status, answer.text.includes('tenant.example')]).toEqual([502, false]);
    expect(warned).toEqual([{ err: down }]);
  });

  it('does not exist if no nodes are watched', async () => {
    const front = await startFront(cleanup);
    expect((await front.get('/api/settle', own(front))).status).toBe(405);
  });
});
