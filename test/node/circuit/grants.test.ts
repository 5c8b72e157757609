/** What a peer can bill, and what it can send: never more than it was granted. */
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { QUIET_GRANT, SMALLEST_FRAME_BYTES, STACK_BYTES } from '../../../core/limits.ts';
import type { Circuit } from '../../../node/circuit/index.ts';
import { FRAME_HEADER_BYTES, FrameType } from '../../../node/link/index.ts';
import type { Link } from '../../../node/link/index.ts';
import { PRICE, TestNet, watching, eventually, hashOf, patternHash, readAll, sendPattern, u32 } from './net.ts';
import type { TestNode } from './net.ts';
import { WINDOW, earned, linkBetween, paid, silence, whole } from './billing.ts';

const NOTHING = Buffer.alloc(0);

const LARGE_FRAME = FRAME_HEADER_BYTES + 60 * 1024 + STACK_BYTES;

let net: TestNet;
beforeEach(() => {
  net = new TestNet({ metered: true });
});
afterEach(() => net.close());

/** Resolves when the node says something of this type on the link. */
function saying(link: Link, type: FrameType): Promise<void> {
  const send = link.send.bind(link);
  return new Promise((resolve) => {
    link.send = (said, circuit, payload) => {
      send(said, circuit, payload);
      if (said === type) resolve();
    };
  });
}

/** Sends RELAY frames on a circuit as fast as the link takes them, until it closes or there were enough. @returns bytes sent. */
async function flood(link: Link, circuit: number, bytes: number): Promise<number> {
  let sent = 0;
  while (sent < bytes && link.isOpen) {
    if (link.queuedBytes < 1 << 20) {
      link.sendFrame(link.allocFrame(LARGE_FRAME - FRAME_HEADER_BYTES), FrameType.RELAY, circuit);
      sent += LARGE_FRAME;
    }
    await new Promise(setImmediate);
  }
  return sent;
}

describe('a payee that bills', () => {
  it('on a circuit that its payer destroyed: gets no more than it was granted, and loses its link', async () => {
    const { client, relays, host, offers } = await net.path(1);
    const [relay] = relays as [TestNode];
    const circuit = await client.endpoint.createCircuit(offers, { service: 'echo' });
    const link = linkBetween(host, relay);
    silence(link, FrameType.DESTROY);
    circuit.destroy();
    await eventually(() => relay.endpoint.stats().destroyed['FINISHED']).toBe(1);
    const before = { pays: paid(relay), earns: earned(relay) };
    const sent = await flood(link, 1, 16 * 1024 * 1024);
    expect(sent).toBeGreaterThan(LARGE_FRAME);
    expect(await link.closed).toMatchObject({ code: 'GRANT_EXCEEDED' });
    relay.metering.flush();
    expect(paid(relay) - before.pays).toBeLessThanOrEqual((BigInt(QUIET_GRANT) * PRICE) >> 20n);
    expect(paid(relay) - before.pays).toBeLessThanOrEqual(earned(relay) - before.earns + WINDOW);
  });

  it('frames beyond its grant on a circuit in use: they are not counted, and the link closes', async () => {
    const { client, host, offers } = await net.path(0);
    await client.endpoint.createCircuit(offers, { service: 'echo' });
    const counted = client.book.peers()[0]?.down;
    const link = linkBetween(host, client);
    const frames = Math.floor(QUIET_GRANT / SMALLEST_FRAME_BYTES) + 1;
    for (let i = 0; i < frames; i += 1) link.sendFrame(link.allocFrame(SMALLEST_FRAME_BYTES - 8), FrameType.RELAY, 1);
    expect(await link.closed).toMatchObject({ code: 'GRANT_EXCEEDED' });
    expect((client.book.peers()[0]?.down ?? 0n) - (counted ?? 0n)).toBeLessThanOrEqual(BigInt(QUIET_GRANT));
  });

  it.each([
    ['CREATED', FrameType.CREATED, 64],
    ['NOTICE', FrameType.NOTICE, 1],
    ['a long DESTROY', FrameType.DESTROY, 129],
    ['RELAY frames smaller than any cell', FrameType.RELAY, 16],
  ])('%s, which needs no grant, again and again: the link closes', async (_what, type, length) => {
    const { client, host, offers } = await net.path(0);
    const circuit = await client.endpoint.createCircuit(offers, { service: 'echo' });
    const link = linkBetween(host, client);
    for (let i = 0; i < 3; i += 1) link.send(type, 1, Buffer.alloc(length, 7));
    expect(await link.closed).toMatchObject({ code: 'PROTOCOL_VIOLATION' });
    await circuit.closed;
  });
});

