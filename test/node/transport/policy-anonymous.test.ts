/** What the policy sends through the anonymizing network, and what it refuses to send at all. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { nodeId } from '../../../core/ids.ts';
import {
  createPolicy,
  declarePurpose,
  createTcpTransport,
  type HostDialer,
  type Policy,
  type PolicyOptions,
  type Transport,
} from '../../../node/transport/index.ts';
import { openSocket } from '../../../node/transport/socket.ts';

const signal = new AbortController().signal;
const ONION = 'pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd';
const PEER = nodeId(Buffer.alloc(32, 9));
const NEWS = declarePurpose('news');

/** Stands for a network that reaches public names and its own: it remembers whom it was asked for, and leads to one server. */
function networkTo(port: () => number): Transport & HostDialer & { readonly asked: string[] } {
  const asked: string[] = [];
  const reach = (what: string): Promise<Duplex> => {
    asked.push(what);
    return openSocket('127.0.0.1', port(), signal);
  };
  return {
    name: 'tor',
    asked,
    canDial: (address) => address.startsWith('/onion3/'),
    dial: (address) => reach(address),
    reachesHost: (host) => !/^127\.|^localhost$|^192\.168\.|\.i2p$/.test(host),
    dialHost: (host, at, { isolation }) => reach(`${host}:${at} for ${isolation}`),
    listen: () => Promise.reject(new Error('nobody listens here')),
  };
}

describe('the addresses of names', () => {
  it.each([
    ['is anonymous', { anonymize: true }],
    ['connects to hidden addresses only', { phase: 'tor-only' }],
  ] as const)('are asked for by nobody who %s: who answers for a name would see this machine', (_who, options) => {
    expect(createPolicy({ transports: [createTcpTransport()], ...options }).resolve).toBeUndefined();
  });

  it.each(['optional', 'default', 'deprecated'] as const)(
    'are asked for by a node that dials directly: %s',
    async (phase) => {
      const { resolve } = createPolicy({ transports: [createTcpTransport()], phase });
      expect(await resolve?.('localhost')).toContain('127.0.0.1');
    },
  );
});

