/** Whoever owns a circuit's end on a link: its initiator, and a relay towards the previous hop and towards the next one. */
import type { CircuitStream } from '../../../node/circuit/index.ts';
import { legOwnerCompliance, type LegOwnerUnderTest } from '../../compliance/leg-owner.ts';
import { linkBetween } from './billing.ts';
import { PRICE, TestNet, type TestNode } from './net.ts';

let net: TestNet;
const teardown = (): Promise<void> => net.close();

type Who = 'client' | 'relay' | 'host';

/** A circuit over one relay, looked at on the link between two of its nodes: its first circuit on either. */
async function between(owner: Who, peer: Who): Promise<LegOwnerUnderTest> {
  net = new TestNet();
  const { client, relays, host, offers } = await net.path(1);
  const nodes: Readonly<Record<Who, TestNode>> = { client, relay: relays[0] as TestNode, host };
  const taken = new Promise<CircuitStream>((resolve) => {
    host.endpoint.register('hold', { price: PRICE }, resolve);
  });
  const circuit = await client.endpoint.createCircuit(offers, { service: 'echo' });
  const near = await circuit.openStream('hold', new Uint8Array(0));
  const isTowardsInitiator = peer === 'client';
  const atInitiator = (): void => circuit.destroy();
  const atHost = (): Promise<void> => host.endpoint.close();
  return {
    circuit,
    streams: [near, await taken],
    link: { owner: linkBetween(nodes[owner], nodes[peer]), peer: linkBetween(nodes[peer], nodes[owner]) },
    id: 1,
    endAtPeer: isTowardsInitiator ? atInitiator : atHost,
    endAtOwner: isTowardsInitiator ? atHost : atInitiator,
    endpoints: Object.values(nodes).map(({ endpoint }) => endpoint),
  };
}

legOwnerCompliance('the initiator', { setup: () => between('client', 'relay'), teardown, pays: true });
legOwnerCompliance('a relay towards the previous hop', {
  setup: () => between('relay', 'client'),
  teardown,
  pays: false,
});
legOwnerCompliance('a relay towards the next hop', { setup: () => between('relay', 'host'), teardown, pays: true });
