import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { RelaymintError } from '../../../core/errors.ts';
import {
  LINK_HIGH_WATER,
  MAX_CONTROL_FRAMES_PER_SECOND,
  MAX_FRAME_PAYLOAD,
  OFFER_RENEWALS_AT_ONCE,
} from '../../../core/limits.ts';
import type { Log } from '../../../core/ports.ts';
import { FRAME_HEADER_BYTES, FrameType } from '../../../node/link/index.ts';
import { TestNodes, Wire, linkBetween, newIdentity, offerOf, type TestTransport } from './nodes.ts';

const nodes = new TestNodes();
afterEach(() => nodes.close());

describe.each<TestTransport>(['tcp', 'memory'])('a link over %s', (transport) => {
  it('names both ends', async () => {
    const { near, far, dialer, listener } = await nodes.pair({ transport });
    expect(near).toMatchObject({ peer: listener.identity.nodeId, dialer: true, transport, isOpen: true });
    expect(far).toMatchObject({ peer: dialer.identity.nodeId, dialer: false, transport, isOpen: true });
    expect(near.nextCircuitId() % 2).toBe(1);
    expect(far.nextCircuitId() % 2).toBe(0);
  });

  it('carries frames of every size, in order, both ways', async () => {
    const { near, far } = await nodes.pair({ transport });
    const sizes = [0, 1, 7, 8, 9, 1000, 16 * 1024, MAX_FRAME_PAYLOAD, 3, MAX_FRAME_PAYLOAD - 1];
    const payloads = sizes.map((size) => randomBytes(size));
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      const received: Buffer[] = [];
      const all = new Promise<void>((resolve) => {
        to.handle(FrameType.RELAY, (circuitId, payload) => {
          expect(circuitId).toBe(received.length + 1);
          received.push(payload);
          if (received.length === payloads.length) resolve();
        });
      });
      payloads.forEach((payload, index) => {
        if (index % 2 === 0) {
          from.send(FrameType.RELAY, index + 1, payload);
          return;
        }
        const frame = from.allocFrame(payload.length);
        payload.copy(frame, FRAME_HEADER_BYTES);
        from.sendFrame(frame, FrameType.RELAY, index + 1);
      });
      await all;
      expect(received.map((payload) => Buffer.compare(payload, payloads[received.indexOf(payload)] as Buffer))).toEqual(
        sizes.map(() => 0),
      );
    }
  });

  it('measures a round trip', async () => {
    const { near, far } = await nodes.pair({ transport });
    const trips = await Promise.all([near.ping(), far.ping(), near.ping()]);
    for (const millis of trips) expect(millis).toBeGreaterThan(0);
    await expect(near.ping(AbortSignal.abort())).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it.each([
    ['METER_DISAGREEMENT', 'warn'],
    ['PROTOCOL_VIOLATION', 'debug'],
  ] as const)('that ends with %s says why in both logs (%s)', async (code, level) => {
    const said: { level: string; err: unknown }[] = [];
    let heard = (): void => {};
    const both = new Promise<void>((resolve) => (heard = resolve));
    const keep = (at: string) => (fields: object, message: string) => {
      if (message !== 'A link ended.') return;
      said.push({ level: at, err: (fields as { err: unknown }).err });
      if (said.length === 2) heard();
    };
    const log: Log = { debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') };
    const { near } = await nodes.pair({ transport, log });
    await near.close(new RelaymintError(code, 'We count 5, you say 7.'));
    await both;
    expect(said).toEqual([0, 1].map(() => ({ level, err: expect.objectContaining({ code }) as unknown })));
  });

  it('says why it closes', async () => {
    const { near, far } = await nodes.pair({ transport });
    await near.close(new RelaymintError('METER_DISAGREEMENT', 'We count 5, you say 7.'));
    expect(await near.closed).toMatchObject({ code: 'METER_DISAGREEMENT' });
    expect(await far.closed).toMatchObject({
      code: 'METER_DISAGREEMENT',
      message: expect.stringContaining('We count 5, you say 7.') as string,
      details: { closedByPeer: true },
    });
    expect(near.isOpen || far.isOpen).toBe(false);
    await expect(near.ping()).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('closes ordinarily without a reason, after what was sent', async () => {
    const { near, far } = await nodes.pair({ transport });
    let received = 0;
    far.handle(FrameType.RELAY, (_id, payload) => {
      received += payload.length;
    });
    for (let i = 0; i < 100; i += 1) near.send(FrameType.RELAY, 1, Buffer.alloc(10_000));
    await near.close();
    expect(await far.closed).toBeUndefined();
    expect(await near.closed).toBeUndefined();
    expect(received).toBe(1_000_000);
  });

  it('tells when it is full and when it can go on', async () => {
    const { near, far } = await nodes.pair({ transport });
    let received = 0;
    far.handle(FrameType.RELAY, (_id, payload) => {
      received += payload.length;
    });
    expect(near.writable).toBe(true);
    let sent = 0;
    while (near.writable) {
      near.send(FrameType.RELAY, 1, Buffer.alloc(16_000));
      sent += 16_000;
    }
    expect(near.queuedBytes).toBeGreaterThanOrEqual(LINK_HIGH_WATER);
    expect(near.queuedBytes).toBeLessThan(LINK_HIGH_WATER + 17_000);
    await new Promise<void>((resolve) => near.onDrain(resolve));
    expect(near.writable).toBe(true);
    await near.ping();
    expect(received).toBe(sent);
  });

  it('gives up a link that queues without end', async () => {
    const { near } = await nodes.pair({ transport });
    for (let i = 0; i < 1000; i += 1) near.send(FrameType.RELAY, 1, Buffer.alloc(16_000));
    expect(near.isOpen).toBe(false);
    expect(await near.closed).toMatchObject({ code: 'LIMIT_EXCEEDED' });
  });

  it('notices that the peer vanished', async () => {
    const wire = new Wire();
    const { near, far } = await nodes.pair({ transport, wire });
    wire.cut();
    expect(await far.closed).toMatchObject({ code: 'CONNECTION_LOST' });
    expect(await near.closed).toMatchObject({ code: 'CONNECTION_LOST' });
  });
});

describe('a link', () => {
  it('closes with the reason that a handler throws', async () => {
    const { near, far } = await nodes.pair();
    far.handle(FrameType.RECEIPT, () => {
      throw new RelaymintError('RECEIPT_INVALID', 'Not signed.');
    });
    near.send(FrameType.RECEIPT, 0, new Uint8Array(3));
    expect(await near.closed).toMatchObject({ code: 'RECEIPT_INVALID' });
    expect(await far.closed).toMatchObject({ code: 'RECEIPT_INVALID', details: {} });
  });

  it('closes with INTERNAL when a handler fails, and does not tell the peer how', async () => {
    const { near, far } = await nodes.pair();
    far.handle(FrameType.RECEIPT, () => {
      throw new TypeError('secret detail');
    });
    near.send(FrameType.RECEIPT, 0, new Uint8Array(3));
    const reason = await near.closed;
    expect(reason).toMatchObject({ code: 'INTERNAL' });
    expect(reason?.message).not.toContain('secret');
  });

  it.each([
    ['a circuit frame that nobody handles', FrameType.RELAY, 1, 0, 'PROTOCOL_VIOLATION'],
    ['a control frame with a circuit id', FrameType.RECEIPT, 1, 0, 'PROTOCOL_VIOLATION'],
    ['a circuit frame without one', FrameType.RELAY, 0, 0, 'PROTOCOL_VIOLATION'],
    ['a second hello', FrameType.HELLO, 0, 6, 'PROTOCOL_VIOLATION'],
    ['a ping of a wrong size', FrameType.PING, 0, 7, 'PROTOCOL_VIOLATION'],
    ['an offer that is none', FrameType.OFFER, 0, 9, 'INVALID_ENCODING'],
  ] as const)('refuses %s', async (_what, type, circuitId, size, code) => {
    const { near, far } = await nodes.pair();
    near.send(type, circuitId, new Uint8Array(size));
    expect(await far.closed).toMatchObject({ code });
    expect(await near.closed).toMatchObject({ code });
  });

  it('ignores a control frame that nobody handles', async () => {
    const { near, far } = await nodes.pair();
    near.send(FrameType.RECEIPT, 0, new Uint8Array(3));
    await near.ping();
    expect(far.isOpen).toBe(true);
  });

  it('closes on a flood of control frames', async () => {
    const { near, far } = await nodes.pair();
    for (let i = 0; i < 2 * MAX_CONTROL_FRAMES_PER_SECOND; i += 1) near.send(FrameType.RECEIPT, 0, new Uint8Array(1));
    expect(await far.closed).toMatchObject({ code: 'FRAME_RATE_EXCEEDED' });
  });

  it('refuses a longer frame than there can be, on both sides', async () => {
    const { near } = await nodes.pair();
    expect(() => near.allocFrame(MAX_FRAME_PAYLOAD + 1)).toThrow(RangeError);
    expect(() => near.send(FrameType.RELAY, 1, new Uint8Array(MAX_FRAME_PAYLOAD + 1))).toThrow(RangeError);
  });

  it('has one handler per type, and none for its own types', async () => {
    const { near } = await nodes.pair();
    near.handle(FrameType.RELAY, () => {});
    expect(() => near.handle(FrameType.RELAY, () => {})).toThrow(TypeError);
    expect(() => near.handle(FrameType.PING, () => {})).toThrow(TypeError);
  });

  it('presents offers in the hello, and renews them', async () => {
    const [alice, bob] = [newIdentity(), newIdentity()];
    const offer = offerOf(alice);
    const a = await nodes.start({ identity: alice, offer });
    const b = await nodes.start({ identity: bob });
    const link = await b.links.connect(alice.nodeId, a.addresses);
    expect(link.offer).toEqual(offer);
    const renewed = offerOf(alice, { sequence: 2n });
    const heard = new Promise((resolve) => b.links.onOffer((offer) => resolve(offer)));
    a.links.setOffer(renewed);
    expect(await heard).toEqual(renewed);
    expect(link.offer).toEqual(renewed);
  });

  it('checks few renewals of a peer, and none that it knows', async () => {
    const [alice, bob] = [newIdentity(), newIdentity()];
    const a = await nodes.start({ identity: alice, offer: offerOf(alice) });
    const b = await nodes.start({ identity: bob });
    const { near: link, far: near } = await linkBetween(b, a);
    const heard: bigint[] = [];
    b.links.onOffer((offer) => heard.push(offer.sequence));
    // Each ends the link when it is looked at: its signature does not hold.
    const spoiled = (sequence: bigint): Uint8Array => {
      const { encoded } = offerOf(alice, { sequence });
      const changed = Uint8Array.from(encoded);
      changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
      return changed;
    };
    for (let i = 0; i < 50; i += 1) near.send(FrameType.OFFER, 0, spoiled(1n));
    for (let i = 0; i < OFFER_RENEWALS_AT_ONCE; i += 1) {
      near.send(FrameType.OFFER, 0, offerOf(alice, { sequence: BigInt(2 + i) }).encoded);
    }
    for (let i = 0; i < 20; i += 1) near.send(FrameType.OFFER, 0, spoiled(1_000n));
    await near.ping();
    expect(link.isOpen).toBe(true);
    expect(heard).toEqual(Array.from({ length: OFFER_RENEWALS_AT_ONCE }, (_, index) => BigInt(2 + index)));
    // To another node, which has not looked at any yet, the same is the end.
    const c = await nodes.start({});
    const { near: first, far: toC } = await linkBetween(c, a);
    toC.send(FrameType.OFFER, 0, spoiled(1_000n));
    expect(await first.closed).toMatchObject({ code: 'INVALID_ENCODING' });
  });

  it("does not take another node's offer for the peer's own", async () => {
    const { near, far } = await nodes.pair();
    near.send(FrameType.OFFER, 0, offerOf(newIdentity()).encoded);
    expect(await far.closed).toMatchObject({ code: 'PROTOCOL_VIOLATION' });
  });

  it('asks a silent peer and gives up a dead one', async () => {
    const wire = new Wire();
    const timing = { silence: 60, dead: 90 };
    const { near, far } = await nodes.pair({ timing, wire });
    // Nobody uses the link, so what passes is a question or an answer of its own.
    await wire.passed(20);
    expect(near.isOpen && far.isOpen).toBe(true);
    wire.freeze();
    // Whichever end gives up first takes the wire away from the other.
    const codes = (await Promise.all([near.closed, far.closed])).map((error) => error?.code);
    expect(codes).toContain('TIMEOUT');
    expect(['TIMEOUT', 'CONNECTION_LOST']).toEqual(expect.arrayContaining(codes));
  });

  it('closes when idle, and not while retained', async () => {
    const { near, far } = await nodes.pair({ timing: { idle: 50 } });
    const { near: kept, far: keptFar } = await nodes.pair({ timing: { idle: 50 } });
    kept.retain();
    keptFar.retain();
    expect(await Promise.all([near.closed, far.closed])).toEqual([undefined, undefined]);
    expect(kept.isOpen).toBe(true);
    kept.release();
    keptFar.release();
    expect(await kept.closed).toBeUndefined();
    expect(() => kept.release()).toThrow(TypeError);
  });
});
