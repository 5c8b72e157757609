/** The list of handlers: what an ending shows beside a site is one entry more. */
import { afterEach, describe, expect, it } from 'vitest';
import { RelaymintError } from '../../../core/errors.ts';
import type { NameHandler } from '../../../sites/gateway/index.ts';
import { Cleanup } from '../kit.ts';
import { letEmbed, startFront, type AskOptions } from './kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const GEO = 'application/geo+json';
const paris: AskOptions = { host: 'paris-map.localhost' };

/** Places are shown as data to who wants that. */
const places: NameHandler = {
  tld: 'map',
  type: GEO,
  answer: async ({ name, request, response }) => {
    response.type(GEO).send(JSON.stringify({ name, path: request.path }));
    return Promise.resolve();
  },
};

describe('gateway: the way of a request', () => {
  it('takes a new ending with one entry, and leaves every other request as it was', async () => {
    const front = await startFront(cleanup, { names: [places] });
    await front.publish('paris.map', { 'index.html': 'a map as a site' });
    await letEmbed(front, 'paris.map', 'none');
    await front.publish('demo.web3', { 'index.html': 'a site' });
    const wants = (options: AskOptions, accept: string): AskOptions => ({ ...options, headers: { accept } });
    const answer = await front.get('/louvre', wants(paris, GEO));
    expect([answer.status, answer.headers['content-type'], JSON.parse(answer.text)]).toEqual([
      200,
      expect.stringContaining(GEO),
      { name: 'paris.map', path: '/louvre' },
    ]);
    // Who wants a page, or says nothing, sees the name's site; other endings have no such handler.
    for (const accept of ['text/html,*/*;q=0.8', '*/*']) {
      expect((await front.get('/', wants(paris, accept))).text).toBe('a map as a site');
    }
    expect((await front.get('/', paris)).text).toBe('a map as a site');
    expect((await front.get('/', wants({ host: 'demo-web3.localhost' }, GEO))).text).toBe('a site');
  });

  it('asks the handlers of an ending in their order, and for their path alone', async () => {
    const says =
      (text: string): NameHandler['answer'] =>
      ({ response }) =>
        Promise.resolve(void response.send(text));
    const front = await startFront(cleanup, {
      names: [
        { tld: 'map', path: '/tiles', answer: says('tiles') },
        { tld: 'map', answer: says('first') },
        { tld: 'map', answer: says('second') },
      ],
    });
    expect((await front.get('/tiles', paris)).text).toBe('tiles');
    expect((await front.get('/tiles/1', paris)).text).toBe('first');
  });

  it('protects a new ending as it protects sites', async () => {
    let asked = 0;
    const front = await startFront(cleanup, {
      names: [
        {
          tld: 'map',
          answer: () => {
            asked += 1;
            return Promise.reject(new RelaymintError('LEDGER_UNREACHABLE', 'https://tenant.example does not answer.'));
          },
        },
      ],
    });
    const image = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' };
    expect((await front.get('/', { ...paris, headers: image })).status).toBe(403);
    expect((await front.get('/', { ...paris, method: 'POST' })).status).toBe(405);
    expect((await front.get('/', { host: 'paris-map.evil.example' })).status).toBe(421);
    const plain = await front.get('/', { host: 'paris.map.localhost' });
    expect([plain.status, plain.headers['location']]).toEqual([302, `http://paris-map.localhost:${front.port}/`]);
    expect(asked).toBe(0);
    // A failure is told as that of a site is.
    const failed = await front.get('/', paris);
    expect([failed.status, failed.text.includes('tenant.example'), asked]).toEqual([504, false, 1]);
  });
});
