/** Packed answers: by the gateway, and by a site that has packed files beside its files. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib';
import * as raw from 'multiformats/codecs/raw';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { acceptedCodings, isCompressible, packed, unpackedBeginning } from '../../../sites/gateway/encodings.ts';
import { Cleanup } from '../kit.ts';
import { startFront, type Answer, type Front } from './kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const words = Array.from({ length: 60_000 }, (_, index) => `word ${index} é`).join('\n');
const script = `// ${'x'.repeat(5_000)}`;
const picture = randomBytes(5_000);
const ACCEPTS = { 'accept-encoding': 'gzip, deflate, br, zstd' };
/** What says which answer it is and how it is sent. */
const TOLD = ['content-encoding', 'content-length', 'content-type', 'etag', 'vary', 'accept-ranges', 'cache-control'];

async function site(files: Readonly<Record<string, string | Uint8Array>>): Promise<Front> {
  const front = await startFront(cleanup);
  await front.publish('demo.web3', files);
  return front;
}

function unpacked({ headers, body }: Answer): Buffer {
  const coding = headers['content-encoding'];
  return coding === 'br' ? brotliDecompressSync(body) : coding === 'gzip' ? gunzipSync(body) : body;
}

describe('what a visitor takes', () => {
  it.each([
    [undefined, [], true],
    ['', [], true],
    ['gzip', ['gzip'], true],
    ['GZIP;Q=0.5, br ; q=0.4', ['gzip', 'br'], true],
    ['gzip, deflate, br, zstd', ['br', 'gzip'], true],
    ['x-gzip', ['gzip'], true],
    ['*', ['br', 'gzip'], true],
    ['*;q=0', [], false],
    ['gzip;q=0, *', ['br'], true],
    ['identity;q=0', [], false],
    ['gzip, identity;q=0', ['gzip'], false],
    ['gzip;q=0.5, identity', [], true],
    ['gzip;q=words, br', ['br'], true],
    ['identity;q=1, *;q=0', [], true],
  ])('by Accept-Encoding: %s', (header, codings, identity) => {
    expect(acceptedCodings(header)).toEqual({ codings, identity });
  });

  it('is not packed where it is packed already', () => {
    const types = ['text/html; charset=utf-8', 'TEXT/CSS', 'image/svg+xml', 'application/wasm', 'application/ld+json'];
    const others = ['image/png', 'video/mp2t', 'application/zip', 'font/woff2', 'application/octet-stream'];
    expect([types.filter(isCompressible), others.filter(isCompressible)]).toEqual([types, []]);
  });

  it('is told by its first bytes', async () => {
    for (const [coding, pack] of [
      ['br', brotliCompressSync],
      ['gzip', gzipSync],
    ] as const) {
      const beginning = await unpackedBeginning(pack(words).subarray(0, 3_000), coding);
      expect(
        words.startsWith(
          Buffer.from(beginning ?? [])
            .subarray(0, 100)
            .toString(),
        ),
      ).toBe(true);
      expect(beginning?.length).toBeGreaterThan(100);
      for (const other of [Buffer.from(words), pack(words).subarray(0, 2), pack('')]) {
        expect(await unpackedBeginning(other, coding)).toBeUndefined();
      }
    }
  });
});

describe('what is packed', () => {
  it.each(['br', 'gzip'] as const)('as %s can be read as far as it came', async (coding) => {
    let letGo = (): void => {};
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    const lines = (async function* () {
      yield Buffer.from('first');
      await gate;
      yield Buffer.from(' second');
    })();
    const sent: Uint8Array[] = [];
    for await (const piece of packed(lines, coding)) {
      sent.push(piece);
      const read = (await unpackedBeginning(Buffer.concat(sent), coding)) ?? [];
      if (Buffer.from(read).toString() === 'first') letGo();
    }
    const whole = Buffer.concat(sent);
    expect((coding === 'br' ? brotliDecompressSync(whole) : gunzipSync(whole)).toString()).toBe('first second');
  });
});

