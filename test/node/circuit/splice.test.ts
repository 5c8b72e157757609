/** Two circuits that end at one node and are joined there: what one initiator sends the other gets, and both pay for their own. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SMALLEST_FRAME_BYTES, STREAM_GRANT } from '../../../core/limits.ts';
import type { Circuit } from '../../../node/circuit/index.ts';
import type { LocalEnd } from '../../../node/circuit/local-end.ts';
import type { RelayedCircuit } from '../../../node/circuit/relayed.ts';
import { PRICE, TestNet, eventually, readAll, type TestNode } from './net.ts';

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

/** Two clients with a circuit each to a node between them, over so many relays. */
async function meeting(relays: readonly [number, number]): Promise<{
  readonly hub: TestNode;
  readonly clients: readonly [TestNode, TestNode];
  readonly circuits: readonly [Circuit, Circuit];
  readonly ends: readonly [RelayedCircuit, RelayedCircuit];
}> {
  const ends: RelayedCircuit[] = [];
  const hub = await net.node({ services: { meet: PRICE } });
  hub.endpoint.register('meet', { price: PRICE }, (stream, _params, circuit) => {
    ends.push((circuit as LocalEnd).near as RelayedCircuit);
    stream.end();
    stream.resume();
  });
  const clients: TestNode[] = [];
  const circuits: Circuit[] = [];
  for (const count of relays) {
    const client = await net.node({ relayPrice: undefined });
    const hops: TestNode[] = [];
    for (let hop = 0; hop < count; hop += 1) hops.push(await net.node());
    const circuit = await client.endpoint.createCircuit(
      [...hops, hub].map(({ offer }) => offer),
      { service: 'meet' },
    );
    const stream = await circuit.openStream('meet', NOTHING);
    stream.end();
    await readAll(stream);
    // Behind everything that was on its way to the node between them: it would be taken for the other's.
    await circuit.rttMillis();
    clients.push(client);
    circuits.push(circuit);
  }
  return { hub, clients, circuits, ends } as never;
}

describe('two circuits that are joined', () => {
  it.each([
    [0, 0],
    [2, 1],
  ] as const)('carry what one initiator sends to the other, and back (over %i and %i relays)', async (...relays) => {
    const { circuits, ends, hub } = await meeting(relays);
    ends[0].join(ends[1]);
    expect(hub.endpoint.stats()).toMatchObject({ joined: 2, relayed: 2, streams: 0 });
    for (const [from, to] of [circuits, circuits.toReversed()] as [Circuit, Circuit][]) {
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

  it('end together, whoever ends one, and leave nothing behind', async () => {
    for (const which of [0, 1] as const) {
      const { circuits, ends, hub } = await meeting([1, 0]);
      ends[0].join(ends[1]);
      await circuits[0].rttMillis();
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
    const { circuits, ends, clients } = await meeting([0, 1]);
    ends[0].join(ends[1]);
    await circuits[1].rttMillis();
    await clients[0].close();
    const error = await circuits[1].closed;
    expect(error).toMatchObject({ code: 'CIRCUIT_DESTROYED' });
    expect(['SHUTDOWN', 'LINK_LOST', 'FINISHED']).toContain(error?.details['reason']);
  });

  it('are joined once, and only where both end', async () => {
    const { ends, circuits } = await meeting([0, 0]);
    expect(() => ends[0].join(ends[0])).toThrow(TypeError);
    ends[0].join(ends[1]);
    expect(() => ends[0].join(ends[1])).toThrow(TypeError);
    circuits[0].destroy();
    await circuits[1].closed;
    expect(() => ends[1].join(ends[0])).toThrow(TypeError);
  });
});
