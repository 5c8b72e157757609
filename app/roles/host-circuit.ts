/** A pool of one circuit that leads to one host, over paid relays. */
import type { NodeId } from '../../core/ids.ts';
import { createCircuitPool, type CircuitPool } from '../../node/tunnel/index.ts';
import type { RunningNode } from '../node/index.ts';

/** What it needs of a node. */
type PoolNode = Pick<RunningNode, 'circuits' | 'keys' | 'guards' | 'settings' | 'discovery'>;

/** Nothing is built yet. Close it: its circuit ends then. */
export function poolTo(node: PoolNode, host: NodeId, service: string): CircuitPool {
  const { maxPrice } = node.settings.node;
  return createCircuitPool({
    endpoint: node.circuits,
    nodeId: node.keys.identity.nodeId,
    offers: node.discovery.book,
    guards: node.guards,
    service,
    target: host,
    ...(maxPrice === undefined ? {} : { maxPrice }),
    settings: { minCircuits: 1, maxCircuits: 1 },
    log: node.settings.log,
  });
}
