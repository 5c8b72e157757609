/**
 * One complete round of the local marketplace: publish sites, fetch every file of them through paid relays, pay, settle,
 * close, withdraw, and read every figure of the report from the running parts.
 */
import path from 'node:path';
import { elapsed } from '../../core/abort.ts';
import { ledgerAddress } from '../../core/ids.ts';
import type { Log } from '../../core/ports.ts';
import type { LedgerReader } from '../../ledger/contract.ts';
import { siteUrl } from '../../core/name.ts';
import {
  callControl,
  readControlFile,
  type ControlQuestion,
  type ControlResults,
  type NodeStats,
} from '../control/index.ts';
import type { Cluster, ClusterNode } from './cluster.ts';
import type { MarketTransport } from './network.ts';
import type { Published } from './events.ts';
import {
  faultsOf,
  settledSince,
  type ReportBalance,
  type ReportPeer,
  type ReportSite,
  type RoundReport,
} from './report.ts';
import { sharesBefore, sharesSince } from './shares.ts';
import type { Showing } from './showing.ts';
import { visitEmbedded, visitSite } from './visit.ts';

export interface RoundOptions {
  readonly cluster: Cluster;
  readonly reader: LedgerReader;
  /** The first is the one that a visitor begins at. */
  readonly showings: readonly [Showing, ...Showing[]];
  /** Publishes the folder and resolves with what the command printed. */
  readonly publish: (showing: Showing) => Promise<Published>;
  /** Pays the name's revenue out to its owner. */
  readonly distribute: (showing: Showing) => Promise<void>;
  /** Closes the owner's own channels, as `relaymint` would on its wallet. */
  readonly closeOwner: (showing: Showing) => Promise<void>;
  /** The policy's fetch for the control ports and for pages. */
  readonly fetch: typeof fetch;
  readonly log: Log;
  readonly onStage: (stage: string) => void;
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
  const { cluster, reader } = options;
  const before = new Map<string, string>();
  for (const { ready } of cluster.nodes) before.set(ready.wallet, await creditsOf(reader, ready.wallet));

  const statsBefore = await readStats(options);
  const settledBefore = statsBefore.map((node) => node.settlement);
  const names = options.showings.map(({ name }) => name);
  const earnedBefore = await sharesBefore(reader, names, statsBefore);

  const published: Published[] = [];
  for (const showing of options.showings) {
    options.onStage(`Publishing ${showing.name}`);
    const done = await options.publish(showing);
    // Of two names of one owner the first says what there was before.
    if (!before.has(done.wallet)) before.set(done.wallet, done.creditsBefore);
    published.push(done);
  }

  options.onStage('Fetching every file through the relays');
  const fetchBegan = performance.now();
  const visited = await visitSites(options, published);
  if (options.showings.some(({ embeds }) => embeds.length > 0)) {
    // A settlement divides what it pays among so many shares, and those that are left wait for the next one.
    await quiesce(options);
    for (const node of cluster.nodes) await control(options, node, 'settle');
  }
  const failed = await visitEmbeds(options);
  const sites = visited.map((site) => ({ ...site, verified: site.verified && !failed.has(site.name) }));
  const fetchMs = performance.now() - fetchBegan;

  options.onStage('Settling, closing and withdrawing');
  const settleBegan = performance.now();
  const closing = (await reader.bank()).challengeSeconds <= MAX_CHALLENGE_SECONDS;
  // The end of a circuit is paid for like the rest of it: a channel must be closed after that, or its last receipt is lost.
  if (closing) await Promise.all(cluster.nodes.map((node) => control(options, node, 'drain')));
  await quiesce(options);
  for (const node of cluster.nodes) await control(options, node, 'settle');
  const peers = await readPeers(options, published);
  if (closing) {
    const owners = options.showings.map((showing) => options.closeOwner(showing));
    await Promise.all([...owners, ...cluster.nodes.map((node) => control(options, node, 'close'))]);
  }
  for (const node of cluster.nodes) await control(options, node, 'withdraw');
  const { shares, faults: disagreements } = await sharesSince(reader, names, await readStats(options), earnedBefore);
  for (const showing of options.showings) await options.distribute(showing);
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

/** Every file of every name at its own origin. */
async function visitSites(options: RoundOptions, published: readonly Published[]): Promise<ReportSite[]> {
  const { showings, fetch, log, onProgress } = options;
  const port = Number(new URL(options.cluster.gatewayUrl).port);
  const sites: ReportSite[] = [];
  let [files, bytes] = [0, 0];
  for (const [index, { name, cid, files: allFiles, bytes: allBytes }] of published.entries()) {
    const visit = await visitSite({
      siteUrl: siteUrl(name, port),
      directory: showings[index]?.directory ?? '',
      fetch,
      onProgress: (more, moreBytes) => onProgress(files + more, bytes + moreBytes),
    });
    [files, bytes] = [files + visit.files, bytes + visit.bytes];
    for (const fault of visit.faults) log.error({ name, fault }, 'a file did not arrive as it was published');
    const verified = visit.faults.length === 0 && visit.files === allFiles && visit.bytes === allBytes;
    sites.push({ name, cid, files: visit.files, bytes: visit.bytes, verified });
  }
  return sites;
}

/** What pages embed of other names. @returns the names of pages to which it did not come as it was published. */
async function visitEmbeds(options: RoundOptions): Promise<ReadonlySet<string>> {
  const { showings, fetch, log } = options;
  const port = Number(new URL(options.cluster.gatewayUrl).port);
  const failed = new Set<string>();
  for (const { name, embeds } of showings) {
    for (const embedded of embeds) {
      const fault = await visitEmbedded({
        page: siteUrl(name, port),
        siteUrl: siteUrl(embedded.name, port),
        directory: showings.find((one) => one.name === embedded.name)?.directory ?? '',
        path: embedded.path,
        fetch,
      });
      if (fault === undefined) continue;
      log.error({ name, embedded, fault }, 'what a page embeds did not arrive as it was published');
      failed.add(name);
    }
  }
  return failed;
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
async function readPeers(options: RoundOptions, published: readonly Published[]): Promise<ReportPeer[]> {
  const stats = await readStats(options);
  const payers = new Map<string, { payer: string; counts: ReportPeer['payerCounts'] }>();
  for (const { wallet, pairs } of published) {
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
