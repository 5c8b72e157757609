/** `npm run bench -- circuit`: what a circuit costs, side by side with the connections it is made of. */
import { availableParallelism } from 'node:os';
import type { Command } from 'commander';
import { watchLifecycle } from '../node/cli/lifecycle.ts';
import { wholeNumber } from '../node/cli/options.ts';
import { createOutput, createStatus, table } from '../node/cli/output.ts';
import { speedOf } from './path/figures.ts';
import { measure, type Measured, type Report } from './path/measure.ts';
import type { Shape } from './path/row.ts';

interface CircuitOptions {
  readonly json?: true;
  readonly megabytes: number;
  readonly warmUp: number;
  readonly runs: number;
}

const overTcp = (shape: Shape): Measured => ({ shape, way: { transport: 'tcp' } });
const ROWS: Readonly<Record<string, Measured>> = {
  tcp: overTcp({ kind: 'plain', tls: false }),
  tls: overTcp({ kind: 'plain', tls: true }),
  'hops-1': overTcp({ kind: 'circuit', hops: 1, metered: true }),
  'hops-3': overTcp({ kind: 'circuit', hops: 3, metered: true }),
  'hops-3-unmetered': overTcp({ kind: 'circuit', hops: 3, metered: false }),
};

const MEGABYTE = 1_000_000;
/** What is aimed at. */
const AIM_OF_TLS = 1 / 6;
const AIM_OF_UNMETERED = 0.97;
/** Settles what widens a window to its largest at the prices used: 8 x 15 MiB, and some more. */
const WARM_UP_MEGABYTES = 160;

export function circuitCommand(program: Command): void {
  program
    .command('circuit')
    .summary('throughput, CPU and round trips of plain TCP, TLS and circuits')
    .description(
      'Measures, in turns and over loopback: plain TCP, TLS as links use it, metered and paid circuits of 1 and of 3 hops, ' +
        'and one of 3 hops without metering. Every node is a process of its own. MB/s is what the initiator receives from ' +
        'the last hop, CPU the user and system time of all processes of the row, RTT the round trip of 1 KiB on the idle path.',
    )
    .option('--json', 'print JSON, and nothing else, on stdout')
    .option('--megabytes <n>', 'application data of each run', wholeNumber(1, 1_000_000), 256)
    .option('--runs <n>', 'turns of each row; the medians are reported', wholeNumber(1, 1000), 5)
    .option(
      '--warm-up <n>',
      'megabytes carried and settled before measuring; windows grow with settled history, fully at the default',
      wholeNumber(1, 1_000_000),
      WARM_UP_MEGABYTES,
    )
    .addHelpText(
      'after',
      '\nRELAYMINT_BENCH_PROFILE=DIR makes every process write a CPU profile there.\nSee docs/benchmarks.md for how to read the figures.\n',
    )
    .action((options: CircuitOptions) => run(options));
}

async function run(options: CircuitOptions): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  const status = createStatus(output.json);
  let report: Report;
  try {
    report = await measure({
      rows: ROWS,
      bytes: options.megabytes * MEGABYTE,
      warmUpBytes: options.warmUp * MEGABYTE,
      runs: options.runs,
      signal: lifecycle.signal,
      onProgress: (what) => status.show(what),
    });
  } finally {
    status.clear();
  }
  output.value({ bench: 'circuit', rows: report.rows });
  output.line(describe(report, options));
}

function describe({ rows, settled }: Report, { megabytes, runs, warmUp }: CircuitOptions): string {
  const cells = rows.map((row) => [
    row.name,
    row.mbPerSecond.toFixed(1),
    row.cpuSecondsPerGB.toFixed(3),
    row.rttP50Us.toFixed(0),
    row.rttP99Us.toFixed(0),
  ]);
  const ofTls = speedOf(rows, 'hops-3') / speedOf(rows, 'tls');
  const ofUnmetered = speedOf(rows, 'hops-3') / speedOf(rows, 'hops-3-unmetered');
  return [
    `${megabytes} MB a run, medians of ${runs} runs in turns. Node ${process.version}, ${availableParallelism()} cores.`,
    '',
    table([['', 'MB/s', 'CPU s/GB', 'RTT p50 us', 'RTT p99 us'], ...cells], [1, 2, 3, 4]),
    '',
    `3 hops / TLS            ${ofTls.toFixed(3)}   aim: at least ${AIM_OF_TLS.toFixed(3)}`,
    `metered / unmetered     ${ofUnmetered.toFixed(3)}   aim: at least ${AIM_OF_UNMETERED.toFixed(3)}`,
    '',
    `Before measuring, each row carried ${warmUp} MB twice. What the first of these cost on the metered rows was settled on`,
    `the ledger (${settled.receipts} receipts in ${settled.transactions} transactions), so that the nodes have the windows of peers that know each other.`,
  ].join('\n');
}
