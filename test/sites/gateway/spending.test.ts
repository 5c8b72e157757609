/** The visitor's own page and what it asks: who may read where somebody has been, and change what may be spent. Nobody else, whatever they send. */
import { afterEach, describe, expect, it } from 'vitest';
import { RelaymintError } from '../../../core/errors.ts';
import type { SiteOrder } from '../../../ledger/budget/index.ts';
import type { ContentSource } from '../../../sites/blocks/index.ts';
import type { Spending, SpendingView } from '../../../sites/gateway/index.ts';
import { Cleanup } from '../kit.ts';
import { startFront, type AskOptions, type Front, type FrontOptions } from './kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const SECRET = 'where-i-was.web3';
const NOBODY = { relays: '0', host: '0', owner: '0', embedded: '0', page: '0', fee: '0' };
const VIEW: SpendingView = {
  since: 1_800_000_000_000,
  now: 1_800_000_001_000,
  spent: '7',
  upkeep: '0',
  feeBps: 0,
  sites: [
    {
      name: SECRET,
      bytes: 10,
      cached: 0,
      cost: '7',
      parties: { ...NOBODY, relays: '5', host: '2' },
      contents: [],
      budget: { limit: '100', hasOwnLimit: false, spent: '7', stopped: false, freesAt: null },
      lastAt: null,
    },
  ],
  forgotten: { contents: 0, cost: '0' },
  throughput: { stepMillis: 10_000, bytes: [0] },
};
const TITLE = '<title>What your sites cost</title>';
const PATHS = ['/', '/spending.js', '/spending.css', '/api/spending'];

async function frontOf(
  options: FrontOptions = {},
  order: Spending['order'] = () => Promise.resolve(),
): Promise<{ readonly front: Front; readonly orders: readonly SiteOrder[] }> {
  const orders: SiteOrder[] = [];
  const spending: Spending = {
    view: () => Promise.resolve(VIEW),
    order: async (what) => {
      await order(what);
      orders.push(what);
    },
  };
  return { front: await startFront(cleanup, { spending, ...options }), orders };
}

const STOP = JSON.stringify({ do: 'stop', name: 'a.web3' });

/** As the visitor's own page sends it. */
function own(
  { port }: Front,
  changes: Readonly<Record<string, string | undefined>> = {},
  body: string = STOP,
): AskOptions {
  const headers = {
    origin: `http://localhost:${port}`,
    'sec-fetch-site': 'same-origin',
    'content-type': 'application/json',
    ...changes,
  };
  const given = Object.entries(headers).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]]));
  const all = Object.fromEntries(given) as Record<string, string>;
  return { method: 'POST', host: 'localhost', headers: all, body };
}

describe("the visitor's page", () => {
  it('is the front of this machine’s own names; the marketplace is beside it', async () => {
    const { front } = await frontOf();
    for (const host of ['localhost', '127.0.0.1', '[::1]']) {
      const page = await front.get('/', { host });
      expect([page.status, page.text.includes(TITLE)]).toEqual([200, true]);
      expect(page.headers['content-security-policy']).toContain("default-src 'none'; script-src 'self'");
      expect(page.headers['cross-origin-resource-policy']).toBe('same-origin');
      expect((await front.get('/market', { host })).text).toContain('Relaymint marketplace');
    }
    const told = await front.get('/api/spending', { host: 'localhost', headers: { 'sec-fetch-site': 'same-origin' } });
    expect([told.status, JSON.parse(told.text), told.headers['cache-control']]).toEqual([200, VIEW, 'no-store']);
  });

  it('names no site in itself, and has no script or style in its text', async () => {
    const { front } = await frontOf();
    const { text } = await front.get('/', { host: 'localhost' });
    expect(text).not.toContain(SECRET);
    expect(text).not.toMatch(/<script(?! type="module" src)|<style|style=|onclick/);
  });

  it('does not exist without what it would show', async () => {
    const front = await startFront(cleanup);
    expect((await front.get('/', { host: 'localhost' })).text).toContain('Relaymint marketplace');
    expect((await front.get('/api/spending', { host: 'localhost' })).status).toBe(404);
    expect((await front.get('/api/spending', own(front))).status).toBe(405);
  });
});

