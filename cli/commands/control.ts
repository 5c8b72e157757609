/** `relaymint stats` and `relaymint settle`: questions and orders to a running node. */
import type { Command } from 'commander';
import { shortId } from '../../core/ids.ts';
import { amount, formatBytes, formatCredits, formatSol, lamports } from '../../core/units.ts';
import { createPolicy } from '../../node/transport/index.ts';
import {
  callControl,
  readControlFile,
  type BudgetStats,
  type ClosedStats,
  type ControlQuestion,
  type ControlResults,
  type GuardStats,
  type NodeStats,
  type PlannedBatch,
  type SettlementPlan,
  type SettlementStats,
  type WaitingStats,
} from '../../app/control/index.ts';
import { flagsOnly, nodeFolderSection, toggle, type NodeFolder, type ValuesOf } from '../../app/config/index.ts';
import { addCommonOptions, type CommonOptions } from '../options.ts';
import { counted, createOutput, table } from '../output.ts';
import { addSettings } from '../settings.ts';

const settleSection = flagsOnly({
  withdraw: toggle('--withdraw', 'then mint what the till earned to the wallet'),
  dryRun: toggle('--dry-run', 'only show what would be settled and at which fee', { conflicts: ['withdraw'] }),
});

type ControlOptions = CommonOptions & NodeFolder;
type SettleOptions = ControlOptions & ValuesOf<typeof settleSection>;

/** After this, and then at each interval, a user who waits is told so; milliseconds. */
const WAIT_MILLIS = 3_000;
const AGAIN_MILLIS = 10_000;
/** Age from which a ledger's answer is called old, seconds: it is asked again at most every second. */
const OLD_SECONDS = 5;

export function statsCommand(program: Command): void {
  const command = program.command('stats').summary('show what a running node has carried, owes and earned');
  addSettings(addCommonOptions(command), nodeFolderSection).action(async (options: ControlOptions) => {
    const output = createOutput(options.json === true);
    const stats = await call(options, 'stats');
    output.value(stats);
    output.line(renderStats(stats));
  });
}

export function settleCommand(program: Command): void {
  const command = program
    .command('settle')
    .summary('make a running node settle what it holds now')
    .description(
      'Settles every receipt that is not settled yet. Nodes do this by themselves when it is worth the fee, when a channel is\nabout to close, and when they stop.',
    );
  addSettings(addSettings(addCommonOptions(command), nodeFolderSection), settleSection).action(settle);
}

async function settle(options: SettleOptions): Promise<void> {
  const output = createOutput(options.json === true);
  if (options.dryRun === true) {
    const plan = await call(options, 'plan');
    output.value(plan);
    output.line(renderPlan(plan));
    return;
  }
  const settlement = await call(options, 'settle');
  const withdrawal = options.withdraw === true ? await call(options, 'withdraw') : undefined;
  output.value(withdrawal === undefined ? settlement : { ...settlement, ...withdrawal });
  output.line(renderSettlement(settlement));
  if (withdrawal !== undefined)
    output.line(`Withdrew ${credits(withdrawal.withdrawn)} credits ${withdrawal.signature ?? ''}`);
}

async function call<C extends ControlQuestion>(options: ControlOptions, name: C): Promise<ControlResults[C]> {
  const policy = createPolicy({ transports: [], outbound: 'loopback' });
  const control = await readControlFile(options.data);
  return tellingOfWaits(callControl(policy.fetch('control'), control, name));
}

/** Tells a user who waits for long, on stderr, that it is the ledger that takes the time. */
async function tellingOfWaits<T>(work: Promise<T>): Promise<T> {
  const began = performance.now();
  let timer: NodeJS.Timeout;
  const say = (): void => {
    const seconds = Math.round((performance.now() - began) / 1000);
    process.stderr.write(
      `relaymint: still waiting for the ledger after ${seconds} s. If you stop waiting, the node goes on.\n`,
    );
    timer = setTimeout(say, AGAIN_MILLIS);
  };
  timer = setTimeout(say, WAIT_MILLIS);
  return work.finally(() => clearTimeout(timer));
}

function renderSettlement(settlement: SettlementStats): string {
  if (settlement.transactions === 0) return 'Nothing to settle.';
  return [
    `Settled ${counted(settlement.receipts, 'receipt')} in ${counted(settlement.transactions, 'transaction')} for ${settlement.feeLamports} lamports (${settlement.computeUnits} compute units).`,
    ...settlement.signatures.map((signature) => `  ${signature}`),
  ].join('\n');
}

function renderPlan({ batches }: SettlementPlan): string {
  if (batches.length === 0) return 'Nothing to settle.';
  const sum = (of: (batch: PlannedBatch) => bigint): bigint => batches.reduce((total, batch) => total + of(batch), 0n);
  const receipts = batches.reduce((total, batch) => total + batch.receipts.length, 0);
  const value = amount(sum((batch) => BigInt(batch.value)));
  const fee = lamports(sum((batch) => BigInt(batch.feeLamports)));
  const rows = batches.map((batch, index) => [
    `  ${index + 1}`,
    String(batch.receipts.length),
    String(batch.names.length),
    credits(batch.value),
    batch.feeLamports,
  ]);
  return [
    `Would settle ${counted(receipts, 'receipt')} worth ${formatCredits(value)} credits in ${counted(batches.length, 'transaction')}, for ${formatSol(fee)} SOL. Nothing was sent.`,
    '',
    table([['  TRANSACTION', 'RECEIPTS', 'NAMES', 'CREDITS', 'LAMPORTS'], ...rows], [1, 2, 3, 4]),
  ].join('\n');
}

