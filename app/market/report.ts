/** What `npm start -- --once --json` prints: every figure read from the running parts. Amounts are decimal strings of base units. */
import type { PairStats, SettlementStats } from '../control/index.ts';
import type { MarketTransport } from './network.ts';
import type { ReportShare } from './shares.ts';

export interface ReportPeer {
  readonly payer: string;
  readonly payee: string;
  readonly transport: string;
  /** Bytes as the payer's meter shows them. */
  readonly payerCounts: { readonly up: string; readonly down: string };
  /** Bytes as the payee's meter shows them. */
  readonly payeeCounts: { readonly up: string; readonly down: string };
  /** What the counted bytes cost. */
  readonly owed: string;
  /** What the chain shows as settled on this channel. */
  readonly paid: string;
}

export interface ReportBalance {
  readonly owner: string;
  readonly role: 'relay' | 'host' | 'visitor' | 'site';
  readonly before: string;
  readonly after: string;
}

export interface ReportSupply {
  readonly bought: string;
  readonly burned: string;
  readonly minted: string;
  readonly redeemed: string;
  readonly circulating: string;
  readonly openDeposits: string;
  readonly unminted: string;
  /** Opening payments that no payee returned: burned for good. */
  readonly forgone: string;
}

/** A name, as its visitor got it. */
export interface ReportSite {
  readonly name: string;
  readonly cid: string;
  readonly files: number;
  readonly bytes: number;
  /** Every file came as it was published, and so did what its pages embed of other names. */
  readonly verified: boolean;
}

export interface RoundReport {
  readonly ok: boolean;
  /** How the nodes reached each other. */
  readonly transport: MarketTransport;
  /** The one that a visitor begins at. */
  readonly site: ReportSite;
  /** All of them, that one first. */
  readonly sites: readonly ReportSite[];
  readonly peers: readonly ReportPeer[];
  /** Who earned what of the content. */
  readonly shares: readonly ReportShare[];
  readonly settlement: SettlementStats;
  readonly supply: ReportSupply;
  readonly balances: readonly ReportBalance[];
  readonly timings: { readonly readyMs: number; readonly fetchMs: number; readonly settleMs: number };
}

/** What is wrong with a round; empty when its books are whole. */
export function faultsOf(report: Omit<RoundReport, 'ok'>): readonly string[] {
  const faults: string[] = [];
  for (const { name, verified } of report.sites) if (!verified) faults.push(`${name} did not arrive bit-exact`);
  if (report.peers.length === 0) faults.push('nobody paid anybody');
  for (const peer of report.peers) {
    const pair = `${peer.payer} -> ${peer.payee}`;
    const { payerCounts, payeeCounts } = peer;
    if (payerCounts.up !== payeeCounts.up || payerCounts.down !== payeeCounts.down) {
      faults.push(`${pair}: the payer counts ${show(payerCounts)} and the payee ${show(payeeCounts)}`);
    }
    if (peer.transport !== report.transport) faults.push(`${pair}: paid for a link over ${peer.transport}`);
    if (peer.owed !== peer.paid) faults.push(`${pair}: ${peer.owed} is owed and ${peer.paid} paid`);
  }
  const { supply } = report;
  const { circulating, openDeposits, unminted, forgone } = supply;
  const held = BigInt(circulating) + BigInt(openDeposits) + BigInt(unminted) + BigInt(forgone);
  const net = BigInt(supply.bought) - BigInt(supply.redeemed);
  if (held !== net) faults.push(`the supply identity fails: ${held} exist, ${net} were bought and not redeemed`);
  const site = report.balances.find((balance) => balance.role === 'site');
  if (site === undefined || BigInt(site.after) <= BigInt(site.before))
    faults.push("the site owner's share did not arrive");
  return faults;
}

function show(counts: PairStats['counts']): string {
  return `${counts.up} up, ${counts.down} down`;
}

/** What all nodes settled between two readings of their totals, in the same order. */
export function settledSince(before: readonly SettlementStats[], after: readonly SettlementStats[]): SettlementStats {
  const known = new Set(before.flatMap((part) => part.signatures));
  const grown = (figure: (part: SettlementStats) => number): number =>
    after.reduce((sum, part) => sum + figure(part), 0) - before.reduce((sum, part) => sum + figure(part), 0);
  return {
    transactions: grown((part) => part.transactions),
    receipts: grown((part) => part.receipts),
    computeUnits: grown((part) => part.computeUnits),
    feeLamports: grown((part) => part.feeLamports),
    signatures: after.flatMap((part) => part.signatures).filter((signature) => !known.has(signature)),
  };
}
