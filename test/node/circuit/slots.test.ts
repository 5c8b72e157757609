import * as fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { isRelaymintError } from '../../../core/errors.ts';
import { MAX_CIRCUITS_PER_LINK, ONWARD_SPARE_CIRCUITS, SLOT_WEIGHT } from '../../../core/limits.ts';
import { QUIET_TURNS, UNUSED_TURNS, yielding } from '../../../node/circuit/slots.ts';
import type { SlotPayer, Slotted } from '../../../node/circuit/slots.ts';
import { TestNet, eachMeter, hashOf, patternHash, readAll, serveEcho, u32 } from './net.ts';
import type { TestNode } from './net.ts';

const payer = (paid = 0n): SlotPayer => ({ key: {}, paid });

function circuits(count: number, of: SlotPayer, quietTurns = 0): Slotted[] {
  return Array.from({ length: count }, () => ({ payer: of, quietTurns }));
}

describe('who makes way when all places are taken', () => {
  it('the payer that holds most loses the circuit that was quiet for longest', () => {
    const [many, few, newcomer] = [payer(), payer(), payer()];
    const longest = { payer: many, quietTurns: 50 };
    const held = [...circuits(3, few, 90), ...circuits(9, many, 20), longest];
    expect(yielding(held, newcomer)).toBe(longest);
    expect(yielding(held, few)).toBe(longest);
    expect(yielding(held, many)).toBeUndefined();
  });

  it('a circuit in use gives way only if no payer above its share has another one', () => {
    const [busy, idle, newcomer] = [payer(), payer(), payer()];
    const quiet = circuits(6, idle, QUIET_TURNS);
    const used = circuits(9, busy);
    expect(quiet).toContain(yielding([...used, ...quiet], newcomer));
    expect(used).toContain(yielding([...used, ...circuits(4, idle, QUIET_TURNS)], newcomer));
  });

  it('payments widen a share', () => {
    const [paid, strangers] = [payer(9n * SLOT_WEIGHT), Array.from({ length: 4 }, () => payer())];
    const held = [...circuits(16, paid, 500), ...strangers.flatMap((each) => circuits(4, each))];
    // Of 32 places its share is 20: it may have four more, and loses none.
    expect(strangers).toContain(yielding(held, paid)?.payer);
    expect(strangers).toContain(yielding(held, payer())?.payer);
    for (const each of strangers) expect(yielding(held, each)).toBeUndefined();
  });

  it('two payers with equal shares take turns only for circuits that nobody uses', () => {
    const others = Array.from({ length: 8 }, () => payer());
    const held = (turns: number): Slotted[] => others.flatMap((each) => circuits(1, each, turns));
    expect(yielding(held(UNUSED_TURNS - 1), payer())).toBeUndefined();
    expect(yielding(held(UNUSED_TURNS), payer())).toBeDefined();
    expect(yielding(held(UNUSED_TURNS), payer(SLOT_WEIGHT))).toBeDefined();
  });

  it('no payer loses what is within its share', () => {
    const share = fc.record({ held: fc.nat(40), paid: fc.bigInt(0n, 20n * SLOT_WEIGHT), quiet: fc.nat(300) });
    fc.assert(
      fc.property(fc.array(share, { minLength: 1, maxLength: 12 }), fc.nat(11), fc.boolean(), (shares, who, isNew) => {
        const payers = shares.map(({ paid }) => payer(paid));
        const held = shares.flatMap(({ held: count, quiet }, i) => circuits(count, payers[i] as SlotPayer, quiet));
        const asking = isNew ? payer() : (payers[who % payers.length] as SlotPayer);
        const chosen = yielding(held, asking)?.payer;
        const present = new Set([...held.map((circuit) => circuit.payer), asking]);
        const weight = (each: SlotPayer): bigint => SLOT_WEIGHT + each.paid;
        const all = Array.from(present).reduce((sum, each) => sum + weight(each), 0n);
        const has = BigInt(held.filter((circuit) => circuit.payer === chosen).length);
        expect(chosen).not.toBe(asking);
        // More than its share, or nobody's.
        expect(has * all).toBeGreaterThanOrEqual(chosen === undefined ? 0n : BigInt(held.length) * weight(chosen) + 1n);
      }),
      { numRuns: 500 },
    );
  });
});

const nets: TestNet[] = [];
afterEach(async () => {
  await Promise.all(nets.splice(0).map((net) => net.close()));
});

function metered(): TestNet {
  const net = new TestNet({ metered: true });
  nets.push(net);
  return net;
}

const fetched = async (
  client: TestNode,
  offers: Parameters<TestNode['endpoint']['createCircuit']>[0],
  bytes: number,
): Promise<boolean> => {
  const circuit = await client.endpoint.createCircuit(offers, { service: 'source' });
  const stream = await circuit.openStream('source', u32(bytes));
  return (await hashOf(stream)) === patternHash(bytes);
};

