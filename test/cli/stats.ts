/** What a node that did nothing says of itself. */
import type { NodeStats } from '../../app/control/index.ts';

const NONE = { channels: '0', counts: { up: '0', down: '0' }, receipted: '0', settled: '0' };

export function statsOf(change: Partial<NodeStats>): NodeStats {
  return {
    role: 'relay',
    label: 'relay',
    nodeId: 'node',
    wallet: 'wallet',
    addresses: [],
    prices: {},
    startedAt: 0,
    rssBytes: 0,
    links: 0,
    circuits: 0,
    pairs: [],
    closed: { earns: NONE, pays: NONE },
    ledgerAt: null,
    settlement: { transactions: 0, receipts: 0, computeUnits: 0, feeLamports: 0, signatures: [] },
    content: [],
    waiting: { value: '0', from: null, feeShareBps: 100 },
    budget: { limits: { peer: '0', site: '0', total: '0' }, spent: '0', earned: '0', peers: [], sites: [] },
    guards: [],
    figures: {},
    ...change,
  };
}
