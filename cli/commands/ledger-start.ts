/** `relaymint ledger start`: the embedded ledger. */
import type { Command } from 'commander';
import { isRelaymintError } from '../../core/errors.ts';
import type * as EmbeddedLedgerModule from '../../ledger/solana/embedded/index.ts';
import {
  MAX_CHALLENGE_SECONDS,
  MAX_COMMIT_SECONDS,
  MAX_FEE_BPS,
  programFile,
  readKeyFile,
  walletAddress,
  writeKeyFile,
  type WalletKey,
} from '../../ledger/solana/index.ts';
import { watchLifecycle } from '../../app/lifecycle.ts';
import {
  DEFAULT_LEDGER_PORT,
  count,
  credits,
  defaultDataDir,
  flagsOnly,
  ip,
  optional,
  place,
  port,
  someWords,
  shareUpTo,
  standard,
  toggle,
  type ValuesOf,
} from '../../app/config/index.ts';
import { addCommonOptions, addLedgerOptions, type CommonOptions, type LedgerOptions } from '../options.ts';
import { createLog, createOutput } from '../output.ts';
import { addSettings } from '../settings.ts';

const startSection = flagsOnly({
  data: standard('--data <dir>', place, 'where the state is kept', defaultDataDir('ledger'), {
    standardHelp: '~/.relaymint/ledger',
  }),
  memory: toggle('--memory', 'keep nothing'),
  bare: toggle('--bare', 'start without the program, to try "relaymint ledger deploy"'),
  port: standard('--port <n>', port, 'HTTP and WebSocket port; 0 for any free one', String(DEFAULT_LEDGER_PORT)),
  address: standard(
    '--address <ip>',
    ip,
    'address to listen on; any but loopback opens the faucet to the network',
    '127.0.0.1',
  ),
  challengeSeconds: standard(
    '--challenge-seconds <n>',
    count(1, Number(MAX_CHALLENGE_SECONDS)),
    'time a payee has to settle after a payer asks to close (new ledgers)',
    '3600',
  ),
  feeShare: standard(
    '--fee-share <share>',
    shareUpTo(MAX_FEE_BPS),
    'part of every settlement for the treasury, for example 1% (new ledgers)',
    '0',
  ),
  nameYearPrice: standard('--name-year-price <credits>', credits, 'price of a name per year (new ledgers)', '0'),
  commitSeconds: standard(
    '--commit-seconds <n>',
    count(1, MAX_COMMIT_SECONDS),
    'minimum age of a commitment to a name when it is revealed (new ledgers)',
    '1',
  ),
  adminKey: optional(
    '--admin-key <file>',
    place,
    'write the key of the bank\'s admin to this file, for "relaymint bank configure"',
  ),
  seed: optional('--seed <text>', someWords, "make a new ledger's keys reproducible (tests)"),
});

type StartOptions = CommonOptions & LedgerOptions & ValuesOf<typeof startSection>;

export function ledgerStartCommand(ledger: Command): void {
  const start = ledger
    .command('start')
    .summary('start the embedded ledger')
    .description(
      'Serves Solana JSON-RPC over HTTP and WebSocket on one port, with the Relaymint program in place and a faucet.\n' +
        'Ordinary Solana clients work against it. What it confirmed survives a crash.',
    );
  addSettings(addLedgerOptions(addCommonOptions(start)), startSection).action(run);
}

/** Imported only here: no other command needs a virtual machine in memory. (The compiler does not touch an import() next to a `using`.) */
function loadEmbeddedLedger(): Promise<typeof EmbeddedLedgerModule> {
  return import('../../ledger/solana/embedded/index.ts');
}

async function run(options: StartOptions): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  const { startEmbeddedLedger } = await loadEmbeddedLedger();
  await using ledger = await startEmbeddedLedger({
    ...(options.memory === true ? {} : { dataDir: options.data }),
    host: options.address,
    port: options.port,
    ...(options.bare === true
      ? {}
      : {
          programPath: programFile(),
          programId: options.program,
          bank: {
            challengeSeconds: BigInt(options.challengeSeconds),
            feeBps: options.feeShare,
            nameYearPrice: options.nameYearPrice,
            commitSeconds: options.commitSeconds,
          },
        }),
    ...(options.seed === undefined ? {} : { seed: options.seed }),
    log: createLog(options.logLevel, 'ledger'),
  });
  if (options.adminKey !== undefined) await keepKey(options.adminKey, ledger.admin);
  output.value({
    event: 'ready',
    url: ledger.url,
    wsUrl: ledger.wsUrl,
    programId: options.bare === true ? null : options.program,
    genesisHash: ledger.genesisHash,
  });
  output.line(
    `The ledger is up.\n  JSON-RPC   ${ledger.url}\n  WebSocket  ${ledger.wsUrl} (give it to clients as wsEndpoint)\n  program    ${options.bare === true ? 'none: "relaymint ledger deploy" brings it' : options.program}\nCtrl-C stops it.`,
  );
  await lifecycle.ended;
}

/** A later start of the same ledger finds its key there already. @throws RelaymintError FILE_EXISTS for another key. */
async function keepKey(file: string, key: WalletKey): Promise<void> {
  try {
    await writeKeyFile(file, key);
  } catch (error) {
    if (!isRelaymintError(error, 'FILE_EXISTS')) throw error;
    if (walletAddress(await readKeyFile(file)) !== walletAddress(key)) throw error;
  }
}
