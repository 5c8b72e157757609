/** `npm run bench`: lists the benchmarks, or runs the one that is named. */
import { Command, CommanderError } from 'commander';
import { isRelaymintError } from '../core/errors.ts';
import { reportError, surviveReaders } from '../cli/output.ts';
import { circuitCommand } from './circuit.ts';
import { firstPageCommand } from './first-page.ts';
import { gatewayCommand } from './gateway/command.ts';
import { hostileCommand } from './hostile/command.ts';
import { ledgerCommand } from './ledger/command.ts';
import { loadCommand } from './load/command.ts';
import { onionCommand } from './onion.ts';
import { pathsCommand } from './paths/command.ts';
import { ssoBenchCommand } from './sso/command.ts';

/** As the `relaymint` program: 0 done, 1 failed, 2 the command line is wrong, 130 stopped by the user. */
const EXIT_USAGE = 2;
const EXIT_STOPPED = 130;

function createProgram(): Command {
  const program = new Command('npm run bench --')
    .description('Measures Relaymint on this machine.')
    .showHelpAfterError('Add --help to see the options of this benchmark.')
    .helpCommand(false)
    .exitOverride();
  circuitCommand(program);
  firstPageCommand(program);
  gatewayCommand(program);
  hostileCommand(program);
  ledgerCommand(program);
  loadCommand(program);
  onionCommand(program);
  pathsCommand(program);
  ssoBenchCommand(program);
  return program;
}

function list(program: Command): string {
  const lines = program.commands.map(
    (command) => `  npm run bench -- ${command.name().padEnd(10)} ${command.summary()}`,
  );
  return ['The benchmarks:', ...lines, 'Each takes --help and --json.'].join('\n');
}

surviveReaders();

try {
  const program = createProgram();
  if (process.argv.length <= 2) process.stdout.write(`${list(program)}\n`);
  else await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE;
  } else {
    const stopped = isRelaymintError(error, 'ABORTED');
    if (!stopped) reportError(error, process.argv.includes('--json'));
    process.exitCode = stopped ? EXIT_STOPPED : 1;
  }
}
