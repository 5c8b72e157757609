/** Both ends of a circuit over two relays, which is paid for. */
import type { CircuitEnd } from '../../../node/circuit/index.ts';
import { circuitEndCompliance, type CircuitEndUnderTest } from '../../compliance/circuit-end.ts';
import { PRICE, TestNet, eventually } from './net.ts';

let net: TestNet;

async function circuit(): Promise<{ initiator: CircuitEndUnderTest; host: CircuitEndUnderTest }> {
  net = new TestNet({ metered: true });
  const { client, host, offers } = await net.path(2, { services: { hello: PRICE } });
  const met = new Promise<CircuitEnd>((resolve) => {
    host.endpoint.register('hello', { price: PRICE }, (stream, _params, end) => {
      stream.end();
      resolve(end);
    });
  });
  const near = await client.endpoint.createCircuit(offers, { service: 'hello' });
  await near.openStream('hello', new Uint8Array(0));
  const far = await met;
  const destroy = async (): Promise<void> => {
    near.destroy();
    await eventually(() => far.isOpen).toBe(false);
  };
  return {
    initiator: {
      end: near,
      price: PRICE,
      // The echo of every host of the net is there already.
      serve: (service, handler) => {
        if (service !== 'echo') host.endpoint.register(service, { price: PRICE }, handler);
      },
      destroy,
    },
    host: { end: far, price: PRICE, serve: (service, handler) => near.register(service, handler), destroy },
  };
}

const teardown = (): Promise<void> => net.close();
circuitEndCompliance('the initiator', { setup: async () => (await circuit()).initiator, teardown });
circuitEndCompliance('the host', { setup: async () => (await circuit()).host, teardown });
