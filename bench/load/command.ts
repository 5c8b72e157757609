/** `npm run bench -- load`: whether a slow honest node still gets in during each flood, and what the flood costs the relay. */
import { InvalidArgumentError, type Command } from 'commander';
import { watchLifecycle } from '../../app/lifecycle.ts';
import { wholeNumber } from '../../cli/options.ts';
import { createOutput, createStatus, table } from '../../cli/output.ts';
import { measureLoad, type LoadRow } from './measure.ts';
import { BULK_DOWNLOAD, ROWS, type RowName } from './protocol.ts';

/** What is aimed at: a connection under load takes at most so many times what it takes without, and a click beside a download. */
const AIM = 2;
const CLICK_AIM = 3;

interface CommandOptions {
  readonly json?: true;
  readonly only?: RowName;
  readonly roundTrip: number;
  readonly runs: number;
}

export function loadCommand(program: Command): void {
  program
    .command('load')
    .summary('whether a slow honest node still gets in during each flood')
    .description(
      'A relay runs in a process of its own, as `relaymint relay` does. A node behind a long round trip connects to it and builds ' +
        'a circuit, paid over its channel: first alone, then beside each flood of a process that attacks. Everything is on loopback, ' +
        'so that all connections come from one place and nothing can be told by address. Last, how long a click takes beside a ' +
        'download of the same node over a line of 4 MB/s.',
    )
    .option('--json', 'print only JSON on stdout')
    .option('--only <flood>', `one of ${ROWS.join(', ')}`, rowOf)
    .option('--round-trip <ms>', 'between the honest node and the relay', wholeNumber(0, 10_000), 600)
    .option('--runs <n>', 'connections without load and under it; the medians are reported', wholeNumber(1, 1000), 3)
    .addHelpText('after', '\nSee docs/benchmarks.md for what the figures mean.\n')
    .action((options: CommandOptions) => run(options));
}

function rowOf(text: string): RowName {
  const found = ROWS.find((name) => name === text);
  if (found === undefined) throw new InvalidArgumentError(`There are: ${ROWS.join(', ')}.`);
  return found;
}

async function run({ json, only, roundTrip, runs }: CommandOptions): Promise<void> {
  const output = createOutput(json === true);
  using lifecycle = watchLifecycle();
  const status = createStatus(output.json);
  let rows: LoadRow[];
  try {
    rows = await measureLoad({
      names: only === undefined ? ROWS : [only],
      roundTripMillis: roundTrip,
      runs,
      signal: lifecycle.signal,
      onProgress: (what) => status.show(what),
    });
  } finally {
    status.clear();
  }
  output.value({ bench: 'load', roundTripMs: roundTrip, rows });
  output.line(describe(rows));
}

function describe(rows: readonly LoadRow[]): string {
  const header = ['flood', 'alone ms', 'loaded ms', 'ratio', 'failed', 'relay cpu', 'relay MB'];
  const lines = rows.map((row) => [
    row.name,
    String(row.unloadedMs),
    String(row.loadedMs),
    row.ratio.toFixed(2),
    String(row.failed),
    `${Math.round(row.relayCpu * 100)} %`,
    String(row.relayRssMb),
  ]);
  return [
    table([header, ...lines], [1, 2, 3, 4, 5, 6]),
    '',
    `aim: a ratio of at most ${AIM}; ${BULK_DOWNLOAD}: a click beside it, at most ${CLICK_AIM}`,
  ].join('\n');
}
