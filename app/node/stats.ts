/** The figures of a running node, for `relaymint stats`, the marketplace page and `--once`. */
import { LRUCache } from 'lru-cache';
import { deadline, orAborted } from '../../core/abort.ts';
import { isRelaymintError, RelaymintError } from '../../core/errors.ts';
import type { ChannelId, NodeId } from '../../core/ids.ts';
import { MAX_ACCOUNTS } from '../../core/limits.ts';
import type { ChannelState } from '../../ledger/contract.ts';
import { amount } from '../../core/units.ts';
import type { Link } from '../../node/link/index.ts';
import { obeyOrder, type SiteSpending } from '../../ledger/budget/index.ts';
import { journalEntryText, type SettlementHistory } from '../../ledger/settlement/index.ts';
import type {
  BudgetStats,
  ClosedStats,
  ControlHandlers,
  NodeStats,
  PairStats,
  SettledList,
  SettlementStats,
  SiteBudgetStats,
} from '../control/index.ts';
import { Glance } from './glance.ts';
import type { RunningNode } from './node.ts';
import { planSettlement } from './settlement-plan.ts';
import { waitingOf, watchSettlePrice, type SettlePrice } from './waiting.ts';

/** The chain is asked at most this often for what it settled, milliseconds. */
const CHAIN_VIEW_MILLIS = 1000;
/** How long a question about the node's own figures waits for the ledger, milliseconds. */
const MOMENT_MILLIS = 80;
const CLOSE_MILLIS = 30_000;
/** A ledger that does not answer a small question for this long counts as down for a user who waits; milliseconds. */
const ANSWER_MILLIS = 15_000;

export interface ControlOptions {
  readonly node: RunningNode;
  readonly addresses: readonly string[];
  /** What its role counts. */
  readonly figures: () => Readonly<Record<string, number>>;
  readonly stop: () => void;
}

export function controlHandlers(options: ControlOptions): ControlHandlers {
  const { node } = options;
  const transports = watchTransports(node);
  const view = new ChainView(node);
  const prices = watchSettlePrice(node);
  const earns = node.settings.till !== undefined;
  // No more circuits: a pool that keeps some ready would open the next channel while this one closes.
  const drain = async (): Promise<void> => {
    await node.circuits.close();
    node.metering.flush();
  };
  return {
    stats: async () => {
      const [channels, price] = await Promise.all([
        view.within(MOMENT_MILLIS),
        earns ? prices.within(MOMENT_MILLIS) : undefined,
      ]);
      return readStats(options, { channels, price: price?.value }, transports);
    },
    audit: async () => {
      await view.channels();
      return readStats(options, { channels: view.last, price: prices.last?.value }, transports);
    },
    flush: async () => {
      node.metering.flush();
      return { flushed: true };
    },
    drain: async () => {
      await drain();
      return { drained: true };
    },
    debts: async () => {
      const debts = Array.from(node.settlement.debts(), ([payer, debt]) => [payer, debt.toString()] as const);
      return { debts: Object.fromEntries(debts) };
    },
    settle: async () => {
      await requireLedger(node);
      const settled = await node.settlement.settleAll();
      view.forget();
      return {
        transactions: settled.length,
        receipts: settled.reduce((sum, one) => sum + one.receipts, 0),
        computeUnits: settled.reduce((sum, one) => sum + one.computeUnits, 0),
        feeLamports: Number(settled.reduce((sum, one) => sum + one.feeLamports, 0n)),
        signatures: settled.map((one) => one.signature),
      };
    },
    settlements: async () => settledList(await node.journal.read()),
    plan: async () => {
      await requireLedger(node);
      return planSettlement(node);
    },
    withdraw: async () => {
      await requireLedger(node);
      const result = await node.settlement.withdraw();
      view.forget();
      return { withdrawn: (result?.amount ?? amount(0n)).toString(), signature: result?.signature };
    },
    close: async () => {
      await drain();
      using limit = deadline(CLOSE_MILLIS, 'Closing the channels');
      const { closed, returned } = await node.channels.closeAll(limit.signal);
      view.forget();
      return { closed, returned: returned.toString() };
    },
    advertise: () => node.advertise(),
    budgets: async () => ({ sites: node.budget.sites().map(siteBudgetOf) }),
    budget: async (order) => {
      await obeyOrder(node.budget, order);
      return siteBudgetOf(node.budget.site(order.name));
    },
    stop: async () => {
      options.stop();
      return { stopping: true };
    },
  };
}

