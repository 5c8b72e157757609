/** Metered circuits between real nodes with real books on disk. */
import { once } from 'node:events';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Attribution } from '../../../core/attribution.ts';
import { STRANGER_WINDOW } from '../../../core/limits.ts';
import { ALL_BPS, amount, basisPoints } from '../../../core/units.ts';
import type { PairCounts } from '../../../ledger/accounting/index.ts';
import { FrameType } from '../../../node/link/index.ts';
import {
  attributing,
  eachMeter,
  PRICE,
  TestNet,
  hashOf,
  patternHash,
  readAll,
  sendPattern,
  serveEcho,
  u32,
  eventually,
} from '../circuit/net.ts';
import type { TestNode } from '../circuit/net.ts';

const NOTHING = Buffer.alloc(0);
let net: TestNet;
beforeEach(() => {
  net = new TestNet({ metered: true });
});
afterEach(() => net.close());

function paying(node: TestNode): PairCounts | undefined {
  return node.book.peers().find(({ role }) => role === 'payer');
}

function paidBy(node: TestNode, payer: TestNode): PairCounts | undefined {
  return node.book.peers().find(({ role, peer }) => role === 'payee' && peer === payer.id);
}

/** Both ends of each pair along the path, once nothing is owed. */
async function settledPairs(path: readonly TestNode[]): Promise<void> {
  for (const [index, payee] of path.slice(1).entries()) {
    const payer = path[index];
    if (payer === undefined) throw new Error('no payer');
    const figures = (counts: PairCounts | undefined): unknown =>
      counts === undefined ? undefined : { up: counts.up, down: counts.down, due: counts.due, signed: counts.signed };
    await eventually(() => {
      const [a, b] = [figures(paying(payer)), figures(paidBy(payee, payer))];
      const paid = paying(payer);
      return { same: JSON.stringify(a, text) === JSON.stringify(b, text), settled: paid?.due === paid?.signed };
    }).toEqual({ same: true, settled: true });
    expect(paying(payer)?.signed).toBeGreaterThan(0n);
  }
}

function text(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}

