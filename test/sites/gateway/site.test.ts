import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { CID } from 'multiformats/cid';
import * as raw from 'multiformats/codecs/raw';
import { orAborted } from '../../../core/abort.ts';
import { RelaymintError } from '../../../core/errors.ts';
import type { ErrorCode } from '../../../core/errors.ts';
import type { ContentSource, SiteContent } from '../../../sites/blocks/index.ts';
import { Cleanup, rawBlock } from '../kit.ts';
import { startFront } from './kit.ts';
import type { AskOptions } from './kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const big = randomBytes(5_000_000);
const files = {
  'index.html': '<h1>front</h1>',
  'style.css': 'body{}',
  'app.js': 'export {}',
  'pic.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>',
  'data.bin': big,
  README: 'plain words',
  blob: new Uint8Array([0, 1, 2, 255]),
  'docs/index.html': '<h1>docs</h1>',
  'docs/a b/é.txt': 'odd names',
  'list/one.txt': '1',
  'list/<two>.txt': '2',
  'empty.txt': '',
};

interface Gated {
  readonly source: ContentSource;
  readonly letGo: () => void;
  readonly asked: () => number;
  readonly aborted: () => number;
  /** Settles when the first request has given its content back. */
  readonly closed: Promise<void>;
}

/** Holds back every block from the given one on, until it is let go. */
function gated(inner: ContentSource, from: number): Gated {
  let asked = 0;
  let aborted = 0;
  let letGo = (): void => {};
  let close = (): void => {};
  const closed = new Promise<void>((resolve) => (close = resolve));
  const gate = new Promise<void>((resolve) => (letGo = resolve));
  const source: ContentSource = {
    async open(site, options) {
      const content = await inner.open(site, options);
      const wrapped: SiteContent = {
        async get(cid, { signal } = {}) {
          asked += 1;
          if (asked >= from) {
            // Leaves nothing at the signal, which is that of many blocks.
            await orAborted(gate, signal, 'Waiting at the gate').catch((error: unknown) => {
              aborted += 1;
              throw error;
            });
          }
          return await content.get(cid, signal ? { signal } : {});
        },
        close: () => {
          content.close();
          close();
        },
      };
      return wrapped;
    },
  };
  return { source, letGo, asked: () => asked, aborted: () => aborted, closed };
}

