import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { pricePerMiB } from '../../../core/units.ts';
import {
  createCircuitPool,
  createGuards,
  type CircuitPool,
  type CircuitPoolSettings,
  type Guards,
} from '../../../node/tunnel/index.ts';
import { choosePath, secureRandom } from '../../../node/tunnel/path.ts';
import { createOfferBook } from '../../../node/discovery/index.ts';
import { PRICE, TestNet, readAll, serveEcho, u32, eventually } from '../circuit/net.ts';
import type { TestNode } from '../circuit/net.ts';
import { HeldClock } from '../../clock.ts';

const HALF_AN_HOUR = 30 * 60_000;

let net: TestNet;
let clock: HeldClock;
let pools: CircuitPool[];
beforeEach(() => {
  net = new TestNet();
  clock = new HeldClock(Date.now());
  pools = [];
});
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(pools.map((pool) => pool.close()));
  await net.close();
});

async function world(relays: number, hosts = 1): Promise<{ client: TestNode; relays: TestNode[]; hosts: TestNode[] }> {
  const client = await net.node();
  const ahead: TestNode[] = [];
  for (let index = 0; index < relays; index += 1) ahead.push(await net.node());
  const last: TestNode[] = [];
  for (let index = 0; index < hosts; index += 1) {
    const host = await net.node({ relayPrice: undefined, services: { echo: PRICE } });
    serveEcho(host);
    last.push(host);
  }
  return { client, relays: ahead, hosts: last };
}

function poolOf(client: TestNode, settings: CircuitPoolSettings = {}, target?: TestNode, guards?: Guards): CircuitPool {
  const offers = createOfferBook({ clock });
  for (const node of net.nodes) offers.add(node.offer);
  const pool = createCircuitPool({
    endpoint: client.endpoint,
    nodeId: client.id,
    offers,
    service: 'echo',
    settings,
    clock,
    ...(target === undefined ? {} : { target: target.id }),
    ...(guards === undefined ? {} : { guards }),
  });
  pools.push(pool);
  return pool;
}

/** Guards that were drawn when this node was the only relay. */
function guardedBy(client: TestNode, guard: TestNode): Guards {
  const guards = createGuards({ nodeId: client.id, clock });
  guards.order({ find: () => [guard.offer] }, PRICE);
  return guards;
}