describe('counts and payments', () => {
  it('agree to the byte at rest, whatever the traffic (fast-check)', async () => {
    const { client, relays, host, offers } = await net.path(2);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ down: fc.nat(600_000), up: fc.nat(300_000), destroy: fc.boolean() }), {
          minLength: 1,
          maxLength: 4,
        }),
        async (streams) => {
          const circuit = await client.endpoint.createCircuit(offers, { service: 'source' });
          await Promise.all(
            streams.map(async ({ down, up, destroy }) => {
              const stream = await circuit.openStream('source', u32(down));
              if (destroy) {
                stream.destroy();
                return;
              }
              await Promise.all([hashOf(stream), sendPattern(stream, up)]);
            }),
          );
          circuit.destroy();
          await settledPairs([client, ...relays, host]);
          expect(paying(client)?.due).toBe(paying(client)?.signed);
        },
      ),
      { numRuns: 12 },
    );
    // On a loaded machine twelve runs take a minute and more.
  }, 240_000);

  it('a transfer of many windows flows, and every hop is paid more than it pays', async () => {
    const { client, relays, host, offers } = await net.path(2);
    const length = 12 * STRANGER_WINDOW;
    const circuit = await client.endpoint.createCircuit(offers, { service: 'source' });
    const [down, up] = [await circuit.openStream('source', u32(length)), await circuit.openStream('sink', NOTHING)];
    const [got, , answer] = await Promise.all([hashOf(down), sendPattern(up, length), readAll(up)]);
    expect([got, answer.toString()]).toEqual([patternHash(length), patternHash(length)]);
    circuit.destroy();
    const path = [client, ...relays, host];
    await settledPairs(path);
    const paid = path.slice(0, -1).map((node) => paying(node)?.signed ?? 0n);
    expect(paid[0]).toBeGreaterThan(paid[1] ?? 0n);
    expect(paid[1]).toBeGreaterThan(paid[2] ?? 0n);
    expect(paid[2]).toBeGreaterThan((BigInt(2 * length) * PRICE) >> 20n);
  });

  it('a relay that is a host too serves a circuit that ends there beside one that it passes on', async () => {
    const { client, host } = await net.path(0);
    const both = await net.node({ services: { echo: PRICE, sink: PRICE, source: PRICE } });
    serveEcho(both);
    const length = 4 * STRANGER_WINDOW;
    const through = await client.endpoint.createCircuit([both.offer, host.offer], { service: 'source' });
    const here = await client.endpoint.createCircuit([both.offer], { service: 'source' });
    const down = await Promise.all([through, here].map((circuit) => circuit.openStream('source', u32(length))));
    const up = await Promise.all([through, here].map((circuit) => circuit.openStream('sink', NOTHING)));
    const sent = Promise.all(up.map((stream) => sendPattern(stream, length)));
    const hash = patternHash(length);
    expect(await Promise.all(down.map((stream) => hashOf(stream)))).toEqual([hash, hash]);
    await sent;
    const answers = await Promise.all(up.map((stream) => readAll(stream)));
    expect(answers.map(String)).toEqual([hash, hash]);
    expect(both.endpoint.stats().destroyed['UNPAID'] ?? 0).toBe(0);
  });

  it('an idle account is paid without its circuit being closed', async () => {
    const { client, host, offers } = await net.path(0);
    const circuit = await client.endpoint.createCircuit(offers, { service: 'echo' });
    const stream = await circuit.openStream('echo', NOTHING);
    stream.write(Buffer.alloc(30_000));
    await once(stream, 'data');
    await settledPairs([client, host]);
    expect(circuit.isOpen).toBe(true);
  });

  it('both ways over one link: each node pays for the circuits it builds', async () => {
    const a = await net.path(0, { relayPrice: PRICE });
    const b = await net.path(0, { relayPrice: PRICE });
    const there = await a.host.endpoint.createCircuit([b.host.offer], { service: 'echo' });
    const back = await b.host.endpoint.createCircuit([a.host.offer], { service: 'echo' });
    expect(a.host.links.links().filter((link) => link.peer === b.host.id)).toHaveLength(1);
    for (const circuit of [there, back]) {
      const stream = await circuit.openStream('echo', NOTHING);
      stream.end(Buffer.alloc(700_000, 1));
      expect((await readAll(stream)).length).toBe(700_000);
      circuit.destroy();
    }
    await settledPairs([a.host, b.host]);
    await settledPairs([b.host, a.host]);
  });

  it('content is attributed by name, never beyond what was counted', async () => {
    const { attributed, wrapMetering } = attributing();
    const { client, host, offers } = await net.path(0, { wrapMetering });
    host.endpoint.register('page', { price: PRICE }, (stream, params) => {
      stream.attribute([{ name: params.toString(), share: ALL_BPS }]);
      stream.end(Buffer.alloc(200_000));
      stream.resume();
    });
    const circuit = await client.endpoint.createCircuit(offers, { service: 'source' });
    await Promise.all(
      ['a.web3', 'b.web3'].map(async (name) => {
        const stream = await circuit.openStream('page', Buffer.from(name));
        stream.end();
        expect((await readAll(stream)).length).toBe(200_000);
      }),
    );
    circuit.destroy();
    await settledPairs([client, host]);
    const [a, b] = [attributed.get('a.web3') ?? 0, attributed.get('b.web3') ?? 0];
    expect(a).toBeGreaterThan(200_000);
    expect(b).toBe(a);
    expect(BigInt(a + b)).toBeLessThanOrEqual(paidBy(host, client)?.down ?? 0n);
  });

  it('content is attributed to several names, from when its stream says so until it says nobody', async () => {
    const bytes = new Map<Attribution, number>();
    const wrapMetering = eachMeter((meter) => {
      const attribute = meter.attribute.bind(meter);
      meter.attribute = (shares, frameBytes, price) => {
        bytes.set(shares, (bytes.get(shares) ?? 0) + frameBytes);
        attribute(shares, frameBytes, price);
      };
    });
    const { client, host, offers } = await net.path(0, { wrapMetering });
    const own = [
      { name: 'a.web3', share: basisPoints(7_000) },
      { name: 'b.image', share: basisPoints(2_999) },
    ];
    host.endpoint.register('page', { price: PRICE }, (stream) => {
      stream.attribute(own);
      stream.write(Buffer.alloc(200_000));
      stream.once('data', () => {
        stream.attribute([]);
        stream.end(Buffer.alloc(300_000));
      });
    });
    const circuit = await client.endpoint.createCircuit(offers, { service: 'source' });
    const stream = await circuit.openStream('page', NOTHING);
    let got = 0;
    stream.on('data', (chunk: Buffer) => {
      got += chunk.length;
      if (got === 200_000) stream.end('go on');
    });
    await once(stream, 'end');
    expect(got).toBe(500_000);
    circuit.destroy();
    await settledPairs([client, host]);
    const [[shares, counted] = [], ...others] = bytes;
    expect({ shares, others }).toEqual({ shares: own, others: [] });
    expect(counted).toBeGreaterThan(200_000);
    expect(counted).toBeLessThan(300_000);
  });
});

