/** `npm run bench -- paths`: how often both ends of a circuit are in one hand, and who is blamed for circuits that fail. */
import type { Command } from 'commander';
import { assertNotAborted } from '../../core/abort.ts';
import { MAX_RELAYS } from '../../core/limits.ts';
import { watchLifecycle } from '../../app/lifecycle.ts';
import {
  count,
  flagsOnly,
  someWords,
  speechSection,
  standard,
  type Section,
  type Speech,
} from '../../app/config/index.ts';
import { createOutput, createStatus, table } from '../../cli/output.ts';
import { addSettings } from '../../cli/settings.ts';
import { BEHAVIOURS } from './population.ts';
import { simulate, type PathsRow, type Simulation } from './simulate.ts';

const simulationSection: Section<Simulation> = flagsOnly({
  relays: standard('--relays <n>', count(2, 1000), 'operators of relays', '20'),
  malicious: standard('--malicious <n>', count(0, 1000), 'how many of them are malicious', '4'),
  pathRelays: standard('--path-relays <n>', count(1, MAX_RELAYS), 'relays of a circuit', '3'),
  clients: standard('--clients <n>', count(1, 100_000), 'clients in each row', '1000'),
  days: standard('--days <n>', count(1, 1000), 'days that each client runs; it is restarted every day', '2'),
  circuitsPerDay: standard(
    '--circuits-per-day <n>',
    count(1, 10_000),
    'circuits that a client asks for in a day, one after the other',
    '30',
  ),
  seed: standard('--seed <text>', someWords, 'seed of all random choices; the same seed repeats them', 'paths'),
});

type PathsOptions = Simulation & Pick<Speech, 'json'>;

export function pathsCommand(program: Command): void {
  const command = program
    .command('paths')
    .summary('how often both ends of a circuit are malicious, whatever malicious relays do')
    .description(
      'Simulates clients for days with the real pool and its choice of paths, in networks where some operators are ' +
        'malicious: they behave, extend only to accomplices, ask the highest price that is let through, or each run 25 ' +
        'keys behind one wallet. Reports how many of the circuits that were built began and ended at malicious relays, and whom ' +
        'clients gave up.',
    );
  addSettings(addSettings(command, { json: speechSection().json }), simulationSection)
    .addHelpText('after', '\nSee docs/benchmarks.md for what the figures mean.\n')
    .action(run);
}

async function run({ json, ...simulation }: PathsOptions): Promise<void> {
  const output = createOutput(json === true);
  using lifecycle = watchLifecycle();
  const status = createStatus(output.json);
  const rows: PathsRow[] = [];
  try {
    for (const name of BEHAVIOURS) {
      const row = await simulate(name, simulation, (done) => {
        assertNotAborted(lifecycle.signal, 'Simulating');
        if (done % 50 === 0) status.show(`${name}: ${done} of ${simulation.clients} clients`);
      });
      rows.push(row);
    }
  } finally {
    status.clear();
  }
  output.value({ bench: 'paths', rows });
  output.line(describe(rows, simulation));
}

function describe(rows: readonly PathsRow[], simulation: Simulation): string {
  const [honest] = rows;
  const cells = rows.map((row) => [
    row.name,
    String(row.relays),
    String(row.malicious),
    `${(100 * row.bothEnds).toFixed(2)} %`,
    honest === undefined || honest.bothEnds === 0 ? '' : (row.bothEnds / honest.bothEnds).toFixed(2),
    String(row.innocentBlamed),
    String(row.maliciousBlamed),
  ]);
  const { clients, days, circuitsPerDay, pathRelays, seed } = simulation;
  return [
    `${clients} clients, ${days} days of ${circuitsPerDay} circuits over ${pathRelays} relays; seed ${seed}.`,
    '',
    table(
      [['', 'relays', 'malicious', 'both ends', 'of honest', 'innocent blamed', 'malicious blamed'], ...cells],
      [1, 2, 3, 4, 5, 6],
    ),
  ].join('\n');
}