/**
 * Settling waits longer for a dead ledger than a user does: a minute or more. So we first ask whether the ledger answers.
 * @throws RelaymintError LEDGER_UNREACHABLE.
 */
async function requireLedger({ ledger }: Pick<RunningNode, 'ledger'>): Promise<void> {
  using answer = deadline(ANSWER_MILLIS, 'Asking the ledger');
  try {
    await orAborted(ledger.bank(), answer.signal, 'Asking the ledger');
  } catch (cause) {
    if (!isRelaymintError(cause, 'TIMEOUT')) throw cause;
    throw new RelaymintError('LEDGER_UNREACHABLE', `The ledger did not answer for ${ANSWER_MILLIS / 1000} s.`, {
      remedy:
        'Nothing was settled, and nothing is lost. Check the --ledger of the node and the network, then try again.',
      cause,
    });
  }
}

/** The part of a node's figures that comes from the ledger. */
interface LedgerPart {
  readonly channels: SeenOnChain | undefined;
  readonly price: SettlePrice | undefined;
}

function readStats(options: ControlOptions, onLedger: LedgerPart, transports: Transports): NodeStats {
  const { node, addresses } = options;
  const onChain = onLedger.channels;
  const { settings } = node;
  const circuits = node.circuits.stats();
  return {
    role: settings.role,
    label: settings.label,
    nodeId: node.keys.identity.nodeId,
    wallet: node.wallet.address,
    addresses,
    prices: Object.fromEntries(node.services.map(({ name, price }) => [name, price.toString()])),
    startedAt: node.startedAt,
    rssBytes: process.memoryUsage.rss(),
    links: node.links.links().length,
    circuits: circuits.initiated + circuits.joined,
    pairs: pairsOf(node, onChain?.channels, transports),
    closed: closedOf(node, onChain?.channels),
    ledgerAt: onChain?.at ?? null,
    settlement: settlementOf(node),
    content: node.metering
      .content()
      .map(({ name, referrer = null, bytes, gross }) => ({ name, referrer, bytes, gross: String(gross) })),
    waiting: waitingOf(node, onLedger.price),
    budget: budgetOf(node),
    guards: node.guards.view(),
    figures: options.figures(),
  };
}

function budgetOf({ budget }: RunningNode): BudgetStats {
  const { limits, spent, earned, peers, sites } = budget.view();
  return {
    limits: {
      peer: limits.perPeer.toString(),
      site: limits.perSite.toString(),
      total: limits.total.toString(),
    },
    spent: spent.toString(),
    earned: earned.toString(),
    peers: peers.map((row) => ({ wallet: row.who, spent: row.spent.toString() })),
    sites: sites.map(siteBudgetOf),
  };
}

function siteBudgetOf({ who, spent, limit, hasOwnLimit, isStopped, freesAt }: SiteSpending): SiteBudgetStats {
  return {
    name: who,
    spent: spent.toString(),
    limit: limit.toString(),
    hasOwnLimit,
    stopped: isStopped,
    freesAt: freesAt ?? null,
  };
}

/** The transport of each peer's link, or last link: as many as there can be accounts, because a stranger is a new peer on each link. */
export interface Transports {
  get(peer: NodeId): string | undefined;
}

/** Follows the node's links from now on. */
export function watchTransports({ links }: Pick<RunningNode, 'links'>): Transports {
  const transports = new LRUCache<NodeId, string>({ max: MAX_ACCOUNTS });
  const remember = ({ peer, transport }: Pick<Link, 'peer' | 'transport'>): void =>
    void transports.set(peer, transport);
  links.links().forEach(remember);
  links.onLink(remember);
  return transports;
}