describe('gateway: files', () => {
  it('serves a site with types, tags and headers', async () => {
    const front = await startFront(cleanup);
    const root = await front.publish('demo.web3', files);
    const types: Record<string, string> = {
      '/': 'text/html; charset=utf-8',
      '/style.css': 'text/css; charset=utf-8',
      '/app.js': 'text/javascript; charset=utf-8',
      '/pic.svg': 'image/svg+xml',
      '/data.bin': 'application/octet-stream',
      '/README': 'text/plain; charset=utf-8',
      '/blob': 'application/octet-stream',
      '/docs/': 'text/html; charset=utf-8',
      '/docs/a%20b/%C3%A9.txt': 'text/plain; charset=utf-8',
      '/empty.txt': 'text/plain; charset=utf-8',
    };
    for (const [path, type] of Object.entries(types)) {
      const answer = await front.get(path);
      expect([path, answer.status, answer.headers['content-type']]).toEqual([path, 200, type]);
      expect(answer.headers['x-content-type-options']).toBe('nosniff');
      expect(answer.headers['content-length']).toBe(String(answer.body.length));
      expect(answer.headers['cache-control']).toBe('no-cache');
      const head = await front.get(path, { method: 'HEAD' });
      expect(head.body).toHaveLength(0);
      for (const header of ['content-length', 'content-type', 'etag', 'accept-ranges', 'x-ipfs-roots']) {
        expect([path, header, head.headers[header]]).toEqual([path, header, answer.headers[header]]);
      }
    }
    const data = await front.get('/data.bin');
    expect(data.body.equals(big)).toBe(true);
    expect(data.headers['x-ipfs-path']).toBe('/ipns/demo.web3/data.bin');
    const roots = String(data.headers['x-ipfs-roots']).split(',');
    expect(roots[0]).toBe(root.toString());
    expect(data.headers['etag']).toBe(`"${roots[1]}"`);
    expect((await front.get('/docs/a%20b/%C3%A9.txt?x=1')).text).toBe('odd names');
  });

  it('answers ranges', async () => {
    const front = await startFront(cleanup);
    await front.publish('demo.web3', files);
    const range = (value: string, headers = {}) => front.get('/data.bin', { headers: { range: value, ...headers } });
    const size = big.length;
    const good: [string, number, number][] = [
      ['bytes=0-0', 0, 1],
      ['bytes=1000000-3999999', 1_000_000, 4_000_000],
      ['bytes=1048575-1048576', 1_048_575, 1_048_577],
      ['bytes=4999990-', 4_999_990, size],
      ['bytes=-7', size - 7, size],
      ['bytes=4999990-99999999', 4_999_990, size],
      ['bytes=-99999999', 0, size],
    ];
    for (const [value, start, end] of good) {
      const answer = await range(value);
      expect([value, answer.status]).toEqual([value, 206]);
      expect(answer.headers['content-range']).toBe(`bytes ${start}-${end - 1}/${size}`);
      expect(answer.body.equals(big.subarray(start, end))).toBe(true);
    }
    for (const value of ['bytes=5000000-', 'bytes=-0']) {
      const answer = await range(value);
      expect([value, answer.status, answer.headers['content-range']]).toEqual([value, 416, `bytes */${size}`]);
      expect(answer.body).toHaveLength(0);
    }
    // Malformed, or another unit: the whole file, as RFC 9110 allows.
    for (const value of ['bytes=b-a', 'bytes=5-1', 'lines=1-2', 'bytes']) expect((await range(value)).status).toBe(200);
    const etag = String((await range('bytes=0-0')).headers['etag']);
    expect((await range('bytes=0-9', { 'if-range': etag })).status).toBe(206);
    expect((await range('bytes=0-9', { 'if-range': '"other"' })).status).toBe(200);
    expect((await range('bytes=0-9', { 'if-range': `W/${etag}` })).status).toBe(200);
    const odd = await front.get('/README', { headers: { range: 'bytes=6-' } });
    expect([odd.status, odd.text, odd.headers['content-type']]).toEqual([206, 'words', 'text/plain; charset=utf-8']);
    const several = await range('bytes=0-1,5-6,4999998-');
    const [, boundary] = /^multipart\/byteranges; boundary=(\w+)$/.exec(String(several.headers['content-type'])) ?? [];
    const parts = [
      [0, 2],
      [5, 7],
      [4_999_998, size],
    ].map(([start = 0, end = 0]) =>
      Buffer.concat([
        Buffer.from(`\r\n--${boundary}\r\nContent-Type: application/octet-stream\r\n`),
        Buffer.from(`Content-Range: bytes ${start}-${end - 1}/${size}\r\n\r\n`),
        big.subarray(start, end),
      ]),
    );
    expect([several.status, several.headers['content-length']]).toEqual([206, String(several.body.length)]);
    expect(several.body.equals(Buffer.concat([...parts, Buffer.from(`\r\n--${boundary}--\r\n`)]))).toBe(true);
    // Asking for more than there is, or too often, would have it sent as often.
    for (const value of ['bytes=0-,0-', `bytes=${'0-0,'.repeat(17)}`]) expect((await range(value)).status).toBe(200);
    const empty = await front.get('/empty.txt', { headers: { range: 'bytes=0-99' } });
    expect([empty.status, empty.body.length]).toEqual([200, 0]);
  });

  it('answers 304 to a visitor that has it, without fetching it', async () => {
    let content: ReturnType<typeof gated> | undefined;
    const front = await startFront(cleanup, { content: (inner) => (content = gated(inner, 1_000_000)).source });
    await front.publish('demo.web3', files);
    const etag = String((await front.get('/data.bin')).headers['etag']);
    const before = content?.asked() ?? 0;
    for (const tag of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
      const answer = await front.get('/data.bin', { headers: { 'if-none-match': tag } });
      expect([answer.status, answer.body.length, answer.headers['etag']]).toEqual([304, 0, etag]);
    }
    // The folder's block, four times for the file and four for the site's rules; never the file.
    expect((content?.asked() ?? 0) - before).toBe(8);
    expect((await front.get('/data.bin', { headers: { 'if-none-match': '"other"' } })).status).toBe(200);
    const index = String((await front.get('/')).headers['etag']);
    expect((await front.get('/', { headers: { 'if-none-match': index } })).status).toBe(304);
  });

  it('fetches each block once for a request, and for a head what tells its size and type', async () => {
    const front = await startFront(cleanup);
    await front.publish('demo.web3', { ...files, '404.html': '<h1>lost?</h1>', blob5: big });
    const served = vi.spyOn(front.host.store, 'get');
    /** How many directory blocks and leaves the host served for a request, each of them once. */
    const cost = async (path: string, options: AskOptions = {}): Promise<[number, number]> => {
      served.mockClear();
      await front.get(path, options);
      const cids = served.mock.calls.map(([cid]) => cid.toString());
      expect(new Set(cids).size).toBe(cids.length);
      const leaves = served.mock.calls.filter(([cid]) => cid.code === raw.code).length;
      return [cids.length - leaves, leaves];
    };
    const range = { headers: { range: 'bytes=3-5' } };
    expect(await cost('/')).toEqual([1, 1]);
    expect(await cost('/style.css')).toEqual([0, 1]);
    expect(await cost('/style.css', range)).toEqual([0, 1]);
    expect(await cost('/README')).toEqual([0, 1]);
    expect(await cost('/README', range)).toEqual([0, 1]);
    expect(await cost('/docs/a%20b/%C3%A9.txt')).toEqual([2, 1]);
    expect(await cost('/nothing')).toEqual([0, 1]);
    expect(await cost('/README/')).toEqual([0, 1]);
    expect(await cost('/blob5')).toEqual([1, 5]);
    expect(await cost('/blob5', range)).toEqual([0, 1]);
    expect(await cost('/blob5', { headers: { range: 'bytes=3000000-3000010' } })).toEqual([0, 2]);
    for (const path of ['/', '/style.css', '/README', '/blob5', '/nothing', '/README/', '/docs/', '/list/one.txt']) {
      expect([path, (await cost(path, { method: 'HEAD' }))[1]]).toEqual([path, 1]);
    }
    for (const path of ['/', '/style.css', '/docs/']) {
      expect([path, (await cost(path, { headers: { 'if-none-match': '*' } }))[1]]).toEqual([path, 0]);
    }
  });

  it('fetches a folder once for visitors who come at the same time', async () => {
    const front = await startFront(cleanup);
    const names = Array.from({ length: 12 }, (_, i) => `assets/${i}.js`);
    await front.publish('demo.web3', Object.fromEntries(names.map((name) => [name, `export default '${name}';`])));
    const served = vi.spyOn(front.host.store, 'get');
    const answers = await Promise.all(names.map((name) => front.get(`/${name}`)));
    expect(answers.map(({ text }) => text)).toEqual(names.map((name) => `export default '${name}';`));
    expect(served).toHaveBeenCalledTimes(names.length + 2);
  });

  it('knows folders: the slash, the index, the listing', async () => {
    const front = await startFront(cleanup);
    await front.publish('demo.web3', files);
    const bare = await front.get('/docs?q=1');
    expect([bare.status, bare.headers['location']]).toEqual([302, '/docs/?q=1']);
    expect((await front.get('/docs/')).text).toBe('<h1>docs</h1>');
    const listing = await front.get('/list/');
    expect(listing.status).toBe(200);
    expect(listing.text).toContain('href="./%3Ctwo%3E.txt">&lt;two&gt;.txt');
    expect(listing.text).not.toContain('<two>');
    expect(listing.headers['content-security-policy']).toContain("default-src 'none'");
    for (const path of [
      '/README/',
      '/README/x',
      '/nothing',
      '/docs/nothing',
      '/%zz',
      '/a%00b',
      '/%2e%2e/x',
      '/docs%2findex.html',
    ]) {
      expect([path, (await front.get(path)).status]).toEqual([path, 404]);
    }
  });

  it('shows the site’s own 404 page when it has one', async () => {
    const front = await startFront(cleanup);
    await front.publish('demo.web3', { 'index.html': 'x', '404.html': '<h1>lost?</h1>' });
    const own = await front.get('/nothing');
    expect([own.status, own.text, own.headers['content-type']]).toEqual([
      404,
      '<h1>lost?</h1>',
      'text/html; charset=utf-8',
    ]);
    expect((await front.get('/nothing', { method: 'HEAD' })).status).toBe(404);
    await front.publish('plain.web3', { 'index.html': 'x' });
    const plain = await front.get('/nothing', { host: 'plain-web3.localhost' });
    expect(plain.status).toBe(404);
    expect(plain.text).toContain('There is no such page');
  });

  it('follows the chain when a site is updated', async () => {
    const front = await startFront(cleanup);
    await front.publish('demo.web3', { 'index.html': 'one' });
    const first = await front.get('/');
    await front.publish('demo.web3', { 'index.html': 'two' });
    const second = await front.get('/', { headers: { 'if-none-match': String(first.headers['etag']) } });
    expect([second.status, second.text]).toEqual([200, 'two']);
  });
});

