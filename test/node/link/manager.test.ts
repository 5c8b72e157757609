import { randomBytes } from 'node:crypto';
import { connect as connectSocket, type AddressInfo, type Socket, createServer } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { nodeId } from '../../../core/ids.ts';
import { MAX_HANDSHAKES, MAX_SILENT_CONNECTIONS } from '../../../core/limits.ts';
import { FrameType, type Link } from '../../../node/link/index.ts';
import { createPolicy, createTcpTransport, type Transport } from '../../../node/transport/index.ts';
import { halfClosing } from '../../../node/transport/halfclose.ts';
import { TestNodes, Wire, linkBetween, newIdentity, nextLink, orderedIdentities, type TestNode } from './nodes.ts';

const nodes = new TestNodes();
afterEach(() => nodes.close());

function portOf(node: TestNode): number {
  return Number(node.addresses[0]?.split('/').at(-1));
}

/** Resolves once the connection is gone, with an error or without. */
function ended(connection: Duplex): Promise<void> {
  return new Promise((resolve) => {
    connection.resume().once('close', () => resolve());
  });
}

/** Connections that a listener's queue holds. */
const AT_ONCE = 256;

/** So many connections that say nothing, or one byte each. Where they are more than may wait, one has given way already. */
async function crowd(node: TestNode, count: number, byte?: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  let onFirst = (): void => {};
  const first = new Promise<void>((resolve) => {
    onFirst = resolve;
  });
  while (sockets.length < count) {
    const some = Array.from({ length: Math.min(AT_ONCE, count - sockets.length) }, () => {
      const socket = connectSocket(portOf(node), '127.0.0.1').on('error', () => {});
      if (byte !== undefined) socket.write(Buffer.of(byte));
      void ended(socket).then(onFirst);
      return socket;
    });
    sockets.push(...some);
    await Promise.all(some.map((socket) => once(socket, 'connect')));
  }
  if (count > MAX_HANDSHAKES) await first;
  return sockets;
}

interface Gate {
  readonly address: string;
  /** The node has answered the first bytes of whoever came through here: nothing of that is passed on until `open`. */
  readonly answered: Promise<void>;
  open(): void;
  close(): void;
}

