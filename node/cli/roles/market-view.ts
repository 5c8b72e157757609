/**
 * What the gateway's front page shows: the nodes it knows from their offers, its own accounts, what the chain says, and,
 * in a local marketplace, what every node's own books say.
 */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { CID } from 'multiformats/cid';
import { ledgerAddress } from '../../../core/ids.ts';
import type { MarketBalance, MarketNode, MarketPair, MarketView } from '../../../sites/gateway/index.ts';
import { priceOf } from '../../discovery/index.ts';
import { callControl, readControlFile } from '../control/client.ts';
import type { NodeStats } from '../control/protocol.ts';
import type { RunningNode } from './node.ts';
import { ChainView, pairsOf } from './stats.ts';

/** Rows of each list that the page takes. */
const MAX_ROWS = 500;

/** @returns a function that reads the whole view afresh; parts that do not answer are left out. */
export function createMarketView(node: RunningNode, watch: string | undefined): () => Promise<MarketView> {
  const view = new ChainView(node);
  return async () => {
    const [bank, names, own, watched] = await Promise.all([
      node.ledger.bank(),
      node.ledger.names(),
      view.channels().then((channels) => pairsOf(node, channels, new Map())),
      watch === undefined ? [] : readWatched(node, watch),
    ]);
    const self = watched.find((stats) => stats.nodeId === node.keys.identity.nodeId);
    const all: readonly Pick<NodeStats, 'wallet' | 'nodeId' | 'pairs'>[] =
      self === undefined
        ? [...watched, { wallet: node.wallet.address, nodeId: node.keys.identity.nodeId, pairs: own }]
        : watched;
    const settlement = sum(watched);
    return {
      nodes: nodesOf(node, watched).slice(0, MAX_ROWS),
      pairs: pairsFrom(all).slice(0, MAX_ROWS),
      balances: await balancesOf(node, watched),
      names: names.slice(0, MAX_ROWS).map((record) => ({
        name: record.name,
        root: record.root.length === 0 ? '' : CID.decode(record.root).toString(),
        owner: record.owner,
        royaltyBps: record.royaltyBps,
        accrued: record.accrued.toString(),
        lifetime: record.lifetime.toString(),
      })),
      supply: {
        bought: bank.bought.toString(),
        redeemed: bank.redeemed.toString(),
        burned: bank.burned.toString(),
        minted: bank.minted.toString(),
        circulating: bank.supply.toString(),
        openDeposits: bank.openDeposits.toString(),
        unminted: bank.unminted.toString(),
      },
      ...(watched.length === 0 ? {} : { settlement }),
      updatedAt: Date.now(),
    };
  };
}

async function readWatched(node: RunningNode, root: string): Promise<NodeStats[]> {
  const folders = await readdir(root, { withFileTypes: true }).catch(() => []);
  const answers = await Promise.all(
    folders
      .filter((folder) => folder.isDirectory())
      .map(async (folder) => {
        try {
          const control = await readControlFile(path.join(root, folder.name));
          return await callControl(node.policy.fetch('control'), control, 'stats');
        } catch {
          return undefined; // not a node's folder, or the node is down at the moment
        }
      }),
  );
  return answers.filter((stats) => stats !== undefined);
}

function nodesOf(node: RunningNode, watched: readonly NodeStats[]): MarketNode[] {
  const rows = new Map<string, MarketNode>();
  for (const offer of node.discovery.book.all()) {
    const content = priceOf(offer, 'content');
    const price = content ?? priceOf(offer, 'relay');
    if (price === undefined) continue;
    rows.set(offer.nodeId, {
      id: offer.nodeId,
      role: content === undefined ? 'relay' : 'host',
      addresses: [...offer.addresses],
      price: price.toString(),
      online: node.links.get(offer.nodeId) !== undefined,
    });
  }
  for (const stats of watched) {
    const price = stats.prices['content'] ?? stats.prices['relay'];
    rows.set(stats.nodeId, {
      id: stats.nodeId,
      role: stats.role === 'site' ? 'publisher' : stats.role,
      addresses: [...stats.addresses],
      ...(price === undefined ? {} : { price }),
      online: true,
    });
  }
  return [...rows.values()];
}

/** Joins both ends of each channel where both are known. */
function pairsFrom(all: readonly Pick<NodeStats, 'wallet' | 'nodeId' | 'pairs'>[]): MarketPair[] {
  const rows = new Map<string, MarketPair>();
  for (const { nodeId, pairs } of all) {
    for (const pair of pairs) {
      const earns = pair.side === 'earns';
      const known = rows.get(pair.channel);
      rows.set(pair.channel, {
        payer: earns ? pair.peer : nodeId,
        payee: earns ? nodeId : pair.peer,
        transport: pair.transport,
        payerCounts: earns ? (known?.payerCounts ?? null) : pair.counts,
        payeeCounts: earns ? pair.counts : (known?.payeeCounts ?? null),
        owed: earns || known === undefined ? pair.owed : known.owed,
        paid: earns || known === undefined ? pair.receipted : known.paid,
        settled: pair.settled,
      });
    }
  }
  return [...rows.values()];
}

async function balancesOf(node: RunningNode, watched: readonly NodeStats[]): Promise<MarketBalance[]> {
  const owners = new Map<string, MarketBalance['role']>([[node.wallet.address, 'visitor']]);
  for (const stats of watched) owners.set(stats.wallet, stats.role === 'gateway' ? 'visitor' : stats.role);
  for (const record of await node.ledger.names()) if (!owners.has(record.owner)) owners.set(record.owner, 'site');
  return Promise.all(
    [...owners].slice(0, MAX_ROWS).map(async ([owner, role]) => {
      const address = ledgerAddress(owner);
      const [balances, till] = await Promise.all([node.ledger.balances(address), node.ledger.till(address)]);
      return {
        owner,
        role,
        credits: balances.credits.toString(),
        ...(till === undefined ? {} : { earned: till.earned.toString() }),
      };
    }),
  );
}

function sum(watched: readonly NodeStats[]): NonNullable<MarketView['settlement']> {
  const total = { transactions: 0, receipts: 0, computeUnits: 0, feeLamports: 0 };
  for (const { settlement } of watched) {
    total.transactions += settlement.transactions;
    total.receipts += settlement.receipts;
    total.computeUnits += settlement.computeUnits;
    total.feeLamports += settlement.feeLamports;
  }
  return total;
}
