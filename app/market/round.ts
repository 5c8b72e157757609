/**
 * One complete round of the local marketplace: publish sites, fetch every file of them through paid relays, pay, settle,
 * close, withdraw, and read every figure of the report from the running parts.
 */
import path from 'node:path';
import { elapsed } from '../../core/abort.ts';
import { ledgerAddress } from '../../core/ids.ts';
import type { Log } from '../../core/ports.ts';
import type { LedgerReader } from '../../ledger/contract.ts';
import {
  callControl,
  readControlFile,
  type ControlQuestion,
  type ControlResults,
  type NodeStats,
} from '../control/index.ts';
import type { Cluster, ClusterNode } from './cluster.ts';
import type { MarketTransport } from './network.ts';
import type { MarketLayout } from './layout.ts';
import type { Accounts, Published, Said } from './events.ts';
import {
  faultsOf,
  settledSince,
  type ReportBalance,
  type ReportPeer,
  type ReportSite,
  type RoundReport,
} from './report.ts';
import { sharesBefore, sharesSince } from './shares.ts';
import type { OwnerCommands } from './owner-commands.ts';
import { publishAll } from './publish-all.ts';
import type { Display, Showing } from './showing.ts';
import { visitAll } from './visit-all.ts';

export interface RoundOptions {
  readonly cluster: Cluster;
  readonly reader: LedgerReader;
  readonly display: Display;
  readonly owners: OwnerCommands;
  readonly layout: MarketLayout;
  /** Pays the name's revenue out to its owner. */
  readonly distribute: (showing: Showing) => Promise<void>;
  /** Closes the owner's own channels, as `relaymint` would on its wallet. */
  readonly closeOwner: (owner: string) => Promise<void>;
  /** The policy's fetch for the control ports and for pages. */
  readonly fetch: typeof fetch;
  readonly log: Log;
  readonly onStage: (stage: string) => void;
  readonly onPublished: (published: Published) => void;
  readonly onProgress: (files: number, bytes: number) => void;
  readonly readyMs: number;
  readonly transport: MarketTransport;
}

/** How long receipts may take to reach everyone once traffic has stopped. */
const QUIET_MILLIS = 15_000;
const POLL_MILLIS = 50;
/** A payer can close only after the challenge period; with a longer one the round leaves its channels open. */
const MAX_CHALLENGE_SECONDS = 5n;

export async function runRound(options: RoundOptions): Promise<RoundReport> {
  const { cluster, reader, display, owners } = options;
  const before = new Map<string, string>();
  for (const { ready } of cluster.nodes) before.set(ready.wallet, await creditsOf(reader, ready.wallet));

  const statsBefore = await readStats(options);
  const settledBefore = statsBefore.map((node) => node.settlement);
  const names = display.showings.map(({ name }) => name);
  const earnedBefore = await sharesBefore(reader, names, statsBefore);

  const {
    sites: published,
    said,
    standing,
  } = await publishAll({
    display,
    owners,
    layout: options.layout,
    log: options.log,
    onBegin: (what) => options.onStage(`Publishing ${what}`),
    // Of several names of one owner the first says what there was before.
    onPublished: (one) => {
      before.set(one.wallet, before.get(one.wallet) ?? one.creditsBefore);
      options.onPublished(one);
    },
  });
  const traffic: Said[] = [];
  for (const live of display.live) traffic.push(await owners.sayTraffic(live));

  options.onStage('Fetching every file through the relays');
  const fetchBegan = performance.now();
  const sites = await visitAll({
    display: { ...display, posts: standing },
    published,
    traffic,
    gatewayUrl: cluster.gatewayUrl,
    fetch: options.fetch,
    log: options.log,
    onProgress: options.onProgress,
    settle: async () => {
      await quiesce(options);
      for (const node of cluster.nodes) await control(options, node, 'settle');
    },
  });
  const fetchMs = performance.now() - fetchBegan;

  options.onStage('Settling, closing and withdrawing');
  const settleBegan = performance.now();
  const closing = (await reader.bank()).challengeSeconds <= MAX_CHALLENGE_SECONDS;
  // The end of a circuit is paid for like the rest of it: a channel must be closed after that, or its last receipt is lost.
  if (closing) await Promise.all(cluster.nodes.map((node) => control(options, node, 'drain')));
  await quiesce(options);
  for (const node of cluster.nodes) await control(options, node, 'settle');
  const peers = await readPeers(options, [...published, ...said, ...traffic]);
  if (closing) {
    const labels = new Set(display.showings.map(({ owner }) => owner));
    const closings = Array.from(labels, (owner) => options.closeOwner(owner));
    await Promise.all([...closings, ...cluster.nodes.map((node) => control(options, node, 'close'))]);
  }
  for (const node of cluster.nodes) await control(options, node, 'withdraw');
  const { shares, faults: disagreements } = await sharesSince(reader, names, await readStats(options), earnedBefore);
  for (const showing of display.showings) await options.distribute(showing);
  const settleMs = performance.now() - settleBegan;

  const stats = await readStats(options);
  const report = {
    transport: options.transport,
    site: sites[0] as ReportSite,
    sites,
    peers,
    shares,
    settlement: settledSince(
      settledBefore,
      stats.map((node) => node.settlement),
    ),
    supply: await readSupply(reader),
    balances: await readBalances(options, published, before),
    timings: { readyMs: options.readyMs, fetchMs: Math.round(fetchMs), settleMs: Math.round(settleMs) },
  };
  const faults = [...faultsOf(report), ...disagreements];
  for (const fault of faults) options.log.error({ fault }, 'the round does not add up');
  return { ok: faults.length === 0, ...report };
}