describe('a policy with an anonymizing network', () => {
  let server: Server;
  let port: number;
  let tor: ReturnType<typeof networkTo>;
  beforeAll(async () => {
    server = createServer((request, response) => response.end(`${request.headers.host} ${request.url}`));
    new WebSocketServer({ server }).on('connection', (socket) => socket.send('hello'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  beforeEach(() => {
    tor = networkTo(() => port);
  });

  const open = (options: Partial<PolicyOptions> = {}): Policy =>
    createPolicy({ transports: [createTcpTransport(), tor], ...options });

  it('case 1, none: onion names are refused with a hint, and no resolver is asked', async () => {
    const policy = createPolicy({ transports: [createTcpTransport()] });
    for (const host of [`${ONION}.onion`, 'x.onion.', 'site.i2p']) {
      await expect(policy.connect('ledger', { host, port: 80 }, { signal })).rejects.toMatchObject({
        code: 'NO_TRANSPORT',
        remedy: expect.stringMatching(/relaymint tor start|--i2p-sam/) as string,
      });
    }
    expect(policy.stats().ledger).toMatchObject({ refused: 3, opened: 0 });
    // Neither for a peer that says so.
    await expect(policy.dial(`/dns4/${ONION}.onion/tcp/80`, { signal })).rejects.toMatchObject({
      code: 'NO_TRANSPORT',
    });
    expect(policy.stats().link).toMatchObject({ refused: 1, opened: 0, failed: 0 });
  });

  it('case 2: onion names go through it, everything else directly', async () => {
    const policy = open();
    const fetch = policy.fetch('ledger');
    expect(await (await fetch(`http://${ONION}.onion/rpc`)).text()).toBe(`${ONION}.onion /rpc`);
    expect(await (await fetch(`http://127.0.0.1:${port}/direct`)).text()).toBe(`127.0.0.1:${port} /direct`);
    expect(tor.asked).toEqual([`${ONION}.onion:80 for ledger ${ONION}.onion 80`]);
    policy.close();
  });

  it('case 3: all of it goes through it, WebSockets too, each purpose and host apart from the others', async () => {
    const policy = open({ anonymize: true, purposes: [NEWS] });
    expect(await (await policy.fetch('ledger')('http://rpc.example:8899/')).text()).toBe('rpc.example:8899 /');
    expect(await (await policy.fetch(NEWS)('http://rpc.example/')).text()).toBe('rpc.example /');
    const socket = new WebSocket('ws://rpc.example:8900/', { agent: policy.httpAgent('ledger') });
    const [message] = (await once(socket, 'message')) as [Buffer];
    expect(message.toString()).toBe('hello');
    socket.terminate();
    // A peer that has no hidden address is reached through an exit.
    const { connection, transport } = await policy.dial('/ip4/192.0.2.1/tcp/4001', { signal });
    expect(transport.name).toBe('tor');
    connection.destroy();
    expect(tor.asked).toEqual([
      'rpc.example:8899 for ledger rpc.example 8899',
      'rpc.example:80 for news rpc.example 80',
      'rpc.example:8900 for ledger rpc.example 8900',
      '192.0.2.1:4001 for link 192.0.2.1 4001',
    ]);
    policy.close();
  });

  it('case 3: what it does not reach is refused, on every purpose; only our own control port stays on this machine', async () => {
    const policy = open({ anonymize: true, purposes: [NEWS] });
    const refused = { code: 'POLICY_REFUSED' };
    for (const purpose of ['ledger', 'names', 'link', NEWS] as const) {
      for (const host of ['127.0.0.1', 'localhost', '192.168.1.1']) {
        await expect(policy.connect(purpose, { host, port }, { signal })).rejects.toMatchObject(refused);
      }
    }
    await expect(policy.dial(`/ip4/127.0.0.1/tcp/${port}`, { signal })).rejects.toMatchObject(refused);
    await expect(policy.connect('control', { host: '192.168.1.1', port }, { signal })).rejects.toMatchObject(refused);
    await expect(policy.connect('ledger', { host: 'x.i2p', port }, { signal })).rejects.toMatchObject({
      code: 'NO_TRANSPORT',
    });
    (await policy.connect('control', { host: '127.0.0.1', port }, { signal })).destroy();
    expect(tor.asked).toEqual([]);
    await expect(policy.listen('/ip4/0.0.0.0/tcp/0', () => {})).rejects.toMatchObject(refused);
    await (await policy.listen('/ip4/127.0.0.1/tcp/0', () => {})).close();
    policy.close();
  });

  it('with outbound loopback nothing leaves, not even through it', async () => {
    const policy = open({ outbound: 'loopback' });
    const refused = { code: 'POLICY_REFUSED' };
    await expect(policy.connect('ledger', { host: `${ONION}.onion`, port }, { signal })).rejects.toMatchObject(refused);
    await expect(policy.dial(`/onion3/${ONION}:80`, { signal })).rejects.toMatchObject(refused);
    expect(tor.asked).toEqual([]);
  });

  it('says when no address of a peer may be used, and why', () => {
    const direct = '/ip4/192.0.2.1/tcp/1';
    const none = {
      code: 'NO_TRANSPORT',
      message: expect.stringContaining('No available transport for node') as string,
    };
    expect(() => open({ phase: 'tor-only' }).plan(PEER, [direct])).toThrow(expect.objectContaining(none));
    const picky = open({ preferences: new Map([[PEER, 'tor']]) });
    expect(() => picky.plan(PEER, [direct])).toThrow(expect.objectContaining(none));
    expect(picky.plan(PEER, [direct, `/onion3/${ONION}:80`])).toEqual([
      { address: `/onion3/${ONION}:80`, direct: false },
    ]);
  });
});
