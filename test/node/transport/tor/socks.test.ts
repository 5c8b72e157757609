import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import dns from 'node:dns';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Endpoint } from '../../../../node/transport/endpoint.ts';
import { socksReplyError } from '../../../../node/transport/tor/errors.ts';
import { createSocksDialer } from '../../../../node/transport/tor/socks.ts';
import { GRANTED, Proxy, type Asked, type Script } from './proxy.ts';

const signal = new AbortController().signal;
const ONION = 'pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion';

describe('the SOCKS client', () => {
  let proxy: Proxy;
  const start = async (script?: Script): Promise<Endpoint> => {
    proxy = new Proxy(script);
    return proxy.start();
  };
  beforeEach(() => {
    proxy = new Proxy();
  });
  afterEach(async () => {
    await proxy.stop();
    vi.restoreAllMocks();
  });

  it('gives the name to the proxy, looks nothing up, and carries bytes', async () => {
    const dialer = createSocksDialer(await start());
    const lookup = vi.spyOn(dns, 'lookup');
    // No resolver knows this name: a look-up here could only fail.
    const socket = await dialer.connect('nowhere.invalid', 8080, { isolation: 'a', signal });
    socket.write('ping');
    expect(String(await once(socket, 'data'))).toBe('ping');
    const request = proxy.asked[0]?.request as Buffer;
    expect(request.subarray(0, 5)).toEqual(Buffer.of(5, 1, 0, 3, 15));
    expect(request.subarray(5, 20).toString()).toBe('nowhere.invalid');
    expect(request.readUInt16BE(20)).toBe(8080);
    expect(lookup).not.toHaveBeenCalled();
    socket.destroy();
  });

  it('separates connections with different isolation texts, by a user name that reveals nothing', async () => {
    const dialer = createSocksDialer(await start());
    for (const isolation of ['peer one', 'peer one', 'peer two']) {
      (await dialer.connect(ONION, 1, { isolation, signal })).destroy();
    }
    const other = createSocksDialer({ ...(await restart()) });
    (await other.connect(ONION, 1, { isolation: 'peer one', signal })).destroy();
    const [one, again, two, elsewhere] = [...earlier, ...proxy.asked].map(({ user }) => user);
    expect(one).toMatch(/^[0-9a-f]{32}$/);
    expect(again).toBe(one);
    expect(two).not.toBe(one);
    expect(elsewhere).not.toBe(one);
    expect(proxy.asked[0]?.password).toBe('x');
  });
  let earlier: readonly Asked[] = [];
  const restart = async (): Promise<Endpoint> => {
    earlier = proxy.asked;
    await proxy.stop();
    return start();
  };

  it.each([
    ['05000001000000000000', 'an IPv4 address'],
    ['05000004000000000000000000000000000000000000', 'an IPv6 address'],
    ['050000030568656c6c6f0000', 'a name'],
    ['05000003000000', 'an empty name'],
  ])('loses no byte that comes together with the reply %s (%s)', async (reply) => {
    const dialer = createSocksDialer(await start({ reply: Buffer.from(reply, 'hex'), first: 'early words' }));
    const socket = await dialer.connect(ONION, 1, { isolation: 'a', signal });
    // The reader comes late, as one does that first sets up a link.
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    // Nobody of the handshake listens any more; the 'end' listener is node's own.
    expect(['data', 'readable', 'end', 'close'].map((event) => socket.listenerCount(event))).toEqual([0, 0, 1, 0]);
    expect(String(await once(socket, 'data'))).toBe('early words');
    socket.destroy();
  });

  it.each([
    [0x01, 'ONION_UNREACHABLE'],
    [0x04, 'ONION_UNREACHABLE'],
    [0x05, 'CONNECTION_REFUSED'],
    [0x07, 'SOCKS_FAILED'],
    [0x3c, 'SOCKS_FAILED'],
    [0xf0, 'ONION_UNREACHABLE'],
    [0xf7, 'TOR_CIRCUIT_FAILED'],
  ])('reports reply %i as %s', async (code, name) => {
    const reply = Buffer.from(GRANTED);
    reply[1] = code;
    const dialer = createSocksDialer(await start({ reply }));
    await expect(dialer.connect(ONION, 1, { isolation: 'a', signal })).rejects.toMatchObject({
      code: name,
      details: { reply: code.toString(16).toUpperCase().padStart(2, '0') },
    });
    await closedAll();
  });

  it('refuses a proxy that would not keep connections apart', async () => {
    const dialer = createSocksDialer(await start({ method: 0 }));
    await expect(dialer.connect(ONION, 1, { isolation: 'a', signal })).rejects.toMatchObject({ code: 'SOCKS_FAILED' });
    await closedAll();
  });

  it.each([
    ['HTTP/1.1 400 Bad Request\r\n\r\n', 'does not speak SOCKS 5'],
    ['', 'hung up'],
    ['\x05', 'hung up'],
  ])('says so when a program that answers with "%s" is not a proxy', async (words, says) => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.end(words);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const dialing = createSocksDialer({ kind: 'tcp', host: '127.0.0.1', port }).connect(ONION, 1, {
      isolation: 'a',
      signal,
    });
    await expect(dialing).rejects.toMatchObject({ code: 'SOCKS_FAILED' });
    await expect(dialing).rejects.toThrow(says);
    server.close();
  });

  it('says how to start tor where nobody answers', async () => {
    const endpoint = await start();
    await proxy.stop();
    const dialing = createSocksDialer(endpoint).connect(ONION, 1, { isolation: 'a', signal });
    await expect(dialing).rejects.toMatchObject({ code: 'TOR_NOT_RUNNING' });
    await expect(dialing).rejects.toThrow('relaymint tor start');
    const unix = createSocksDialer({ kind: 'unix', path: '/nonexistent/socks' });
    await expect(unix.connect(ONION, 1, { isolation: 'a', signal })).rejects.toMatchObject({ code: 'TOR_NOT_RUNNING' });
  });

  it('closes the connection to the proxy at once when it is aborted', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const controller = new AbortController();
    const arriving = once(server, 'connection') as Promise<[Socket]>;
    const dialing = createSocksDialer({ kind: 'tcp', host: '127.0.0.1', port }).connect(ONION, 1, {
      isolation: 'a',
      signal: controller.signal,
    });
    const [socket] = await arriving;
    socket.on('error', () => {});
    await once(socket, 'data');
    controller.abort();
    await expect(dialing).rejects.toMatchObject({ code: 'ABORTED' });
    await once(socket, 'close');
    server.close();
  });

  it('refuses a name that the protocol cannot carry', async () => {
    const dialer = createSocksDialer(await start());
    for (const host of ['', 'x'.repeat(256), 'münchen.example', 'a b', 'a\0b']) {
      await expect(dialer.connect(host, 1, { isolation: 'a', signal })).rejects.toMatchObject({
        code: 'ADDRESS_UNSUPPORTED',
      });
    }
    expect(proxy.sockets).toEqual([]);
  });

  const closedAll = async (): Promise<void> => {
    const open = proxy.sockets.filter((socket) => !socket.destroyed);
    await Promise.all(open.map((socket) => once(socket.resume(), 'close')));
  };
});

it('every reply has a message, a remedy and its byte', () => {
  for (const host of [ONION, 'example.com']) {
    for (let reply = 1; reply < 256; reply += 1) {
      const error = socksReplyError(reply, host, 80);
      expect(error.remedy).toBeDefined();
      expect(error.message).toContain(host);
      expect(error.details['reply']).toMatch(/^[0-9A-F]{2}$/);
      const known = reply <= 8 || (host === ONION && reply >= 0xf0 && reply <= 0xf7);
      expect(known || error.code === 'SOCKS_FAILED').toBe(true);
    }
  }
});