describe('netting', () => {
  interface Neighbours {
    readonly a: TestNode;
    readonly b: TestNode;
  }

  /** Two nodes; each is the last hop of the other's circuits, over the same link. */
  async function neighbours(settings: { nets?: boolean } = {}): Promise<Neighbours> {
    const a = await net.path(0, { relayPrice: PRICE });
    const b = await net.path(0, { relayPrice: PRICE, ...settings });
    return { a: a.host, b: b.host };
  }

  /** `from` builds a circuit to `to` and fetches so many bytes. */
  async function fetchFrom(to: TestNode, from: TestNode, length: number, service = 'source'): Promise<void> {
    const circuit = await from.endpoint.createCircuit([to.offer], { service: 'source' });
    const stream = await circuit.openStream(service, u32(length));
    expect(await hashOf(stream)).toBe(patternHash(length));
    circuit.destroy();
  }

  /** What the frames of both accounts cost, and what was signed for, once the two ends agree and nothing is owed. */
  async function atRest({ a, b }: Neighbours): Promise<{ cost: [bigint, bigint]; signed: [bigint, bigint] }> {
    await eventually(() => {
      const pairs = [
        [paying(a), paidBy(b, a)],
        [paying(b), paidBy(a, b)],
      ] as const;
      return pairs.map(([paid, earned]) => {
        const same = paid?.up === earned?.up && paid?.down === earned?.down && paid?.due === earned?.due;
        return same && paid?.signed === paid?.due && earned?.signed === earned?.due;
      });
    }).toEqual([true, true]);
    const [ours, theirs] = [paying(a), paying(b)];
    if (ours === undefined || theirs === undefined) throw new Error('no accounts');
    return {
      cost: [((ours.up + ours.down) * PRICE) >> 20n, ((theirs.up + theirs.down) * PRICE) >> 20n],
      signed: [ours.signed, theirs.signed],
    };
  }

  it('two nodes that use each other sign for less, and for the same difference', async () => {
    const pair = await neighbours();
    const { a, b } = pair;
    const length = 12 * STRANGER_WINDOW;
    await Promise.all([fetchFrom(b, a, length), fetchFrom(a, b, length / 2)]);
    const { cost, signed } = await atRest(pair);
    expect(cost[0] + cost[1]).toBeGreaterThan((BigInt(length) * PRICE) >> 20n);
    expect(signed[0] + signed[1]).toBeLessThan(((cost[0] + cost[1]) * 3n) / 4n);
    expect(cost[0] - signed[0]).toBe(cost[1] - signed[1]);
  });

  it('is not done with a node that does not net', async () => {
    const pair = await neighbours({ nets: false });
    const { a, b } = pair;
    await Promise.all([fetchFrom(b, a, 2 * STRANGER_WINDOW), fetchFrom(a, b, 2 * STRANGER_WINDOW)]);
    const { cost, signed } = await atRest(pair);
    expect(signed).toEqual(cost);
  });

  it('leaves what content earned to receipts', async () => {
    const pair = await neighbours();
    const { a, b } = pair;
    for (const node of [a, b]) {
      node.endpoint.register('page', { price: PRICE }, (stream, params) => {
        stream.attribute([{ name: 'host.web3', share: ALL_BPS }]);
        void sendPattern(stream, params.readUInt32LE(0)).catch(() => {});
        stream.resume();
      });
    }
    await fetchFrom(b, a, 1000, 'page');
    await fetchFrom(a, b, 1000, 'page');
    await atRest(pair);
    const before = await atRest(pair);
    await Promise.all([fetchFrom(b, a, STRANGER_WINDOW, 'page'), fetchFrom(a, b, STRANGER_WINDOW, 'page')]);
    const { cost, signed } = await atRest(pair);
    expect([signed[0] - before.signed[0], signed[1] - before.signed[1]]).toEqual([
      cost[0] - before.cost[0],
      cost[1] - before.cost[1],
    ]);
  });

  it('that was not agreed on ends the link', async () => {
    const { client, host, offers } = await net.path(0);
    const circuit = await client.endpoint.createCircuit(offers, { service: 'echo' });
    const link = client.links.get(host.id);
    link?.send(FrameType.NET, 0, Buffer.alloc(8));
    expect(await link?.closed).toMatchObject({ code: 'PROTOCOL_VIOLATION' });
    expect(await circuit.closed).toBeDefined();
  });
});

