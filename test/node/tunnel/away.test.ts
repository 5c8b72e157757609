/** A pool to one host that is dead, or whose pool is given up. Its circuits are played, or real. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RelaymintError } from '../../../core/errors.ts';
import { endpointOf, unreachable } from '../../../bench/paths/endpoint.ts';
import { populationOf } from '../../../bench/paths/population.ts';
import { seededRandom } from '../../../bench/paths/random.ts';
import { createCircuitPool, type CircuitPool } from '../../../node/tunnel/index.ts';
import { priceOf, type SignedOffer } from '../../../node/offer/index.ts';
import { PRICE, TestNet, eventually, readAll, serveEcho, type TestNode } from '../circuit/net.ts';
import { HeldClock } from '../../clock.ts';

const { relays, host } = populationOf('honest', 12, 0);
const SELF = populationOf('honest', 5000, 0).host.nodeId;

interface Played {
  readonly pool: CircuitPool;
  readonly clock: HeldClock;
  readonly tried: (readonly SignedOffer[])[];
  /** Looks at the offers of hosts: one for each path that is drawn. */
  readonly drawn: () => number;
  readonly told: () => number;
}

function played(known: readonly SignedOffer[], answer: () => RelaymintError | undefined): Played {
  const clock = new HeldClock();
  const tried: (readonly SignedOffer[])[] = [];
  let [drawn, told] = [0, 0];
  const pool = createCircuitPool({
    endpoint: endpointOf(async (path) => {
      tried.push(path);
      const error = answer();
      if (error !== undefined) throw error;
      return undefined;
    }),
    nodeId: SELF,
    offers: {
      find: (service) => {
        if (service === 'content') drawn += 1;
        return [...known, host].filter((offer) => priceOf(offer, service) !== undefined);
      },
    },
    service: 'content',
    target: host.nodeId,
    clock,
    random: seededRandom('away'),
    onAway: () => (told += 1),
  });
  return { pool, clock, tried, drawn: () => drawn, told: () => told };
}

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
afterEach(() => void vi.useRealTimers());

describe('a pool whose host is dead', () => {
  it('says so after all attempts of one request, over more than one last relay, and then builds nothing by itself', async () => {
    const { pool, clock, tried, told } = played(relays, () => unreachable(3));
    expect(pool.away).toBeUndefined();
    await expect(pool.buildTunnels(3)).rejects.toMatchObject({ details: { hop: 3 } });
    expect(pool.away).toMatchObject({ details: { hop: 3 } });
    expect(told()).toBe(1);
    expect(tried).toHaveLength(4);
    expect(new Set(tried.map((path) => path.at(-2)?.nodeId)).size).toBeGreaterThan(1);
    for (let tick = 0; tick < 100; tick += 1) {
      clock.advance(1_000);
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect(tried).toHaveLength(4);
    await pool.close();
  });

  it('gives a caller that asks again at once the same answer, and tries again once for one that asks later', async () => {
    let answer: RelaymintError | undefined = unreachable(3);
    const { pool, clock, tried, told } = played(relays, () => answer);
    await expect(pool.buildTunnels(3)).rejects.toThrow('destroyed (UNREACHABLE)');
    await expect(pool.buildTunnels(3)).rejects.toBe(pool.away);
    await expect(pool.circuit()).rejects.toBe(pool.away);
    expect(tried).toHaveLength(4);
    clock.advance(1_000);
    await expect(pool.circuit()).rejects.toThrow('destroyed (UNREACHABLE)');
    expect([tried.length, told()]).toEqual([5, 2]);
    answer = undefined;
    clock.advance(60_000);
    await pool.buildTunnels(3);
    expect(pool.away).toBeUndefined();
    expect(pool.tunnelsReady()).toBe(1);
    await pool.close();
  });

  it('does not take it for dead because of failures before it', async () => {
    const { pool, told } = played(relays, () => unreachable(1));
    await expect(pool.buildTunnels(3)).rejects.toThrow('destroyed (UNREACHABLE)');
    expect([pool.away, told()]).toEqual([undefined, 0]);
    await pool.close();
  });

  it('goes on for the others when one caller stops waiting by a signal', async () => {
    let build = (): void => {};
    const gate = new Promise<void>((resolve) => (build = resolve));
    await using net = new ClosingNet();
    const { client, pool } = await direct(net);
    const createCircuit = client.endpoint.createCircuit.bind(client.endpoint);
    client.endpoint.createCircuit = async (...args) => {
      await gate;
      return createCircuit(...args);
    };
    const leaving = new AbortController();
    const results = [pool.buildTunnels(0, { signal: leaving.signal }), pool.buildTunnels(0)];
    leaving.abort();
    await expect(results[0]).rejects.toMatchObject({ code: 'ABORTED' });
    build();
    await results[1];
    expect(pool.tunnelsReady()).toBe(1);
    await pool.close();
  });

  it('behind one relay does not draw the same path again and again', async () => {
    const { pool, clock, drawn, tried } = played(relays.slice(0, 6), () => unreachable(1));
    for (let index = 0; index < 3; index += 1) {
      await pool.buildTunnels(1).catch(() => {});
      clock.advance(31_000);
    }
    expect(tried.length).toBeGreaterThan(4);
    expect(drawn() / tried.length).toBeLessThan(16);
    await pool.close();
  });
});

class ClosingNet extends TestNet implements AsyncDisposable {
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** A client, and its pool of circuits without relays to somebody who serves `echo`. */
async function direct(net: TestNet): Promise<{ client: TestNode; pool: ReturnType<typeof createCircuitPool> }> {
  const client = await net.node({ relayPrice: undefined });
  const last = await net.node({ relayPrice: undefined, services: { echo: PRICE } });
  serveEcho(last);
  const offers = { find: () => [last.offer] };
  const { endpoint, id: nodeId } = client;
  return { client, pool: createCircuitPool({ endpoint, nodeId, offers, service: 'echo', target: last.id }) };
}

describe('a pool that is retired', () => {
  it('lets streams end, gives out nothing more, and is gone after the last', async () => {
    await using net = new ClosingNet();
    const { pool } = await direct(net);
    await pool.buildTunnels(0);
    const circuit = await pool.circuit();
    const stream = await circuit.openStream('echo', Buffer.alloc(0));
    const gone = pool.retire();
    await expect(pool.circuit()).rejects.toMatchObject({ code: 'CLOSED' });
    stream.end('still here');
    expect((await readAll(stream)).toString()).toBe('still here');
    await eventually(() => {
      vi.advanceTimersByTime(1_000);
      return circuit.isOpen;
    }).toBe(false);
    await gone;
    expect(await circuit.closed).toBeUndefined();
  });
});
