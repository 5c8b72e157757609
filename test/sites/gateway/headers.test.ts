/** `_headers`: what a site says of its own answers, and what it cannot. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import * as raw from 'multiformats/codecs/raw';
import type { BlockReader } from '../../../sites/blocks/index.ts';
import { siteHeaders } from '../../../sites/gateway/own-files.ts';
import { headersFor, parseHeaders } from '../../../sites/gateway/site-headers.ts';
import { Cleanup, keepTree, temporaryStore } from '../kit.ts';
import { startFront, type Front } from './kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

async function site(_headers: string, more: Readonly<Record<string, string | Uint8Array>> = {}): Promise<Front> {
  const front = await startFront(cleanup);
  const files = { 'index.html': '<h1>front</h1>', 'a.txt': 'words', 'docs/b.txt': 'b', 'list/x.txt': 'x' };
  await front.publish('demo.web3', { ...files, _headers, ...more });
  return front;
}

const POLICY = "default-src 'self'";
const rulesOf = (text: string, path: string): unknown => Object.fromEntries(headersFor(parseHeaders(text), path));

describe('the rules of _headers', () => {
  it.each([
    ['/*', ['/', '/a', '/a/b', '//', '/%zz'], []],
    ['/a', ['/a', '/%61'], ['/', '/a/', '/a/b', '/A']],
    ['/docs/*', ['/docs', '/docs/', '/docs/a/b'], ['/doc', '/docsx', '/x/docs/']],
    ['/*.js', ['/a.js', '/a/b.js', '/.js'], ['/a.jsx', '/js']],
    ['/img/*/full.png', ['/img/a/full.png', '/img/a/b/full.png'], ['/img/full.png', '/img/a/full.png/']],
    ['/ab*ba', ['/abba', '/ab/ba', '/abxba'], ['/aba', '/ab/xb']],
    ['/u/:name/x', ['/u/1/x', '/u/%2F/x'], ['/u//x', '/u/1/2/x', '/u/1']],
    ['https://other.example/*', [], ['/', '/a']],
  ])('%s fits what it says', (pattern, fitting, others) => {
    const fits = (path: string): boolean => headersFor(parseHeaders(`${pattern}\n  A: b`), path).size === 1;
    expect([fitting.filter((path) => !fits(path)), others.filter(fits)]).toEqual([[], []]);
  });

  it('add up in their order, but what has one value keeps the last, and what is taken away is gone', () => {
    const text = [
      '# of all',
      '/*',
      '  Link: </a>; rel=x # not a comment',
      '\tX-Robots-Tag: noindex',
      'Cross-Origin-Opener-Policy: same-origin',
      '',
      '/a',
      '  link: </b>',
      '  Link: </b>',
      '  ! x-robots-tag',
      '  cross-origin-opener-policy: unsafe-none',
      '  __proto__: x',
      '/*\r\n  X-Robots-Tag: all',
    ].join('\n');
    expect(Array.from(headersFor(parseHeaders(text), '/a'))).toEqual([
      ['link', '</a>; rel=x # not a comment, </b>'],
      ['cross-origin-opener-policy', 'unsafe-none'],
      ['__proto__', 'x'],
      ['x-robots-tag', 'all'],
    ]);
  });

  it.each([
    'Connection: close',
    'Content-Length: 1',
    'content-encoding: br',
    'Transfer-Encoding: chunked',
    'ETag: "x"',
    'Content-Range: bytes 0-1/2',
    'Accept-Ranges: none',
    'Vary: *',
    'Location: https://evil.example',
    'Set-Cookie: a=b; Domain=localhost',
    'Clear-Site-Data: "*"',
    'Access-Control-Allow-Origin: *',
    'Origin-Agent-Cluster: ?0',
    'Strict-Transport-Security: max-age=1',
    'Alt-Svc: h3="evil.example:443"',
    'X-Ipfs-Path: /ipfs/x',
    'X-Content-Type-Options: none',
    'X-Accel-Redirect: /etc/passwd',
    'X-Sendfile: /etc/passwd',
    'Surrogate-Control: max-age=1',
  ])('do not set %s', (line) => {
    expect(rulesOf(`/*\n  ${line}\n  Link: </a>`, '/')).toEqual({ link: '</a>' });
  });

  it.each([
    ['  A: b', 'line 1'],
    ['/a\n  nothing', 'line 2'],
    ['/a\n\n  A:', 'line 3'],
    ['/a\n  A b: c', 'is not "Name: value"'],
    ['/a\n  : c', 'is not "Name: value"'],
    ['/a\n  A: caf\u00e9', 'not plain ASCII'],
    ['/a\n  A: b\u0000c', 'not plain ASCII'],
    ['/a\n  A: b\u2028B: c', 'not plain ASCII'],
    ['/a\n  Content-Type: text', 'no media type'],
    ['/*/a/*\n  A: b', 'more than one "*"'],
    [`/a\n  A: ${'b'.repeat(2_000)}`, 'longer than 2000'],
    ['/a\n'.repeat(1_001), 'line 1001'],
  ])('say what is wrong: %j', (text, why) => {
    expect(() => parseHeaders(text)).toThrow(why);
  });

  it('cannot make a head without end, nor keep the gateway busy', () => {
    const many = Array.from({ length: 9 }, (_, index) => `/*\n  A${index}: ${'b'.repeat(1_000)}`).join('\n');
    expect(() => headersFor(parseHeaders(many), '/')).toThrow('longer than 8192');
    const evil = Array.from({ length: 1_000 }, () => `/${'a'.repeat(20)}*${'a'.repeat(20)}b\n A: b`).join('\n');
    const rules = parseHeaders(evil);
    const before = process.cpuUsage();
    expect(headersFor(rules, `/${'a'.repeat(16_000)}`).size).toBe(0);
    expect(headersFor(rules, '/a'.repeat(8_000)).size).toBe(0);
    const short = parseHeaders(
      `/*\n${Array.from({ length: 13_000 }, (_, index) => `A:${index.toString(36)}`).join('\n')}`,
    );
    expect(() => headersFor(short, '/')).toThrow('longer than 8192');
    expect(process.cpuUsage(before).user).toBeLessThan(500_000);
  });
});

