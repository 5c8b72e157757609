import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { isLoopback } from '../../../node/transport/address.ts';
import {
  createMemoryNetwork,
  createMemoryTransport,
  createPolicy,
  declarePurpose,
  createTcpTransport,
  type Outbound,
  type Policy,
} from '../../../node/transport/index.ts';

/** Reserved for documentation: nothing is ever there. */
const OUTSIDE = '192.0.2.1';
const signal = new AbortController().signal;

function policyOf(outbound: Outbound): Policy {
  const transports = [createTcpTransport(), createMemoryTransport(createMemoryNetwork())];
  return createPolicy({ transports, outbound });
}

describe('the policy', () => {
  let server: Server;
  let port: number;
  beforeAll(async () => {
    server = createServer((request, response) => {
      if (request.url === '/away') response.writeHead(302, { location: `http://${OUTSIDE}/` }).end();
      else if (request.url === '/empty') response.writeHead(204).end();
      else if (request.url === '/hang') response.flushHeaders();
      else {
        response.setHeader('x-method', request.method ?? '');
        request.pipe(response);
      }
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  it('refuses what leaves the machine, by every way out, and counts it', async () => {
    const policy = policyOf('loopback');
    const refused = { code: 'POLICY_REFUSED' };
    await expect(policy.dial(`/ip4/${OUTSIDE}/tcp/1`, { signal })).rejects.toMatchObject(refused);
    await expect(policy.dial('/dns4/relay.example/tcp/1', { signal })).rejects.toMatchObject(refused);
    await expect(policy.connect('control', { host: OUTSIDE, port: 1 }, { signal })).rejects.toMatchObject(refused);
    const fetch = policy.fetch('ledger');
    await expect(fetch(`http://${OUTSIDE}/`)).rejects.toMatchObject(refused);
    await expect(fetch('https://rpc.example/')).rejects.toMatchObject(refused);
    await expect(fetch(`http://127.0.0.1:${port}@${OUTSIDE}/`)).rejects.toThrow('credentials');
    const stats = policy.stats();
    expect(stats.link).toMatchObject({ refused: 2, opened: 0 });
    expect(stats.control).toMatchObject({ refused: 1, opened: 0 });
    expect(stats.ledger).toMatchObject({ refused: 2, opened: 0 });
    policy.close();
  });

  it.each([
    ['127.0.0.1', true],
    ['127.9.9.9', true],
    ['::1', true],
    ['[::1]', true],
    ['0:0:0:0:0:0:0:1', true],
    ['::ffff:127.0.0.1', true],
    ['localhost', true],
    ['128.0.0.1', false],
    ['10.0.0.1', false],
    ['::', false],
    ['::2', false],
    ['1::1', false],
    ['::ffff:8.8.8.8', false],
    ['127.0.0.1.example', false],
    ['localhost.example', false],
    ['', false],
  ])('takes %s for this machine: %s', (host, expected) => {
    expect(isLoopback(host)).toBe(expected);
  });

  it('lets links through to this machine and within the process', async () => {
    const policy = policyOf('loopback');
    const listener = await policy.listen('/ip4/127.0.0.1/tcp/0', ({ connection }) => connection.end('x'));
    const inside = await policy.listen('/memory/a', ({ connection }) => connection.end('x'));
    for (const address of [...listener.addresses, ...inside.addresses]) {
      const { connection, transport } = await policy.dial(address, { signal });
      expect(address).toContain(transport.name);
      expect(policy.stats().link.open).toBe(1);
      connection.resume();
      connection.end();
      await once(connection, 'close');
      expect(policy.stats().link.open).toBe(0);
    }
    expect(policy.stats().link).toMatchObject({ opened: 2, failed: 0, refused: 0 });
    await listener.close();
    await inside.close();
    await expect(policy.dial('/memory/a', { signal })).rejects.toMatchObject({ code: 'CONNECTION_REFUSED' });
    expect(policy.stats().link.failed).toBe(1);
    await expect(policy.dial('/onion/x', { signal })).rejects.toMatchObject({ code: 'ADDRESS_UNSUPPORTED' });
  });

  it('fetches: methods, bodies, headers, empty answers, kept connections', async () => {
    const policy = policyOf('loopback');
    const fetch = policy.fetch('ledger');
    const url = `http://localhost:${port}/`;
    const posted = await fetch(url, {
      method: 'POST',
      body: '{"a":1}',
      headers: { 'content-type': 'application/json' },
    });
    expect(posted.headers.get('x-method')).toBe('POST');
    expect(await posted.json()).toEqual({ a: 1 });
    const put = await fetch(new URL(url), { method: 'PUT', body: Uint8Array.of(1, 2) });
    expect(new Uint8Array(await put.arrayBuffer())).toEqual(Uint8Array.of(1, 2));
    expect((await fetch(`${url}empty`)).status).toBe(204);
    expect(await (await fetch(url)).text()).toBe('');
    for (let i = 0; i < 10; i += 1) await (await fetch(url)).text();
    expect(policy.stats().ledger.opened).toBeLessThan(5);
    await expect(fetch('file:///etc/hostname')).rejects.toMatchObject({ code: 'ADDRESS_UNSUPPORTED' });
    policy.close();
  });

  it('does not ask again on a connection that the server has closed', async () => {
    const policy = policyOf('loopback');
    const fetch = policy.fetch('ledger');
    const url = `http://127.0.0.1:${port}/`;
    await (await fetch(url)).text();
    server.closeIdleConnections();
    while (policy.stats().ledger.open > 0) await new Promise(setImmediate);
    expect((await fetch(url)).status).toBe(200);
    policy.close();
  });

  it('does not follow a redirect out', async () => {
    const policy = policyOf('loopback');
    const response = await policy.fetch('ledger')(`http://127.0.0.1:${port}/away`);
    expect(response.status).toBe(302);
    expect(policy.stats().ledger.refused).toBe(0);
    policy.close();
  });

  it('counts declared purposes separately, and opens nothing for undeclared ones', async () => {
    const [news, weather] = [declarePurpose('news'), declarePurpose('weather')];
    const policy = createPolicy({ transports: [createTcpTransport()], purposes: [news], outbound: 'loopback' });
    expect((await policy.fetch(news)(`http://127.0.0.1:${port}/empty`)).status).toBe(204);
    await expect(policy.connect(news, { host: OUTSIDE, port: 1 }, { signal })).rejects.toMatchObject({
      code: 'POLICY_REFUSED',
    });
    const stats = policy.stats();
    expect(stats['news']).toMatchObject({ opened: 1, refused: 1 });
    expect(stats.ledger).toMatchObject({ opened: 0, refused: 0 });
    expect(() => policy.fetch(weather)).toThrow(TypeError);
    expect(() => policy.httpsAgent(weather)).toThrow(TypeError);
    await expect(policy.connect(weather, { host: '127.0.0.1', port }, { signal })).rejects.toThrow(TypeError);
    policy.close();
  });

  it.each(['control', 'link', '', 'a b', 'News', 'x'.repeat(33)])('refuses a purpose that is called "%s"', (word) => {
    expect(() => declarePurpose(word)).toThrow(TypeError);
  });

  it('does not take plain text for a purpose', () => {
    // @ts-expect-error: what a connection is for is declared.
    expect(() => policyOf('loopback').fetch('news')).toThrow(TypeError);
  });

  it('ends a request that is aborted', async () => {
    const policy = policyOf('loopback');
    const controller = new AbortController();
    const response = await policy.fetch('ledger')(`http://127.0.0.1:${port}/hang`, { signal: controller.signal });
    controller.abort();
    await expect(response.text()).rejects.toThrow('aborted');
    const late = policy.fetch('ledger')(`http://127.0.0.1:${port}/`, { signal: AbortSignal.abort() });
    await expect(late).rejects.toThrow('aborted');
    policy.close();
  });

  it('gives an agent to clients that bring their own requests', async () => {
    const policy = policyOf('loopback');
    const sockets = new WebSocketServer({ server });
    sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
    const client = new WebSocket(`ws://127.0.0.1:${port}`, { agent: policy.httpAgent('ledger') });
    await once(client, 'open');
    client.send('hello');
    expect(String(((await once(client, 'message')) as [Buffer])[0])).toBe('hello');
    expect(policy.stats().ledger.opened).toBe(1);
    client.close();
    await once(client, 'close');
    const outside = new WebSocket(`ws://${OUTSIDE}`, { agent: policy.httpAgent('ledger') });
    const [error] = (await once(outside, 'error')) as [Error];
    expect(error).toMatchObject({ code: 'POLICY_REFUSED' });
    sockets.close();
    policy.close();
  });
});