describe('jammed places', () => {
  it('of a node: a newcomer gets in when all are held, and keeps its place', async () => {
    const net = metered();
    const { client, offers, host } = await net.path(0, { maxJoinedCircuits: 8 });
    const jammers = [await net.node({ relayPrice: undefined }), await net.node({ relayPrice: undefined })];
    const jam = (jammer: TestNode): Promise<unknown> => jammer.endpoint.createCircuit(offers, { service: 'echo' });
    for (let i = 0; i < 4; i += 1) await Promise.all(jammers.map(jam));
    expect(host.endpoint.stats().joined).toBe(8);
    const circuit = await client.endpoint.createCircuit(offers, { service: 'echo' });
    const stream = await circuit.openStream('echo', new Uint8Array(0));
    const again = await Promise.all(
      Array.from({ length: 20 }, (_, i) => jam(jammers[i % 2] as TestNode).catch(() => 0)),
    );
    expect(again.filter((made) => made === 0).length).toBeGreaterThan(0);
    stream.end('through');
    expect((await readAll(stream)).toString()).toBe('through');
    expect(circuit.isOpen).toBe(true);
    expect(host.endpoint.stats().joined).toBe(8);
  });

  it('of a node: a refusal asks each payer once what it paid, however many circuits it has', async () => {
    const net = new TestNet();
    nets.push(net);
    let asked = 0;
    const wrapMetering = eachMeter((meter) => {
      const counts = meter.counts.bind(meter);
      meter.counts = () => {
        asked += 1;
        return counts();
      };
    });
    const { offers, host } = await net.path(0, { maxJoinedCircuits: 40, wrapMetering });
    const payers = await Promise.all(Array.from({ length: 4 }, () => net.node({ relayPrice: undefined })));
    const build = (node: TestNode): Promise<unknown> => node.endpoint.createCircuit(offers, { service: 'echo' });
    for (let i = 0; i < 10; i += 1) await Promise.all(payers.map(build));
    expect(host.endpoint.stats().joined).toBe(40);
    asked = 0;
    await expect(build(payers[0] as TestNode)).rejects.toMatchObject({ details: { reason: 'RESOURCE' } });
    expect(asked).toBeGreaterThan(0);
    expect(asked).toBeLessThanOrEqual(payers.length + 1);
  });

  it('of a link onward: idle circuits that hold all that a relay may owe its next hop make way', async () => {
    const net = metered();
    const timing = { grantIdleMillis: 5 };
    const client = await net.node({ relayPrice: undefined });
    const relay = await net.node({ timing });
    const host = await net.node({
      relayPrice: undefined,
      services: { echo: 1000n, sink: 1000n, source: 1000n },
      timing,
    });
    serveEcho(host);
    const offers = [relay.offer, host.offer];
    // Some hundred idle circuits promise all of it.
    net.ledger.openings.set(host.wallet, 400n);
    const jammer = await net.node({ relayPrice: undefined, timing: { ...timing, buildMillis: 1_000 } });
    let made = 0;
    const jam = async (): Promise<void> => {
      for (;;) {
        try {
          await jammer.endpoint.createCircuit(offers, { service: 'echo' });
          made += 1;
        } catch (error) {
          // It comes too fast: it tries again.
          if (!isRelaymintError(error) || error.details['reason'] !== 'RESOURCE') throw error;
        }
      }
    };
    await expect(jam()).rejects.toMatchObject({ code: 'TIMEOUT' });
    expect(made).toBeGreaterThan(10);
    expect(await fetched(client, offers, 1024 * 1024)).toBe(true);
    expect(host.endpoint.stats().joined).toBeGreaterThan(made - 20);
  }, 120_000);

  it('of a link onward: a payer that takes all gets none of those kept for newcomers', async () => {
    const net = new TestNet();
    nets.push(net);
    const { client, offers, relays } = await net.path(1);
    const jammer = await net.node({ relayPrice: undefined });
    const hurried = vi.spyOn(performance, 'now');
    try {
      // So many at once are refused: each comes a while after the one before it.
      let passed = 0;
      hurried.mockImplementation(() => process.uptime() * 1000 + passed);
      const jam = async (count: number): Promise<number> => {
        let made = 0;
        for (let begun = 0; begun < count; begun += 25) {
          passed += 1_000;
          const some = Array.from({ length: 25 }, () =>
            jammer.endpoint.createCircuit(offers, { service: 'echo' }).then(
              () => (made += 1),
              () => {},
            ),
          );
          await Promise.all(some);
        }
        return made;
      };
      const places = MAX_CIRCUITS_PER_LINK - ONWARD_SPARE_CIRCUITS;
      expect(await jam(places + 2 * ONWARD_SPARE_CIRCUITS)).toBe(places);
      const circuits = Promise.all(
        Array.from({ length: 8 }, () => client.endpoint.createCircuit(offers, { service: 'echo' })),
      );
      await jam(50);
      for (const circuit of await circuits) expect(circuit.isOpen).toBe(true);
      expect(relays[0]?.endpoint.stats().relayed).toBe(places);
    } finally {
      hurried.mockRestore();
    }
  }, 60_000);
});
