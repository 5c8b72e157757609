/** The `relaymint` program: reads the command line and hands over to one command. */
import { createRequire } from 'node:module';
import { Command, CommanderError } from 'commander';
import { RelaymintError, isRelaymintError } from '../core/errors.ts';
import { settleCommand, statsCommand } from './commands/control.ts';
import { settlementsCommand } from './commands/settlements.ts';
import { bankCommand } from './commands/bank.ts';
import { booksCommand } from './commands/books.ts';
import { channelCommand } from './commands/channel.ts';
import { ledgerCommand } from './commands/ledger.ts';
import { nameCommand } from './commands/name.ts';
import { publishCommand } from './commands/publish.ts';
import { roleCommand } from './commands/role.ts';
import { startCommand } from './commands/start.ts';
import { tillCommand } from './commands/till.ts';
import { walletCommand } from './commands/wallet.ts';
import { i2pCommand } from './commands/i2p.ts';
import { torCommand } from './commands/tor.ts';
import { watchtowerCommand } from './commands/watchtower.ts';
import { ROLES } from '../app/roles/index.ts';
import { reportError, reportJson } from './output.ts';

const { version } = createRequire(import.meta.url)('../../package.json') as { readonly version: string };

/** Exit codes: 0 done, 1 failed, 2 the command line is wrong, 130 stopped by the user. */
const EXIT_USAGE = 2;
const EXIT_STOPPED = 130;

function createProgram(): Command {
  const program = new Command('relaymint')
    .description(
      'A token-metered bandwidth marketplace: paid relays, signed receipts, settlement on Solana, .web3 sites.',
    )
    .version(version)
    .showHelpAfterError('Add --help to see what this command takes.')
    .configureHelp({ showGlobalOptions: true })
    .exitOverride();
  startCommand(program);
  for (const role of ROLES) roleCommand(program, role);
  publishCommand(program);
  ledgerCommand(program);
  walletCommand(program);
  channelCommand(program);
  tillCommand(program);
  nameCommand(program);
  bankCommand(program);
  settleCommand(program);
  settlementsCommand(program);
  statsCommand(program);
  booksCommand(program);
  watchtowerCommand(program);
  torCommand(program);
  i2pCommand(program);
  return program;
}

// The reader of our output is gone ("| head", a closed terminal), or the disk that it goes to is full. A node goes on earning; any other
// command has failed, unless its reader stopped reading.
for (const output of [process.stdout, process.stderr]) {
  let said = false;
  output.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' || error.code === 'EIO' || said) return;
    said = true;
    process.exitCode = 1;
    if (output === process.stdout) process.stderr.write(`relaymint: cannot write the output: ${error.message}\n`);
  });
}

try {
  await createProgram().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    if (error.exitCode !== 0) {
      process.exitCode = EXIT_USAGE;
      const message = error.message.replace(/^error: /, '');
      if (process.argv.includes('--json')) reportJson(new RelaymintError('INVALID_ARGUMENT', message));
    }
  } else {
    const stopped = isRelaymintError(error, 'ABORTED');
    if (!stopped) reportError(error, process.argv.includes('--json'));
    process.exitCode = stopped ? EXIT_STOPPED : 1;
  }
}