describe('circuit pool', () => {
  it('buildTunnels fills to minCircuits, and repeated calls do not overshoot', async () => {
    const { client } = await world(4);
    const pool = poolOf(client, { minCircuits: 3, maxCircuits: 5 });
    expect(pool.tunnelsReady()).toBe(0);
    await Promise.all([pool.buildTunnels(2), pool.buildTunnels(2), pool.buildTunnels(2)]);
    await pool.buildTunnels(2);
    expect(pool.activeDataCircuits()).toHaveLength(3);
    expect(pool.tunnelsReady()).toBe(1);
    for (const circuit of pool.activeDataCircuits()) {
      expect(new Set([client.id, ...circuit.hops]).size).toBe(4);
      const stream = await circuit.openStream('echo', Buffer.alloc(0));
      stream.end('x');
      expect((await readAll(stream)).toString()).toBe('x');
    }
  });

  it('an offer that takes the sum above the highest possible price ends the attempt with its hop, not with a TypeError', async () => {
    const { client, relays, hosts } = await world(2);
    const greedy = { ...(relays[1] as TestNode).offer, services: [{ name: 'relay', price: pricePerMiB(1n << 40n) }] };
    const path = [(relays[0] as TestNode).offer, greedy, (hosts[0] as TestNode).offer];
    await expect(client.endpoint.createCircuit(path, { service: 'echo' })).rejects.toMatchObject({
      code: 'PRICE_TOO_HIGH',
      details: { hop: 1 },
    });
  });

  it('another number of relays replaces the circuits', async () => {
    const { client } = await world(3);
    const pool = poolOf(client, { minCircuits: 2 });
    await pool.buildTunnels(1);
    const old = pool.activeDataCircuits();
    await pool.buildTunnels(3);
    expect(pool.activeDataCircuits().map(({ hops }) => hops.length)).toEqual([4, 4]);
    expect(old.every(({ isOpen }) => !isOpen)).toBe(true);
  });

  it('ready is 0 without a last hop, and the error says what is missing', async () => {
    const { client } = await world(2, 0);
    const pool = poolOf(client);
    await expect(pool.buildTunnels(1)).rejects.toMatchObject({ code: 'NO_ROUTE' });
    expect(pool.tunnelsReady()).toBe(0);
    const few = await world(0);
    await expect(poolOf(few.client, {}, few.hosts[0]).buildTunnels(5)).rejects.toMatchObject({ code: 'NO_ROUTE' });
  });

  it('a lost circuit is rebuilt without the relay that failed', async () => {
    const { client, relays } = await world(2);
    const pool = poolOf(client);
    await pool.buildTunnels(1);
    const [circuit] = pool.activeDataCircuits();
    const used = relays.find(({ id }) => id === circuit?.hops[0]);
    await used?.close();
    await circuit?.closed;
    await eventually(() => pool.tunnelsReady()).toBe(1);
    expect(pool.activeDataCircuits()[0]?.hops[0]).not.toBe(used?.id);
  });

  it('tries another relay when one does not answer', async () => {
    const { client, relays } = await world(2);
    await relays[0]?.close();
    const pool = poolOf(client);
    await pool.buildTunnels(1);
    expect(pool.activeDataCircuits()[0]?.hops[0]).toBe(relays[1]?.id);
  });

  describe('where a relay burns no more for us than for channels that it has', () => {
    const dear = { openingCost: 1_000_000n };

    beforeEach(() => {
      net = new TestNet({ metered: true });
    });

    const refusals = (node: TestNode): number => node.endpoint.stats().destroyed['SETUP'] ?? 0;

    it('keeps using its other steps, and avoids the refused one for a while', async () => {
      const client = await net.node({ relayPrice: undefined });
      const lean = await net.node(dear);
      const other = await net.node();
      await net.node();
      const host = await net.node({ relayPrice: undefined, services: { echo: PRICE } });
      serveEcho(host);
      net.ledger.open(lean.wallet, other.wallet, lean.delegate.address, 10n ** 12n);
      const pool = poolOf(client, { avoidMillis: 5_000 }, host, guardedBy(client, lean));
      const next = async (): Promise<readonly string[]> => {
        for (const circuit of pool.activeDataCircuits()) circuit.destroy();
        return (await pool.circuit()).hops;
      };
      const untilRefused = async (times: number): Promise<void> => {
        for (let index = 0; index < 60 && refusals(lean) < times; index += 1) await next();
        expect(refusals(lean)).toBe(times);
      };
      await pool.buildTunnels(2);
      await untilRefused(1);
      // What is avoided is so for a while, whatever becomes of the clock.
      clock.advance(-HALF_AN_HOUR);
      for (let index = 0; index < 20; index += 1) expect(await next()).toEqual([lean.id, other.id, host.id]);
      expect(refusals(lean)).toBe(1);
      clock.advance(5_000);
      await untilRefused(2);
    });

    it('still finds paths among relays that hardly know each other', async () => {
      // Their tills ask for nearly twice what the client burned, so that it brings each of them one new neighbour and not two.
      const openingCost = 7n * PRICE;
      const client = await net.node({ relayPrice: undefined });
      for (let index = 0; index < 6; index += 1) await net.node({ openingCost });
      const host = await net.node({ relayPrice: undefined, services: { echo: PRICE } });
      serveEcho(host);
      for (let index = 0; index < 4; index += 1) {
        const pool = poolOf(client, {}, host);
        await pool.buildTunnels(6);
        expect(pool.tunnelsReady()).toBe(1);
        await pool.close();
      }
    });

    it('avoids a relay with two refused steps while there are others', async () => {
      const client = await net.node({ relayPrice: undefined });
      const lean = await net.node(dear);
      for (let index = 0; index < 2; index += 1) await net.node();
      const host = await net.node({ relayPrice: undefined, services: { echo: PRICE } });
      serveEcho(host);
      const pool = poolOf(client, {}, host);
      await pool.buildTunnels(2);
      for (let index = 0; index < 20; index += 1) {
        for (const circuit of pool.activeDataCircuits()) circuit.destroy();
        expect((await pool.circuit()).hops).not.toContain(lean.id);
      }
      expect(refusals(lean)).toBeLessThanOrEqual(2);
    });
  });

  it('a guard is blamed for a circuit that another hop ends, and not for one that its own client ends', async () => {
    for (const [own, failed] of [
      [true, 0],
      [false, 1],
    ] as const) {
      const { client, relays, hosts } = await world(1);
      const guards = guardedBy(client, relays[0] as TestNode);
      const pool = poolOf(client, {}, hosts[0], guards);
      await pool.buildTunnels(1);
      const [circuit] = pool.activeDataCircuits();
      await (own ? client.endpoint.close() : hosts[0]?.close());
      await circuit?.closed;
      await eventually(() => pool.activeDataCircuits().includes(circuit as never)).toBe(false);
      expect(guards.view()[0]).toMatchObject({
        node: relays[0]?.id,
        failed: expect.toSatisfy((n) => (failed === 0 ? n === 0 : n >= 1)) as number,
      });
      await pool.close();
    }
  });

  it('builds more when all are busy, up to maxCircuits', async () => {
    const { client } = await world(1);
    const pool = poolOf(client, { minCircuits: 1, maxCircuits: 2 });
    await pool.buildTunnels(1);
    for (let index = 0; index < 4; index += 1) {
      const circuit = await pool.circuit();
      await circuit.openStream('echo', Buffer.alloc(0));
      if (index > 0) await eventually(() => pool.activeDataCircuits().length).toBe(2);
    }
    expect(pool.activeDataCircuits().map(({ openStreams }) => openStreams)).toEqual([2, 2]);
    expect(pool.tunnelsReady()).toBe(2);
  });

  it('the target is the last hop, and never a relay', async () => {
    const { client, hosts } = await world(3, 3);
    const pool = poolOf(client, { minCircuits: 4 }, hosts[1]);
    await pool.buildTunnels(2);
    for (const { hops } of pool.activeDataCircuits()) {
      expect(hops.at(-1)).toBe(hosts[1]?.id);
      expect(hops.slice(0, -1)).not.toContain(hosts[1]?.id);
    }
  });

  it.each([
    ['maxTime', { maxTime: 5_000 }, () => clock.advance(5_000)],
    [
      'maxTime, of a clock that was set back,',
      { maxTime: 5_000 },
      () => {
        clock.advance(-HALF_AN_HOUR);
        vi.advanceTimersByTime(1_000);
        clock.advance(5_000);
      },
    ],
    ['maxTraffic', { maxTraffic: 4_000 }, () => {}],
  ])('%s retires a circuit once its streams have ended, and another takes its place', async (_what, settings, pass) => {
    const { client } = await world(1);
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const pool = poolOf(client, settings);
    await pool.buildTunnels(1);
    const [old] = pool.activeDataCircuits();
    const stream = await old?.openStream('echo', Buffer.alloc(0));
    stream?.write(Buffer.alloc(3_000));
    pass();
    vi.advanceTimersByTime(1_000);
    await eventually(() => pool.activeDataCircuits().some((circuit) => circuit !== old)).toBe(true);
    expect(old?.isOpen).toBe(true);
    stream?.destroy();
    vi.advanceTimersByTime(1_000);
    expect(old?.isOpen).toBe(false);
    expect(await old?.closed).toBeUndefined();
  });

  it('maxTimeInactive ends what is idle above minCircuits', async () => {
    const { client } = await world(1);
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const pool = poolOf(client, { minCircuits: 1, maxCircuits: 2, maxTimeInactive: 1_000 });
    await pool.buildTunnels(1);
    const first = await pool.circuit();
    await first.openStream('echo', u32(0));
    await pool.circuit();
    await eventually(() => pool.activeDataCircuits().length).toBe(2);
    clock.advance(1_500);
    vi.advanceTimersByTime(1_000);
    expect(pool.activeDataCircuits()).toEqual([first]);
  });

  it('an aborted wait and a closed pool say so', async () => {
    const { client } = await world(1);
    const pool = poolOf(client);
    await expect(pool.buildTunnels(7)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await pool.buildTunnels(0);
    await pool.close();
    await expect(pool.circuit()).rejects.toMatchObject({ code: 'CLOSED' });
    expect(() => poolOf(client, { minCircuits: 5, maxCircuits: 2 })).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG' }),
    );
  });
});

describe('path choice', () => {
  it('uses every relay about equally often, in every place', async () => {
    const { client, relays } = await world(5);
    const offers = createOfferBook({ clock });
    for (const node of net.nodes) offers.add(node.offer);
    const seen = new Map<string, number>();
    for (let index = 0; index < 2_000; index += 1) {
      const path = choosePath({
        offers,
        service: 'echo',
        target: undefined,
        relays: 2,
        self: client.id,
        avoid: new Set(),
        random: secureRandom,
      });
      for (const [place, { nodeId }] of path.slice(0, 2).entries()) {
        seen.set(`${place}${nodeId}`, (seen.get(`${place}${nodeId}`) ?? 0) + 1);
      }
    }
    expect(seen.size).toBe(2 * relays.length);
    for (const count of seen.values()) expect(Math.abs(count - 400)).toBeLessThan(120);
  });
});