describe('gateway: streaming', () => {
  it('sends the first bytes before the whole file has arrived', async () => {
    let content: ReturnType<typeof gated> | undefined;
    const front = await startFront(cleanup, { content: (inner) => (content = gated(inner, 5)).source });
    await front.publish('demo.web3', { 'data.bin': big });
    const response = await front.open('/data.bin');
    const [first] = (await once(response, 'data')) as [Buffer];
    expect(big.subarray(0, first.length).equals(first)).toBe(true);
    let rest = first.length;
    response.on('data', (chunk: Buffer) => (rest += chunk.length));
    content?.letGo();
    await once(response, 'end');
    expect(rest).toBe(big.length);
  });

  it('reads no further than a slow visitor, and stops when the visitor leaves', async () => {
    const large = randomBytes(40_000_000);
    let content: ReturnType<typeof gated> | undefined;
    const front = await startFront(cleanup, { content: (inner) => (content = gated(inner, 1_000_000)).source });
    await front.publish('demo.web3', { 'data.bin': large });
    const response = await front.open('/data.bin');
    await once(response, 'readable');
    let before = -1;
    while (before !== content?.asked()) {
      before = content?.asked() ?? 0;
      for (let turn = 0; turn < 300; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(before).toBeLessThan(25);
    response.destroy();
    await content?.closed;
    expect(content?.asked()).toBe(before);
    expect((await front.get('/data.bin', { headers: { range: 'bytes=-5' } })).body.equals(large.subarray(-5))).toBe(
      true,
    );
  });

  it('cuts the connection when a file turns out to be damaged in the middle', async () => {
    const front = await startFront(cleanup, {
      content: (inner) => ({
        async open(site, options) {
          const content = await inner.open(site, options);
          let asked = 0;
          return {
            get: async (cid, more) => {
              asked += 1;
              if (asked === 6) throw new RelaymintError('CONTENT_CORRUPT', 'The bytes are not that block.');
              return await content.get(cid, more);
            },
            close: () => content.close(),
          };
        },
      }),
    });
    await front.publish('demo.web3', { 'data.bin': big });
    const response = await front.open('/data.bin');
    expect(response.statusCode).toBe(200);
    response.resume();
    await expect(once(response, 'end')).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  it('aborts what is under way when the gateway closes', async () => {
    const own = new Cleanup();
    let content: ReturnType<typeof gated> | undefined;
    const front = await startFront(own, { content: (inner) => (content = gated(inner, 1)).source });
    await front.publish('demo.web3', files);
    const asking = front.get('/data.bin').catch((error: unknown) => error);
    while (content?.asked() === 0) await new Promise((resolve) => setImmediate(resolve));
    await own.run();
    expect(content?.aborted()).toBe(1);
    await asking;
  });
});

describe('gateway: failures are told', () => {
  const failing = (code: ErrorCode): ContentSource => ({
    open: () => Promise.reject(new RelaymintError(code, 'It did not <work>.', { remedy: 'Do something.' })),
  });

  it.each([
    ['CONTENT_NOT_FOUND', 502],
    ['CONTENT_CORRUPT', 502],
    ['NO_ROUTE', 502],
    ['CIRCUIT_DESTROYED', 502],
    ['TIMEOUT', 504],
    ['LIMIT_EXCEEDED', 503],
  ] as const)('%s is a %d page with reason and remedy', async (code, status) => {
    const front = await startFront(cleanup, { content: () => failing(code) });
    front.ledger.register('demo.web3', rawBlock('x').cid.bytes);
    const answer = await front.get('/');
    expect(answer.status).toBe(status);
    expect(answer.text).toContain('It did not &lt;work&gt;. Do something.');
    expect(answer.text).toContain(code);
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(answer.headers['content-type']).toBe('text/html; charset=utf-8');
  });

  it('unknown names, names without content, a ledger that is away, a fault of ours', async () => {
    const failures: Error[] = [];
    const front = await startFront(cleanup, {
      content: (inner) => ({ open: (site, o) => (failures[0] ? Promise.reject(failures[0]) : inner.open(site, o)) }),
    });
    expect((await front.get('/')).text).toContain('Nobody has registered demo.web3');
    front.ledger.register('empty.web3', new Uint8Array(0));
    const empty = await front.get('/', { host: 'empty-web3.localhost' });
    expect([empty.status, empty.text.includes('has no content yet')]).toEqual([404, true]);
    await front.publish('demo.web3', files);
    failures.push(new TypeError('a secret detail'));
    const fault = await front.get('/');
    expect(fault.status).toBe(500);
    expect(fault.text).not.toContain('secret');
    expect(fault.headers['etag']).toBeUndefined();
    front.ledger.name = () => Promise.reject(new RelaymintError('LEDGER_UNREACHABLE', 'http://ledger is away.'));
    const away = await front.get('/');
    expect([away.status, away.text.includes('The ledger does not answer')]).toEqual([504, true]);
  });

  it('says that a name has expired, and goes on serving it in its grace period', async () => {
    const front = await startFront(cleanup);
    const root = await front.publish('demo.web3', files);
    front.ledger.register('demo.web3', root.bytes, undefined, 'grace');
    expect((await front.get('/style.css')).status).toBe(200);
    front.ledger.register('demo.web3', root.bytes, undefined, 'expired');
    const expired = await front.get('/style.css');
    expect([expired.status, expired.headers['cache-control']]).toEqual([410, 'no-store']);
    expect(expired.text).toContain('This name has expired');
    expect(expired.text).toContain('demo.web3 has expired: nobody renewed it.');
    expect(expired.text).toContain('NAME_EXPIRED');
  });

  it('shows a root that is a file, and refuses one that is not UnixFS', async () => {
    const front = await startFront(cleanup);
    const { cid, block } = rawBlock('not a folder');
    const session = front.host.store.begin();
    await session.put(cid, block);
    await session.pin('demo.web3', cid);
    await session.close();
    front.ledger.register('demo.web3', cid.bytes);
    expect(await front.get('/')).toMatchObject({ status: 200, text: 'not a folder' });
    expect((await front.get('/x')).status).toBe(404);
    const odd: CID = cid;
    front.ledger.register('demo.web3', odd.toV1().bytes.with(1, 0x71));
    expect((await front.get('/')).status).toBe(502);
  });

  it('takes slashes that follow each other for one, and never leads to another host by them', async () => {
    const front = await startFront(cleanup);
    await front.publish('demo.web3', { 'evil.example/index.html': 'a folder', 'sub/style.css': 'a{}' });
    expect((await front.get('/sub//style.css')).text).toBe('a{}');
    expect((await front.get('//sub///style.css')).text).toBe('a{}');
    expect((await front.get('//evil.example/')).text).toBe('a folder');
    const folder = await front.get('//evil.example?x=1');
    expect([folder.status, folder.headers.location]).toEqual([302, '/evil.example/?x=1']);
  });

  it('leaves words that are no form to the pages of a name', async () => {
    const front = await startFront(cleanup);
    await front.publish('demo.web3', { 'a.css': 'a{}' });
    for (const format of ['x', '', 'pdf']) {
      const { status, headers, text } = await front.get(`/a.css?format=${format}`);
      expect([format, status, headers['content-type'], text]).toEqual([format, 200, 'text/css; charset=utf-8', 'a{}']);
    }
    expect((await front.get('/a.css?format=raw')).headers['content-type']).toBe('application/vnd.ipld.raw');
    expect((await front.get('/a.css?format=dag-json')).status).toBe(406);
  });
});