describe('gateway: packs text', () => {
  it('whole and as it comes, GET as HEAD', async () => {
    const front = await site({ 'index.html': words, 'words.txt': words });
    for (const path of ['/', '/words.txt']) {
      for (const coding of ['br', 'gzip']) {
        const headers = { 'accept-encoding': coding };
        const answer = await front.get(path, { headers });
        expect([path, answer.status, answer.headers['content-encoding']]).toEqual([path, 200, coding]);
        expect(unpacked(answer).toString()).toBe(words);
        expect(answer.body.length).toBeLessThan(words.length / 3);
        expect(answer.headers['vary']).toBe('Accept, Accept-Encoding');
        expect(answer.headers['etag']).toMatch(new RegExp(`^W/"\\w+\\.${coding}"$`));
        expect([answer.headers['content-length'], answer.headers['accept-ranges']]).toEqual([undefined, undefined]);
        const head = await front.get(path, { method: 'HEAD', headers });
        for (const name of TOLD) expect([name, head.headers[name]]).toEqual([name, answer.headers[name]]);
      }
    }
  });

  it('and answers conditions of either form', async () => {
    const front = await site({ 'words.txt': words });
    const ask = (headers: Record<string, string>) => front.get('/words.txt', { headers });
    const plain = String((await ask({})).headers['etag']);
    const weak = String((await ask(ACCEPTS)).headers['etag']);
    const served = vi.spyOn(front.host.store, 'get');
    for (const tag of [plain, weak, weak.slice(2), `"x", ${weak}`]) {
      const answer = await ask({ ...ACCEPTS, 'if-none-match': tag });
      expect([tag, answer.status, answer.headers['vary']]).toEqual([tag, 304, 'Accept, Accept-Encoding']);
      expect(answer.headers['etag']).toBe(tag === plain ? plain : weak);
    }
    expect(served).not.toHaveBeenCalled();
    // Who takes only what is not packed has no use for what is.
    expect((await ask({ 'if-none-match': weak })).status).toBe(200);
    expect((await ask({ 'accept-encoding': 'gzip', 'if-none-match': weak })).status).toBe(200);
    // A weak tag is no promise of bytes.
    expect((await ask({ ...ACCEPTS, 'if-match': weak })).status).toBe(412);
    const strict = await ask({ ...ACCEPTS, 'if-match': plain });
    expect([strict.status, strict.headers['etag'], strict.text]).toEqual([200, plain, words]);
    expect((await ask({ ...ACCEPTS, 'if-match': '*' })).headers['etag']).toBe(weak);
  });

  it('but cuts ranges out of what is not packed', async () => {
    const front = await site({ 'words.txt': words });
    const ask = (headers: Record<string, string>) => front.get('/words.txt', { headers: { ...ACCEPTS, ...headers } });
    const part = await ask({ range: 'bytes=0-4' });
    expect([part.status, part.headers['content-encoding'], part.text]).toEqual([206, undefined, 'word ']);
    expect(part.headers['content-range']).toBe(`bytes 0-4/${Buffer.byteLength(words)}`);
    const again = { 'if-range': String(part.headers['etag']), range: 'bytes=0-4' };
    expect((await ask(again)).status).toBe(206);
    const weak = String((await ask({})).headers['etag']);
    const whole = await ask({ 'if-range': weak, range: 'bytes=0-4' });
    expect([whole.status, whole.headers['etag'], unpacked(whole).toString()]).toEqual([200, weak, words]);
    expect((await ask({ range: 'bytes=99999999-' })).status).toBe(416);
  });

  it('only where that is worth it, and allowed', async () => {
    const front = await site({
      'small.txt': 'words',
      'large.txt': Buffer.alloc(8_388_609, 'words '),
      'pic.png': picture,
      'pic.svgz': gzipSync(words),
      'as-is.txt': words,
      _headers: '/as-is.txt\n  Cache-Control: no-cache, no-transform',
    });
    for (const path of ['/small.txt', '/large.txt', '/pic.png', '/as-is.txt']) {
      const { headers } = await front.get(path, { method: 'HEAD', headers: ACCEPTS });
      expect([path, headers['content-encoding'], headers['accept-ranges']]).toEqual([path, undefined, 'bytes']);
    }
    const image = await front.get('/pic.svgz', { headers: ACCEPTS });
    expect([image.headers['content-encoding'], unpacked(image).toString()]).toEqual(['gzip', words]);
  });

  it('or whatever it is, for who takes nothing else', async () => {
    const front = await site({ 'pic.png': picture, 'small.txt': 'words' });
    const only = { 'accept-encoding': 'gzip, identity;q=0' };
    for (const path of ['/pic.png', '/small.txt']) {
      for (const more of [{}, { range: 'bytes=0-1' }]) {
        const answer = await front.get(path, { headers: { ...only, ...more } });
        expect([path, answer.status, answer.headers['content-encoding']]).toEqual([path, 200, 'gzip']);
        expect(unpacked(answer).length).toBe(path === '/pic.png' ? picture.length : 5);
      }
    }
    const none = await front.get('/pic.png', { headers: { 'accept-encoding': 'identity;q=0' } });
    expect([none.status, none.headers['content-type']]).toEqual([406, 'text/html; charset=utf-8']);
  });

  it('but no page to which something is added', async () => {
    const front = await startFront(cleanup, {
      appendix: { html: Buffer.from('<script>added</script>'), admit: (policy) => policy },
    });
    await front.publish('demo.web3', {
      'index.html': words,
      'index.html.br': brotliCompressSync(words),
      'a.css': script,
    });
    const page = await front.get('/', { headers: ACCEPTS });
    expect([page.headers['content-encoding'], page.text]).toEqual([undefined, `${words}<script>added</script>`]);
    expect((await front.get('/a.css', { headers: ACCEPTS })).headers['content-encoding']).toBe('br');
  });

  it('piece by piece, and cuts the connection when the file breaks off; before that it is told', async () => {
    const large = words + words + words;
    let left = 1_000;
    let letGo = (): void => {};
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    const front = await startFront(cleanup, {
      content: (inner) => ({
        async open(named, options) {
          const content = await inner.open(named, options);
          return {
            async get(cid, how) {
              if (cid.code !== raw.code || left-- > 0) return await content.get(cid, how);
              await gate;
              throw new Error('lost');
            },
            close: () => content.close(),
          };
        },
      }),
    });
    await front.publish('demo.web3', { 'words.txt': large });
    expect(unpacked(await front.get('/words.txt', { headers: ACCEPTS })).toString()).toBe(large);
    left = 1;
    const response = await front.open('/words.txt', { headers: ACCEPTS });
    const [first] = (await once(response, 'data')) as [Buffer];
    const beginning = Buffer.from((await unpackedBeginning(first, 'br')) ?? []).toString();
    expect([large.startsWith(beginning.slice(0, 100)), beginning.length > 100]).toEqual([true, true]);
    response.resume();
    const ended = once(response, 'end');
    letGo();
    await expect(ended).rejects.toMatchObject({ code: 'ECONNRESET' });
    left = 0;
    const told = await front.get('/words.txt', { headers: ACCEPTS });
    expect([told.status, told.headers['content-encoding'], told.headers['etag']]).toEqual([500, undefined, undefined]);
  });
});

