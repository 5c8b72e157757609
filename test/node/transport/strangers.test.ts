/** Whoever names what is fetched wants to see our network by it, or to act there. */
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { silentLog } from '../../../core/ports.ts';
import {
  createPolicy,
  createTcpTransport,
  createTorTransport,
  declarePurpose,
  fetchFromStrangers,
  fetchFromThisMachine,
  type StrangersAnswer,
} from '../../../node/transport/index.ts';
import { Internet } from '../../strangers/internet.ts';
import { Proxy } from './tor/proxy.ts';

const PURPOSE = declarePurpose('strangers');
const SHOP = 'shop.example';
const AT = '93.184.216.34';
const get = { method: 'GET', headers: { Accept: 'application/json' } } as const;

/** By how they are meant to get in. Each is refused before anything is connected. */
const INSIDE: readonly (readonly [string, string])[] = [
  ['loopback', '127.0.0.1'],
  ['loopback elsewhere', '127.8.8.8'],
  ['loopback of IPv6', '::1'],
  ['loopback in IPv6', '::ffff:127.0.0.1'],
  ['loopback in IPv6, in hex', '::ffff:7f00:1'],
  ['loopback by NAT64', '64:ff9b::7f00:1'],
  ['loopback by local NAT64', '64:ff9b:1::7f00:1'],
  ['loopback by 6to4', '2002:7f00:1::'],
  ['loopback by Teredo', '2001:0:4136:e378:8000:63bf:80ff:fffe'],
  ['loopback, IPv4-compatible', '::7f00:1'],
  ['this host', '0.0.0.0'],
  ['this host of IPv6', '::'],
  ['private, 10/8', '10.0.0.1'],
  ['private, 172.16/12', '172.31.255.255'],
  ['private, 192.168/16', '192.168.1.1'],
  ['private of IPv6', 'fd00::1'],
  ['link-local', '169.254.1.1'],
  ['link-local of IPv6', 'fe80::1'],
  ['carrier-grade NAT', '100.64.0.1'],
  ['multicast', '224.0.0.1'],
  ['multicast of IPv6', 'ff02::1'],
  ['broadcast', '255.255.255.255'],
  ['metadata of most clouds', '169.254.169.254'],
  ['metadata of AWS by IPv6', 'fd00:ec2::254'],
  ['metadata of Alibaba', '100.100.100.200'],
  ['metadata of Oracle', '192.0.0.192'],
  ['metadata of Azure', '168.63.129.16'],
];

let internet: Internet;
beforeEach(() => {
  internet = new Internet([SHOP]);
});
afterEach(async () => {
  await internet[Symbol.asyncDispose]();
});

function ask(url: string): Promise<StrangersAnswer> {
  const { authorities } = internet;
  return fetchFromStrangers({ policy: internet, purpose: PURPOSE, authorities })(new URL(url), get);
}

describe('what strangers name', () => {
  it('is fetched over TLS, with nothing of ours', async () => {
    const seen: unknown[] = [];
    await internet.site(SHOP, AT, ({ headers, url, method }, response) => {
      seen.push({ method, url, headers });
      response.writeHead(200, { 'Content-Type': 'application/json' }).end('{"a":1}');
    });
    const answer = await ask(`https://${SHOP}/it?x=1`);
    expect([answer.status, Buffer.from(answer.body).toString()]).toEqual([200, '{"a":1}']);
    expect(answer.headers).toContainEqual(['Content-Type', 'application/json']);
    const headers = { accept: 'application/json', host: SHOP, connection: 'close' };
    expect(seen).toEqual([{ method: 'GET', url: '/it?x=1', headers }]);
  });

  it.each(INSIDE)('is not asked at an address inside: %s', async (_what, address) => {
    internet.names.set(SHOP, [[address]]);
    await expect(ask(`https://${SHOP}/`)).rejects.toMatchObject({ code: 'POLICY_REFUSED' });
    expect(internet.dialed).toEqual([]);
  });

  it('is not asked when one of several addresses is inside', async () => {
    internet.names.set(SHOP, [[AT, '10.0.0.1']]);
    await expect(ask(`https://${SHOP}/`)).rejects.toMatchObject({ code: 'POLICY_REFUSED' });
    expect(internet.dialed).toEqual([]);
  });

  it.each([
    'https://127.0.0.1/',
    'https://2130706433/',
    'https://0x7f.1/',
    'https://[::1]/',
    `https://${AT}/`,
    'https://localhost/',
    'https://news-web3.localhost/',
    `https://us:secret@${SHOP}/`,
    `http://${SHOP}/`,
    'file:///etc/passwd',
    'data:application/json,{}',
  ])('is not even looked up: %s', async (url) => {
    await expect(ask(url)).rejects.toMatchObject({ code: 'POLICY_REFUSED' });
    expect([internet.looked, internet.dialed]).toEqual([[], []]);
  });

  it('is connected at the address that was checked, whatever the name has next', async () => {
    const site = await internet.site(SHOP, AT, (_request, response) => response.end('it'));
    internet.names.set(SHOP, [[AT], ['127.0.0.1']]);
    expect((await ask(`https://${SHOP}/`)).status).toBe(200);
    expect([internet.looked, internet.dialed, site.connections()]).toEqual([[SHOP], [`${AT}:443`], 1]);
  });

  it('hears nothing where the connection leads inside after all', async () => {
    const seen: unknown[] = [];
    await internet.site(SHOP, AT, ({ url }) => seen.push(url));
    internet.lies.set(AT, '127.0.0.1');
    await expect(ask(`https://${SHOP}/`)).rejects.toMatchObject({ code: 'POLICY_REFUSED' });
    expect(seen).toEqual([]);
  });

  it('leads nowhere else by a redirect', async () => {
    await internet.site(SHOP, AT, (_request, response) => {
      response.writeHead(302, { Location: 'https://127.0.0.1/' }).end();
    });
    expect((await ask(`https://${SHOP}/`)).status).toBe(302);
    expect(internet.dialed).toEqual([`${AT}:443`]);
  });

  it.each(['with its length', 'in pieces'])('says no more than 5 KiB: %s', async (how) => {
    await internet.site(SHOP, AT, (_request, response) => {
      if (how === 'with its length') response.setHeader('Content-Length', 5_121);
      response.end('x'.repeat(5_121));
    });
    await expect(ask(`https://${SHOP}/`)).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
  });

  it('is let go that does not prove to be it, whatever the environment says', async () => {
    const seen: unknown[] = [];
    await internet.site('other.example', AT, ({ url }) => seen.push(url));
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    await expect(ask('https://other.example/')).rejects.toMatchObject({ code: 'CONNECTION_REFUSED' });
    const unknown = fetchFromStrangers({ policy: internet, purpose: PURPOSE });
    internet.names.set(SHOP, [[AT]]);
    await expect(unknown(new URL(`https://${SHOP}/`), get)).rejects.toMatchObject({ code: 'CONNECTION_REFUSED' });
    vi.unstubAllEnvs();
    expect(seen).toEqual([]);
  });
});

