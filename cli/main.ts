/** The `relaymint` program: reads the command line and hands over to one command. */
import { createRequire } from 'node:module';
import { Command, CommanderError, Help, type Option } from 'commander';
import { RelaymintError, isRelaymintError } from '../core/errors.ts';
import { settleCommand, statsCommand } from './commands/control.ts';
import { settlementsCommand } from './commands/settlements.ts';
import { bankCommand } from './commands/bank.ts';
import { booksCommand } from './commands/books.ts';
import { caCommand } from './commands/ca.ts';
import { budgetCommand } from './commands/budget.ts';
import { channelCommand } from './commands/channel.ts';
import { ledgerCommand } from './commands/ledger.ts';
import { hostImportCommand } from './commands/host-import.ts';
import { mapCommand } from './commands/map.ts';
import { nameCommand } from './commands/name.ts';
import { routeCommand } from './commands/route.ts';
import { roleCommand } from './commands/role.ts';
import { sitePublishCommand } from './commands/site-publish.ts';
import { postCommand } from './commands/post.ts';
import { profileCommand } from './commands/profile.ts';
import { siteCommand } from './commands/site.ts';
import { ssoCommand } from './commands/sso.ts';
import { startCommand } from './commands/start.ts';
import { tillCommand } from './commands/till.ts';
import { walletCommand } from './commands/wallet.ts';
import { i2pCommand } from './commands/i2p.ts';
import { torCommand } from './commands/tor.ts';
import { watchtowerCommand } from './commands/watchtower.ts';
import { ROLES } from '../app/roles/index.ts';
import { reportError, reportJson, surviveReaders } from './output.ts';

const { version } = createRequire(import.meta.url)('../../package.json') as { readonly version: string };

/** Exit codes: 0 done, 1 failed, 2 the command line is wrong, 130 stopped by the user. */
const EXIT_USAGE = 2;
const EXIT_STOPPED = 130;

/** Options that have another name now. */
const RENAMED: ReadonlyMap<string, string> = new Map([
  ['--hops', '--relays'],
  ['--fee-bps', '--fee-share'],
]);

function createProgram(): Command {
  const program = new Command('relaymint')
    .description(
      'A token-metered bandwidth marketplace: paid relays, signed receipts, settlement on Solana, .web3 sites.',
    )
    .version(version)
    .showHelpAfterError('Add --help to see what this command takes.')
    .configureHelp({ showGlobalOptions: true, optionDescription: describeOption })
    .configureOutput({ outputError: (text, write) => write(withNewNames(text)) })
    .exitOverride();
  startCommand(program);
  for (const role of ROLES) {
    const command = roleCommand(program, role);
    if (role.name === 'host') hostImportCommand(command);
  }
  sitePublishCommand(program, { hidden: true });
  siteCommand(program);
  mapCommand(program);
  postCommand(program);
  profileCommand(program);
  routeCommand(program);
  ssoCommand(program);
  ledgerCommand(program);
  walletCommand(program);
  channelCommand(program);
  tillCommand(program);
  nameCommand(program);
  bankCommand(program);
  settleCommand(program);
  settlementsCommand(program);
  statsCommand(program);
  budgetCommand(program);
  booksCommand(program);
  caCommand(program);
  watchtowerCommand(program);
  torCommand(program);
  i2pCommand(program);
  return program;
}

function describeOption(option: Option): string {
  const text = new Help().optionDescription(option);
  return option.mandatory ? `${text} (required)` : text;
}

/** What is wrong with a command line, with the name that an unknown option has now instead of those that merely look like it. */
function withNewNames(text: string): string {
  return text.replace(
    /(unknown option '(--[a-z-]+)[^']*')(\n\(Did you mean [^)]*\))?/,
    (whole, said: string, old: string) => {
      const name = RENAMED.get(old);
      return name === undefined ? whole : `${said}\n(Did you mean ${name}?)`;
    },
  );
}

surviveReaders();

try {
  await createProgram().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    if (error.exitCode !== 0) {
      process.exitCode = EXIT_USAGE;
      const message = withNewNames(error.message.replace(/^error: /, ''));
      if (process.argv.includes('--json')) reportJson(new RelaymintError('INVALID_ARGUMENT', message));
    }
  } else {
    const stopped = isRelaymintError(error, 'ABORTED');
    if (!stopped) reportError(error, process.argv.includes('--json'));
    process.exitCode = stopped ? EXIT_STOPPED : 1;
  }
}
