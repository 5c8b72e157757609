import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { RelaymintError } from '../../../core/errors.ts';
import { MAX_KEPT_ANSWERS_BYTES, MAX_KEPT_ANSWER_BYTES, NAME_CACHE_MILLIS } from '../../../core/limits.ts';
import type { ContentSource } from '../../../sites/blocks/index.ts';
import { KeptAnswers } from '../../../sites/gateway/kept-answers.ts';
import { HeldClock } from '../../clock.ts';
import { Cleanup, NameBook, rawBlock } from '../kit.ts';
import { startFront, type Answer, type Front, type FrontOptions } from './kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

interface Keeping extends Front {
  /** How often content was opened: an answer that was made. */
  readonly made: () => number;
  readonly clock: HeldClock;
}

async function keeping(options: FrontOptions = {}): Promise<Keeping> {
  const clock = new HeldClock();
  let made = 0;
  const { content: wrap = (inner) => inner } = options;
  const front = await startFront(cleanup, {
    keeping: clock,
    ...options,
    content: (inner) => ({
      open: async (...given) => {
        made += 1;
        return await wrap(inner).open(...given);
      },
    }),
  });
  return { ...front, made: () => made, clock };
}

/** All that a visitor sees of an answer. */
function seen({ status, headers, text }: Answer): object {
  return { status, headers: { ...headers, date: '' }, text };
}

