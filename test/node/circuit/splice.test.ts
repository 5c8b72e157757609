/** Two circuits that end at one node and are joined there: each initiator has the other at its far end, and pays for its own. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  CIRCUIT_UNREAD,
  CIRCUIT_WINDOW,
  GRANT_RESERVE,
  MAX_REFUSED_STREAMS,
  QUIET_GRANT,
  SMALLEST_FRAME_BYTES,
  STREAM_GRANT,
  STREAM_WINDOW_INITIAL,
} from '../../../core/limits.ts';
import { CellType, encodeBegin } from '../../../node/circuit/cell.ts';
import { joinCircuits } from '../../../node/circuit/index.ts';
import type { Circuit, CircuitEnd, CircuitStream, ExpectedJoin } from '../../../node/circuit/index.ts';
import { encodeJoin } from '../../../node/circuit/join.ts';
import type { LocalEnd } from '../../../node/circuit/local-end.ts';
import { FrameType } from '../../../node/link/index.ts';
import type { LinkMeter } from '../../../node/meter/index.ts';
import { cellOf } from './mux-pair.ts';
import {
  PRICE,
  TestNet,
  watching,
  eventually,
  hashOf,
  patternHash,
  readAll,
  sendPattern,
  type TestNode,
} from './net.ts';

const NOTHING = Buffer.alloc(0);
/** Pings that may be under way at once: more than a quiet circuit's grant holds. */
const BURST = 48;
/** So often: all of them together are more than what any node had granted before the circuits were joined. */
const ROUNDS = 10;
let net: TestNet;
beforeEach(() => {
  net = new TestNet({ metered: true });
});
afterEach(() => net.close());

interface Meeting {
  readonly hub: TestNode;
  /** Of the hub, one for each circuit where there are no relays. */
  readonly meters: readonly LinkMeter[];
  readonly clients: readonly [TestNode, TestNode];
  readonly circuits: readonly [Circuit, Circuit];
  readonly plans: readonly [ExpectedJoin, ExpectedJoin];
  /** The hub's, and the streams that it was asked to meet in: it keeps them open. */
  readonly ends: readonly [CircuitEnd, CircuitEnd];
  readonly asked: readonly [CircuitStream, CircuitStream];
}

/** Two clients with a circuit each to a node between them, over so many relays. */
async function meeting(relays: readonly [number, number]): Promise<Meeting> {
  const ends: CircuitEnd[] = [];
  const { meters, wrapMetering } = watching();
  const hub = await net.node({
    services: { meet: PRICE },
    wrapMetering,
  });
  hub.endpoint.register('meet', { price: PRICE }, (stream, _params, circuit) => {
    ends.push(circuit);
    stream.resume();
  });
  const clients: TestNode[] = [];
  const circuits: Circuit[] = [];
  const asked: CircuitStream[] = [];
  for (const count of relays) {
    const client = await net.node({ relayPrice: undefined });
    const hops: TestNode[] = [];
    for (let hop = 0; hop < count; hop += 1) hops.push(await net.node());
    const path = [...hops, hub].map(({ offer }) => offer);
    const circuit = await client.endpoint.createCircuit(path, { service: 'meet' });
    asked.push(await circuit.openStream('meet', NOTHING));
    clients.push(client);
    circuits.push(circuit);
  }
  return {
    hub,
    meters,
    clients,
    circuits,
    ends,
    asked,
    plans: circuits.map((circuit) => circuit.expectJoin()),
  } as never;
}

/** As a last hop that says what it likes. */
function say(end: CircuitEnd, type: CellType, stream: number, data: Buffer): void {
  const { near } = end as LocalEnd;
  near.leg.push(near.seal(cellOf(type, stream, data)), FrameType.RELAY);
}

const byProtocol = { code: 'CIRCUIT_DESTROYED', details: { reason: 'PROTOCOL' } };

