/** `npm run bench -- hostile`: what cheating costs, and whom. */
import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import { watchLifecycle } from '../../app/lifecycle.ts';
import { flagsOnly, optional, speechSection, words, type ValuesOf } from '../../app/config/index.ts';
import { createOutput, createStatus, table } from '../../cli/output.ts';
import { addSettings } from '../../cli/settings.ts';
import { assertNotAborted } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';
import { STRATEGIES, broken, play } from '../../test/adversary/index.ts';
import type { Row, Strategy } from '../../test/adversary/index.ts';

const hostileSection = flagsOnly({
  json: speechSection().json,
  only: optional('--only <name>', words, 'only the strategies whose name contains this'),
  seed: optional('--seed <text>', words, 'seed of keys and garbage (default: a new one each time)'),
});

type HostileOptions = ValuesOf<typeof hostileSection>;

export function hostileCommand(program: Command): void {
  const command = program
    .command('hostile')
    .summary('what every known cheating strategy gains, and what it costs honest nodes')
    .description(
      'Plays each strategy of the adversary (test/adversary) against honest nodes while an honest stranger uses the same relay, ' +
        'and reports in base units what honest nodes lost, what they may lose, and what the attacker gained. Fails when a ' +
        'promise is broken.',
    );
  addSettings(command, hostileSection)
    .addHelpText('after', '\nSee docs/benchmarks.md for what the figures mean.\n')
    .action(run);
}

async function run(options: HostileOptions): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  const strategies = chosen(options.only);
  const seed = options.seed ?? randomBytes(8).toString('hex');
  const status = createStatus(output.json);
  const rows: Row[] = [];
  try {
    for (const [index, strategy] of strategies.entries()) {
      assertNotAborted(lifecycle.signal, 'Playing');
      status.show(`${index + 1} of ${strategies.length}: ${strategy.name}`);
      rows.push(await play(strategy, seed));
    }
  } finally {
    status.clear();
  }
  output.value({ bench: 'hostile', rows: rows.map(encoded) });
  output.line(describe(rows, seed));
  if (rows.some((row) => broken(row).length > 0)) process.exitCode = 1;
}

/** @throws RelaymintError INVALID_ARGUMENT. */
function chosen(only: string | undefined): readonly Strategy[] {
  const strategies = STRATEGIES.filter(({ name }) => only === undefined || name.includes(only));
  if (strategies.length > 0) return strategies;
  throw new RelaymintError('INVALID_ARGUMENT', `No strategy name contains "${String(only)}".`, {
    remedy: `There are: ${STRATEGIES.map(({ name }) => name).join(', ')}.`,
  });
}

function encoded({ name, role, honestLoss, bound, attackerGain, linksLost, strangersHarmed }: Row): object {
  return {
    name,
    role,
    honestLoss: String(honestLoss),
    bound: String(bound),
    attackerGain: String(attackerGain),
    linksLost,
    strangersHarmed,
  };
}

function describe(rows: readonly Row[], seed: string): string {
  const cells = rows.map((row) => [
    row.name,
    row.role,
    String(row.honestLoss),
    String(row.bound),
    String(row.attackerGain),
    String(row.linksLost),
    String(row.strangersHarmed),
    broken(row).length > 0 ? 'BROKEN' : '',
  ]);
  const sentences = rows.flatMap((row) => broken(row).map((what) => `${row.name}: ${what}.`));
  return [
    `Base units; seed ${seed}.`,
    '',
    table(
      [['', 'role', 'honest loss', 'bound', 'gain', 'links lost', 'strangers harmed', ''], ...cells],
      [2, 3, 4, 5, 6],
    ),
    '',
    ...(sentences.length > 0 ? sentences : ['No promise was broken.']),
  ].join('\n');
}
