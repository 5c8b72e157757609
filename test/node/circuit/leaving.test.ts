/** What somebody who leaves a circuit, or will not, leaves behind: never more than one window. */
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MIB } from '../../../core/units.ts';
import { FrameType } from '../../../node/link/index.ts';
import { TestNet, eachMeter, eventually, hashOf, patternHash, u32 } from './net.ts';
import type { TestNode } from './net.ts';
import { WINDOW, earned, linkBetween, paid, silence } from './billing.ts';

let net: TestNet;
beforeEach(() => {
  net = new TestNet({ metered: true });
});
afterEach(() => net.close());

describe('a peer that never answers DESTROY', () => {
  it('loses its link, and its circuits with it', async () => {
    const client = await net.node({ relayPrice: undefined, timing: { destroySilenceMillis: 20 } });
    const { offers, host } = await net.path(0);
    const circuit = await client.endpoint.createCircuit(offers, { service: 'echo' });
    const link = linkBetween(host, client);
    silence(link, FrameType.DESTROY);
    circuit.destroy();
    expect(await link.closed).toMatchObject({ code: 'PROTOCOL_VIOLATION' });
    expect(client.endpoint.stats().initiated).toBe(0);
  });

  it('behind honest relays costs only its own neighbour the link', async () => {
    const patient = { timing: { destroySilenceMillis: 100 } };
    const relays = [await net.node(patient), await net.node(patient)] as const;
    const { client, host } = await net.path(0);
    const circuit = await client.endpoint.createCircuit(
      [...relays, host].map((node) => node.offer),
      {
        service: 'echo',
      },
    );
    const bad = linkBetween(host, relays[1]);
    silence(bad, FrameType.DESTROY);
    circuit.destroy();
    await bad.closed;
    await eventually(() => relays.map((relay) => relay.endpoint.stats().joined)).toEqual([0, 0]);
    expect([linkBetween(client, relays[0]).isOpen, linkBetween(relays[0], relays[1]).isOpen]).toEqual([true, true]);
  });
});

describe('a host that ends a circuit', () => {
  it('is answered and paid by the relay before the previous hop is told', async () => {
    const order: string[] = [];
    const wrapMetering = eachMeter((meter) => {
      const rest = meter.rest.bind(meter);
      const sentDown = meter.sentDown.bind(meter);
      meter.rest = () => {
        order.push('paid');
        rest();
      };
      meter.sentDown = (bytes, price) => {
        order.push('told');
        sentDown(bytes, price);
      };
    });
    const { client, host } = await net.path(0);
    const relay = await net.node({ wrapMetering });
    const circuit = await client.endpoint.createCircuit([relay.offer, host.offer], { service: 'echo' });
    await circuit.rttMillis();
    order.length = 0;
    await host.endpoint.close();
    await circuit.closed;
    expect(order.slice(0, 2)).toEqual(['paid', 'told']);
  });
});

describe('a reader that leaves', () => {
  it('pays for what was on its way when it ends the circuit', async () => {
    const { client, relays, host, offers } = await net.path(2);
    const circuit = await client.endpoint.createCircuit(offers, { service: 'source' });
    const stream = await circuit.openStream('source', u32(64 * 1024 * 1024));
    await once(stream, 'readable');
    circuit.destroy();
    await eventually(() => [...relays, host].map((node) => node.endpoint.stats().joined)).toEqual([0, 0, 0]);
    for (const node of [client, ...relays]) await eventually(() => node.endpoint.stats().queuedBytes).toBe(0);
    const losses = (): bigint[] => {
      for (const node of [client, ...relays]) node.metering.flush();
      return relays.map((relay) => paid(relay) - earned(relay)).filter((loss) => loss > 0n);
    };
    await eventually(losses).toEqual([]);
    expect(earned(host)).toBeGreaterThan(0n);
  });

  it('with its link owes that: the relay never loses more than the window', async () => {
    const { relays, host } = await net.path(1);
    const [relay] = relays as [TestNode];
    const client = await net.node({ relayPrice: undefined });
    for (let round = 0; round < 3; round += 1) {
      const circuit = await client.endpoint.createCircuit([relay.offer, host.offer], { service: 'source' });
      const stream = await circuit.openStream('source', u32(64 * 1024 * 1024));
      await once(stream, 'readable');
      await linkBetween(client, relay).close();
      await circuit.closed;
      await eventually(() => relay.endpoint.stats().queuedBytes).toBe(0);
      relay.metering.flush();
      expect(paid(relay) - earned(relay)).toBeLessThanOrEqual(WINDOW);
    }
  });

  it('with its link owes nothing for what had been written to it: payments do not use up its window', async () => {
    const { client, relays, offers } = await net.path(2);
    const [relay] = relays as [TestNode];
    for (let round = 0; round < 2; round += 1) {
      const circuit = await client.endpoint.createCircuit(offers, { service: 'source' });
      const stream = await circuit.openStream('source', u32(6 * MIB));
      // Worth more than the window.
      expect(await hashOf(stream)).toBe(patternHash(6 * MIB));
      await linkBetween(client, relay).close();
      await circuit.closed;
      await eventually(() => relay.endpoint.stats().joined).toBe(0);
    }
    await expect(client.endpoint.createCircuit(offers, { service: 'source' })).resolves.toMatchObject({ isOpen: true });
  });
});