describe('two circuits that are joined', () => {
  it.each([
    [0, 0],
    [2, 1],
  ] as const)('carry what either initiator asks of the other, bit-exact (over %i and %i relays)', async (...relays) => {
    const { circuits, ends, plans, hub } = await meeting(relays);
    const length = 2 * 1024 * 1024 + 77;
    for (const plan of plans) {
      plan.register('push', (stream, params) => {
        expect(params.toString()).toBe('what it is');
        void hashOf(stream).then((hash) => stream.end(hash));
      });
      plan.register('talk', (stream) => stream.onDatagram((data) => void stream.sendDatagram(data)), {
        datagrams: true,
      });
    }
    joinCircuits(...ends);
    expect(await Promise.all(plans.map(({ end }) => end))).toEqual(circuits);
    const hashes = circuits.map(async (circuit) => {
      const stream = await circuit.openStream('push', Buffer.from('what it is'));
      const hash = readAll(stream);
      await sendPattern(stream, length);
      return String(await hash);
    });
    const echoes = circuits.map(async (circuit) => {
      const stream = await circuit.openStream('talk', NOTHING, { datagrams: true });
      const got = new Promise<Buffer>((resolve) => stream.onDatagram(resolve));
      expect(stream.sendDatagram(Buffer.from('there and back'))).toBe(true);
      return String(await got);
    });
    expect(await Promise.all(hashes)).toEqual([patternHash(length), patternHash(length)]);
    expect(await Promise.all(echoes)).toEqual(['there and back', 'there and back']);
    expect(hub.endpoint.stats()).toMatchObject({ joined: 2, relayed: 2, streams: 0 });
    expect(circuits.map(({ isOpen }) => isOpen)).toEqual([true, true]);
  });

  it.each([
    [0, 0],
    [2, 1],
  ] as const)('are measured from end to end (over %i and %i relays)', async (...relays) => {
    const { circuits, ends } = await meeting(relays);
    joinCircuits(...ends);
    for (const [from, to] of [circuits, circuits.toReversed()] as [Circuit, Circuit][]) {
      await from.rttMillis().catch(() => {});
      const before = to.bytes;
      for (let round = 0; round < ROUNDS; round += 1) {
        await Promise.all(Array.from({ length: BURST }, () => from.rttMillis()));
      }
      // Each was answered at the other end, not at the node between them.
      expect(to.bytes - before).toBeGreaterThanOrEqual(ROUNDS * BURST * 2 * (SMALLEST_FRAME_BYTES - 8));
      expect(ROUNDS * BURST * SMALLEST_FRAME_BYTES).toBeGreaterThan(STREAM_GRANT);
    }
    expect(circuits.map(({ isOpen }) => isOpen)).toEqual([true, true]);
  });

  it('drop what was on its way to the node between them', async () => {
    const { circuits, ends, plans, asked } = await meeting([1, 1]);
    plans[1].register('echo', (stream) => stream.pipe(stream));
    for (const stream of asked) stream.write(Buffer.alloc(STREAM_WINDOW_INITIAL));
    for (const circuit of circuits) for (let pings = 0; pings < 8; pings += 1) circuit.rttMillis().catch(() => {});
    // In the middle of it.
    await eventually(() => (ends[0] as LocalEnd).near.leg.granted).toBeLessThan(STREAM_GRANT);
    joinCircuits(...ends);
    await Promise.all(plans.map(({ end }) => end));
    for (const stream of asked) expect(stream.errored).toMatchObject({ code: 'CIRCUIT_DESTROYED' });
    expect(ends.map(({ isOpen, acceptsStreams }) => [isOpen, acceptsStreams])).toEqual([
      [false, false],
      [false, false],
    ]);
    const stream = await circuits[0].openStream('echo', NOTHING);
    stream.end('still here');
    expect(String(await readAll(stream))).toBe('still here');
    expect(circuits.map(({ isOpen }) => isOpen)).toEqual([true, true]);
  });

  it('let the other initiator send to one that reads nothing of what the node between them sent', async () => {
    const { circuits, ends, plans } = await meeting([0, 0]);
    circuits[0].register('unread', () => {});
    plans[0].register('sink', (stream) => void hashOf(stream).then((hash) => stream.end(hash)));
    const unread = Array.from({ length: (CIRCUIT_UNREAD + CIRCUIT_WINDOW) / STREAM_WINDOW_INITIAL }, () =>
      ends[0].openStream('unread', NOTHING),
    );
    for (const stream of await Promise.all(unread)) stream.write(Buffer.alloc(STREAM_WINDOW_INITIAL));
    const { leg } = (ends[0] as LocalEnd).near;
    // Its end is granted nothing more, but for what data leaves to control cells; and of that, JOIN is the last.
    await eventually(() => leg.credit).toBeLessThanOrEqual(GRANT_RESERVE + SMALLEST_FRAME_BYTES);
    while (leg.spareCredit >= 2 * SMALLEST_FRAME_BYTES) say(ends[0], CellType.PING, 0, Buffer.alloc(4));
    joinCircuits(...ends);
    await plans[1].end;
    // For a ping nobody grants anything: it is the joining itself that lets it through.
    expect(await circuits[1].rttMillis()).toBeGreaterThan(0);
    const stream = await circuits[1].openStream('sink', NOTHING);
    const hash = readAll(stream);
    await sendPattern(stream, STREAM_WINDOW_INITIAL);
    expect(String(await hash)).toBe(patternHash(STREAM_WINDOW_INITIAL));
  });

  it('let an initiator answer that had just used all that it was granted', async () => {
    const { circuits, ends, plans } = await meeting([0, 0]);
    const { leg } = (ends[0] as LocalEnd).near;
    await eventually(() => leg.granted).toBeLessThanOrEqual(QUIET_GRANT);
    plans[1].register('x', (stream) => stream.end());
    for (let pings = 0; pings < BURST; pings += 1) circuits[0].rttMillis().catch(() => {});
    await new Promise<void>((resolve) => process.nextTick(resolve));
    joinCircuits(...ends);
    // It is on its way still.
    expect(leg.granted).toBeGreaterThan(QUIET_GRANT / 2);
    await plans[0].end;
    expect((await readAll(await circuits[0].openStream('x', NOTHING))).length).toBe(0);
  });

  it('are paid for by their own initiators, whoever sends, and the node between them pays nobody', async () => {
    const { circuits, ends, plans, meters } = await meeting([0, 0]);
    plans[1].register('sink', (stream) => void hashOf(stream).then((hash) => stream.end(hash)));
    joinCircuits(...ends);
    await plans[0].end;
    const before = meters.map((meter) => meter.counts().earning?.due ?? 0n);
    const length = 1024 * 1024;
    const stream = await circuits[0].openStream('sink', NOTHING);
    const hash = readAll(stream);
    await sendPattern(stream, length);
    await hash;
    const earned = meters.map((meter, index) => (meter.counts().earning?.due ?? 0n) - (before[index] ?? 0n));
    expect(earned.map((due) => due >= PRICE)).toEqual([true, true]);
    expect(meters.map((meter) => meter.counts().spending)).toEqual([undefined, undefined]);
    expect(Math.min(...circuits.map(({ bytes }) => bytes))).toBeGreaterThan(length);
  });

  it('let neither initiator send what the other does not take', async () => {
    const { circuits, ends, plans } = await meeting([0, 1]);
    const unread: CircuitStream[] = [];
    plans[1].register('unread', (stream) => void unread.push(stream), { datagrams: true });
    joinCircuits(...ends);
    await plans[1].end;
    const before = circuits[1].bytes;
    const stream = await circuits[0].openStream('unread', NOTHING);
    stream.write(Buffer.alloc(16 * STREAM_WINDOW_INITIAL));
    for (let pings = 0; pings < 5; pings += 1) {
      while (stream.sendDatagram(Buffer.alloc(8000)));
      await circuits[0].rttMillis();
    }
    expect(circuits[1].bytes - before).toBeGreaterThan(STREAM_WINDOW_INITIAL);
    expect(circuits[1].bytes - before).toBeLessThan(2.5 * STREAM_WINDOW_INITIAL);
    expect(unread.length).toBe(1);
  });

  it('serve the other initiator what was registered for it, and nothing else', async () => {
    const { circuits, ends, plans } = await meeting([0, 0]);
    circuits[1].register('ours', (stream) => stream.end());
    plans[1].register('theirs', (stream) => stream.end());
    await expect(ends[1].openStream('theirs', NOTHING)).rejects.toMatchObject({ code: 'STREAM_REFUSED' });
    joinCircuits(...ends);
    await plans[0].end;
    await expect(circuits[0].openStream('ours', NOTHING)).rejects.toMatchObject({ code: 'STREAM_REFUSED' });
    expect((await circuits[0].openStream('theirs', NOTHING)).takesDatagrams).toBe(false);
  });

  it('end when one initiator asks the other in vain again and again, at its own cost', async () => {
    const { circuits, ends, plans } = await meeting([0, 0]);
    joinCircuits(...ends);
    await plans[0].end;
    for (let asked = 0; asked < MAX_REFUSED_STREAMS; asked += 1) {
      await circuits[0].openStream('x', NOTHING).catch(() => {});
      await circuits[1].openStream('x', NOTHING).catch(() => {});
    }
    expect(circuits.map(({ isOpen }) => isOpen)).toEqual([true, true]);
    circuits[0].openStream('x', NOTHING).catch(() => {});
    expect(await circuits[1].closed).toMatchObject(byProtocol);
    expect(await circuits[0].closed).toMatchObject(byProtocol);
  });

  it('end together, whoever ends one, and leave nothing behind', async () => {
    for (const which of [0, 1] as const) {
      const { circuits, ends, plans, hub } = await meeting([1, 0]);
      joinCircuits(...ends);
      await Promise.all(plans.map(({ end }) => end));
      circuits[which].destroy();
      expect(await circuits[1 - which]?.closed).toMatchObject({
        code: 'CIRCUIT_DESTROYED',
        details: { reason: 'FINISHED' },
      });
      await eventually(() => hub.endpoint.stats().joined).toBe(0);
      expect(hub.endpoint.stats().queuedBytes).toBe(0);
    }
  });

  it('end together when a hop of one is lost', async () => {
    const { circuits, ends, plans, clients } = await meeting([0, 1]);
    joinCircuits(...ends);
    await plans[1].end;
    await clients[0].close();
    const error = await circuits[1].closed;
    expect(error).toMatchObject({ code: 'CIRCUIT_DESTROYED' });
    expect(['SHUTDOWN', 'LINK_LOST', 'FINISHED']).toContain(error?.details['reason']);
  });

  it('are joined once, and only where both end', async () => {
    const { ends, circuits, plans } = await meeting([0, 0]);
    expect(() => joinCircuits(ends[0], ends[0])).toThrow(TypeError);
    expect(() => joinCircuits(ends[0], circuits[1])).toThrow(TypeError);
    expect(() => circuits[0].expectJoin()).toThrow(TypeError);
    joinCircuits(...ends);
    expect(() => joinCircuits(...ends)).toThrow(TypeError);
    await plans[1].end;
    circuits[0].destroy();
    await circuits[1].closed;
    expect(() => joinCircuits(ends[1], ends[0])).toThrow(TypeError);
  });
});

