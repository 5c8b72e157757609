/** `relaymint wallet`: keys, balances, buying and redeeming credits. */
import path from 'node:path';
import type { Command } from 'commander';
import { ledgerAddress, type LedgerAddress } from '../../../core/ids.ts';
import { formatCredits, formatSol, type Amount, type Lamports } from '../../../core/units.ts';
import type { Balances, TransactionResult } from '../../../ledger/contract.ts';
import {
  generateWalletKey,
  openSolanaLedger,
  readKeyFile,
  walletAddress,
  writeKeyFile,
  type SolanaLedger,
  type SolanaWallet,
} from '../../../ledger/solana/index.ts';
import { createPolicy } from '../../transport/index.ts';
import {
  addCommonOptions,
  addLedgerOptions,
  credits,
  defaultDataDir,
  parsed,
  sol,
  type CommonOptions,
  type LedgerOptions,
} from '../options.ts';
import { createLog, createOutput } from '../output.ts';
import { WALLET_FILE } from '../roles/keys.ts';

interface WalletOptions extends CommonOptions, LedgerOptions {
  readonly key: string;
}

interface Opened {
  readonly ledger: SolanaLedger;
  readonly wallet: SolanaWallet;
}

const address = parsed((text: string) => ledgerAddress(text));

export function walletCommand(program: Command): void {
  const wallet = program
    .command('wallet')
    .summary('keys, balances, buying and redeeming credits')
    .description(
      "Works with Solana key files (id.json). Credits are bought and redeemed at the bank's fixed price and are always\nfully backed.",
    );

  const create = addKeyOption(wallet.command('create').summary('make a new key file'));
  addCommonOptions(create).action(async (options: WalletOptions) => {
    const output = createOutput(options.json === true);
    const key = generateWalletKey();
    const file = path.resolve(options.key);
    await writeKeyFile(file, key);
    output.value({ address: walletAddress(key), file });
    output.line(`${walletAddress(key)}\nThe key is in ${file}. Keep a copy: without it the wallet's credits are lost.`);
  });

  subcommand(wallet, 'balance', 'what the wallet holds').action(async (options: WalletOptions) => {
    const output = createOutput(options.json === true);
    const opened = await open(options);
    const balances = await opened.ledger.balances(opened.wallet.address);
    output.value({ address: opened.wallet.address, ...texts(balances) });
    output.line(
      `${opened.wallet.address}\n  ${formatCredits(balances.credits)} credits\n  ${formatSol(balances.lamports)} SOL`,
    );
  });

  subcommand(wallet, 'airdrop', 'test ledgers: ask the faucet for SOL')
    .argument('<sol>', 'how much, for example 5', sol)
    .action(async (value: Lamports, options: WalletOptions) => {
      const output = createOutput(options.json === true);
      const opened = await open(options);
      await opened.wallet.airdrop(value);
      const balances = await opened.ledger.balances(opened.wallet.address);
      output.value({ address: opened.wallet.address, ...texts(balances) });
      output.line(`The wallet holds ${formatSol(balances.lamports)} SOL.`);
    });

  subcommand(wallet, 'buy', "buy credits at the bank's price")
    .argument('<sol>', 'how much SOL to spend', sol)
    .action((value: Lamports, options: WalletOptions) => transact(options, (opened) => opened.wallet.buy(value)));

  subcommand(wallet, 'redeem', 'burn credits and get their SOL back')
    .argument('<credits>', 'how many credits', credits)
    .action((value: Amount, options: WalletOptions) => transact(options, (opened) => opened.wallet.redeem(value)));

  subcommand(wallet, 'send', 'send credits to another wallet')
    .argument('<address>', 'the receiving wallet', address)
    .argument('<credits>', 'how many credits', credits)
    .action((to: LedgerAddress, value: Amount, options: WalletOptions) =>
      transact(options, (opened) => opened.wallet.send(to, value)),
    );
}

function subcommand(wallet: Command, name: string, summary: string): Command {
  return addLedgerOptions(addCommonOptions(addKeyOption(wallet.command(name).summary(summary).description(summary))));
}

function addKeyOption(command: Command): Command {
  return command.option('--key <file>', 'Solana key file', path.join(defaultDataDir('wallet'), WALLET_FILE));
}

async function open(options: WalletOptions): Promise<Opened> {
  const policy = createPolicy({ transports: [] });
  const ledger = openSolanaLedger({
    url: options.ledger,
    programId: options.program,
    fetch: policy.fetch('ledger'),
    log: createLog(options.logLevel, 'wallet'),
  });
  return { ledger, wallet: ledger.wallet(await readKeyFile(path.resolve(options.key))) };
}

/** Runs one transaction and says what it cost and what it changed. */
async function transact(options: WalletOptions, work: (opened: Opened) => Promise<TransactionResult>): Promise<void> {
  const output = createOutput(options.json === true);
  const opened = await open(options);
  const before = await opened.ledger.balances(opened.wallet.address);
  const result = await work(opened);
  const after = await opened.ledger.balances(opened.wallet.address);
  output.value({
    signature: result.signature,
    feeLamports: result.feeLamports.toString(),
    computeUnits: result.computeUnits,
    before: texts(before),
    after: texts(after),
  });
  output.line(
    `${result.signature}\n` +
      `  fee      ${result.feeLamports} lamports\n` +
      `  credits  ${formatCredits(before.credits)} -> ${formatCredits(after.credits)}\n` +
      `  SOL      ${formatSol(before.lamports)} -> ${formatSol(after.lamports)}`,
  );
}

function texts(balances: Balances): { readonly credits: string; readonly lamports: string } {
  return { credits: balances.credits.toString(), lamports: balances.lamports.toString() };
}
