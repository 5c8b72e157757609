import { afterEach, describe, expect, it } from 'vitest';
import { targetOf } from '../../../sites/gateway/host.ts';
import { createContentSource } from '../../../sites/serve/index.ts';
import { createGateway } from '../../../sites/gateway/index.ts';
import { createNameResolver } from '../../../sites/name/index.ts';
import { Cleanup, NameBook } from '../kit.ts';
import { emptyMarket, startFront } from './kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

type Metadata = Readonly<Record<string, string>> & { readonly origin?: string };
/** What a frame without an origin of its own asks for. */
const SANDBOXED = { site: 'cross-site', mode: 'no-cors', dest: 'image', origin: 'null' };

describe('gateway: whose origin', () => {
  it.each([
    ['localhost:8402', 'own'],
    ['127.0.0.1:8402', 'own'],
    ['[::1]:8402', 'own'],
    ['LOCALHOST', 'own'],
    ['gate.example', 'own'],
    ['demo-web3.localhost:8402', 'site'],
    ['my--site-web3.localhost', 'site'],
    ['demo.web3.localhost:8402', 'redirect'],
    ['demo.web3.ipns.localhost:8402', 'redirect'],
    ['my--site-web3.ipns.localhost', 'redirect'],
    ['k51qzi5uqu5d.ipns.localhost', 'nowhere'],
    ['what.localhost', 'nowhere'],
    ['demo-com.localhost', 'nowhere'],
    ['evil.example', 'foreign'],
    ['localhost.evil.example', 'foreign'],
    ['127.0.0.2', 'foreign'],
    ['localhost@evil.example', 'foreign'],
    ['', 'foreign'],
    [undefined, 'foreign'],
  ])('%s is %s', (host, kind) => expect(targetOf({ host }, { own: new Set(['gate.example']) }).kind).toBe(kind));

  it('turns away host names that are not its own, and methods that change things', async () => {
    const front = await startFront(cleanup, { hosts: ['Gate.Example'] });
    await front.publish('demo.web3', { 'index.html': 'x' });
    const foreign = await front.get('/api/market', { host: 'evil.example' });
    expect([foreign.status, foreign.text]).toEqual([421, 'This gateway does not serve that host name.\n']);
    expect((await front.get('/', { host: 'gate.example' })).status).toBe(200);
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const answer = await front.get('/', { method });
      expect([method, answer.status, answer.headers['allow']]).toEqual([method, 405, 'GET, HEAD']);
    }
    const plain = await front.get('/a/b?c=d', { host: 'demo.web3.localhost' });
    expect(plain.status).toBe(302);
    expect(plain.headers['location']).toBe(`http://demo-web3.localhost:${front.port}/a/b?c=d`);
    expect((await front.get('//evil.example/x', { host: 'demo.web3.localhost' })).headers['location']).toMatch(
      /^http:\/\/demo-web3\.localhost/,
    );
    expect((await front.get('/', { host: 'what.localhost' })).status).toBe(404);
  });

  it('leads from the addresses that other gateways have for names to an origin of their own, and looks nothing up', async () => {
    const asked: string[] = [];
    const resolver = { resolve: async (name: string) => Promise.reject(new Error(String(asked.push(name)))) };
    const front = await startFront(cleanup, { resolver });
    const to = (path: string): string => `302 http://my--site-web3.localhost:${front.port}${path}`;
    const led = async (path: string, host = 'localhost'): Promise<string> => {
      const { status, headers } = await front.get(path, { host });
      return `${status} ${headers['location']}`;
    };
    expect(await led('/ipns/my-site.web3/a%20b/?c=d')).toBe(to('/a%20b/?c=d'));
    expect(await led('/ipns/my--site-web3', '127.0.0.1')).toBe(to('/'));
    expect(await led('/ipns/My-Site.web3//evil.example/x')).toBe(to('//evil.example/x'));
    expect(await led('/ipns/?uri=ipns://my-site.web3/a')).toBe('301 /ipns/my-site.web3/a');
    expect(await led('/a?b', 'my-site.web3.ipns.localhost')).toBe(to('/a?b'));
    const elsewhere = await startFront(cleanup, { resolver, hosts: ['gw.lan'] });
    const shown = await elsewhere.get('/ipns/my-site.web3/', { host: 'gw.lan' });
    expect([shown.status, shown.headers['location']]).toEqual([404, undefined]);
    for (const other of ['en.wikipedia-on-ipfs.org', 'k51qzi5uqu5dlvj2', '', '..%2f..']) {
      const { status, text } = await front.get(`/ipns/${other}/x`, { host: 'localhost' });
      expect([other, status, text.includes('Names are on the ledger')]).toEqual([other, 404, true]);
    }
    expect(asked).toEqual([]);
  });

  it('says why content has no address but by a name, where it has none', async () => {
    const front = await startFront(cleanup);
    const root = (await front.publish('demo.web3', { 'index.html': 'x' })).toString();
    const seen = [
      await front.get(`/ipfs/${root}/`, { host: 'localhost' }),
      await front.get('/', { host: `${root}.ipfs.localhost` }),
    ];
    expect(seen.map(({ status, text }) => [status, text.includes('Content is found by its name here')])).toEqual([
      [501, true],
      [501, true],
    ]);
  });

  it.each([
    ['a program that is no browser', {}, 200],
    ['the address bar', { site: 'none', mode: 'navigate', dest: 'document' }, 200],
    ['the site itself', { site: 'same-origin', mode: 'no-cors', dest: 'image' }, 200],
    ['the same host at another port', { site: 'same-site', mode: 'cors', dest: 'empty' }, 200],
    ['a link on a foreign page', { site: 'cross-site', mode: 'navigate', dest: 'document' }, 200],
    ['an image on a foreign page', { site: 'cross-site', mode: 'no-cors', dest: 'image' }, 403],
    ['a script of a foreign page', { site: 'cross-site', mode: 'cors', dest: 'empty' }, 403],
    ['a frame in a foreign page', { site: 'cross-site', mode: 'navigate', dest: 'iframe' }, 403],
    ['an object in a foreign page', { site: 'cross-site', mode: 'navigate', dest: 'object' }, 403],
    ['a word nobody knows yet', { site: 'elsewhere', mode: 'no-cors', dest: 'image' }, 403],
    ['one header without the others', { site: 'cross-site' }, 403],
    ['a sandboxed frame in the site’s own page', { ...SANDBOXED, 'storage-access': 'inactive' }, 200],
    ['a sandboxed frame in a foreign page', { ...SANDBOXED, 'storage-access': 'none' }, 403],
    ['a sandboxed frame where cookies tell nothing', { ...SANDBOXED, 'storage-access': 'active' }, 403],
    ['a sandboxed frame of a browser that does not say more', SANDBOXED, 403],
    [
      'a foreign frame in the site’s own page',
      { ...SANDBOXED, origin: 'http://evil.example', 'storage-access': 'inactive' },
      403,
    ],
  ] as const)('%s', async (_who, { origin, ...metadata }: Metadata, status) => {
    const front = await startFront(cleanup);
    await front.publish('demo.web3', { 'index.html': '<h1>front</h1>' });
    const headers = Object.fromEntries(Object.entries(metadata).map(([key, value]) => [`sec-fetch-${key}`, value]));
    if (origin !== undefined) headers['origin'] = origin;
    for (const host of ['demo-web3.localhost', 'localhost']) {
      for (const method of ['GET', 'HEAD']) {
        const answer = await front.get('/', { host, method, headers });
        expect([host, method, answer.status]).toEqual([host, method, status]);
        expect(answer.headers['access-control-allow-origin']).toBeUndefined();
        const refused = status === 403 && method === 'GET';
        expect([host, method, answer.text.includes('would pay for it')]).toEqual([host, method, refused]);
      }
    }
  });

  it('does not fetch ahead for a foreign page, and asks no host for what it refuses', async () => {
    const front = await startFront(cleanup);
    await front.publish('demo.web3', { 'index.html': 'x' });
    const ahead = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
    expect((await front.get('/', { headers: { ...ahead, 'sec-purpose': 'prefetch;prerender' } })).status).toBe(403);
    expect(front.ledger.questions).toBe(0);
    expect(front.host.streams).toHaveLength(0);
    const own = { 'sec-fetch-site': 'same-origin', 'sec-purpose': 'prefetch' };
    expect((await front.get('/', { headers: own })).status).toBe(200);
  });

  it('says so when its port is taken', async () => {
    const front = await startFront(cleanup);
    const second = createGateway({
      resolver: createNameResolver({ ledger: new NameBook() }),
      content: createContentSource({ route: () => Promise.reject(new Error('unused')) }),
      market: () => Promise.resolve(emptyMarket),
    });
    await expect(second.listen({ port: front.port })).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' });
    await second.close();
  });
});
