/** What publishers expect of a gateway, and the forms in which programs ask for content. */
import { randomBytes } from 'node:crypto';
import { CarReader } from '@ipld/car';
import type { CID } from 'multiformats/cid';
import { extract } from 'tar-stream';
import { afterEach, describe, expect, it } from 'vitest';
import { verifyBlock } from '../../../sites/blocks/index.ts';
import { follow } from '../../../sites/unixfs/index.ts';
import { Cleanup } from '../kit.ts';
import { startFront } from './kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const big = randomBytes(5_000_000);
const files = {
  'index.html': '<h1>front</h1>',
  'style.css': 'body{}',
  'docs/a b/é.txt': 'odd names',
  'list/one.txt': '1',
};

describe('gateway: what publishers expect', () => {
  it('tells types by names and by bytes, and forces no encoding on a page that has another', async () => {
    const front = await startFront(cleanup);
    await front.publish('demo.web3', {
      'x.cjs': 'module.exports = {}',
      'a.svgz': Buffer.from('H4sI', 'base64'),
      'latin.html': Buffer.from('<meta charset="iso-8859-1">caf\xe9', 'latin1'),
      'ascii.html': '<meta charset=shift_jis><p>plain</p>',
      'latin.txt': Buffer.from('caf\xe9', 'latin1'),
      'utf8.html': '<meta charset="utf-8">café',
      page: '<!DOCTYPE html><title>page</title>',
      data: '{"a":1}',
      cut: '{"a":1',
      'tiles.pmtiles': 'PMTiles',
    });
    const types = {
      '/x.cjs': 'text/javascript; charset=utf-8',
      '/a.svgz': 'image/svg+xml',
      '/latin.html': 'text/html',
      '/ascii.html': 'text/html',
      '/latin.txt': 'text/plain',
      '/utf8.html': 'text/html; charset=utf-8',
      '/page': 'text/html; charset=utf-8',
      '/data': 'application/json',
      '/cut': 'text/plain; charset=utf-8',
      '/tiles.pmtiles': 'application/vnd.pmtiles',
    };
    for (const [path, type] of Object.entries(types)) {
      expect([path, (await front.get(path)).headers['content-type']]).toEqual([path, type]);
    }
    expect((await front.get('/a.svgz')).headers['content-encoding']).toBe('gzip');
  });

  it('answers conditions: what has changed meanwhile is not sent', async () => {
    const front = await startFront(cleanup);
    await front.publish('demo.web3', files);
    const etag = String((await front.get('/style.css')).headers['etag']);
    const ask = (tag: string) => front.get('/style.css', { headers: { 'if-match': tag } });
    expect((await ask(etag)).status).toBe(200);
    expect((await ask('*')).status).toBe(200);
    expect((await ask(`"x", ${etag}`)).status).toBe(200);
    for (const tag of ['"x"', `W/${etag}`]) expect([tag, (await ask(tag)).status]).toEqual([tag, 412]);
    const list = String((await front.get('/list/')).headers['etag']);
    expect(list).toContain('DirIndex-');
    expect((await front.get('/list/', { headers: { 'if-none-match': list } })).status).toBe(304);
  });

  it('finds /about in about.html, and saves under the name that is asked for', async () => {
    const front = await startFront(cleanup);
    await front.publish('demo.web3', { 'about.html': 'about', 'docs/more.html': 'more', 'a.txt': 'a' });
    expect((await front.get('/about')).text).toBe('about');
    expect((await front.get('/docs/more')).text).toBe('more');
    expect((await front.get('/a')).status).toBe(404);
    const saved = async (query: string) => (await front.get(`/a.txt?${query}`)).headers['content-disposition'];
    expect(await saved('download=true')).toBe('attachment; filename="a.txt"');
    expect(await saved('filename=%22b%2F%C3%A9.txt')).toBe(
      `inline; filename="_b__.txt"; filename*=UTF-8''%22b%2F%C3%A9.txt`,
    );
  });

  it('does not take a text for a page because a link says so', async () => {
    const front = await startFront(cleanup);
    await front.publish('demo.web3', { 'said.txt': '<script>alert(1)</script>', said: '<script>alert(1)</script>' });
    const typeOf = async (path: string) => (await front.get(path)).headers['content-type'];
    for (const path of ['/said.txt', '/said', '/said.txt?filename=a.html', '/said?filename=a.svg'])
      expect([path, await typeOf(path)]).toEqual([path, 'text/plain; charset=utf-8']);
    const { headers } = await front.get('/said.txt?filename=a.svgz');
    expect(headers['content-encoding']).toBeUndefined();
  });

  it('follows the _redirects of a site only where it has nothing itself, and never to another host', async () => {
    const front = await startFront(cleanup);
    const _redirects = [
      '# moved',
      '/here /there 301',
      '/old/:page /new/:page 308',
      '/go/* /:splat 302',
      '/out/:x https://example.org/:x',
      '/app/* /app.html 200',
      '/lost /gone.html 410',
      '/secret /nothing 200',
    ].join('\r\n');
    await front.publish('demo.web3', {
      _redirects,
      'app.html': 'app',
      'gone.html': 'gone',
      'here/x': 'x',
      '404.html': '404',
    });
    const at = async (path: string) => {
      const { status, headers, text } = await front.get(path);
      return [status, headers['location'] ?? text];
    };
    expect(await at('/old/a%20b')).toEqual([308, '/new/a%20b']);
    expect(await at('/go/a/b')).toEqual([302, '/a/b']);
    expect(await at('/go//example.org/')).toEqual([302, '/example.org/']);
    expect(await at('/go/%2F/example.org')).toEqual([302, '/%2F/example.org']);
    expect(await at('/out/a')).toEqual([301, 'https://example.org/a']);
    expect(await at('/app/any/where')).toEqual([200, 'app']);
    expect(await at('/lost')).toEqual([410, 'gone']);
    expect(await at('/secret')).toEqual([404, '404']);
    expect(await at('/here')).toEqual([302, '/here/']);
    expect(await at('/old/')).toEqual([404, '404']);
  });

  it.each([
    ['/a /b 301!', 'line 1'],
    ['\n/a', 'line 2'],
    ['a /b', 'is not a path'],
    ['/a //example.org', 'would lead to another host'],
    ['/a javascript:alert(1)', 'neither a path nor an address'],
    ['/a https://example.org 200', 'a path of the site'],
    ['/a/*/b /c', 'at the end only'],
    ['/a /b 301 x', 'more than two addresses'],
  ])('says what is wrong with _redirects: %j', async (_redirects, why) => {
    const front = await startFront(cleanup);
    await front.publish('demo.web3', { _redirects, 'a.txt': 'a' });
    expect((await front.get('/a.txt')).status).toBe(200);
    const answer = await front.get('/b');
    expect(answer.status).toBe(500);
    expect(answer.text).toContain('could not parse _redirects:');
    expect(answer.text).toContain(why);
  });
});

