/** Chooses hosts for a site and keeps circuits to them: what the gateway's content source asks for. */
import { RelaymintError, messageOf } from '../../../core/errors.ts';
import type { NodeId } from '../../../core/ids.ts';
import { CONTENT_SERVICE, type ContentRoute, type ContentSourceOptions } from '../../../sites/content/index.ts';
import { createCircuitPool, type CircuitPool, type CircuitPoolSettings } from '../../circuit/index.ts';
import type { RunningNode } from './node.ts';

export interface Routes extends AsyncDisposable {
  readonly route: ContentSourceOptions['route'];
  /** Ready circuits over all hosts. */
  readonly circuits: number;
}

export interface RoutesOptions {
  readonly node: RunningNode;
  /** Paid relays in front of the host, 0 .. MAX_RELAYS. */
  readonly hops: number;
  readonly pool?: CircuitPoolSettings;
}

/** Hosts to which circuits are kept; the least recently used pool is closed for a new one. */
const MAX_POOLS = 32;

export function createRoutes(options: RoutesOptions): Routes {
  const { node, hops } = options;
  const { book } = node.discovery;
  const pools = new Map<NodeId, CircuitPool>();

  const poolOf = (host: NodeId): CircuitPool => {
    const known = pools.get(host);
    pools.delete(host);
    const pool =
      known ??
      createCircuitPool({
        endpoint: node.circuits,
        nodeId: node.keys.identity.nodeId,
        offers: book,
        service: CONTENT_SERVICE,
        target: host,
        ...(options.pool === undefined ? {} : { settings: options.pool }),
        log: node.settings.log,
      });
    pools.set(host, pool);
    const [oldest] = pools;
    if (pools.size > MAX_POOLS && oldest !== undefined) {
      pools.delete(oldest[0]);
      oldest[1].close().catch((error: unknown) => {
        node.settings.log.warn({ error: messageOf(error) }, 'closing an idle pool of circuits failed');
      });
    }
    return pool;
  };

  const candidates = (avoid: ReadonlySet<NodeId>): readonly NodeId[] =>
    book.find(CONTENT_SERVICE).flatMap((offer) => (avoid.has(offer.nodeId) ? [] : [offer.nodeId]));

  return {
    get circuits() {
      let ready = 0;
      for (const pool of pools.values()) ready += pool.activeDataCircuits().length;
      return ready;
    },
    async route(site, { avoid, signal }): Promise<ContentRoute> {
      let hosts = candidates(avoid);
      if (hosts.length === 0) {
        await node.discovery.refresh(signal);
        hosts = candidates(avoid);
      }
      let failure: unknown;
      for (const host of hosts) {
        const pool = poolOf(host);
        try {
          await pool.buildTunnels(hops);
          const circuit = await pool.circuit({ signal });
          return {
            host,
            get isOpen() {
              return circuit.isOpen && circuit.acceptsStreams;
            },
            openStream: (service, params, streamOptions) => circuit.openStream(service, params, streamOptions),
          };
        } catch (error) {
          signal.throwIfAborted();
          failure = error;
        }
      }
      throw new RelaymintError(
        'NO_ROUTE',
        failure === undefined
          ? `No host that serves ${site.name} is known.`
          : `No way to ${site.name}: ${messageOf(failure)}`,
        {
          remedy: 'Try again shortly; if it stays so, check --bootstrap and that enough relays are up.',
          cause: failure,
        },
      );
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...pools.values()].map((pool) => pool.close()));
    },
  };
}