/** The accounts whose channels exist, without closed ones. All of them until the chain has shown which exist. */
export function pairsOf(
  node: RunningNode,
  onChain: ReadonlyMap<ChannelId, ChannelState> | undefined,
  transports: Transports,
): PairStats[] {
  return node.book
    .peers()
    .filter((pair) => pair.live || onChain === undefined || onChain.has(pair.channel.id))
    .map((pair) => ({
      side: pair.role === 'payee' ? 'earns' : 'pays',
      peer: pair.peer,
      payer: pair.channel.payer,
      transport: transports.get(pair.peer) ?? 'tcp',
      channel: pair.channel.id,
      live: pair.live,
      counts: { up: pair.up.toString(), down: pair.down.toString() },
      owed: pair.due.toString(),
      receipted: pair.signed.toString(),
      settled: laterOf(onChain?.get(pair.channel.id)?.settled, pair.channel.settled).toString(),
    }));
}

/** Totals of closed channels: those that the books forgot, and those that the chain no longer shows. */
export function closedOf(
  { book, store }: Pick<RunningNode, 'book' | 'store'>,
  onChain: ReadonlyMap<ChannelId, ChannelState> | undefined,
): NodeStats['closed'] {
  const gone = onChain === undefined ? [] : book.peers().filter((pair) => !pair.live && !onChain.has(pair.channel.id));
  const ofSide = (role: 'payer' | 'payee'): ClosedStats => {
    let { channels, up, down, signed, settled } = store.closed(role);
    for (const pair of gone) {
      if (pair.role !== role) continue;
      channels += 1n;
      up += pair.up;
      down += pair.down;
      signed += pair.signed;
      settled += pair.channel.settled;
    }
    return {
      channels: channels.toString(),
      counts: { up: up.toString(), down: down.toString() },
      receipted: signed.toString(),
      settled: settled.toString(),
    };
  };
  return { earns: ofSide('payee'), pays: ofSide('payer') };
}

/** As the control port and the command line show it. */
export function settledList({ entries, damaged }: SettlementHistory): SettledList {
  return { settlements: entries.map(journalEntryText), damaged };
}

/** What was settled never shrinks: an older view of the chain does not take back what the books say. */
function laterOf(seen: bigint | undefined, booked: bigint): bigint {
  return seen === undefined || booked > seen ? booked : seen;
}

function settlementOf(node: RunningNode): SettlementStats {
  const totals = node.settlement.totals();
  return {
    transactions: totals.transactions,
    receipts: totals.receipts,
    computeUnits: totals.computeUnits,
    feeLamports: Number(totals.feeLamports),
    signatures: totals.signatures,
  };
}

/** Open channels, both sides, and when the ledger showed them, UNIX milliseconds. */
export interface SeenOnChain {
  readonly at: number;
  readonly channels: ReadonlyMap<ChannelId, ChannelState>;
}

/**
 * The node's open channels on chain, both sides, read at most once a second however many ask: one slot of each that it pays from,
 * and its own till.
 */
export class ChainView {
  readonly #glance: Glance<ReadonlyMap<ChannelId, ChannelState>>;

  constructor(node: Pick<RunningNode, 'ledger' | 'wallet' | 'store'>) {
    this.#glance = new Glance(() => readChannels(node), CHAIN_VIEW_MILLIS);
  }

  /** The last view; undefined: none yet in this run. */
  get last(): SeenOnChain | undefined {
    const seen = this.#glance.last;
    return seen === undefined ? undefined : { at: seen.at, channels: seen.value };
  }

  /** The last view, which is as new as that of `channels` if the ledger answers in time. Never rejects. */
  async within(millis: number): Promise<SeenOnChain | undefined> {
    await this.#glance.within(millis);
    return this.last;
  }

  channels(): Promise<ReadonlyMap<ChannelId, ChannelState>> {
    return this.#glance.now();
  }

  /** The next look reads again. */
  forget(): void {
    this.#glance.forget();
  }
}

async function readChannels({
  ledger,
  wallet,
  store,
}: Pick<RunningNode, 'ledger' | 'wallet' | 'store'>): Promise<ReadonlyMap<ChannelId, ChannelState>> {
  const places = [...store.entries()].filter(({ role }) => role === 'payer').map(({ channel }) => channel);
  const [paying, till] = await Promise.all([ledger.channels(places), ledger.till(wallet.address)]);
  // A slot may hold another channel by now: the id tells.
  const open = paying.filter((channel, index) => channel !== undefined && channel.id === places[index]?.id);
  return new Map(
    [...open, ...(till?.channels ?? [])].flatMap((channel) => (channel === undefined ? [] : [[channel.id, channel]])),
  );
}
