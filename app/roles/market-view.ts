/**
 * What the gateway's front page shows: the nodes it knows from their offers, its own accounts, what the chain says, and,
 * in a local marketplace, what every node's own books say.
 */
import { CID } from 'multiformats/cid';
import { ledgerAddress } from '../../core/ids.ts';
import type { NameRecord } from '../../ledger/contract.ts';
import type {
  MarketBalance,
  MarketName,
  MarketNode,
  MarketPair,
  MarketRole,
  MarketSupply,
  MarketView,
  MarketWaiting,
} from '../../sites/gateway/index.ts';
import { priceOf } from '../../node/offer/index.ts';
import type { NodeStats } from '../control/index.ts';
import { type RunningNode, ChainView, Glance, pairsOf, watchTransports } from '../node/index.ts';
import type { WatchedNodes } from './watched.ts';

/** Rows of each list that the page takes. */
const MAX_ROWS = 500;

/** The chain is asked again after this long, however many watch, milliseconds. */
const CHAIN_MILLIS = 3000;
/** How long the page waits for the ledger or another node, milliseconds: the next refresh shows what came later. */
const MOMENT_MILLIS = 250;
/** A ledger that was silent for this long counts as not answering. */
const SILENT_MILLIS = 10_000;
const MAX_LABEL = 96;

/** The part of the view that is read from the chain: three to a dozen requests. */
type ChainPart = Pick<MarketView, 'names' | 'namesLeftOut' | 'balances'> & { readonly supply: MarketSupply };

/**
 * @returns a function that reads the whole view: at once what the nodes know, and what the ledger showed last. Parts that do not
 * answer are left out, and so are records that make no sense.
 */
export function createMarketView(node: RunningNode, others: WatchedNodes | undefined): () => Promise<MarketView> {
  const view = new ChainView(node);
  const transports = watchTransports(node);
  let watched: readonly NodeStats[] = [];
  const chain = new Glance(() => readChain(node, watched), CHAIN_MILLIS);
  return async () => {
    watched = others === undefined ? [] : await others.stats(MOMENT_MILLIS);
    const [channels, onChain] = await Promise.all([view.within(MOMENT_MILLIS), chain.within(MOMENT_MILLIS)]);
    const own = pairsOf(node, channels?.channels, transports);
    const self = watched.find((stats) => stats.nodeId === node.keys.identity.nodeId);
    const all: readonly Pick<NodeStats, 'label' | 'wallet' | 'nodeId' | 'pairs'>[] =
      self === undefined
        ? [
            ...watched,
            {
              label: node.settings.label,
              wallet: node.wallet.address,
              nodeId: node.keys.identity.nodeId,
              pairs: own,
            },
          ]
        : watched;
    const part: Partial<ChainPart> = onChain?.value ?? {};
    const { balances = [], names = [], supply = null, ...rest } = part;
    const labels = labelsOf(all, names);
    return {
      nodes: nodesOf(node, watched).slice(0, MAX_ROWS),
      pairs: pairsFrom(all, labels).slice(0, MAX_ROWS),
      names,
      ...rest,
      balances: balances.map((row) => ({ ...row, ...labelled(labels.get(row.owner)) })),
      supply,
      ledger: ageOf(onChain?.at),
      ...(watched.length === 0 ? {} : { settlement: sum(watched), waiting: waitingOf(watched).slice(0, MAX_ROWS) }),
      updatedAt: Date.now(),
    };
  };
}

/** The terminal's label of a wallet or a node id. The owner of a name that runs no node here is its publisher. */
function labelsOf(
  all: readonly Pick<NodeStats, 'label' | 'wallet' | 'nodeId'>[],
  names: readonly MarketName[],
): ReadonlyMap<string, string> {
  const labels = new Map<string, string>();
  for (const { owner, name } of names) if (!labels.has(owner)) labels.set(owner, `publisher of ${name}`);
  for (const { label, wallet, nodeId } of all) labels.set(wallet, label).set(nodeId, label);
  return labels;
}

function labelled(label: string | undefined): { readonly label?: string } {
  return label === undefined ? {} : { label: label.slice(0, MAX_LABEL) };
}

function waitingOf(watched: readonly NodeStats[]): MarketWaiting[] {
  return watched
    .filter(({ waiting, pairs }) => waiting.value !== '0' || pairs.some(({ side }) => side === 'earns'))
    .map(({ nodeId, label, waiting }) => ({ node: nodeId, ...labelled(label), ...waiting }))
    .toSorted(byLabel);
}

function ageOf(at: number | undefined): MarketView['ledger'] {
  return at === undefined ? { at: null, answers: false } : { at, answers: Date.now() - at < SILENT_MILLIS };
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
 * Those that earned most, by name. A record may point to any bytes: one that is not a CID is left out, and counted. Names
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

/** Empty for no content yet; undefined for what is not a CID. */
function rootText(root: Uint8Array): string | undefined {
  if (root.length === 0) return '';
  try {
    return CID.decode(root).toString();
  } catch {
    return undefined;
  }
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
      role: roleOf(stats),
      ...labelled(stats.label),
      addresses: [...stats.addresses],
      ...(price === undefined ? {} : { price }),
      online: true,
    });
  }
  return Array.from(rows.values()).toSorted(byLabel);
}

/** As in the terminal; those without a label last. */
function byLabel(a: { readonly label?: string | undefined }, b: { readonly label?: string | undefined }): number {
  return (a.label ?? '\uffff').localeCompare(b.label ?? '\uffff', 'en', { numeric: true });
}

function roleOf({ role }: Pick<NodeStats, 'role'>): MarketRole {
  return role === 'site' ? 'publisher' : role;
}

/**
 * Joins both ends of each channel where both are known. A payee may know its payer by another node id than we do: by its wallet it
 * is recognized.
 */
function pairsFrom(
  all: readonly Pick<NodeStats, 'nodeId' | 'pairs'>[],
  labels: ReadonlyMap<string, string>,
): MarketPair[] {
  const rows = new Map<string, MarketPair>();
  for (const { nodeId, pairs } of all) {
    for (const pair of pairs) {
      const earns = pair.side === 'earns';
      const known = rows.get(pair.channel);
      const payer = earns ? (known?.payer ?? pair.peer) : nodeId;
      const payee = earns ? nodeId : pair.peer;
      const { label: payerLabel } = labelled(labels.get(payer) ?? labels.get(pair.payer));
      const { label: payeeLabel } = labelled(labels.get(payee));
      rows.set(pair.channel, {
        payer,
        ...(payerLabel === undefined ? {} : { payerLabel }),
        payee,
        ...(payeeLabel === undefined ? {} : { payeeLabel }),
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
  const roles = new Map<string, MarketRole>([[node.wallet.address, 'gateway']]);
  for (const stats of watched) roles.set(stats.wallet, roleOf(stats));
  for (const { owner } of names) if (!roles.has(owner)) roles.set(owner, 'publisher');
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
