/** `npm run bench -- ledger`: what the chain takes for what nodes do on it. */
import type { Command } from 'commander';
import { speechSection, type Speech } from '../../app/config/index.ts';
import { createOutput, table } from '../../cli/output.ts';
import { addSettings } from '../../cli/settings.ts';
import { channelRows } from './channels.ts';
import { intakeRows } from './intake.ts';
import type { RowGroup, RowSource } from './rows.ts';
import { settlementRows } from './settlement.ts';

/** In the order in which they are reported. */
const SOURCES: readonly RowSource[] = [settlementRows, channelRows, intakeRows];

export function ledgerCommand(program: Command): void {
  const command = program
    .command('ledger')
    .summary('lamports, compute units and bytes of what nodes do on chain')
    .description(
      'Carries out transactions of the committed program on a real Solana virtual machine and reports what each of their ' +
        'parts cost: the fee as it was charged, compute units as they were consumed, and bytes of the signed transaction.',
    );
  addSettings(command, { json: speechSection().json })
    .addHelpText('after', '\nSee docs/benchmarks.md for how to read the figures.\n')
    .action(run);
}

async function run(options: Pick<Speech, 'json'>): Promise<void> {
  const output = createOutput(options.json === true);
  const groups: RowGroup[] = [];
  for (const source of SOURCES) groups.push(await source());
  const rows = groups.flatMap((group) => group.rows.map(({ name, figures }) => ({ name, ...figures })));
  output.value({ bench: 'ledger', rows });
  output.line(groups.map(describe).join('\n\n'));
}

function describe({ title, rows, notes }: RowGroup): string {
  const columns = Object.keys(rows[0]?.figures ?? {});
  const cells = rows.map(({ name, figures }) => [name, ...columns.map((column) => String(figures[column] ?? ''))]);
  return [
    `${title}:`,
    '',
    table(
      [['', ...columns], ...cells],
      Array.from(columns.keys(), (index) => index + 1),
    ),
    '',
    ...notes,
  ].join('\n');
}
