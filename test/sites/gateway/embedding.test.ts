/** Content of one name in the page of another: who may, who pays, and who is told. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ContentSource } from '../../../sites/blocks/index.ts';
import { Cleanup } from '../kit.ts';
import { letEmbed, startFront, type Answer, type AskOptions, type Front } from './kit.ts';

const cleanup = new Cleanup();
const PICTURE = 'pic.image';
const DOT = '<svg xmlns="http://www.w3.org/2000/svg" width="7" height="7"/>';
const image = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' };
const script = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' };

let front: Front;
/** What the gateway opened: the content, and the page that it is for. */
let opened: string[];
beforeEach(async () => {
  opened = [];
  const content = (inner: ContentSource): ContentSource => ({
    open: async (site, options) => {
      opened.push(`${site.name} in ${site.referrer ?? 'its own page'}`);
      return await inner.open(site, options);
    },
  });
  front = await startFront(cleanup, { content });
  await front.publish(PICTURE, { 'a.svg': DOT, 'index.html': 'a picture' });
  await letEmbed(front, PICTURE, 'anybody');
});
afterEach(() => cleanup.run());

/** The origin of a name's pages. */
function originOf(name: string, port: number = front.port): string {
  return `http://${name}.localhost:${port}`;
}

function ask(headers: Readonly<Record<string, string>>, options: AskOptions = {}): Promise<Answer> {
  return front.get('/a.svg', { host: 'pic-image.localhost', headers, ...options });
}

describe('what another name embeds', () => {
  it('is shown, and counts for the page that embeds it', async () => {
    const news = originOf('news-web3');
    const shown = await ask({ ...image, referer: `${news}/` });
    expect([shown.status, shown.text]).toEqual([200, DOT]);
    expect(shown.headers).toMatchObject({
      'cross-origin-resource-policy': 'cross-origin',
      'access-control-allow-origin': news,
    });
    const read = await ask({ ...script, origin: news, range: 'bytes=0-3' });
    expect([read.status, read.text]).toEqual([206, DOT.slice(0, 4)]);
    expect(read.headers).toMatchObject({
      'access-control-allow-origin': news,
      vary: expect.stringContaining('Origin'),
    });
    expect((await ask({})).headers).not.toHaveProperty('access-control-allow-origin');
    expect(opened).toEqual(['pic.image in news.web3', 'pic.image in news.web3', 'pic.image in its own page']);
  });

  it.each<[string, Readonly<Record<string, string>>]>([
    ['an unnamed page', image],
    ['a page of the web', { ...image, referer: 'https://news.example/' }],
    ['a page of another server on this machine', { ...image, referer: `${originOf('news-web3', 1)}/` }],
    ['a page of another scheme', { ...image, referer: 'https://news-web3.localhost:PORT/' }],
    ['a server of the usual port', { ...image, referer: 'http://news-web3.localhost/' }],
    ['the gateway itself', { ...image, referer: 'http://localhost:PORT/' }],
    ['a host that is no name', { ...image, referer: 'http://news.localhost:PORT/' }],
    ['a name that is not written as one host', { ...image, referer: 'http://news.web3.localhost:PORT/' }],
    ['a lookalike', { ...image, referer: 'http://news-web3.localhost.example:PORT/' }],
    ['a sandboxed frame', { ...image, origin: 'null', referer: 'http://news-web3.localhost:PORT/' }],
    ['no address', { ...image, referer: 'news-web3.localhost' }],
    ['a script of its', { ...image, 'sec-fetch-dest': 'script', referer: 'http://news-web3.localhost:PORT/' }],
    [
      'a frame of its',
      {
        ...image,
        'sec-fetch-dest': 'iframe',
        'sec-fetch-mode': 'navigate',
        referer: 'http://news-web3.localhost:PORT/',
      },
    ],
    ['a worker of its', { ...script, 'sec-fetch-dest': 'worker', referer: 'http://news-web3.localhost:PORT/' }],
    ['something fetched ahead', { ...image, 'sec-purpose': 'prefetch', referer: 'http://news-web3.localhost:PORT/' }],
  ])('is not fetched for %s', async (_what, headers) => {
    const here = Object.entries(headers).map(([name, value]) => [name, value.replace('PORT', String(front.port))]);
    const { status, headers: answered } = await ask(Object.fromEntries(here) as Record<string, string>);
    expect([status, answered['access-control-allow-origin']]).toEqual([403, undefined]);
    expect(opened).toEqual([]);
  });

  it('counts below a domain for pages below it alone', async () => {
    const other = await startFront(cleanup, { domain: 'sites.example.org' });
    await other.publish(PICTURE, { 'a.svg': DOT });
    await letEmbed(other, PICTURE, 'anybody');
    const status = async (referer: string, port = ''): Promise<number> => {
      // As a proxy at the usual port passes it on.
      const headers = { ...image, 'sec-fetch-site': 'same-site', referer, host: `pic-image.sites.example.org${port}` };
      return (await other.get('/a.svg', { headers })).status;
    };
    expect(await status('https://news-web3.sites.example.org/')).toBe(200);
    expect(await status('https://news-web3.sites.example.org:8443/', ':8443')).toBe(200);
    expect(await status('https://news-web3.sites.example.org:8443/')).toBe(403);
    expect(await status('http://news-web3.localhost/')).toBe(403);
    expect(await status('https://sites.example.org/')).toBe(403);
  });

  it('obeys its owner', async () => {
    const news = { ...image, referer: `${originOf('news-web3')}/` };
    await letEmbed(front, PICTURE, ['other.web3', 'news.web3']);
    expect((await ask(news)).status).toBe(200);
    for (const terms of ['none', ['other.web3']] as const) {
      await letEmbed(front, PICTURE, terms);
      const { status, text, headers } = await ask({ ...script, origin: originOf('news-web3') });
      expect([status, text.includes(DOT), headers['access-control-allow-origin']]).toEqual([403, false, undefined]);
    }
  });

  it('is forbidden where nobody says what its owner wants', async () => {
    await front.publish('plain.web3', { 'a.svg': DOT });
    const headers = { ...image, referer: originOf('news-web3') };
    expect((await front.get('/a.svg', { host: 'plain-web3.localhost', headers })).status).toBe(403);
    expect(opened).toEqual([]);
  });

  it('may be asked for with the headers of ranges and conditions, and nobody is asked for that', async () => {
    const preflight = { ...script, origin: originOf('news-web3'), 'access-control-request-headers': 'range' };
    const { status, headers } = await ask(preflight, { method: 'OPTIONS' });
    expect([status, headers['access-control-allow-origin']]).toEqual([204, originOf('news-web3')]);
    expect(headers['access-control-allow-headers']).toMatch(/\bRange\b/);
    expect((await ask({ ...preflight, origin: 'https://news.example' }, { method: 'OPTIONS' })).status).toBe(405);
    expect((await ask(preflight, { method: 'DELETE' })).status).toBe(405);
    expect(opened).toEqual([]);
  });
});
