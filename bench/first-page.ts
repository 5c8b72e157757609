/** `npm run bench -- first-page`: how long a visitor far away waits for a first page, and for the next ones. */
import { availableParallelism } from 'node:os';
import type { Command } from 'commander';
import { assertNotAborted } from '../core/abort.ts';
import { watchLifecycle } from '../app/lifecycle.ts';
import { count, flagsOnly, speechSection, standard, type ValuesOf } from '../app/config/index.ts';
import { createOutput, createStatus, table } from '../cli/output.ts';
import { addSettings } from '../cli/settings.ts';
import { LINKS, pageFigures, type PageFigures } from './page/figures.ts';
import { measure } from './page/measure.ts';

const firstPageSection = flagsOnly({
  json: speechSection().json,
  path: standard(
    '--path <ms>',
    count(1, 10_000),
    'round trip of the whole path; each link has a quarter of it, and the ledger is as far as a link',
    '200',
  ),
  runs: standard('--runs <n>', count(1, 1000), 'new marketplaces at each distance; medians are reported', '3'),
  pages: standard('--pages <n>', count(1, 100), 'pages after the first', '5'),
});

type FirstPageOptions = ValuesOf<typeof firstPageSection>;

export function firstPageCommand(program: Command): void {
  const command = program
    .command('first-page')
    .summary('how long the first page and the next ones take over a path of 200 ms')
    .description(
      'Starts a marketplace (ledger, three relays, host, gateway) whose links and connections to the ledger go through proxies ' +
        'that delay, publishes a site, and visits its pages: the first one with every channel on the path still to open. Beside ' +
        'it the same without delay, in turns, and the round trips that cannot be saved.',
    );
  addSettings(command, firstPageSection)
    .addHelpText('after', '\nSee docs/benchmarks.md for how to read the figures.\n')
    .action(run);
}

async function run({ json, path: pathMillis, runs, pages }: FirstPageOptions): Promise<void> {
  const output = createOutput(json === true);
  using lifecycle = watchLifecycle();
  const { signal } = lifecycle;
  const status = createStatus(output.json);
  try {
    const visits = await measure({ pathMillis, runs, pages, signal, onProgress: (what) => status.show(what) });
    status.clear();
    const rows = pageFigures(visits, pathMillis);
    output.value({ bench: 'first-page', pathMs: pathMillis, rows });
    output.line(describe(rows, pathMillis));
  } catch (error) {
    // A process that was told to end before it was ready is no failure then.
    assertNotAborted(signal, 'Measuring');
    throw error;
  } finally {
    status.clear();
  }
}

function describe(rows: readonly PageFigures[], pathMillis: number): string {
  const cells = rows.map((row) => [
    row.name,
    String(row.pages),
    row.farMs.toFixed(0),
    `${row.farLeastMs.toFixed(0)} .. ${row.farMostMs.toFixed(0)}`,
    row.nearMs.toFixed(0),
    row.roundTrips.toFixed(1),
    row.neededRoundTrips.toFixed(1),
    row.ofNeeded.toFixed(2),
  ]);
  return [
    `${LINKS} links of ${pathMillis / LINKS} ms, ${pathMillis} ms there and back. Node ${process.version}, ${availableParallelism()} cores.`,
    '',
    table(
      [['page', 'pages', 'far ms', 'from .. to', 'near ms', 'round trips', 'needed', 'far / needed'], ...cells],
      [1, 2, 3, 4, 5, 6, 7],
    ),
    '',
    'Before the first page no channel on the path was open: every channel was opened for it.',
  ].join('\n');
}