describe('a last hop that joins circuits as it likes', () => {
  it('loses both when one initiator expects no join', async () => {
    const { clients, hub, ends, circuits, plans } = await meeting([0, 0]);
    const plain = await clients[1].endpoint.createCircuit([hub.offer], { service: 'meet' });
    (await plain.openStream('meet', NOTHING)).resume();
    const [end] = (ends as readonly CircuitEnd[]).slice(2) as [CircuitEnd];
    joinCircuits(ends[0], end);
    expect(await plain.closed).toMatchObject(byProtocol);
    expect(await circuits[0].closed).toMatchObject({ code: 'CIRCUIT_DESTROYED' });
    circuits[1].destroy();
    await expect(plans[1].end).rejects.toMatchObject({ code: 'CIRCUIT_DESTROYED' });
  });

  it.each([
    ['of a side that there is not', Buffer.of(2)],
    ['of two sides', Buffer.of(0, 1)],
    ['of none', NOTHING],
  ])('loses the circuit by a JOIN %s', async (_what, data) => {
    const { ends, circuits, plans } = await meeting([0, 0]);
    say(ends[0], CellType.JOIN, 0, data);
    expect(await circuits[0].closed).toMatchObject(byProtocol);
    await expect(plans[0].end).rejects.toMatchObject(byProtocol);
  });

  it('loses both by joining one of them a second time', async () => {
    const { ends, circuits, plans } = await meeting([0, 0]);
    joinCircuits(...ends);
    await plans[1].end;
    say(ends[1], CellType.JOIN, 0, encodeJoin('initiator'));
    const text: unknown = expect.stringContaining('JOIN that was not asked for');
    expect(await circuits[1].closed).toMatchObject({ details: { reason: 'PROTOCOL', text } });
    expect(await circuits[0].closed).toMatchObject(byProtocol);
  });

  it('loses one that it gave the same side as the other, with the first stream', async () => {
    const { ends, circuits, plans } = await meeting([0, 0]);
    plans[0].register('x', (stream) => stream.end());
    say(ends[0], CellType.JOIN, 0, encodeJoin('initiator'));
    await plans[0].end;
    say(ends[0], CellType.BEGIN, 1, encodeBegin('x', NOTHING));
    expect(await circuits[0].closed).toMatchObject(byProtocol);
  });

  it('is not an initiator: unexpected JOINED and JOIN upwards end the circuit', async () => {
    for (const type of [CellType.JOIN, CellType.JOINED]) {
      const { ends, circuits, plans } = await meeting([0, 0]);
      joinCircuits(...ends);
      await Promise.all(plans.map(({ end }) => end));
      // As the other initiator would have it passed on.
      say(ends[1], type, 0, type === CellType.JOIN ? encodeJoin('host') : NOTHING);
      expect(await circuits[1].closed).toMatchObject(byProtocol);
    }
  });
});