describe('gateway: blocks that visitors verify by themselves', () => {
  it('serves a name as raw blocks and as a CAR that proves a part of it', async () => {
    const front = await startFront(cleanup);
    const root = await front.publish('demo.web3', { ...files, 'data.bin': big, 'again/data.bin': big });
    const block = await front.get('/style.css?format=raw');
    expect(block.text).toBe('body{}');
    expect(block.headers['content-type']).toBe('application/vnd.ipld.raw');
    const car = await front.get('/docs/a%20b/%C3%A9.txt', { headers: { accept: 'application/vnd.ipld.car' } });
    const reader = await CarReader.fromBytes(car.body);
    expect((await reader.getRoots()).map(String)).toEqual([root.toString()]);
    const cids: CID[] = [];
    for await (const { cid, bytes } of reader.blocks()) {
      verifyBlock(cid, bytes);
      cids.push(cid);
    }
    expect(cids).toHaveLength(4);
    const trail = await follow({ get: async (cid) => (await reader.get(cid))?.bytes ?? new Uint8Array() }, root, [
      'docs',
      'a b',
      'é.txt',
    ]);
    expect(trail?.cid.toString()).toBe(cids[3]?.toString());
    // What occurs twice is sent once, unless it is asked for.
    const all = async (accept: string) => (await front.get('/', { headers: { accept } })).body.length;
    const [once, twice] = [await all('application/vnd.ipld.car'), await all('application/vnd.ipld.car;dups=y')];
    expect(twice - once).toBeGreaterThan(big.length);
    expect(once).toBeLessThan(big.length + 10_000);
  });

  it('sends a tar of a folder, and none that would be unpacked elsewhere', async () => {
    const front = await startFront(cleanup);
    const root = await front.publish('demo.web3', { 'a.txt': 'a', 'b/c.txt': 'c' });
    const names: string[] = [];
    const reader = extract();
    reader.end((await front.get('/?format=tar')).body);
    for await (const entry of reader) {
      names.push(entry.header.name);
      entry.resume();
    }
    expect(names).toEqual(['/', '/a.txt', '/b/', '/b/c.txt'].map((name) => root.toString() + name));
  });

  it.each([
    ['?format=car&dag-scope=some', 400],
    ['?format=car&entity-bytes=1', 400],
    ['?format=car&car-version=2', 400],
    ['?format=dag-json', 406],
    ['missing?format=raw', 404],
    ['missing?format=car', 404],
    ['missing?format=tar', 404],
  ])('says no to /%s with %d', async (path, status) => {
    const front = await startFront(cleanup);
    await front.publish('demo.web3', files);
    expect((await front.get(`/${path}`)).status).toBe(status);
  });
});
