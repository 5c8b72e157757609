/** What hops refuse, what ends a circuit, and what everybody is told about it. */
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isRelaymintError } from '../../../core/errors.ts';
import { MAX_FRAME_PAYLOAD, MAX_HOPS, SMALLEST_FRAME_BYTES } from '../../../core/limits.ts';
import { pricePerMiB } from '../../../core/units.ts';
import type { SignedOffer } from '../../../node/offer/index.ts';
import { FRAME_HEADER_BYTES, FrameType } from '../../../node/link/index.ts';
import type { Link } from '../../../node/link/index.ts';
import { PRICE, TestNet, hashOf, patternHash, readAll, sendPattern, u32, eventually } from './net.ts';
import type { TestNode } from './net.ts';

const NOTHING = Buffer.alloc(0);
let net: TestNet;
beforeEach(() => {
  net = new TestNet();
});
afterEach(() => net.close());

/** The same offer with other prices: what a payer believes who has not seen the newest one. */
function believing(offer: SignedOffer, price: bigint): SignedOffer {
  return { ...offer, services: offer.services.map(({ name }) => ({ name, price: pricePerMiB(price) })) };
}

describe('prices', () => {
  it.each([
    ['the first hop', 0],
    ['the second relay', 1],
    ['the host', 2],
  ])('a CREATE below the offer of %s is refused', async (_who, hop) => {
    const { client, offers } = await net.path(2);
    const cheap = offers.map((offer, index) => (index === hop ? believing(offer, 999n) : offer));
    await expect(client.endpoint.createCircuit(cheap, { service: 'echo' })).rejects.toMatchObject({
      code: 'CIRCUIT_REFUSED',
      details: { reason: 'PRICE' },
    });
  });

  it('a stream of a more expensive service is refused, and the circuit stays open', async () => {
    const { client, offers, host } = await net.path(0);
    host.endpoint.register('dear', { price: pricePerMiB(5000n) }, (stream) => stream.end());
    const circuit = await client.endpoint.createCircuit(offers, { service: 'echo' });
    await expect(circuit.openStream('dear', NOTHING)).rejects.toMatchObject({ code: 'STREAM_REFUSED' });
    await expect(circuit.openStream('nowhere', NOTHING)).rejects.toMatchObject({ code: 'STREAM_REFUSED' });
    const stream = await circuit.openStream('echo', NOTHING);
    stream.end('still here');
    expect((await readAll(stream)).toString()).toBe('still here');
  });

  it('each hop is paid its own offer and all that it pays onward', async () => {
    const { client, offers, host } = await net.path(2);
    const prices: bigint[] = [];
    host.endpoint.register('price', { price: PRICE }, (stream) => {
      prices.push(stream.circuitPrice);
      stream.end();
    });
    const circuit = await client.endpoint.createCircuit(offers, { service: 'echo' });
    await circuit.openStream('price', NOTHING);
    expect(prices).toEqual([PRICE]);
  });
});

describe('refusals', () => {
  it('a node that does not relay', async () => {
    const { client, offers, host } = await net.path(0);
    const other = await net.node({ relayPrice: undefined, services: { echo: PRICE } });
    const pretending = { ...host.offer, services: [{ name: 'relay', price: PRICE }] };
    await expect(client.endpoint.createCircuit([pretending, other.offer], { service: 'echo' })).rejects.toMatchObject({
      code: 'CIRCUIT_REFUSED',
      details: { reason: 'REFUSED', hop: 1 },
    });
    expect(offers).toHaveLength(1);
  });

  it('more circuits than maxJoinedCircuits', async () => {
    const { client, offers } = await net.path(0, { maxJoinedCircuits: 2 });
    const first = await client.endpoint.createCircuit(offers, { service: 'echo' });
    await client.endpoint.createCircuit(offers, { service: 'echo' });
    await expect(client.endpoint.createCircuit(offers, { service: 'echo' })).rejects.toMatchObject({
      code: 'CIRCUIT_REFUSED',
      details: { reason: 'RESOURCE' },
    });
    first.destroy();
    await expect(client.endpoint.createCircuit(offers, { service: 'echo' })).resolves.toBeDefined();
  });

  it('a next hop that is not there', async () => {
    const { client, offers, host } = await net.path(1);
    await host.close();
    await expect(client.endpoint.createCircuit(offers, { service: 'echo' })).rejects.toMatchObject({
      code: 'CIRCUIT_DESTROYED',
      details: { reason: 'UNREACHABLE', hop: 1 },
    });
  });

  it('a hop with another onion key than its offer says', async () => {
    const { client, offers } = await net.path(1);
    const wrong = offers.map((offer) => ({ ...offer, onionKey: new Uint8Array(32).fill(9) }));
    await expect(client.endpoint.createCircuit(wrong, { service: 'echo' })).rejects.toMatchObject({
      code: 'CIRCUIT_TAMPERED',
    });
  });

  it('impossible paths', async () => {
    const { client, offers, host } = await net.path(0);
    const long = Array.from({ length: MAX_HOPS + 1 }, () => host.offer);
    await expect(client.endpoint.createCircuit(long, { service: 'echo' })).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
    });
    await expect(client.endpoint.createCircuit([], { service: 'echo' })).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
    });
    await expect(client.endpoint.createCircuit(offers, { service: 'gone' })).rejects.toMatchObject({
      code: 'NO_ROUTE',
    });
  });

  it('an aborted build leaves nothing behind', async () => {
    const { client, offers, relays } = await net.path(1);
    const abort = new AbortController();
    const building = client.endpoint.createCircuit(offers, { service: 'echo', signal: abort.signal });
    abort.abort();
    await expect(building).rejects.toMatchObject({ code: 'ABORTED' });
    await eventually(() =>
      [client, ...relays].map((node) => node.endpoint.stats().joined + node.endpoint.stats().initiated),
    ).toEqual([0, 0]);
  });
});

