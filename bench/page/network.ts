/** The local marketplace's network with a distance: whoever dials a node or the ledger goes through a proxy that delays. */
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { RelaymintError } from '../../core/errors.ts';
import type { MarketNetwork } from '../../app/market/network.ts';
import { freePort } from '../../test/port.ts';
import { DelayProxy } from './delay.ts';

export interface DistantNetworkOptions {
  /** Of each link, and of each connection to the ledger, milliseconds. */
  readonly roundTripMillis: number;
  /** Nodes that others dial. */
  readonly listeners: number;
  /** Where the ledger is, once it is up. */
  readonly ledgerPort: () => number;
}

/** More than a node with a slow processor needs, milliseconds. */
const READY_MILLIS = 120_000;

export async function openDistantNetwork(options: DistantNetworkOptions): Promise<MarketNetwork> {
  const { roundTripMillis, listeners, ledgerPort } = options;
  await using stack = new AsyncDisposableStack();
  const ledger = stack.use(await DelayProxy.open({ roundTripMillis, target: ledgerPort }));
  const places: { readonly announced: number; readonly port: number }[] = [];
  for (let index = 0; index < listeners; index += 1) {
    const port = await freePort();
    const proxy = stack.use(await DelayProxy.open({ roundTripMillis, target: () => port }));
    places.push({ announced: proxy.port, port });
  }
  const unused = [...places];
  const owned = stack.move();
  return {
    transport: 'tcp',
    readyMillis: READY_MILLIS,
    // Of an option that is given twice the last one counts.
    nodeArgs: ['--ledger', `http://127.0.0.1:${ledger.port}`, '--loopback-only'],
    listenArgs: (known) => {
      // A node that is started again is told the port that it announced.
      const place = known === 0 ? unused.shift() : places.find(({ announced }) => announced === known);
      if (place === undefined) throw new RelaymintError('INTERNAL', 'More nodes listen than there are proxies.');
      return ['--listen', multiaddr(place.port), '--announce', multiaddr(place.announced)];
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function multiaddr(port: number): string {
  return `/ip4/127.0.0.1/tcp/${port}`;
}