describe('a payer that stops paying', () => {
  const neverPays = eachMeter((meter) => {
    meter.sendUp = () => {};
    meter.receivedDown = () => {};
    meter.flush = () => {};
  });

  it('is cut off within one window when it sends', async () => {
    const { host, offers } = await net.path(0);
    const cheat = await net.node({ relayPrice: undefined, wrapMetering: neverPays });
    const circuit = await cheat.endpoint.createCircuit(offers, { service: 'sink' });
    const stream = await circuit.openStream('sink', NOTHING);
    sendPattern(stream, 8 * STRANGER_WINDOW).catch(() => {});
    expect(await circuit.closed).toMatchObject({ code: 'CIRCUIT_DESTROYED', details: { reason: 'UNPAID' } });
    const counts = paidBy(host, cheat);
    expect(counts?.signed).toBe(0n);
    expect(host.endpoint.stats().destroyed['UNPAID']).toBe(1);
    await expect(cheat.endpoint.createCircuit(offers, { service: 'sink' })).rejects.toMatchObject({
      details: { reason: 'UNPAID' },
    });
  });

  it('gets no more than one window when it only receives, and is cut off when it goes on owing', async () => {
    const host = await net.path(0, { timing: { unpaidMillis: 200 } });
    const cheat = await net.node({ relayPrice: undefined, wrapMetering: neverPays });
    const circuit = await cheat.endpoint.createCircuit(host.offers, { service: 'source' });
    const stream = await circuit.openStream('source', u32(8 * STRANGER_WINDOW));
    let got = 0;
    stream.on('data', (chunk: Buffer) => {
      got += chunk.length;
    });
    expect(await circuit.closed).toMatchObject({ details: { reason: 'UNPAID' } });
    // A window holds a MiB of the usual circuit, four times this one's price.
    expect(got).toBeLessThan(4 * STRANGER_WINDOW);
    expect(got).toBeGreaterThan(2 * STRANGER_WINDOW);
  });

  it('harms nobody else', async () => {
    const { client, host, offers } = await net.path(0, { timing: { unpaidMillis: 5_000 } });
    const cheat = await net.node({ relayPrice: undefined, wrapMetering: neverPays });
    const bad = await cheat.endpoint.createCircuit(offers, { service: 'source' });
    (await bad.openStream('source', u32(8 * STRANGER_WINDOW))).resume();
    const good = await client.endpoint.createCircuit(offers, { service: 'source' });
    const stream = await good.openStream('source', u32(6 * STRANGER_WINDOW));
    expect(await hashOf(stream)).toBe(patternHash(6 * STRANGER_WINDOW));
    await bad.closed;
    good.destroy();
    await settledPairs([client, host]);
  });
});