/** A slow path to a port of this machine. */
async function slowGate(port: number): Promise<Gate> {
  let open = (): void => {};
  let answers = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const answered = new Promise<void>((resolve) => {
    answers = resolve;
  });
  const server = createServer((near) => {
    near.on('error', () => near.destroy());
    // Its first bytes are there as soon as it is: however busy this machine is, it is not taken for one that says nothing.
    near.once('readable', () => {
      const far = connectSocket(port, '127.0.0.1');
      near.on('error', () => far.destroy()).on('close', () => far.destroy());
      far.on('error', () => near.destroy()).on('close', () => near.destroy());
      near.pipe(far);
      far.once('readable', () => {
        answers();
        void opened.then(() => far.pipe(near));
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port: own } = server.address() as AddressInfo;
  return { address: `/ip4/127.0.0.1/tcp/${own}`, answered, open, close: () => server.close() };
}

describe('a link manager', () => {
  it('reuses the open link from both ends and joins a dial under way', async () => {
    const a = await nodes.start();
    const b = await nodes.start();
    const arriving = nextLink(b.links);
    const [first, second] = await Promise.all([
      a.links.connect(b.identity.nodeId, b.addresses),
      a.links.connect(b.identity.nodeId, b.addresses),
    ]);
    expect(second).toBe(first);
    expect(await a.links.connect(b.identity.nodeId, [])).toBe(first);
    const arrived = await arriving;
    expect(await b.links.connect(a.identity.nodeId, [])).toBe(arrived);
    expect(a.links.links()).toEqual([first]);
    expect(a.links.get(b.identity.nodeId)).toBe(first);
    expect(b.links.get(nodeId(randomBytes(32)))).toBeUndefined();
  });

  it('ends simultaneous dials in one link, the same for both', async () => {
    for (let round = 0; round < 30; round += 1) {
      const [smaller, larger] = orderedIdentities();
      const a = await nodes.start({ identity: smaller, transport: round % 2 === 0 ? 'tcp' : 'memory' });
      const b = await nodes.start({ identity: larger, transport: round % 2 === 0 ? 'tcp' : 'memory' });
      const [fromA, fromB] = await Promise.all([
        a.links.connect(larger.nodeId, b.addresses),
        b.links.connect(smaller.nodeId, a.addresses),
      ]);
      expect(fromA.dialer).toBe(!fromB.dialer);
      expect(a.links.links()).toEqual([fromA]);
      expect(b.links.links()).toEqual([fromB]);
      const received = new Promise<string>((resolve) => {
        fromB.handle(FrameType.RELAY, (_id, payload) => resolve(payload.toString()));
      });
      fromA.send(FrameType.RELAY, 1, Buffer.from('same link'));
      expect(await received).toBe('same link');
      await Promise.all([fromA.ping(), fromB.ping()]);
    }
  });

  it.each(['smaller', 'larger'])('takes a new link from a %s peer that lost the old one', async (which) => {
    const [smaller, larger] = orderedIdentities();
    const [staying, restarted] = which === 'larger' ? [smaller, larger] : [larger, smaller];
    const timing = { handshake: 2000 };
    const a = await nodes.start({ identity: staying, timing });
    const wire = new Wire();
    const before = await nodes.start({ identity: restarted, wire, timing });
    const { far: old } = await linkBetween(before, a);
    wire.freeze();
    const after = await nodes.start({ identity: restarted, timing });
    const { near, far } = await linkBetween(after, a);
    expect(await old.closed).toBeUndefined();
    expect(a.links.links()).toEqual([far]);
    expect(await near.ping()).toBeGreaterThan(0);
  });

  it('refuses a node that is not the expected one, and dials on to the one that is', async () => {
    const a = await nodes.start();
    const wrong = await nodes.start();
    const right = await nodes.start();
    const expected = right.identity.nodeId;
    await expect(a.links.connect(expected, wrong.addresses)).rejects.toMatchObject({ code: 'PEER_IDENTITY_MISMATCH' });
    expect(a.links.links()).toEqual([]);
    const link = await a.links.connect(expected, ['/memory/nobody', ...wrong.addresses, ...right.addresses]);
    expect(link.peer).toBe(expected);
  });

  it('tells why no address worked', async () => {
    const a = await nodes.start();
    const peer = newIdentity().nodeId;
    await expect(a.links.connect(peer, [])).rejects.toMatchObject({ code: 'ADDRESS_UNSUPPORTED' });
    await expect(a.links.connect(peer, ['/memory/nobody'])).rejects.toMatchObject({ code: 'CONNECTION_REFUSED' });
    await expect(a.links.connect(peer, ['/ip4/192.0.2.1/tcp/1'])).rejects.toMatchObject({ code: 'POLICY_REFUSED' });
    await expect(a.links.connect(peer, ['/memory/nobody', '/ip4/192.0.2.1/tcp/1'])).rejects.toMatchObject({
      code: 'CONNECTION_REFUSED',
      message: expect.stringMatching(/memory.*192\.0\.2\.1/) as string,
    });
    await expect(a.links.connect(a.identity.nodeId, a.addresses)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('gives up a peer that never says hello, or when it is told to', async () => {
    const silent = createServer((socket) => socket.on('error', () => {}).resume());
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const address = `/ip4/127.0.0.1/tcp/${(silent.address() as AddressInfo).port}`;
    const a = await nodes.start({ timing: { handshake: 100 } });
    const peer = newIdentity().nodeId;
    await expect(a.links.connect(peer, [address])).rejects.toMatchObject({ code: 'TIMEOUT' });
    const patient = await nodes.start();
    const connecting = new AbortController();
    const dialing = patient.links.connect(peer, [address], { signal: connecting.signal });
    const joined = patient.links.connect(peer, [address], { signal: AbortSignal.timeout(50) });
    await expect(joined).rejects.toMatchObject({ code: 'TIMEOUT' });
    connecting.abort();
    await expect(dialing).rejects.toMatchObject({ code: 'ABORTED' });
    await expect(patient.links.connect(peer, [address], { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ABORTED',
    });
    const closing = patient.links.connect(peer, [address]);
    await Promise.all([expect(closing).rejects.toMatchObject({ code: 'CLOSED' }), patient.links.close()]);
    silent.close();
  });

  it('accepts visitors of an onion service that somebody else maps to its TCP port', async () => {
    const a = await nodes.start();
    const tcp = createTcpTransport();
    const mapped: Transport = {
      ...tcp,
      dial: async (address, options) => halfClosing(await tcp.dial(address, options)),
    };
    const visitor = await nodes.start({ policy: createPolicy({ transports: [mapped] }) });
    const { near, far } = await linkBetween(visitor, a);
    expect(await near.ping()).toBeGreaterThan(0);
    await near.close();
    expect(await far.closed).toBeUndefined();
  });

  it('survives strangers: noise, silence, plain TLS, other protocols', async () => {
    const a = await nodes.start();
    const port = portOf(a);
    const noise = connectSocket(port, '127.0.0.1').on('error', () => {});
    noise.write(randomBytes(5000));
    await ended(noise);
    const anonymous = connectTls({
      port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      ALPNProtocols: ['relaymint/1'],
    }).on('error', () => {});
    await ended(anonymous);
    const other = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] });
    other.on('error', () => {});
    await ended(other);
    expect(a.links.links()).toEqual([]);
    const b = await nodes.start();
    expect((await b.links.connect(a.identity.nodeId, a.addresses)).isOpen).toBe(true);
  });

  it('lets nodes in while a stranger holds connections open and says nothing', async () => {
    const a = await nodes.start();
    const silent = await crowd(a, MAX_SILENT_CONNECTIONS + 20);
    const b = await nodes.start();
    const link = await b.links.connect(a.identity.nodeId, a.addresses);
    expect(await link.ping()).toBeGreaterThan(0);
    for (const socket of silent) socket.destroy();
  });

  it('a slow peer that began its handshake gets in, however many silent ones come before its next byte', async () => {
    const a = await nodes.start();
    const gate = await slowGate(portOf(a));
    const b = await nodes.start();
    const connecting = b.links.connect(a.identity.nodeId, [gate.address]);
    await gate.answered;
    const silent = await crowd(a, MAX_SILENT_CONNECTIONS + 20);
    gate.open();
    expect(await (await connecting).ping()).toBeGreaterThan(0);
    for (const socket of silent) socket.destroy();
    gate.close();
  });

  it('a slow peer gets in, however many send one byte and no more', async () => {
    const a = await nodes.start();
    const b = await nodes.start();
    const halves = await crowd(a, MAX_HANDSHAKES + 20, 22);
    const link = await b.links.connect(a.identity.nodeId, a.addresses);
    expect(await link.ping()).toBeGreaterThan(0);
    for (const socket of halves) socket.destroy();
  });

  it('ends a connection that says nothing long before one that is slow', async () => {
    const a = await nodes.start({ timing: { firstByte: 50 } });
    const [silent] = await crowd(a, 1);
    const gate = await slowGate(portOf(a));
    const b = await nodes.start();
    const connecting = b.links.connect(a.identity.nodeId, [gate.address]);
    await gate.answered;
    await ended(silent as Socket);
    gate.open();
    expect(await (await connecting).ping()).toBeGreaterThan(0);
    gate.close();
  });

  it('keeps no more links than it may: idle ones give way, used ones do not', async () => {
    const hub = await nodes.start({ maxLinks: 2, timing: { silence: 50 } });
    const open: Link[] = [];
    const join = async (): Promise<Link> => {
      const { near, far } = await linkBetween(await nodes.start(), hub);
      open.push(far);
      return near;
    };
    const first = await join();
    const second = await join();
    open[0]?.retain();
    open[1]?.retain();
    const third = await nodes.start();
    const refused = await third.links.connect(hub.identity.nodeId, hub.addresses).then(
      (link) => link.closed,
      (error: unknown) => error,
    );
    expect(refused).toMatchObject({ code: 'LIMIT_EXCEEDED' });
    open[1]?.release();
    // The watch of the hub counts the link as idle from its next turn on.
    const isOut = async (): Promise<boolean> =>
      third.links.connect(hub.identity.nodeId, hub.addresses).then(
        async (link) =>
          link.ping().then(
            () => false,
            () => true,
          ),
        () => true,
      );
    while (await isOut());
    expect(await second.closed).toBeUndefined();
    expect(first.isOpen).toBe(true);
    expect(hub.links.links().length).toBe(2);
  });

  it('closes its links and listeners', async () => {
    const { near, dialer, listener } = await nodes.pair();
    expect(dialer.policy.stats().link).toMatchObject({ opened: 1, open: 1 });
    await listener.links.close();
    expect(await near.closed).toBeUndefined();
    while (dialer.policy.stats().link.open > 0) await new Promise(setImmediate);
    const again = dialer.links.connect(listener.identity.nodeId, listener.addresses);
    await expect(again).rejects.toMatchObject({ code: 'CONNECTION_REFUSED' });
    await expect(listener.links.connect(dialer.identity.nodeId, dialer.addresses)).rejects.toMatchObject({
      code: 'CLOSED',
    });
    await expect(listener.links.listen(['/memory/x'])).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('releases the listeners it opened when one of them fails', async () => {
    const a = await nodes.start();
    const taken = a.addresses[0] as string;
    await expect(a.links.listen(['/memory/half-open', taken])).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' });
    expect(await a.links.listen(['/memory/half-open'])).toEqual(['/memory/half-open']);
    expect(a.links.addresses()).toEqual([taken, '/memory/half-open']);
  });

  it('makes hundreds of links at once', async () => {
    const hub = await nodes.start();
    const spokes = await Promise.all(Array.from({ length: 100 }, () => nodes.start()));
    const links = await Promise.all(spokes.map((spoke) => spoke.links.connect(hub.identity.nodeId, hub.addresses)));
    await Promise.all(links.map((link) => link.ping()));
    expect(hub.links.links().length).toBe(100);
  });
});
