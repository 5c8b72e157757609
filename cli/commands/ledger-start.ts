/** `relaymint ledger start`: the embedded ledger. */
import path from 'node:path';
import type { Command } from 'commander';
import { isRelaymintError } from '../../core/errors.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import { parseCredits, type Amount } from '../../core/units.ts';
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
  addCommonOptions,
  addLedgerOptions,
  creditsOption,
  parsed,
  shareUpTo,
  wholeNumber,
  type CommonOptions,
} from '../options.ts';
import { defaultDataDir, DEFAULT_LEDGER_PORT, parseIp, parsePlace } from '../../app/config/index.ts';
import { createLog, createOutput } from '../output.ts';

interface StartOptions extends CommonOptions {
  readonly data?: string;
  readonly memory?: true;
  readonly bare?: true;
  readonly port: number;
  readonly address: string;
  readonly program: LedgerAddress;
  readonly challengeSeconds: number;
  /** Basis points. */
  readonly feeShare: number;
  readonly nameYearPrice: Amount;
  readonly commitSeconds: number;
  readonly adminKey?: string;
  readonly seed?: string;
}

export function ledgerStartCommand(ledger: Command): void {
  const start = ledger
    .command('start')
    .summary('start the embedded ledger')
    .description(
      'Serves Solana JSON-RPC over HTTP and WebSocket on one port, with the Relaymint program in place and a faucet.\n' +
        'Ordinary Solana clients work against it. What it confirmed survives a crash.',
    );
  addCommonOptions(start);
  addLedgerOptions(start)
    .option('--data <dir>', 'where the state is kept (default: ~/.relaymint/ledger)', parsed(parsePlace))
    .option('--memory', 'keep nothing')
    .option('--bare', 'start without the program, to try "relaymint ledger deploy"')
    .option('--port <n>', 'HTTP and WebSocket port; 0 for any free one', wholeNumber(0, 65_535), DEFAULT_LEDGER_PORT)
    .option(
      '--address <ip>',
      'address to listen on; any but loopback opens the faucet to the network',
      parsed(parseIp),
      '127.0.0.1',
    )
    .option(
      '--challenge-seconds <n>',
      'time a payee has to settle after a payer asks to close (new ledgers)',
      wholeNumber(1, Number(MAX_CHALLENGE_SECONDS)),
      3600,
    )
    .option(
      '--fee-share <share>',
      'part of every settlement for the treasury, for example 1% (new ledgers)',
      shareUpTo(MAX_FEE_BPS),
      0,
    )
    .addOption(
      creditsOption('--name-year-price <credits>', 'price of a name per year (new ledgers)', parseCredits('0')),
    )
    .option(
      '--commit-seconds <n>',
      'minimum age of a commitment to a name when it is revealed (new ledgers)',
      wholeNumber(1, MAX_COMMIT_SECONDS),
      1,
    )
    .option(
      '--admin-key <file>',
      'write the key of the bank\'s admin to this file, for "relaymint bank configure"',
      parsed(parsePlace),
    )
    .option('--seed <text>', "make a new ledger's keys reproducible (tests)")
    .action((options: StartOptions) => run(options));
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
    ...(options.memory === true ? {} : { dataDir: path.resolve(options.data ?? defaultDataDir('ledger')) }),
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
  if (options.adminKey !== undefined) await keepKey(path.resolve(options.adminKey), ledger.admin);
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