describe('gateway: a site that has packed files', () => {
  const tight = brotliCompressSync(script);
  const zipped = gzipSync(script);
  const files = {
    'app.js': script,
    'app.js.br': tight,
    'app.js.gz': zipped,
    'only.css': script,
    'only.css.gz': zipped,
    'broken.js': script,
    'broken.js.br': 'this is no brotli at all',
    'folder.js': script,
    'folder.js.br/x': 'x',
    'index.html': `<h1>${script}</h1>`,
    'index.html.gz': gzipSync(`<h1>${script}</h1>`),
    'latin.js': Buffer.from('// caf\xe9 noir', 'latin1'),
    'latin.js.br': brotliCompressSync(Buffer.from('// caf\xe9 noir', 'latin1')),
  };

  it('has them sent in place of its files', async () => {
    const front = await site(files);
    for (const [path, accepted, coding, body, type] of [
      ['/app.js', 'gzip, br', 'br', tight, 'text/javascript; charset=utf-8'],
      ['/app.js', 'gzip, br;q=0.5', 'gzip', zipped, 'text/javascript; charset=utf-8'],
      ['/only.css', 'gzip, br', 'gzip', zipped, 'text/css; charset=utf-8'],
      ['/', 'gzip, br', 'gzip', files['index.html.gz'], 'text/html; charset=utf-8'],
      ['/latin.js', 'br', 'br', files['latin.js.br'], 'text/javascript'],
    ] as const) {
      const headers = { 'accept-encoding': accepted };
      const answer = await front.get(path, { headers });
      expect([path, answer.headers['content-encoding'], answer.headers['content-type']]).toEqual([path, coding, type]);
      expect(answer.body.equals(body)).toBe(true);
      expect([answer.headers['content-length'], answer.headers['accept-ranges']]).toEqual([
        String(body.length),
        undefined,
      ]);
      expect([answer.headers['vary'], answer.headers['etag']]).toEqual([
        'Accept, Accept-Encoding',
        expect.stringMatching(/^"/),
      ]);
      const head = await front.get(path, { method: 'HEAD', headers });
      for (const name of TOLD) expect([name, head.headers[name]]).toEqual([name, answer.headers[name]]);
    }
    for (const path of ['/broken.js', '/folder.js']) {
      expect([path, unpacked(await front.get(path, { headers: ACCEPTS })).toString()]).toEqual([path, script]);
    }
  });

  it('leaves a packed file that is asked for by its own name as it is', async () => {
    const front = await site(files);
    const { headers, body } = await front.get('/app.js.gz', { headers: ACCEPTS });
    expect([headers['content-type'], headers['content-encoding']]).toEqual(['application/gzip', undefined]);
    expect(body.equals(zipped)).toBe(true);
  });

  it('tells the forms apart by strong tags, and pays for the one that is sent', async () => {
    const front = await site(files);
    const ask = (headers: Record<string, string>) => front.get('/app.js', { headers });
    const served = vi.spyOn(front.host.store, 'get');
    const br = String((await ask(ACCEPTS)).headers['etag']);
    expect(served.mock.calls.filter(([cid]) => cid.code === raw.code)).toHaveLength(1);
    served.mockClear();
    const plain = String((await ask({})).headers['etag']);
    const gz = String((await ask({ 'accept-encoding': 'gzip' })).headers['etag']);
    expect(new Set([br, plain, gz]).size).toBe(3);
    served.mockClear();
    const known = await ask({ ...ACCEPTS, 'if-none-match': br });
    expect([known.status, known.headers['etag']]).toEqual([304, br]);
    expect(served).not.toHaveBeenCalled();
    for (const [tag, body] of [
      [br, tight],
      [gz, zipped],
      [plain, Buffer.from(script)],
    ] as const) {
      const { headers, body: sent, status } = await ask({ ...ACCEPTS, 'if-match': tag });
      expect([status, headers['etag'], sent.equals(body)]).toEqual([200, tag, true]);
    }
    expect((await ask({ 'if-match': br })).status).toBe(412);
    const part = await ask({ ...ACCEPTS, range: 'bytes=0-1' });
    expect([part.status, part.headers['etag'], part.text]).toEqual([206, plain, '//']);
    expect((await ask({ ...ACCEPTS, range: 'bytes=0-1', 'if-range': br })).headers['etag']).toBe(br);
  });

  it('changes nothing at an address of bytes', async () => {
    const front = await startFront(cleanup, {
      roots: { open: async () => await Promise.resolve({ get: (cid) => front.host.store.get(cid), close() {} }) },
    });
    const root = await front.publish('demo.web3', { ...files, 'words.txt': words, _headers: '/*\n  A: b' });
    for (const [path, text] of [
      ['app.js', script],
      ['words.txt', words],
    ]) {
      const at = `/ipfs/${root.toString()}/${path}`;
      const { headers, text: sent } = await front.get(at, { host: '127.0.0.1', headers: ACCEPTS });
      expect([headers['content-encoding'], headers['vary'], headers['a'], sent]).toEqual([
        undefined,
        'Accept',
        undefined,
        text,
      ]);
      const own = { host: `${root.toString()}.ipfs.localhost`, headers: ACCEPTS };
      expect((await front.get(`/${path}`, own)).headers['content-encoding']).toBe('br');
    }
  });
});