describe('destroy', () => {
  it('by the initiator reaches every hop and every stream', async () => {
    const { client, offers, relays, host } = await net.path(3);
    const circuit = await client.endpoint.createCircuit(offers, { service: 'echo' });
    const stream = await circuit.openStream('echo', NOTHING);
    const failed = once(stream, 'error');
    circuit.destroy();
    expect((await failed)[0]).toMatchObject({ code: 'CIRCUIT_DESTROYED' });
    await eventually(() => [...relays, host].map((node) => node.endpoint.stats().destroyed['FINISHED'])).toEqual([
      1, 1, 1, 1,
    ]);
    await expect(circuit.openStream('echo', NOTHING)).rejects.toMatchObject({ code: 'CIRCUIT_DESTROYED' });
  });

  it.each([0, 1, 2])('hop %i stops: the others get SHUTDOWN or LINK_LOST, other circuits stay open', async (which) => {
    const { client, offers, relays, host } = await net.path(2);
    const other = await net.path(1);
    const circuit = await client.endpoint.createCircuit(offers, { service: 'echo' });
    const bystander = await other.client.endpoint.createCircuit(other.offers, { service: 'echo' });
    await [...relays, host][which]?.close();
    const error = await circuit.closed;
    expect(error).toMatchObject({ code: 'CIRCUIT_DESTROYED' });
    expect(['SHUTDOWN', 'LINK_LOST']).toContain(error?.details['reason']);
    const stream = await bystander.openStream('echo', NOTHING);
    stream.end('alive');
    expect((await readAll(stream)).toString()).toBe('alive');
  });

  it('an unknown circuit id closes the link', async () => {
    const { client, host } = await net.path(0);
    const link = await client.links.connect(host.id, host.offer.addresses);
    link.send(FrameType.RELAY, 77, Buffer.alloc(1040));
    expect(await link.closed).toMatchObject({ code: 'PROTOCOL_VIOLATION' });
  });
});

/** Changes the RELAY frames that a node sends on circuits of one link. `undefined` drops a frame. */
function tamper(link: Link, change: (frame: Buffer, send: (frame: Buffer) => void) => void): void {
  const sendFrame = link.sendFrame.bind(link);
  link.sendFrame = (frame, type, circuitId) => {
    if (type === FrameType.RELAY) change(frame, (changed) => sendFrame(changed, type, circuitId));
    else sendFrame(frame, type, circuitId);
  };
}

const TAMPERING: [string, () => (frame: Buffer, send: (frame: Buffer) => void) => void][] = [
  [
    'flips a bit',
    () => (frame, send) => {
      frame[FRAME_HEADER_BYTES + 100] = (frame[FRAME_HEADER_BYTES + 100] ?? 0) ^ 4;
      send(frame);
    },
  ],
  [
    'sends a frame twice',
    () => (frame, send) => {
      const copy = Buffer.from(frame);
      send(frame);
      send(copy);
    },
  ],
  // What is smaller than any cell or larger than any frame ends the link instead.
  ['cuts a frame', () => (frame, send) => send(frame.length > SMALLEST_FRAME_BYTES ? frame.subarray(0, -16) : frame)],
  [
    'makes a frame longer',
    () => (frame, send) => send(frame.length < MAX_FRAME_PAYLOAD ? Buffer.concat([frame, Buffer.alloc(16)]) : frame),
  ],
  [
    'swaps two frames',
    () => {
      let kept: Buffer | undefined;
      return (frame, send) => {
        if (kept === undefined) {
          kept = frame;
          return;
        }
        send(frame);
        send(kept);
        kept = undefined;
      };
    },
  ],
  [
    'leaves a frame out',
    () => {
      let count = 0;
      return (frame, send) => {
        count += 1;
        if (count !== 2) send(frame);
      };
    },
  ],
];