describe('what somebody spent', () => {
  it.each([
    ['a site of this gateway', 'same-site'],
    ['a page of the web', 'cross-site'],
  ])('is not told to %s', async (_who, site) => {
    const { front } = await frontOf();
    for (const mode of ['cors', 'no-cors', 'navigate']) {
      const headers = { 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': 'document' };
      const answer = await front.get('/api/spending', { host: 'localhost', headers });
      expect([answer.status, answer.text.includes(SECRET)]).toEqual([403, false]);
      expect(answer.headers['access-control-allow-origin']).toBeUndefined();
    }
  });

  it('is not told below a name that leads here (DNS rebinding), nor on a site’s own origin', async () => {
    const { front } = await frontOf();
    const hosts = ['evil.example', 'localhost.evil.example', '127.0.0.1.nip.io', 'localhost.', '0.0.0.0', '127.0.0.2'];
    for (const host of hosts) {
      const answer = await front.get('/api/spending', { host });
      expect([host, answer.status, answer.text.includes(SECRET)]).toEqual([host, 421, false]);
      expect((await front.get('/api/spending', { ...own(front), host })).status).toBe(421);
    }
    expect((await front.get('/api/spending', { host: 'demo-web3.localhost' })).text).not.toContain(SECRET);
  });
});

describe('a gateway that others reach', () => {
  it.each([
    ['its domain', { domain: 'sites.example' }, { host: 'sites.example' }, 404],
    ['another host name of its own', { hosts: ['www.example'] }, { host: 'www.example' }, 404],
    [
      'a proxy that passes on what a stranger wrote',
      { domain: 'sites.example' },
      { host: 'localhost', headers: { 'x-forwarded-for': '203.0.113.7' } },
      421,
    ],
    ['a proxy before a gateway without a domain', {}, { host: 'localhost', headers: { via: '1.1 proxy' } }, 404],
  ] as const)('has no such page for %s', async (_who, options, asked, status) => {
    const { front, orders } = await frontOf(options);
    for (const path of PATHS.slice(1)) {
      const answer = await front.get(path, asked);
      expect([path, answer.status, answer.text.includes(SECRET)]).toEqual([path, status, false]);
    }
    expect((await front.get('/', asked)).text).not.toContain(TITLE);
    const { host, headers } = { headers: {}, ...asked };
    const sent = await front.get('/api/spending', {
      ...own(front, { ...headers, origin: `http://${host}:${front.port}` }),
      host,
    });
    expect([sent.status === 200, orders]).toEqual([false, []]);
  });

  it('has it for who sits at the machine', async () => {
    const { front } = await frontOf({ domain: 'sites.example' });
    expect((await front.get('/', { host: 'localhost' })).text).toContain(TITLE);
  });
});

describe('an order', () => {
  it.each([
    ['a site of this gateway', { origin: 'http://demo-web3.localhost:PORT', 'sec-fetch-site': 'same-site' }],
    [
      'a site, in a browser without Fetch Metadata',
      { origin: 'http://demo-web3.localhost:PORT', 'sec-fetch-site': undefined },
    ],
    ['another server on this machine', { origin: 'http://localhost:3000', 'sec-fetch-site': 'same-site' }],
    ['the same page under another name', { origin: 'http://127.0.0.1:PORT', 'sec-fetch-site': 'cross-site' }],
    ['a page of the web', { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }],
    ['a sandboxed frame', { origin: 'null', 'sec-fetch-site': 'cross-site' }],
    ['somebody who forges the origin alone', { 'sec-fetch-site': 'cross-site' }],
    ['who does not say where it comes from', { origin: undefined }],
  ] as const)('is refused to %s', async (_who, changes) => {
    const { front, orders } = await frontOf();
    const filled = Object.entries(changes).map(([key, value]) => [key, value?.replace('PORT', String(front.port))]);
    const answer = await front.get('/api/spending', own(front, Object.fromEntries(filled) as typeof changes));
    expect([answer.status, orders]).toEqual([403, []]);
    expect(answer.headers['access-control-allow-origin']).toBeUndefined();
  });

  it('is JSON: a form cannot send one, and no other method', async () => {
    const { front, orders } = await frontOf();
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', undefined]) {
      expect((await front.get('/api/spending', own(front, { 'content-type': type }))).status).toBe(415);
    }
    for (const method of ['PUT', 'DELETE', 'OPTIONS']) {
      expect((await front.get('/api/spending', { ...own(front), method })).status).toBe(405);
    }
    expect((await front.get('/api/spending?do=stop&name=a.web3', { host: 'localhost' })).status).toBe(200);
    expect(orders).toEqual([]);
  });

  it.each([
    ['', 'expected object'],
    ['{', 'expected object'],
    ['[]', 'expected object'],
    ['{"do":"stop"}', 'name'],
    ['{"do":"go","name":"a.web3"}', 'do'],
    ['{"do":"stop","name":"a.web3","limit":"1"}', 'Unrecognized key'],
    ['{"do":"stop","name":"../../etc"}', 'is no name of a site'],
    ['{"do":"limit","name":"a.web3"}', 'limit'],
    ['{"do":"limit","name":"a.web3","limit":5}', 'limit'],
    ['{"do":"limit","name":"a.web3","limit":"-1"}', 'whole number of base units'],
    ['{"do":"limit","name":"a.web3","limit":"1.5"}', 'whole number of base units'],
    ['{"do":"limit","name":"a.web3","limit":"18446744073709551616"}', 'more than there can be'],
    ['{"do":"stop","name":"a.web3","__proto__":{"x":1}}', 'Unrecognized key'],
  ])('%j is none, and says why', async (body, why) => {
    const { front, orders } = await frontOf();
    const answer = await front.get('/api/spending', own(front, {}, body));
    const { error } = JSON.parse(answer.text) as { error: { message: string } };
    expect([answer.status, orders]).toEqual([400, []]);
    expect(error.message).toContain(why);
  });

  it('is short', async () => {
    const { front, orders } = await frontOf();
    for (const length of [1025, 100_000]) {
      const body = JSON.stringify({ do: 'stop', name: 'a'.repeat(length) });
      expect((await front.get('/api/spending', own(front, {}, body))).status).toBe(413);
    }
    expect(orders).toEqual([]);
  });

  it('is done for the page, and answered with what is true then', async () => {
    const { front, orders } = await frontOf();
    const most = JSON.stringify({ do: 'limit', name: 'a.web3', limit: '18446744073709551615' });
    const none = JSON.stringify({ do: 'limit', name: 'a.web3', limit: null });
    for (const body of [STOP, STOP.replace('stop', 'start'), most, none]) {
      const answer = await front.get('/api/spending', own(front, {}, body));
      expect([answer.status, JSON.parse(answer.text)]).toEqual([200, VIEW]);
    }
    expect(orders.map((order) => order.do)).toEqual(['stop', 'start', 'limit', 'limit']);
  });

  it('that failed says so', async () => {
    const full = new RelaymintError('STORAGE_FULL', 'The disk is full.', { remedy: 'Make room.' });
    const { front } = await frontOf({}, () => Promise.reject(full));
    const answer = await front.get('/api/spending', own(front));
    expect([answer.status, JSON.parse(answer.text)]).toEqual([
      503,
      { error: { code: 'STORAGE_FULL', message: 'The disk is full. Make room.' } },
    ]);
  });
});