describe('a sender', () => {
  it('gives back what it does not use, so that quiet circuits do not hold the window of busy ones', async () => {
    const quick = { timing: { grantIdleMillis: 50 } };
    const { client, relays, offers } = await net.path(1, quick);
    const [relay] = relays as [TestNode];
    // Each of these is granted hundreds of KiB, uses a little of it, and rests.
    for (let index = 0; index < 24; index += 1) {
      const circuit = await client.endpoint.createCircuit(offers, { service: 'echo' });
      const stream = await circuit.openStream('echo', NOTHING);
      stream.end('a little');
      expect((await readAll(stream)).toString()).toBe('a little');
    }
    expect(relay.endpoint.stats().relayed).toBe(24);
    const busy = await client.endpoint.createCircuit(offers, { service: 'source' });
    const stream = await busy.openStream('source', u32(5_000_000));
    expect(await hashOf(stream)).toBe(patternHash(5_000_000));
  });

  it('goes on after it gave back a large grant', async () => {
    const { client, relays, host, offers } = await net.path(3);
    const circuit = await client.endpoint.createCircuit(offers, { service: 'echo' });
    const upload = await circuit.openStream('sink', NOTHING);
    await sendPattern(upload, 8 << 20);
    expect((await readAll(upload)).toString()).toBe(patternHash(8 << 20));
    const stream = await circuit.openStream('echo', NOTHING);
    const exchange = async (count: number): Promise<void> => {
      for (let sent = 0; sent < count; sent += 1) {
        stream.write('a word');
        await once(stream, 'data');
      }
    };
    const returned = saying(linkBetween(relays[2] as TestNode, host), FrameType.RETURN);
    await exchange(700);
    await returned;
    await exchange(100);
  });

  it('keeps two small frames for an idle circuit, so that a window holds hundreds of them, and can still push to it', async () => {
    const payees = watching();
    const client = await net.node({ relayPrice: undefined });
    const relay = await net.node(payees);
    const timing = { grantIdleMillis: 20 };
    const host = await net.node({ relayPrice: undefined, services: { push: PRICE }, timing });
    const pushed: Duplex[] = [];
    host.endpoint.register('push', { price: PRICE }, (stream) => void pushed.push(stream));
    const streams: Duplex[] = [];
    for (let index = 0; index < 60; index += 1) {
      const circuit = await client.endpoint.createCircuit([relay.offer, host.offer], { service: 'push' });
      streams.push(await circuit.openStream('push', NOTHING));
    }
    // Of the three quarters of the window that may be granted, each holds 2,304 bytes at twice PRICE and a little.
    const [meter] = payees.meters;
    await eventually(() => whole(meter?.sponsor.room)).toBeGreaterThan((3n * WINDOW) / 4n - 60n * 5n);
    const answers = streams.map(readAll);
    for (const stream of pushed) stream.end(Buffer.alloc(40_000, 7));
    for (const answer of await Promise.all(answers)) expect(answer.length).toBe(40_000);
  });

  it('without a grant for its largest cell uses smaller ones', async () => {
    const { client, offers } = await net.path(3);
    const circuits = await Promise.all(
      Array.from({ length: 6 }, () => client.endpoint.createCircuit(offers, { service: 'source' })),
    );
    const hashes = await Promise.all(
      circuits.map(async (circuit) => hashOf(await circuit.openStream('source', u32(1_500_000)))),
    );
    expect(hashes).toEqual(circuits.map(() => patternHash(1_500_000)));
  });

  it('makes progress however many wait for a window that is too small for all of them', async () => {
    const { client, host, offers } = await net.path(0, { timing: { grantIdleMillis: 50 } });
    // Four of the largest frames: less than LEAST_GRANT for each of so many.
    net.ledger.openings.set(host.wallet, PRICE / 4n);
    const circuits: Circuit[] = [];
    const build = async (): Promise<number> =>
      circuits.push(await client.endpoint.createCircuit(offers, { service: 'source' }));
    // So many at once are refused: then a little later.
    while (circuits.length < 150) await eventually(build).toBeGreaterThan(0);
    const read = async (circuit: Circuit): Promise<string> => {
      const hash = await hashOf(await circuit.openStream('source', u32(20_000)));
      circuit.destroy();
      return hash;
    };
    expect(new Set(await Promise.all(circuits.map(read)))).toEqual(new Set([patternHash(20_000)]));
  }, 60_000);
});
