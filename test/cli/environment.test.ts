/** What commands that do one thing once take from the environment: where things are, and never what is to be done. */
import { Command } from 'commander';
import { expect, it } from 'vitest';
import { bankCommand } from '../../cli/commands/bank.ts';
import { booksCommand } from '../../cli/commands/books.ts';
import { channelCommand } from '../../cli/commands/channel.ts';
import { settleCommand, statsCommand } from '../../cli/commands/control.ts';
import { i2pCommand } from '../../cli/commands/i2p.ts';
import { ledgerCommand } from '../../cli/commands/ledger.ts';
import { nameCommand } from '../../cli/commands/name.ts';
import { settlementsCommand } from '../../cli/commands/settlements.ts';
import { startCommand } from '../../cli/commands/start.ts';
import { tillCommand } from '../../cli/commands/till.ts';
import { torCommand } from '../../cli/commands/tor.ts';
import { walletCommand } from '../../cli/commands/wallet.ts';
import { watchtowerCommand } from '../../cli/commands/watchtower.ts';

const COMMANDS = [
  bankCommand,
  booksCommand,
  channelCommand,
  i2pCommand,
  ledgerCommand,
  nameCommand,
  settleCommand,
  settlementsCommand,
  startCommand,
  statsCommand,
  tillCommand,
  torCommand,
  walletCommand,
  watchtowerCommand,
];

interface Read {
  readonly command: string;
  readonly flag: string | undefined;
  readonly from: string | undefined;
}

function readIn(command: Command, path: readonly string[]): Read[] {
  const own = command.options.map(({ long, envVar }) => ({ command: path.join(' '), flag: long ?? '', from: envVar }));
  return [...own, ...command.commands.flatMap((below) => readIn(below, [...path, below.name()]))];
}

const program = new Command();
for (const add of COMMANDS) add(program);
const options = readIn(program, []);

it('is where the ledger, the wallet, the data folder and the ways out are, what to log, and what a transaction may cost', () => {
  const names = new Set(options.flatMap(({ from }) => from ?? []));
  expect([...names].toSorted()).toEqual([
    'RELAYMINT_ANONYMIZE',
    'RELAYMINT_DATA',
    'RELAYMINT_I2P_SAM',
    'RELAYMINT_I2P_TUNNELS',
    'RELAYMINT_LEDGER',
    'RELAYMINT_LOG_LEVEL',
    'RELAYMINT_MAX_PRIORITY_FEE',
    'RELAYMINT_ONION_AUTH',
    'RELAYMINT_PROGRAM',
    'RELAYMINT_TOR_CONTROL',
    'RELAYMINT_TOR_PASSWORD_FILE',
    'RELAYMINT_TOR_SOCKS',
    'RELAYMINT_WALLET',
  ]);
});

it("is no folder of another kind than a node's or a wallet's", () => {
  const unread = options.filter(({ flag, from }) => flag === '--data' && from === undefined);
  expect(unread.map(({ command }) => command).toSorted()).toEqual([
    'ledger start',
    'start',
    'tor rotate',
    'tor start',
    'tor status',
    'tor stop',
    'watchtower',
  ]);
});

it("is the node's folder for what asks a node, which an option on the line overrides", () => {
  const read = options.filter(({ flag, from }) => flag === '--data' && from === 'RELAYMINT_DATA');
  expect(read.map(({ command }) => command)).toEqual(
    expect.arrayContaining(['i2p address', 'settle', 'stats', 'tor address', 'tor advertise']),
  );
});