/** Lets every payer sign for what it owes and waits until each pair's two ends say the same. */
async function quiesce(options: RoundOptions): Promise<void> {
  const late = AbortSignal.timeout(QUIET_MILLIS);
  for (;;) {
    for (const node of options.cluster.nodes) await control(options, node, 'flush');
    const stats = await readStats(options);
    const earning = stats.flatMap((node) => node.pairs.filter((pair) => pair.side === 'earns'));
    if (earning.every((pair) => !pair.live || pair.owed === pair.receipted)) return;
    if (!(await elapsed(POLL_MILLIS, late))) {
      options.log.warn({}, 'some receipts are still missing; settling what there is');
      return;
    }
  }
}

/** Joins both ends of every channel: the payer's counts, the payee's counts, and what the chain shows as settled. */
async function readPeers(options: RoundOptions, commands: readonly Accounts[]): Promise<ReportPeer[]> {
  const stats = await readStats(options);
  const payers = new Map<string, { payer: string; counts: ReportPeer['payerCounts'] }>();
  // Of two commands of one owner the later one counted on.
  for (const { wallet, pairs } of commands) {
    for (const pair of pairs) payers.set(pair.channel, { payer: wallet, counts: pair.counts });
  }
  for (const node of stats) {
    for (const pair of node.pairs) {
      if (pair.side === 'pays') payers.set(pair.channel, { payer: node.wallet, counts: pair.counts });
    }
  }
  const peers: ReportPeer[] = [];
  for (const node of stats) {
    const till = await options.reader.till(ledgerAddress(node.wallet));
    for (const pair of node.pairs) {
      // A circuit that was given up before its first frame leaves an account in which nothing happened.
      if (pair.side !== 'earns' || (pair.counts.up === '0' && pair.counts.down === '0')) continue;
      const payer = payers.get(pair.channel);
      peers.push({
        payer: payer?.payer ?? pair.peer,
        payee: node.wallet,
        transport: pair.transport,
        payerCounts: payer?.counts ?? { up: '0', down: '0' },
        payeeCounts: pair.counts,
        owed: pair.owed,
        paid: (till?.channels.find((channel) => channel.id === pair.channel)?.settled ?? 0n).toString(),
      });
    }
  }
  return peers;
}

async function readBalances(
  options: RoundOptions,
  published: readonly Published[],
  before: ReadonlyMap<string, string>,
): Promise<ReportBalance[]> {
  const owners: { owner: string; role: ReportBalance['role'] }[] = options.cluster.nodes.map(({ ready }) => ({
    owner: ready.wallet,
    role: ready.role === 'gateway' ? 'visitor' : ready.role,
  }));
  for (const owner of new Set(published.map(({ wallet }) => wallet))) owners.push({ owner, role: 'site' });
  return Promise.all(
    owners.map(async ({ owner, role }) => ({
      owner,
      role,
      before: before.get(owner) ?? '0',
      after: await creditsOf(options.reader, owner),
    })),
  );
}

async function readSupply(reader: LedgerReader): Promise<RoundReport['supply']> {
  const bank = await reader.bank();
  return {
    bought: bank.bought.toString(),
    burned: bank.burned.toString(),
    minted: bank.minted.toString(),
    redeemed: bank.redeemed.toString(),
    circulating: bank.supply.toString(),
    openDeposits: bank.openDeposits.toString(),
    unminted: bank.unminted.toString(),
    forgone: bank.forgone.toString(),
  };
}

async function creditsOf(reader: LedgerReader, owner: string): Promise<string> {
  return (await reader.balances(ledgerAddress(owner))).credits.toString();
}

async function readStats(options: RoundOptions): Promise<NodeStats[]> {
  return Promise.all(options.cluster.nodes.map((node) => control(options, node, 'audit')));
}

async function control<C extends ControlQuestion>(
  options: RoundOptions,
  node: ClusterNode,
  call: C,
): Promise<ControlResults[C]> {
  return callControl(options.fetch, await readControlFile(path.resolve(node.dataDir)), call);
}
