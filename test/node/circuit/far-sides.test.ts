/** All that a hop may lead a circuit to: the next hop, its own services, another circuit that ends there. */
import { pricePerMiB, type PricePerMiB } from '../../../core/units.ts';
import { joinCircuits, type Circuit, type CircuitEnd } from '../../../node/circuit/index.ts';
import type { LinkMeter } from '../../../node/meter/index.ts';
import { farSideCompliance, type FarSideUnderTest } from '../../compliance/far-side.ts';
import { PRICE, TestNet, eachMeter, type NodeSettings, type TestNode } from './net.ts';

const NOTHING = new Uint8Array(0);
/** So that its nodes do not net: what one pays the other is what it cost. */
const SETTINGS: NodeSettings = { nets: false };
let net: TestNet;
const teardown = (): Promise<void> => net.close();

interface Metered {
  readonly node: TestNode;
  /** In the order in which their links opened. */
  readonly meters: readonly LinkMeter[];
}

async function metered(settings: NodeSettings = {}): Promise<Metered> {
  const meters: LinkMeter[] = [];
  const wrapMetering = eachMeter((meter) => void meters.push(meter));
  return { node: await net.node({ ...SETTINGS, ...settings, wrapMetering }), meters };
}

/** What the suite looks at on the first link of the circuit. */
function seen(
  circuit: Circuit,
  price: PricePerMiB,
  client: Metered,
  hop: Metered,
): Omit<FarSideUnderTest, 'serve' | 'end'> {
  const [link, payer, payee] = [client.node.links.get(hop.node.id), client.meters[0], hop.meters[0]];
  if (link === undefined || payer === undefined || payee === undefined) throw new Error('the first link is not there');
  return { circuit, price, link, meters: { payer, payee }, hop: hop.node.endpoint };
}

farSideCompliance('the next hop', {
  async setup() {
    net = new TestNet({ metered: true });
    const [client, hop, last] = [await metered({ relayPrice: undefined }), await metered(), await metered()];
    const offers = [hop.node.offer, last.node.offer];
    const circuit = await client.node.endpoint.createCircuit(offers, { service: 'relay' });
    return {
      ...seen(circuit, pricePerMiB(2n * PRICE), client, hop),
      serve: (service, handler) => last.node.endpoint.register(service, { price: PRICE }, handler),
      end: () => last.node.endpoint.close(),
    };
  },
  teardown,
  joined: 1,
  relayed: 1,
});

farSideCompliance('its own services', {
  async setup() {
    net = new TestNet({ metered: true });
    const [client, hop] = [await metered({ relayPrice: undefined }), await metered()];
    const circuit = await client.node.endpoint.createCircuit([hop.node.offer], { service: 'relay' });
    return {
      ...seen(circuit, PRICE, client, hop),
      serve: (service, handler) => hop.node.endpoint.register(service, { price: PRICE }, handler),
      end: () => hop.node.endpoint.close(),
    };
  },
  teardown,
  joined: 1,
  relayed: 0,
});

farSideCompliance('another circuit', {
  async setup() {
    net = new TestNet({ metered: true });
    const [client, other] = [await metered({ relayPrice: undefined }), await metered({ relayPrice: undefined })];
    const hop = await metered();
    const ends: CircuitEnd[] = [];
    hop.node.endpoint.register('meet', { price: PRICE }, (stream, _params, end) => {
      ends.push(end);
      stream.resume();
    });
    const meet = async ({ node }: Metered): Promise<Circuit> => {
      const circuit = await node.endpoint.createCircuit([hop.node.offer], { service: 'relay' });
      await circuit.openStream('meet', NOTHING);
      return circuit;
    };
    const [circuit, beyond] = [await meet(client), await meet(other)];
    const plans = [circuit, beyond].map((one) => one.expectJoin());
    joinCircuits(...(ends as [CircuitEnd, CircuitEnd]));
    await Promise.all(plans.map(({ end }) => end));
    return {
      ...seen(circuit, PRICE, client, hop),
      serve: (service, handler) => plans[1]?.register(service, handler),
      end: () => beyond.destroy(),
    };
  },
  teardown,
  joined: 2,
  relayed: 2,
});
