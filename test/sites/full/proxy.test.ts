/** The proxy of full mode, from the side of who would misuse it: it leads to names of ours, each alone, and nowhere else. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { createContext, runInContext } from 'node:vm';
import { afterEach, describe, expect, it } from 'vitest';
import { MAX_PROXY_HANDSHAKES } from '../../../core/limits.ts';
import { systemClock } from '../../../core/ports.ts';
import { pacAsUrl } from '../../../sites/full/index.ts';
import { letEmbed } from '../gateway/kit.ts';
import { Cleanup } from '../kit.ts';
import { ask, connectHead, getSecure, secured, startFullFront, type FullFront } from './kit.ts';

const IMAGE = '<svg xmlns="http://www.w3.org/2000/svg"/>';
/** What Chromium says of an image that a page of another site shows. */
const embeds = (page: string): Record<string, string> => ({
  'sec-fetch-site': 'cross-site',
  'sec-fetch-mode': 'no-cors',
  'sec-fetch-dest': 'image',
  referer: page,
});

describe('the proxy of full mode', () => {
  const cleanup = new Cleanup();
  afterEach(() => cleanup.run());

  const withSites = async (options: Parameters<typeof startFullFront>[1] = {}): Promise<FullFront> => {
    const front = await startFullFront(cleanup, options);
    await front.publish('news.web3', {
      'index.html': 'the news',
      'a/index.html': 'a folder',
      _headers: '/*\n  Strict-Transport-Security: max-age=99\n  X-Frame-Options: DENY\n',
    });
    await front.publish('other.web3', { 'index.html': 'another', 'dot.svg': IMAGE });
    return front;
  };

  it('shows a name at its own address as below localhost', async () => {
    const front = await withSites();
    const [full, plain] = [await getSecure(front, 'news.web3'), await front.get('/', { host: 'news-web3.localhost' })];
    const { date: _full, connection: _fullToo, ...heads } = full.headers;
    const { date: _plain, connection: _plainToo, ...plainHeads } = plain.headers;
    expect([full.status, full.text, heads]).toEqual([200, 'the news', plainHeads]);
    // A site must not bind browsers to it: without full mode the name is elsewhere.
    expect([heads['strict-transport-security'], heads['x-frame-options']]).toEqual([undefined, 'DENY']);
    expect((await getSecure(front, 'news.web3', '/a')).headers.location).toBe('/a/');
    expect((await getSecure(front, 'nobody.web3')).status).toBe(404);
    expect((await getSecure(front, 'news.web3', '/', { headers: { host: 'NEWS.web3:443' } })).text).toBe('the news');
  });

  it.each([
    '127.0.0.1:443',
    '[::1]:443',
    'localhost:443',
    'news-web3.localhost:443',
    'example.com:443',
    'news.web3:22',
    'news.web3:80',
    'news.web3:0443',
    'news.web3:443:443',
    'news.web3',
    'news.web3.:443',
    'news.web3.evil.com:443',
    'evil.com.web3:443',
    'www.news.web3:443',
    'web3:443',
    '.web3:443',
    '-news.web3:443',
    'news_.web3:443',
    'xn--80ak6aa92e.web3:443',
    'film.video:443',
    'harbour.map:443',
    `${'a'.repeat(64)}.web3:443`,
    'example.com@news.web3:443',
    'news.web3%00:443',
    'http://news.web3:443/',
  ])('opens no tunnel to %s', async (target) => {
    const front = await withSites();
    const { answer } = await ask(front, connectHead(target));
    expect(answer).toMatch(/^HTTP\/1\.1 40[03] /);
  });

  it.each([
    ['CONNECT\r\n\r\n', '400'],
    ['CONNECT  HTTP/1.1\r\n\r\n', '403'],
    ['CONNECT news.web3:443\r\n\r\n', '403'],
    ['CONNECT news.web3:443 HTTP/1.1\r\nHost: a\r\nHost\r\n\r\n', '400'],
    [`CONNECT ${'a'.repeat(20_000)}.web3:443 HTTP/1.1\r\n\r\n`, '431'],
    [`CONNECT news.web3:443 HTTP/1.1\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`, '431'],
    ['\x16\x03\x01\x00\x05hello', '400'],
    ['GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n', '403'],
    ['GET http://127.0.0.1/proxy.pac HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n', '403'],
    ['GET http://film.video/ HTTP/1.1\r\nHost: film.video\r\n\r\n', '403'],
    ['GET http://news.web3:8402/ HTTP/1.1\r\nHost: news.web3\r\n\r\n', '403'],
    ['GET http://news.web3@evil.com/ HTTP/1.1\r\nHost: news.web3\r\n\r\n', '403'],
    ['POST http://news.web3/ HTTP/1.1\r\nHost: news.web3\r\nContent-Length: 0\r\n\r\n', '403'],
    ['OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n', '403'],
    ['GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', '404'],
    ['POST /proxy.pac HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n', '404'],
    ['GET /proxy.pac HTTP/1.1\r\nHost: evil.com\r\n\r\n', '421'],
    ['GET /proxy.pac HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\n\r\n', '403'],
    ['GET /proxy.pac HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-site\r\n\r\n', '403'],
  ])('refuses %j with %s', async (head, status) => {
    const front = await withSites();
    const { answer } = await ask(front, head);
    expect(answer.slice('HTTP/1.1 '.length, 'HTTP/1.1 '.length + 3)).toBe(status);
  });

  it('sends who comes by plain HTTP to the secure address, and does not take what follows for another request', async () => {
    const front = await withSites();
    const head = (path: string): string => `GET http://NEWS.web3${path} HTTP/1.1\r\nHost: news.web3\r\n\r\n`;
    const { answer, socket } = await ask(front, head('/a?b=c#d') + connectHead('other.web3:443'));
    expect(answer).toMatch(/^HTTP\/1\.1 302 [^]*\r\nLocation: https:\/\/news\.web3\/a\?b=c#d\r\n/);
    expect(answer).not.toMatch(/established|strict-transport/i);
    await hungUp(socket);
    expect((await ask(front, head(''))).answer).toMatch(/\r\nLocation: https:\/\/news\.web3\/\r\n/);
    expect((await ask(front, head('?q'))).answer).toMatch(/\r\nLocation: https:\/\/news\.web3\/\?q\r\n/);
    expect((await ask(front, head('//evil.com'))).answer).toMatch(
      /\r\nLocation: https:\/\/news\.web3\/\/evil\.com\r\n/,
    );
  });

  it('ends TLS for the name that was asked for and for no other', async () => {
    const front = await withSites();
    for (const servername of ['other.web3', 'localhost', 'example.com']) {
      await expect(secured(front, 'news.web3', { servername, rejectUnauthorized: false })).rejects.toThrow(
        /disconnected|ECONNRESET/,
      );
    }
    // A browser always says it. In TLS 1.3 who does not hears of it afterwards.
    await hungUp(await secured(front, 'news.web3', { servername: '', rejectUnauthorized: false }));
    await expect(secured(front, 'news.web3', { ca: [] })).rejects.toThrow(/unable to/);
    await expect(secured(front, 'news.web3', { maxVersion: 'TLSv1.2' })).rejects.toThrow(/protocol version/);
    const h2 = secured(front, 'news.web3', { ALPNProtocols: ['h2'] });
    await expect(h2).rejects.toThrow(/application protocol/);
    // A session that is resumed is for the same name, and for no other.
    const first = await secured(front, 'news.web3');
    const [session] = (await once(first, 'session')) as [Buffer];
    first.destroy();
    const again = await secured(front, 'news.web3', { session });
    again.write('GET / HTTP/1.1\r\nHost: news.web3\r\n\r\n');
    const [answer] = (await once(again, 'data')) as [Buffer];
    expect([again.isSessionReused(), answer.toString().slice(0, 12)]).toEqual([true, 'HTTP/1.1 200']);
    again.destroy();
    const stray = secured(front, 'news.web3', { session, servername: 'other.web3', rejectUnauthorized: false });
    await stray.then(hungUp, () => undefined);
    const both = await secured(front, 'news.web3', { ALPNProtocols: ['h2', 'http/1.1'] });
    expect([both.alpnProtocol, both.getPeerX509Certificate()?.subjectAltName]).toEqual(['http/1.1', 'DNS:news.web3']);
    both.destroy();
  });

  it('takes a greeting that comes along with the question', async () => {
    const front = await withSites();
    const socket = hasty(connect({ port: front.proxyPort, host: '127.0.0.1' }), connectHead('news.web3:443'));
    const secure = connectTls({ socket, servername: 'news.web3', ca: front.authority.certificate });
    await once(secure, 'secureConnect');
    expect(secure.authorized).toBe(true);
    secure.destroy();
  });

  it('leads to one name on one connection, and to nothing of the gateway itself', async () => {
    const kept = { ...systemClock };
    const front = await withSites({ keeping: kept });
    // Kept whole from now on.
    for (const name of ['news.web3', 'other.web3']) await getSecure(front, name);
    for (const host of ['other.web3', `localhost:${front.port}`, 'news-web3.localhost', '127.0.0.1', 'news.web3:80']) {
      expect([host, (await getSecure(front, 'news.web3', '/', { headers: { host } })).status]).toEqual([host, 421]);
    }
    // Without the proxy, the name means nothing to the gateway.
    const plain = await front.open('/', { headers: { host: 'news.web3' } });
    expect(plain.statusCode).toBe(421);
    plain.resume();
    for (const path of ['/market', '/api/market', '/api/market/events', '/api/spending', '/spending.js', '/v1/stats']) {
      expect([path, (await getSecure(front, 'news.web3', path)).status]).toEqual([path, 404]);
    }
    const order = { method: 'POST', headers: { origin: 'https://news.web3', 'content-type': 'application/json' } };
    for (const path of ['/api/settle', '/api/spending']) {
      expect([path, (await getSecure(front, 'news.web3', path, order)).status]).toEqual([path, 405]);
    }
  });

  it('lets no page of elsewhere have the visitor pay, and names embed each other by their owners’ terms', async () => {
    const front = await withSites();
    const got = async (page: string, at: 'full' | 'plain' = 'full'): Promise<number> => {
      const headers = embeds(page);
      if (at === 'full') return (await getSecure(front, 'other.web3', '/dot.svg', { headers })).status;
      return (await front.get('/dot.svg', { host: 'other-web3.localhost', headers })).status;
    };
    const { questions } = front.ledger;
    const strangers = [
      'https://example.com/',
      'https://news.web3.example.com/',
      'https://www.news.web3/',
      'https://news.web3:8443/',
      'http://news.web3/',
      'https://film.video/',
      'https://news-web3.localhost/',
      `http://localhost:${front.port}/`,
      'http://news-web3.localhost:1/',
    ];
    for (const page of strangers) {
      expect([page, await got(page), await got(page, 'plain')]).toEqual([page, 403, 403]);
    }
    expect(front.ledger.questions).toBe(questions);

    await letEmbed(front, 'other.web3', ['news.web3']);
    const here = ['https://news.web3/', `http://news-web3.localhost:${front.port}/`];
    for (const page of here) expect([page, await got(page), await got(page, 'plain')]).toEqual([page, 200, 200]);
    for (const page of ['https://evil.web3/', ...strangers]) {
      expect([page, await got(page), await got(page, 'plain')]).toEqual([page, 403, 403]);
    }
    const script = { 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty', origin: 'https://news.web3' };
    const headers = { ...embeds('https://news.web3/'), ...script };
    const read = await getSecure(front, 'other.web3', '/dot.svg', { headers });
    expect([read.status, read.headers['access-control-allow-origin']]).toEqual([200, 'https://news.web3']);
    const preflight = await getSecure(front, 'other.web3', '/dot.svg', { method: 'OPTIONS', headers });
    expect(preflight.status).toBe(204);
  });

  it('says who goes there by it: names of ours and nobody else, with no way around', async () => {
    const front = await withSites();
    const { answer, socket } = await ask(
      front,
      `GET /proxy.pac HTTP/1.1\r\nHost: localhost:${front.proxyPort}\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 200 [^]*\r\nContent-Type: application\/x-ns-proxy-autoconfig\r\n/);
    expect(answer).not.toMatch(/access-control/i);
    expect(front.pacUrl).toBe(`http://127.0.0.1:${front.proxyPort}/proxy.pac`);
    const script = answer.slice(answer.indexOf('\r\n\r\n') + 4) + (await rest(socket));
    const at = { address: '127.0.0.1', port: front.proxyPort };
    expect(await (await fetch(pacAsUrl(at))).text()).toBe(script);
    const world = createContext({});
    runInContext(script, world);
    const way = (host: string): unknown => runInContext(`FindProxyForURL('https://${host}/', '${host}')`, world);
    const proxied = `PROXY 127.0.0.1:${front.proxyPort}`;
    for (const host of ['news.web3', 'NEWS.WEB3', 'news.web3.', 'a.b.sso', 'dawn.image', 'ferry.route'])
      expect([host, way(host)]).toEqual([host, proxied]);
    for (const host of [
      'example.com',
      'film.video',
      'harbour.map',
      'news.web3.evil.com',
      'web3',
      'localhost',
      '::1',
      'notweb3',
    ])
      expect([host, way(host)]).toEqual([host, 'DIRECT']);
  });

  it('waits for nobody who is slow, and for few at once', async () => {
    const front = await withSites({ full: { handshakeMillis: 1000 } });
    const [silent, half] = [connect(front.proxyPort, '127.0.0.1'), connect(front.proxyPort, '127.0.0.1')];
    half.write('CONNECT news.web3:443 HTTP/1.1\r\nHost:');
    const slow = Array.from({ length: MAX_PROXY_HANDSHAKES }, () => ask(front, connectHead('news.web3:443')));
    const tunnels = await Promise.all(slow);
    expect(new Set(tunnels.map(({ status }) => status))).toEqual(new Set([200]));
    expect((await ask(front, connectHead('news.web3:443'))).status).toBe(503);
    await Promise.all([silent, half, ...tunnels.map(({ socket }) => socket)].map(hungUp));
    expect((await getSecure(front, 'news.web3')).status).toBe(200);
  });

  it('ends with tunnels open, idle and half made', async () => {
    const front = await withSites();
    const idle = await secured(front, 'news.web3');
    const { socket: half } = await ask(front, connectHead('news.web3:443'));
    const ended = Promise.all([hungUp(idle), hungUp(half)]);
    await front.closeProxy();
    await ended;
    await front.close();
    await expect(getSecure(front, 'news.web3')).rejects.toThrow('the proxy says 0');
  });
});

/** Sends `head` along with what is written first, and drops the answer to it. */
function hasty(socket: Socket, head: string): Duplex {
  let before = Buffer.from(head);
  let answer: Buffer | undefined = Buffer.alloc(0);
  const end = Buffer.from('\r\n\r\n');
  const duplex = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      socket.write(Buffer.concat([before, chunk]), done);
      before = Buffer.alloc(0);
    },
    destroy: (error, done) => {
      socket.destroy();
      done(error);
    },
  });
  socket.on('data', (chunk: Buffer) => {
    if (answer === undefined) {
      duplex.push(chunk);
      return;
    }
    answer = Buffer.concat([answer, chunk]);
    const at = answer.indexOf(end);
    if (at < 0) return;
    duplex.push(answer.subarray(at + end.length));
    answer = undefined;
  });
  return duplex;
}

/** Resolves when the other end is gone. What it said before is dropped. */
async function hungUp(socket: Socket): Promise<void> {
  socket.on('error', () => undefined).resume();
  if (!socket.closed) await once(socket, 'close');
}

async function rest(socket: Socket): Promise<string> {
  let said = '';
  socket.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await hungUp(socket);
  return said;
}
