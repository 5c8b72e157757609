/** `npm run bench -- gateway`: what a visitor gets of a gateway in front of three relays, beside nginx with the same files. */
import { availableParallelism } from 'node:os';
import type { Command } from 'commander';
import { assertNotAborted } from '../../core/abort.ts';
import { watchLifecycle } from '../../app/lifecycle.ts';
import { choice, count, flagsOnly, optional, speechSection, standard, type ValuesOf } from '../../app/config/index.ts';
import { counted, createOutput, createStatus, table } from '../../cli/output.ts';
import { addSettings } from '../../cli/settings.ts';
import { PROFILE_HELP } from '../profile.ts';
import { ROWS, ratios, summarize, type Ratio, type RowFigures, type Spread } from './figures.ts';
import { PAGE_BYTES, measure } from './measure.ts';

const MEGABYTE = 1_000_000;

const gatewaySection = flagsOnly({
  json: speechSection().json,
  only: optional('--only <row>', choice(ROWS), `one of ${ROWS.join(', ')}`),
  runs: standard(
    '--runs <n>',
    count(1, 1000),
    'turns of each row, after one that does not count; medians are reported',
    '5',
  ),
  seconds: standard('--seconds <n>', count(1, 3600), 'load of each turn', '3'),
  connections: standard('--connections <n>', count(1, 64), 'connections that ask for pages at once', '16'),
  pages: standard('--pages <n>', count(1, 100_000), 'pages of each turn that were never asked for before', '1500'),
  size: standard('--size <MB>', count(1, 10_000), 'size of the large file', '200'),
});

type GatewayOptions = ValuesOf<typeof gatewaySection>;

export function gatewayCommand(program: Command): void {
  const command = program
    .command('gateway')
    .summary('pages and a large file through the gateway and three relays, beside nginx')
    .description(
      'Starts a marketplace (ledger, three relays, host, gateway), publishes a site in it, and serves the same folder by nginx. wrk asks ' +
        'both, in turns: for the same page of 20 KiB, for pages of which none was asked for before, and for a large file. Beside that, how ' +
        'long a visitor waits for the first byte while nobody else asks. Needs nginx and wrk (apt-get install nginx-light wrk).',
    );
  addSettings(command, gatewaySection)
    .addHelpText('after', `\n${PROFILE_HELP}\nSee docs/benchmarks.md for how to read the figures.\n`)
    .action(run);
}

async function run({ json, only, size, ...options }: GatewayOptions): Promise<void> {
  const output = createOutput(json === true);
  using lifecycle = watchLifecycle();
  const { signal } = lifecycle;
  const status = createStatus(output.json);
  try {
    const names = only === undefined ? ROWS : [only];
    const onProgress = (what: string): void => status.show(what);
    const turns = await measure({ ...options, names, size: size * MEGABYTE, signal, onProgress });
    status.clear();
    const rows = names.map((name) => summarize(name, turns.get(name) ?? []));
    const compared = ratios(turns);
    output.value({ bench: 'gateway', pageBytes: PAGE_BYTES, largeBytes: size * MEGABYTE, rows, ratios: compared });
    output.line(describe(rows, compared, options, size));
  } catch (error) {
    // A process that was told to end before it was ready is no failure then.
    assertNotAborted(signal, 'Measuring');
    throw error;
  } finally {
    status.clear();
  }
}

function describe(
  rows: readonly RowFigures[],
  compared: readonly Ratio[],
  { runs, seconds, connections }: Omit<GatewayOptions, 'json' | 'only' | 'size'>,
  size: number,
): string {
  const cells = rows.map((row) => [
    row.name,
    figure(row.requestsPerSecond),
    `${figure(row.requestsPerSecondLeast)} .. ${figure(row.requestsPerSecondMost)}`,
    figure(row.mbPerSecond),
    `${figure(row.mbPerSecondLeast)} .. ${figure(row.mbPerSecondMost)}`,
    figure(row.ttfbP50Ms),
    `${figure(row.ttfbP50LeastMs)} .. ${figure(row.ttfbP50MostMs)}`,
  ]);
  const told = ({ median, least, most }: Spread): string => `${figure(median)} (${figure(least)} .. ${figure(most)})`;
  const lines = compared.map(({ name, beside, speed, ttfb }) => [`${name} / ${beside}`, told(speed), told(ttfb)]);
  return [
    `${counted(runs, 'run')} of ${seconds} s in turns; pages of ${PAGE_BYTES / 1024} KiB over ${connections} connections, a file of ${size} MB over one. ` +
      `Node ${process.version}, ${availableParallelism()} cores.`,
    '',
    table(
      [['', 'requests/s', 'from .. to', 'MB/s', 'from .. to', 'first byte ms', 'from .. to'], ...cells],
      [1, 2, 3, 4, 5, 6],
    ),
    ...(lines.length === 0 ? [] : ['', table([['', 'requests/s', 'first byte'], ...lines], [1, 2])]),
  ].join('\n');
}

/** Three digits that count, and all before the point. */
function figure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