describe('answers that are kept', () => {
  it('are what was sent, and made only once', async () => {
    const front = await keeping();
    await front.publish('demo.web3', { 'index.html': '<h1>front</h1>', 'a.css': 'a{}' });
    const first = [await front.get('/'), await front.get('/a.css')];
    const second = [await front.get('/'), await front.get('/a.css')];
    expect(second.map(seen)).toEqual(first.map(seen));
    expect(second.map(({ text }) => text)).toEqual(['<h1>front</h1>', 'a{}']);
    expect(front.made()).toBe(2);
  });

  it('are not shown any more once the name points elsewhere', async () => {
    const front = await keeping();
    await front.publish('demo.web3', { 'index.html': 'old', 'a.txt': 'a' });
    await front.get('/');
    await front.publish('demo.web3', { 'index.html': 'new', 'a.txt': 'a' });
    front.clock.advance(NAME_CACHE_MILLIS);
    // Another page is the one for which the ledger is asked.
    await front.get('/a.txt');
    expect((await front.get('/')).text).toBe('new');
    expect((await front.get('/')).text).toBe('new');
    expect(front.made()).toBe(3);
  });

  it('are not shown for a name that has expired', async () => {
    const front = await keeping();
    const root = await front.publish('demo.web3', { 'index.html': 'mine' });
    await front.get('/');
    front.ledger.register('demo.web3', root.bytes, undefined, 'expired');
    front.clock.advance(NAME_CACHE_MILLIS);
    expect([(await front.get('/')).status, (await front.get('/')).status]).toEqual([410, 410]);
  });

  it('are looked at again when the clock was set back', async () => {
    const front = await keeping();
    await front.publish('demo.web3', { 'index.html': 'old' });
    await front.get('/');
    await front.publish('demo.web3', { 'index.html': 'new' });
    front.clock.advance(-86_400_000);
    expect((await front.get('/')).text).toBe('new');
  });

  it('are not given to pages of other sites', async () => {
    const front = await keeping();
    await front.publish('demo.web3', { 'a.png': 'pixels' });
    await front.get('/a.png');
    const headers = { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image' };
    expect((await front.get('/a.png', { headers })).status).toBe(403);
    // A browser says nothing of the page that opens a WebSocket, but for its origin.
    const socket = { Origin: 'https://evil.example', Upgrade: 'websocket', Connection: 'Upgrade' };
    const { status, text } = await front.get('/a.png', { headers: socket });
    expect([status, text.includes('pixels'), front.made()]).toEqual([400, false, 1]);
  });

  it('are given below a domain to visitors, and not to pages of other names there, nor under names of this machine', async () => {
    const domain = 'sites.example.org';
    const front = await keeping({ domain });
    await front.publish('demo.web3', { 'index.html': '<h1>front</h1>', 'a.png': 'pixels' });
    const host = `demo-web3.${domain}`;
    const seenBy = async (path: string, headers: Record<string, string> = {}, at = host): Promise<number> =>
      (await front.get(path, { host: at, headers })).status;
    expect([await seenBy('/a.png'), await seenBy('/a.png')]).toEqual([200, 200]);
    expect(front.made()).toBe(1);
    // A browser takes names below one domain for one site.
    const embedding = { 'Sec-Fetch-Site': 'same-site', 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image' };
    expect(await seenBy('/a.png', embedding)).toBe(403);
    expect([await seenBy('/a.png', {}, 'demo-web3.localhost'), front.made()]).toEqual([200, 2]);
    expect(await seenBy('/a.png', { 'X-Forwarded-For': '203.0.113.7' }, 'demo-web3.localhost')).toBe(421);
  });

  it('belong to one host name', async () => {
    const front = await keeping();
    await front.publish('demo.web3', { 'index.html': 'demo' });
    await front.publish('other.web3', { 'index.html': 'other' });
    expect((await front.get('/')).text).toBe('demo');
    expect((await front.get('/', { host: 'other-web3.localhost' })).text).toBe('other');
    expect((await front.get('/', { host: 'demo-web3.example.org' })).status).toBe(421);
    expect((await front.get('/')).text).toBe('demo');
  });

  it('are in the form that is asked for', async () => {
    const front = await keeping();
    await front.publish('demo.web3', { 'a.txt': 'some text' });
    const whole = await front.get('/a.txt');
    await front.get('/a.txt');
    const part = await front.get('/a.txt', { headers: { Range: 'bytes=0-3' } });
    expect([part.status, part.text]).toEqual([206, 'some']);
    const known = await front.get('/a.txt', { headers: { 'If-None-Match': String(whole.headers.etag) } });
    expect([known.status, known.text]).toEqual([304, '']);
    const other = await front.get('/a.txt', { headers: { 'If-Match': '"another"' } });
    expect(other.status).toBe(412);
    const head = await front.get('/a.txt', { method: 'HEAD' });
    expect([head.status, head.text, head.headers['content-length']]).toEqual([200, '', '9']);
    const car = await front.get('/a.txt', { headers: { Accept: 'application/vnd.ipld.car' } });
    expect(car.headers['content-type']).toContain('application/vnd.ipld.car');
    expect((await front.get('/a.txt', { method: 'POST' })).status).toBe(405);
  });

  it('are not made of errors, nor of what broke off', async () => {
    let broken = true;
    const breaking = (inner: ContentSource): ContentSource => ({
      open: async (site, options) => {
        const content = await inner.open(site, options);
        let blocks = 0;
        return {
          get: async (cid, how) => {
            blocks += 1;
            if (broken && blocks > 8) throw new RelaymintError('STREAM_RESET', 'The host left.');
            return await content.get(cid, how);
          },
          close: () => content.close(),
        };
      },
    });
    const front = await keeping({ content: breaking });
    const big = 'x'.repeat(MAX_KEPT_ANSWER_BYTES / 2);
    await front.publish('demo.web3', { 'page.html': big, 'd/e/f/g/h/i/j/k/l/m/page.html': 'deep' });
    expect((await front.get('/nothing.html')).status).toBe(404);
    expect((await front.get('/d/e/f/g/h/i/j/k/l/m/page.html')).status).toBe(502);
    broken = false;
    expect((await front.get('/d/e/f/g/h/i/j/k/l/m/page.html')).text).toBe('deep');
    const before = front.made();
    expect((await front.get('/nothing.html')).status).toBe(404);
    expect(front.made()).toBe(before + 1);
  });

  it('count with their heads and addresses towards what may be kept', () => {
    const root = rawBlock('a site').cid;
    const record = new NameBook().register('demo.web3', root.bytes);
    const site = { name: 'demo.web3', root, record };
    const kept = new KeptAnswers(() => record);
    const visit = (url: string): { readonly request: IncomingMessage; readonly response: ServerResponse } => {
      const request = Object.assign(new IncomingMessage(new Socket()), {
        method: 'GET',
        url,
        headers: { host: 'demo' },
      });
      return { request, response: new ServerResponse(request) };
    };
    const isKept = (url: string): boolean => {
      const { request, response } = visit(url);
      return kept.send(request, response);
    };
    const head = 8000;
    const most = Math.ceil(MAX_KEPT_ANSWERS_BYTES / head);
    for (let index = 0; index < most; index += 1) {
      const { request, response } = visit(`/?${index}`);
      const keep = kept.record(request, response, site);
      response.setHeader('Link', 'x'.repeat(head)).end('x');
      keep();
    }
    expect([isKept('/?0'), isKept(`/?${most - 1}`)]).toEqual([false, true]);
  });

  it('are small: what is large is made each time', async () => {
    const front = await keeping();
    await front.publish('demo.web3', { 'large.bin': new Uint8Array(MAX_KEPT_ANSWER_BYTES + 1) });
    await front.get('/large.bin');
    await front.get('/large.bin');
    expect(front.made()).toBe(2);
  });
});