describe('a site whose budget ends a visit', () => {
  const details = { limit: 'perSite', who: 'demo.web3' };
  const exhausted = new RelaymintError('BUDGET_EXHAUSTED', 'It has cost 10 credits, and 10 are allowed.', { details });
  const stopped = new RelaymintError('BUDGET_STOPPED', 'demo.web3 was stopped.', { details });

  async function visited(
    error: RelaymintError,
    options: FrontOptions,
    asked: AskOptions = {},
  ): Promise<{ status: number; text: string; front: Front }> {
    const refusing: ContentSource = {
      open: () => {
        throw error;
      },
    };
    const { front } = await frontOf({ ...options, content: () => refusing });
    await front.publish('demo.web3', { 'index.html': 'a page' });
    const { status, text } = await front.get('/', asked);
    return { status, text, front };
  }

  it.each([
    [exhausted, 402, 'demo.web3 has reached its spending limit', 'how to allow it more'],
    [stopped, 403, 'demo.web3 was stopped', 'how to start it again'],
  ])('leads who pays to the page: %s', async (error, wanted, title, label) => {
    const { status, text, front } = await visited(error, {});
    expect(status).toBe(wanted);
    expect(text).toContain(title);
    expect(text).toContain(error.message);
    expect(text).toContain(`<a href="http://localhost:${front.port}/#demo.web3">`);
    expect(text).toContain(label);
  });

  it.each([
    ['strangers, below a domain', { domain: 'sites.example' }, { host: 'demo-web3.sites.example' }],
    ['who comes through a proxy', {}, { headers: { forwarded: 'for=203.0.113.7' } }],
  ])('tells %s nothing of it', async (_who, options, asked) => {
    for (const error of [exhausted, stopped]) {
      const { text } = await visited(error, options, asked);
      expect(text).not.toContain(error.message);
      expect(text).not.toContain('<a ');
    }
  });

  it('of the whole node is no matter of one site', async () => {
    const total = new RelaymintError('BUDGET_EXHAUSTED', 'All is spent.', { details: { limit: 'total' } });
    const { status, text } = await visited(total, {});
    expect([status, text.includes('<a ')]).toEqual([503, false]);
  });
});