describe('by the policy itself', () => {
  let server: Server;
  let seen = 0;
  beforeAll(async () => {
    server = createServer(() => (seen += 1)).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterAll(() => server.close());

  it('B12: a listener on this machine sees no connection', async () => {
    const policy = createPolicy({ transports: [createTcpTransport()], purposes: [PURPOSE] });
    const fetch = fetchFromStrangers({ policy, purpose: PURPOSE });
    const { port } = server.address() as AddressInfo;
    for (const host of ['127.0.0.1', '[::ffff:127.0.0.1]', 'localhost', 'x.localhost']) {
      await expect(fetch(new URL(`https://${host}:${port}/`), get)).rejects.toMatchObject({ code: 'POLICY_REFUSED' });
    }
    expect([seen, policy.stats()['strangers']?.opened]).toEqual([0, 0]);
    policy.close();
  });

  it('B12: of an anonymous node the proxy alone sees a socket, and hears the name', async () => {
    const proxy = new Proxy();
    const socks = await proxy.start();
    await using tor = createTorTransport({ socks, log: silentLog });
    const policy = createPolicy({ transports: [createTcpTransport(), tor], purposes: [PURPOSE], anonymize: true });
    const fetch = fetchFromStrangers({ policy, purpose: PURPOSE });
    // Behind the proxy is an echo, which is no TLS.
    await expect(fetch(new URL(`https://${SHOP}/`), get)).rejects.toMatchObject({ code: 'CONNECTION_REFUSED' });
    expect(proxy.asked.map(({ request }) => request.includes(SHOP))).toEqual([true]);
    for (const url of [`https://${AT}/`, 'https://[2606:2800:220:1::1]/', 'https://localhost/']) {
      await expect(fetch(new URL(url), get)).rejects.toMatchObject({ code: 'POLICY_REFUSED' });
    }
    expect([proxy.sockets.length, seen]).toEqual([1, 0]);
    policy.close();
    await proxy.stop();
  });

  it('is not looked up by a node that connects to hidden addresses only', async () => {
    const policy = createPolicy({ transports: [createTcpTransport()], purposes: [PURPOSE], phase: 'tor-only' });
    const fetch = fetchFromStrangers({ policy, purpose: PURPOSE });
    await expect(fetch(new URL(`https://${SHOP}/`), get)).rejects.toMatchObject({ code: 'POLICY_REFUSED' });
  });
});

describe('what is on this machine', () => {
  it('is asked over http, and nothing else is', async () => {
    const server = createHttpServer((request, response) => {
      request.pipe(response);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const policy = createPolicy({ transports: [createTcpTransport()], purposes: [PURPOSE] });
    const fetch = fetchFromThisMachine({ policy, purpose: PURPOSE });
    const post = { method: 'POST', headers: {}, body: 'a=1' } as const;
    const { status, body } = await fetch(new URL(`http://localhost:${port}/`), post);
    expect([status, Buffer.from(body).toString()]).toEqual([200, 'a=1']);
    for (const url of [
      `http://${SHOP}/`,
      'http://10.0.0.1/',
      'http://169.254.169.254/',
      `https://localhost:${port}/`,
    ]) {
      await expect(fetch(new URL(url), post)).rejects.toMatchObject({ code: 'POLICY_REFUSED' });
    }
    policy.close();
    server.close();
  });
});