describe('what is known of a file of rules', () => {
  it('is known in the page in which it was read: how fast it comes tells no page what a visitor has seen elsewhere', async () => {
    const store = await temporaryStore(cleanup);
    const root = await keepTree(cleanup, store, 'demo.web3', { _headers: '/*\n  X-A: b' });
    let reads = 0;
    const blocks: BlockReader = {
      get: async (cid) => {
        reads += 1;
        return await store.get(cid);
      },
    };
    const readsIn = async (page: string | undefined): Promise<number> => {
      const before = reads;
      const place = {
        root,
        blocks,
        base: '',
        canonical: '/ipns/demo.web3',
        title: '',
        immutable: false,
        ownOrigin: true,
        page,
      };
      await siteHeaders(place, '/', { signal: new AbortController().signal });
      return reads - before;
    };
    const all = [await readsIn(undefined), await readsIn(undefined), await readsIn('a.web3'), await readsIn('a.web3')];
    expect(all).toEqual([2, 1, 2, 1]);
  });
});

describe('gateway: a site with _headers', () => {
  it('says them in each answer that is the site’s, GET as HEAD', async () => {
    const front = await site(`/*\n  Content-Security-Policy: ${POLICY}\n  Link: </license.xml>; rel=license`, {
      '404.html': 'lost',
      _redirects: '/old /a.txt 302\n/shown /docs/b.txt 200',
    });
    const etag = String((await front.get('/a.txt')).headers['etag']);
    for (const [path, status, headers] of [
      ['/', 200, {}],
      ['/a.txt', 200, {}],
      ['/a.txt', 206, { range: 'bytes=0-1' }],
      ['/a.txt', 206, { range: 'bytes=0-1,3-4' }],
      ['/a.txt', 416, { range: 'bytes=9-' }],
      ['/a.txt', 304, { 'if-none-match': etag }],
      ['/a.txt', 412, { 'if-match': '"x"' }],
      ['/nothing', 404, {}],
      ['/old', 302, {}],
      ['/shown', 200, {}],
      ['/docs', 302, {}],
      ['/_headers', 200, {}],
    ] as const) {
      for (const method of ['GET', 'HEAD']) {
        const answer = await front.get(path, { method, headers });
        const isPart = method === 'HEAD' && (status === 206 || status === 416);
        expect([
          method,
          path,
          answer.status,
          answer.headers['content-security-policy'],
          answer.headers['link'],
        ]).toEqual([method, path, isPart ? 200 : status, POLICY, '</license.xml>; rel=license']);
      }
    }
    // A page of the gateway itself has its own policy.
    const listing = await front.get('/list/');
    expect([listing.headers['link'], listing.headers['content-security-policy']]).toEqual([
      '</license.xml>; rel=license',
      expect.stringContaining("default-src 'none'"),
    ]);
    // Programs ask for blocks.
    expect((await front.get('/a.txt?format=raw')).headers['content-security-policy']).toBeUndefined();
  });

  it('leaves what the gateway says of an answer as it is', async () => {
    const before = await site('/none\n  A: b');
    const plain = (await before.get('/a.txt')).headers;
    const front = await site('/*\n  Content-Length: 1\n  Vary: *\n  ETag: "x"\n  X-Ipfs-Path: /x\n  A: b');
    const { a, ...rest } = (await front.get('/a.txt')).headers;
    expect(a).toBe('b');
    for (const name of ['date', 'x-ipfs-roots']) rest[name] = plain[name];
    expect(rest).toEqual(plain);
  });

  it('may say how long what is there is kept; what is not there may come tomorrow', async () => {
    const front = await site('/*\n  Cache-Control: max-age=60', { '404.html': 'lost', _redirects: '/old /a.txt 301' });
    const caching = async (path: string, headers = {}) => (await front.get(path, { headers })).headers['cache-control'];
    const etag = String((await front.get('/a.txt')).headers['etag']);
    expect(await caching('/a.txt')).toBe('max-age=60');
    expect(await caching('/a.txt', { 'if-none-match': etag })).toBe('max-age=60');
    expect(await caching('/')).toBe('max-age=60');
    for (const path of ['/nothing', '/old', '/docs', '/list/'])
      expect([path, await caching(path)]).toEqual([path, 'no-cache']);
  });

  it('may say what a file is, and the tag says so too', async () => {
    const front = await site('/a.txt\n  Content-Type: application/x-words; v="1"', { 'pic.svgz': 'x' });
    const { headers } = await front.get('/a.txt');
    expect(headers['content-type']).toBe('application/x-words; v="1"');
    const own = String(headers['etag']);
    expect((await front.get('/a.txt', { headers: { 'if-none-match': own } })).status).toBe(304);
    expect((await front.get('/a.txt', { headers: { 'if-range': own, range: 'bytes=1-2' } })).text).toBe('or');
    const other = await site('/none\n  A: b');
    const plain = String((await other.get('/a.txt')).headers['etag']);
    expect(own).not.toBe(plain);
    expect((await front.get('/a.txt', { headers: { 'if-none-match': plain } })).status).toBe(200);
    expect((await front.get('/a.txt?format=json')).headers['content-type']).toBe('application/json');
  });

  it('that break the rules is shown not at all: a policy that is missing is a harm', async () => {
    const front = await site(`/*\n  Content-Security-Policy ${POLICY}`);
    for (const path of ['/', '/a.txt', '/nothing']) {
      const answer = await front.get(path);
      expect([path, answer.status, answer.text.includes('could not parse _headers: line 2')]).toEqual([
        path,
        500,
        true,
      ]);
    }
    expect((await front.get('/a.txt?format=raw')).status).toBe(200);
    const large = await site(`/*\n${'#'.repeat(70_000)}`);
    expect((await large.get('/')).text).toContain('larger than 65536 bytes');
  });

  it('pays for the file once', async () => {
    const front = await site('/*\n  A: once');
    await front.get('/a.txt');
    const served = vi.spyOn(front.host.store, 'get');
    expect((await front.get('/docs/b.txt')).headers['a']).toBe('once');
    expect(served.mock.calls.filter(([cid]) => cid.code === raw.code)).toHaveLength(1);
  });

  it('and the one of `_redirects` too', async () => {
    const front = await startFront(cleanup);
    await front.publish('demo.web3', { _redirects: '/old/* /new/:splat 301' });
    expect((await front.get('/old/a')).headers.location).toBe('/new/a');
    const served = vi.spyOn(front.host.store, 'get');
    expect((await front.get('/old/b')).headers.location).toBe('/new/b');
    expect(served.mock.calls.filter(([cid]) => cid.code === raw.code)).toHaveLength(0);
  });
});