describe('a relay that tampers', () => {
  it.each(TAMPERING.flatMap(([what, make]) => [[what, 'forward', make] as const, [what, 'backward', make] as const]))(
    '%s (%s): the circuit ends as TAMPERED, others through it stay open',
    async (_what, direction, make) => {
      const { client, offers, relays, host } = await net.path(2);
      const honest = await net.node({ relayPrice: undefined });
      const [bad] = relays as [TestNode, TestNode];
      const circuit = await client.endpoint.createCircuit(offers, { service: 'source' });
      const bystander = await honest.endpoint.createCircuit([bad.offer, host.offer], { service: 'source' });
      const stream = await circuit.openStream('source', u32(300_000));
      const received = readAll(stream).catch((error: unknown) => error);
      const towards = direction === 'forward' ? relays[1] : client;
      const link = bad.links.get((towards ?? client).id);
      if (link === undefined) throw new Error('no link');
      const upload = await circuit.openStream('sink', new Uint8Array(0));
      tamper(link, make());
      sendPattern(upload, 300_000).catch(() => {});
      for (let index = 0; index < 4; index += 1) circuit.rttMillis().catch(() => {});
      const error = await circuit.closed;
      expect(isRelaymintError(error, 'CIRCUIT_TAMPERED')).toBe(true);
      await received;
      const lively = await bystander.openStream('source', u32(500_000));
      expect(await hashOf(lively)).toBe(patternHash(500_000));
    },
  );
});

describe('a relay that sends frames smaller than any cell', () => {
  it('loses its link: grants are counted in whole cells', async () => {
    const { client, offers, relays } = await net.path(1);
    const circuit = await client.endpoint.createCircuit(offers, { service: 'source' });
    const link = relays[0]?.links.get(client.id);
    if (link === undefined) throw new Error('no link');
    tamper(link, (frame, send) => send(frame.subarray(0, FRAME_HEADER_BYTES)));
    circuit.rttMillis().catch(() => {});
    expect(await link.closed).toMatchObject({ code: 'PROTOCOL_VIOLATION' });
    expect(await circuit.closed).toMatchObject({ details: { reason: 'LINK_LOST' } });
  });
});

describe('a peer that stops serving', () => {
  it('is dropped with TIMEOUT', async () => {
    const client = await net.node({ relayPrice: undefined, timing: { quietMillis: 600, pingMillis: 600 } });
    const { offers, relays } = await net.path(1);
    const circuit = await client.endpoint.createCircuit(offers, { service: 'source' });
    const stream = await circuit.openStream('echo', NOTHING);
    const failed = once(stream, 'error');
    const link = relays[0]?.links.get(client.id);
    if (link === undefined) throw new Error('no link');
    tamper(link, () => {});
    expect((await failed)[0]).toMatchObject({ code: 'CIRCUIT_DESTROYED', details: { reason: 'TIMEOUT' } });
  });

  it('is given up while building', async () => {
    const client = await net.node({ relayPrice: undefined, timing: { buildMillis: 100 } });
    const { offers, host } = await net.path(0);
    host.links.onLink((theirs) => {
      theirs.sendFrame = () => {};
    });
    const link = await client.links.connect(host.id, host.offer.addresses);
    await expect(client.endpoint.createCircuit(offers, { service: 'echo' })).rejects.toMatchObject({ code: 'TIMEOUT' });
    expect(link.isOpen).toBe(true);
  });
});

describe('a circuit that carries nothing', () => {
  it('is destroyed by its hops after a while, one in use is not', async () => {
    const { client, offers, host } = await net.path(0, { timing: { joinedIdleMillis: 1_000 } });
    const busy = await client.endpoint.createCircuit(offers, { service: 'echo' });
    const idle = await client.endpoint.createCircuit(offers, { service: 'echo' });
    const ended = idle.closed.then(() => true);
    while (!(await Promise.race([ended, busy.rttMillis().then(() => false)])));
    expect(busy.isOpen).toBe(true);
    expect(host.endpoint.stats().joined).toBe(1);
  });
});

describe('back-pressure', () => {
  it('a client that does not read holds up nobody else, and relays hold no more than a window for it', async () => {
    const { client, offers, relays, host } = await net.path(2);
    const other = await net.node({ relayPrice: undefined });
    const stuck = await client.endpoint.createCircuit(offers, { service: 'source' });
    const unread = await stuck.openStream('source', u32(16 * 1024 * 1024));
    const circuit = await other.endpoint.createCircuit(offers, { service: 'source' });
    const stream = await circuit.openStream('source', u32(8 * 1024 * 1024));
    expect(await hashOf(stream)).toBe(patternHash(8 * 1024 * 1024));
    const waiting = [...relays, host].map((node) => node.endpoint.stats().queuedBytes);
    for (const bytes of waiting) expect(bytes).toBeLessThan(1024 * 1024);
    expect(unread.readableLength).toBeLessThan(256 * 1024);
    expect(await hashOf(unread)).toBe(patternHash(16 * 1024 * 1024));
  });
});