function renderStats(stats: NodeStats): string {
  const prices = Object.entries(stats.prices).map(([name, value]) => `${name} ${credits(value)}`);
  const pairs = table([
    ['  PEER', 'SIDE', 'UP', 'DOWN', 'OWED', 'RECEIPT', 'SETTLED'],
    ...stats.pairs.map((pair) => [
      `  ${shortId(pair.peer)}`,
      pair.side,
      formatBytes(Number(pair.counts.up)),
      formatBytes(Number(pair.counts.down)),
      credits(pair.owed),
      credits(pair.receipted),
      credits(pair.settled),
    ]),
  ]);
  return [
    `${stats.label} (${stats.role}) ${stats.nodeId}`,
    `  wallet   ${stats.wallet}`,
    `  address  ${stats.addresses.join(', ') || 'none'}`,
    `  prices   ${prices.join(', ') || 'sells nothing'} (credits per MiB)`,
    `  links    ${stats.links}, circuits ${stats.circuits}, memory ${formatBytes(stats.rssBytes)}`,
    `  settled  ${stats.settlement.receipts} receipts in ${stats.settlement.transactions} transactions`,
    ...waitingText(stats.waiting),
    `  spent    ${budgetText(stats.budget)}`,
    ...Object.entries(stats.figures).map(([name, value]) => `  ${name.padEnd(8)} ${value}`),
    ...(stats.guards.length === 0 ? [] : [`  guards   ${stats.guards.map(guardText).join(', ')}`]),
    '',
    ...ageOfLedger(stats),
    stats.pairs.length === 0 ? '  No open channels with neighbours.' : pairs,
    ...closedText(stats.closed),
  ].join('\n');
}

/** Both sides of closed channels. */
function closedText({ earns, pays }: NodeStats['closed']): string[] {
  const side = (closed: ClosedStats, did: string): string[] => {
    const bytes = BigInt(closed.counts.up) + BigInt(closed.counts.down);
    return closed.channels === '0'
      ? []
      : [
          `  closed   ${counted(Number(closed.channels), 'channel')} that ${did} ${credits(closed.receipted)} credits for ${formatBytes(Number(bytes))}, ${credits(closed.settled)} settled`,
        ];
  };
  const lines = [...side(earns, 'paid'), ...side(pays, 'we paid')];
  return lines.length === 0 ? [] : ['', ...lines];
}

/** Shown when the ledger does not answer at once. */
function ageOfLedger({ ledgerAt }: NodeStats): string[] {
  if (ledgerAt === null) return ['  The ledger has not answered yet: "settled" is what this node last knew.'];
  const seconds = Math.round((Date.now() - ledgerAt) / 1000);
  return seconds < OLD_SECONDS ? [] : [`  The ledger last answered ${seconds} s ago: "settled" is as of then.`];
}

/** Of receipts that are not on chain yet. */
function waitingText({ value, from, feeShareBps }: WaitingStats): string[] {
  if (value === '0') return [];
  const rule = `the fee is at most ${feeShareBps / 100} % of it`;
  const when = from === null ? `once ${rule}` : `from ${credits(from)} on, where ${rule}`;
  return [`  waits    ${credits(value)} credits; settled ${when}, or now with "relaymint settle"`];
}

const GUARD_STATES: Readonly<Record<GuardStats['state'], string>> = {
  used: 'used',
  sampled: 'not needed yet',
  waiting: 'not reached',
  dropped: 'given up',
};

function guardText({ node, state, tried, failed }: GuardStats): string {
  const came = tried === 0 ? '' : `, ${failed} of ${counted(tried, 'circuit')} failed`;
  return `${shortId(node)} (${GUARD_STATES[state]}${came})`;
}

/** In the last hour; only what comes near a limit besides the sum. */
function budgetText({ limits, spent, earned, peers, sites }: BudgetStats): string {
  const more = BigInt(earned);
  const allowed = (limit: string): string => formatCredits(amount(BigInt(limit) + more));
  const near = (value: string, limit: bigint): boolean => BigInt(value) * 2n >= limit;
  const rows = [
    ...peers
      .filter((row) => near(row.spent, BigInt(limits.peer) + more))
      .map((row) => `${credits(row.spent)} of ${allowed(limits.peer)} on ${shortId(row.wallet)}`),
    ...sites
      .map(({ limit = limits.site, ...row }) => ({ ...row, limit }))
      .filter((row) => row.stopped || near(row.spent, BigInt(row.limit)))
      .map((row) => `${credits(row.spent)} of ${credits(row.limit)} on ${row.name}${row.stopped ? ' (stopped)' : ''}`),
  ];
  const sum = `${credits(spent)} of ${allowed(limits.total)} credits in the last hour`;
  return rows.length === 0 ? sum : `${sum}; ${rows.join(', ')}`;
}

function credits(value: string): string {
  return formatCredits(amount(BigInt(value)));
}
