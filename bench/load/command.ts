/** `npm run bench -- load`: whether a slow honest node still gets in during each flood, and what the flood costs the relay. */
import type { Command } from 'commander';
import { watchLifecycle } from '../../app/lifecycle.ts';
import { choice, count, flagsOnly, optional, speechSection, standard, type ValuesOf } from '../../app/config/index.ts';
import { createOutput, createStatus, table } from '../../cli/output.ts';
import { addSettings } from '../../cli/settings.ts';
import { measureLoad, type LoadRow } from './measure.ts';
import { BULK_DOWNLOAD, ROWS } from './protocol.ts';

/** What is aimed at: a connection under load takes at most so many times what it takes without, and a click beside a download. */
const AIM = 2;
const CLICK_AIM = 3;

const loadSection = flagsOnly({
  json: speechSection().json,
  only: optional('--only <flood>', choice(ROWS), `one of ${ROWS.join(', ')}`),
  roundTrip: standard('--round-trip <ms>', count(0, 10_000), 'between the honest node and the relay', '600'),
  runs: standard('--runs <n>', count(1, 1000), 'connections without load and under it; the medians are reported', '3'),
});

type LoadOptions = ValuesOf<typeof loadSection>;

export function loadCommand(program: Command): void {
  const command = program
    .command('load')
    .summary('whether a slow honest node still gets in during each flood')
    .description(
      'A relay runs in a process of its own, as `relaymint relay` does. A node behind a long round trip connects to it and builds ' +
        'a circuit, paid over its channel: first alone, then beside each flood of a process that attacks. Everything is on loopback, ' +
        'so that all connections come from one place and nothing can be told by address. Last, how long a click takes beside a ' +
        'download of the same node over a line of 4 MB/s.',
    );
  addSettings(command, loadSection)
    .addHelpText('after', '\nSee docs/benchmarks.md for what the figures mean.\n')
    .action(run);
}

async function run({ json, only, roundTrip, runs }: LoadOptions): Promise<void> {
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
