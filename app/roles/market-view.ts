/**
 * What the gateway's front page shows: the nodes it knows from their offers, its own accounts, what the chain says, and,
 * in a local marketplace, what every node's own books say.
 */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { CID } from 'multiformats/cid';
import { ledgerAddress } from '../../core/ids.ts';
import type { NameRecord } from '../../ledger/contract.ts';
import type { MarketBalance, MarketName, MarketNode, MarketPair, MarketView } from '../../sites/gateway/index.ts';
import { priceOf } from '../../node/offer/index.ts';
import { callControl, readControlFile, type NodeStats } from '../control/index.ts';
import { type RunningNode, ChainView, pairsOf, watchTransports } from '../node/index.ts';

/** Rows of each list that the page takes. */
const MAX_ROWS = 500;

/** What the chain says is asked again after this long, however many watch, milliseconds. */
const CHAIN_MILLIS = 3000;

/** What of the view is read from the chain: three to a dozen requests. */
type ChainPart = Pick<MarketView, 'names' | 'namesLeftOut' | 'balances' | 'supply'>;

/** @returns a function that reads the whole view; parts that do not answer are left out, and so are records that make no sense. */
export function createMarketView(node: RunningNode, watch: string | undefined): () => Promise<MarketView> {
  const view = new ChainView(node);
  const transports = watchTransports(node);
  let chain: { readonly at: number; readonly part: Promise<ChainPart> } | undefined;
  const chainPart = (watched: readonly NodeStats[]): Promise<ChainPart> => {
    if (chain === undefined || performance.now() - chain.at > CHAIN_MILLIS) {
      const fresh = { at: performance.now(), part: readChain(node, watched) };
      chain = fresh;
      fresh.part.catch(() => {
        if (chain === fresh) chain = undefined;
      });
    }
    return chain.part;
  };
  return async () => {
    const [watched, channels] = await Promise.all([
      watch === undefined ? [] : readWatched(node, watch),
      view.channels(),
    ]);
    const own = pairsOf(node, channels, transports);
    const self = watched.find((stats) => stats.nodeId === node.keys.identity.nodeId);
    const all: readonly Pick<NodeStats, 'wallet' | 'nodeId' | 'pairs'>[] =
      self === undefined
        ? [...watched, { wallet: node.wallet.address, nodeId: node.keys.identity.nodeId, pairs: own }]
        : watched;
    return {
      nodes: nodesOf(node, watched).slice(0, MAX_ROWS),
      pairs: pairsFrom(all).slice(0, MAX_ROWS),
      ...(await chainPart(watched)),
      ...(watched.length === 0 ? {} : { settlement: sum(watched) }),
      updatedAt: Date.now(),
    };
  };
}

async function readChain(node: RunningNode, watched: readonly NodeStats[]): Promise<ChainPart> {
  const [bank, records] = await Promise.all([node.ledger.bank(), node.ledger.names()]);
  const { names, leftOut } = namesOf(records);
  return {
    names,
    ...(leftOut === 0 ? {} : { namesLeftOut: leftOut }),
    balances: await balancesOf(node, watched, names),
    supply: {
      bought: bank.bought.toString(),
      redeemed: bank.redeemed.toString(),
      burned: bank.burned.toString(),
      minted: bank.minted.toString(),
      circulating: bank.supply.toString(),
      openDeposits: bank.openDeposits.toString(),
      unminted: bank.unminted.toString(),
      forgone: bank.forgone.toString(),
    },
  };
}

/**
 * Those that earned most, by name. A record may point to any bytes at all: one that is no CID is left out, and counted. Names
 * are cheap, so where there are more than the page takes, those that earned nothing make room first.
 */
function namesOf(records: readonly NameRecord[]): { readonly names: MarketName[]; readonly leftOut: number } {
  const shown: (MarketName & { readonly earned: bigint })[] = [];
  for (const { name, root, owner, royaltyBps, accrued, lifetime } of records) {
    const cid = rootText(root);
    if (cid === undefined) continue;
    const row = { name, root: cid, owner, royaltyBps, accrued: accrued.toString(), lifetime: lifetime.toString() };
    shown.push({ ...row, earned: lifetime });
  }
  const names = shown
    .sort((a, b) => (a.earned > b.earned ? -1 : a.earned < b.earned ? 1 : 0))
    .slice(0, MAX_ROWS)
    .map(({ earned: _earned, ...row }) => row)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return { names, leftOut: records.length - shown.length };
}

/** Empty for none yet; undefined for what is no CID. */
function rootText(root: Uint8Array): string | undefined {
  if (root.length === 0) return '';
  try {
    return CID.decode(root).toString();
  } catch {
    return undefined;
  }
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

/** Joins both ends of each channel where both are known. A payee may know its payer by another node id than we do. */
function pairsFrom(all: readonly Pick<NodeStats, 'wallet' | 'nodeId' | 'pairs'>[]): MarketPair[] {
  const rows = new Map<string, MarketPair>();
  for (const { nodeId, pairs } of all) {
    for (const pair of pairs) {
      const earns = pair.side === 'earns';
      const known = rows.get(pair.channel);
      rows.set(pair.channel, {
        payer: earns ? (known?.payer ?? pair.peer) : nodeId,
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

async function balancesOf(
  node: RunningNode,
  watched: readonly NodeStats[],
  names: readonly MarketName[],
): Promise<MarketBalance[]> {
  const roles = new Map<string, MarketBalance['role']>([[node.wallet.address, 'visitor']]);
  for (const stats of watched) roles.set(stats.wallet, stats.role === 'gateway' ? 'visitor' : stats.role);
  for (const { owner } of names) if (!roles.has(owner)) roles.set(owner, 'site');
  const owners = [...roles].slice(0, MAX_ROWS);
  const holdings = await node.ledger.holdings(owners.map(([owner]) => ledgerAddress(owner)));
  return owners.flatMap(([owner, role], index) => {
    const held = holdings[index];
    if (held === undefined) return [];
    const earned = held.earned === undefined ? {} : { earned: held.earned.toString() };
    return [{ owner, role, credits: held.credits.toString(), ...earned }];
  });
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