describe('a meter that lies', () => {
  it.each([
    ['a payer that counts fewer bytes up', 'sendUp', -1],
    ['a payer that counts more bytes down than it was sent', 'receivedDown', 1],
  ] as const)('%s: the link closes with both figures', async (_who, method, by) => {
    const { host, offers } = await net.path(0);
    const liar = await net.node({
      relayPrice: undefined,
      wrapMetering: eachMeter((meter) => {
        const real = meter[method].bind(meter);
        meter[method] = (bytes, price) => real(bytes + by, price);
      }),
    });
    const circuit = await liar.endpoint.createCircuit(offers, { service: 'source' });
    const link = liar.links.get(host.id);
    const stream = await circuit.openStream('source', u32(4 * STRANGER_WINDOW));
    stream.resume();
    const error = await link?.closed;
    expect(error).toMatchObject({ code: 'METER_DISAGREEMENT' });
    expect(error?.message).toMatch(/\d+ bytes up.*counted \d+ bytes up/s);
  });
});

describe('deposits', () => {
  it('that are used up end the circuit, whichever end notices first, and no more than the deposit is signed for', async () => {
    const { host, offers } = await net.path(0, { timing: { unpaidMillis: 1_500 } });
    const poor = await net.node({ relayPrice: undefined, deposit: 4000n });
    const circuit = await poor.endpoint.createCircuit(offers, { service: 'sink' });
    const stream = await circuit.openStream('sink', NOTHING);
    sendPattern(stream, 16 * STRANGER_WINDOW).catch(() => {});
    const why = await circuit.closed;
    expect(['UNPAID', 'DEPOSIT_EXHAUSTED']).toContain(why?.details['reason'] ?? why?.code);
    await eventually(() => paidBy(host, poor)?.signed).toBe(amount(paying(poor)?.signed ?? 0n));
    expect(paying(poor)?.signed).toBeLessThanOrEqual(4000n);
  });

  it('that are topped up in time never stop the transfer', async () => {
    const { host, offers } = await net.path(0);
    const client = await net.node({ relayPrice: undefined, deposit: 8000n, topUp: 8000n });
    const circuit = await client.endpoint.createCircuit(offers, { service: 'source' });
    const stream = await circuit.openStream('source', u32(24 * STRANGER_WINDOW));
    expect(await hashOf(stream)).toBe(patternHash(24 * STRANGER_WINDOW));
    circuit.destroy();
    await settledPairs([client, host]);
    expect(paying(client)?.signed).toBeGreaterThan(16_000n);
  });

  it('topped up as soon as the ledger answers again, although nothing is left to be paid from until then', async () => {
    const { host, offers } = await net.path(0);
    const client = await net.node({ relayPrice: undefined, deposit: 8000n, topUp: 80_000n, failedTopUps: 1 });
    const circuit = await client.endpoint.createCircuit(offers, { service: 'source' });
    const stream = await circuit.openStream('source', u32(24 * STRANGER_WINDOW));
    expect(await hashOf(stream)).toBe(patternHash(24 * STRANGER_WINDOW));
    circuit.destroy();
    await settledPairs([client, host]);
  });
});
