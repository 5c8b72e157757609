/** What the benchmarks of paths have in common: their options, how they run, and the table of their rows. */
import { availableParallelism } from 'node:os';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import type { Command } from 'commander';
import { watchLifecycle } from '../../app/lifecycle.ts';
import { count, flagsOnly, speechSection, standard, type Section } from '../../app/config/index.ts';
import { createOutput, createStatus, table } from '../../cli/output.ts';
import { addSettings } from '../../cli/settings.ts';
import { PROFILE_HELP } from '../profile.ts';
import { comparison } from './figures.ts';
import { compare, measure, type CompareOptions, type Measured, type Report } from './measure.ts';

export interface PathOptions {
  readonly json: true | undefined;
  /** Millions of bytes. */
  readonly megabytes: number;
  /** Millions of bytes. */
  readonly warmUp: number;
  readonly runs: number;
}

export type Rows = Readonly<Record<string, Measured>>;

/** What rows are built with, where they need something of their own that has to be started first. */
export interface RowSetup {
  /** Disposed after the rows. */
  readonly stack: AsyncDisposableStack;
  readonly signal: AbortSignal;
  /** For people: what is being started. */
  readonly onProgress: (what: string) => void;
}

export interface PathBenchmark<Options extends PathOptions> {
  /** The subcommand, with its help and the options that only it has. */
  readonly command: Command;
  readonly defaults: Omit<PathOptions, 'json'>;
  rows(options: Options, setup: RowSetup): Promise<Rows>;
  /** Millions of bytes carried before each run and not counted. */
  lead?(options: Options): number;
  /** What metering is compared over after the rows, block by block; nothing when absent. */
  metering?(options: Options): Pick<CompareOptions, 'hops' | 'blocks' | 'bytes'>;
  /** What people are told below the table. */
  conclude(report: Report, options: Options): readonly string[];
}

const MEGABYTE = 1_000_000;

function pathSection({ megabytes, runs, warmUp }: PathBenchmark<PathOptions>['defaults']): Section<PathOptions> {
  const most = 1_000_000;
  return flagsOnly({
    json: speechSection().json,
    megabytes: standard('--megabytes <n>', count(1, most), 'application data of each run', String(megabytes)),
    runs: standard('--runs <n>', count(1, 1000), 'turns of each row; the medians are reported', String(runs)),
    warmUp: standard('--warm-up <n>', count(1, most), 'megabytes carried and settled before measuring', String(warmUp)),
  });
}

/** Adds the options that all have, and runs it. */
export function pathBenchmark<Options extends PathOptions>(benchmark: PathBenchmark<Options>): void {
  const { command, defaults } = benchmark;
  addSettings(command, pathSection(defaults))
    .addHelpText('after', `\n${PROFILE_HELP}\nSee docs/benchmarks.md for how to read the figures.\n`)
    .action((options: Options) => run(benchmark, options));
}

async function run<Options extends PathOptions>(benchmark: PathBenchmark<Options>, options: Options): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  const { signal } = lifecycle;
  await using stack = new AsyncDisposableStack();
  const status = createStatus(output.json);
  const onProgress = (what: string): void => status.show(what);
  let report: Report;
  const warmUpBytes = options.warmUp * MEGABYTE;
  try {
    report = await measure({
      rows: await benchmark.rows(options, { stack, signal, onProgress }),
      size: { bytes: options.megabytes * MEGABYTE, leadBytes: (benchmark.lead?.(options) ?? 0) * MEGABYTE },
      warmUpBytes,
      runs: options.runs,
      signal,
      onProgress,
    });
    const over = benchmark.metering?.(options);
    if (over !== undefined) {
      report = { ...report, metering: comparison(await compare({ ...over, warmUpBytes, signal, onProgress })) };
    }
  } finally {
    status.clear();
  }
  const { rows, metering } = report;
  output.value({ bench: benchmark.command.name(), rows, ...(metering === undefined ? {} : { metering }) });
  output.line(describe(report, options, benchmark.conclude(report, options)));
}

function describe({ rows }: Report, { megabytes, runs }: PathOptions, conclusion: readonly string[]): string {
  const cells = rows.map((row) => [
    row.name,
    row.mbPerSecond.toFixed(row.mbPerSecond < 10 ? 3 : 1),
    row.cpuSecondsPerGB.toFixed(3),
    row.rttP50Us.toFixed(0),
    row.rttP99Us.toFixed(0),
  ]);
  return [
    `${megabytes} MB a run, medians of ${runs} runs in turns. Node ${process.version}, ${availableParallelism()} cores.`,
    '',
    table([['', 'MB/s', 'CPU s/GB', 'RTT p50 us', 'RTT p99 us'], ...cells], [1, 2, 3, 4]),
    '',
    ...conclusion,
  ].join('\n');
}
