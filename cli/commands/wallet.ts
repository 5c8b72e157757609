/** `relaymint wallet`: keys, balances, buying and redeeming credits. */
import type { Command } from 'commander';
import { isRelaymintError, RelaymintError } from '../../core/errors.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import { FEE_RESERVE } from '../../core/limits.ts';
import { formatCredits, formatSol, lamports, type Amount, type Lamports } from '../../core/units.ts';
import type { Balances, LedgerReader, LedgerWallet } from '../../ledger/contract.ts';
import {
  generateWalletKey,
  parseWalletKey,
  walletAddress,
  writeKeyFile,
  type WalletKey,
} from '../../ledger/solana/index.ts';
import {
  credits,
  flagsOnly,
  optional,
  sol,
  standard,
  wallet as address,
  type ValuesOf,
  type WalletPlace,
} from '../../app/config/index.ts';
import { addCommonOptions, addWalletOptions, walletFile, type CommonOptions, type WalletOptions } from '../options.ts';
import { createOutput } from '../output.ts';
import { readSecret } from '../secret.ts';
import { addSettings, argumentOf } from '../settings.ts';
import { figureTexts, openWallet, properties, transact, walletSubcommand, type OpenedWallet } from './transact.ts';

const importSection = flagsOnly({
  address: optional(
    '--address <address>',
    address,
    'address that the key must have; required for a 32-byte seed, which does not contain it',
  ),
});

const buySection = flagsOnly({
  keep: standard(
    '--keep <sol>',
    sol,
    'SOL to keep for the fees of settling and closing; 0 keeps none',
    formatSol(FEE_RESERVE),
  ),
});

type KeyOptions = CommonOptions & WalletPlace;
type ImportOptions = KeyOptions & ValuesOf<typeof importSection>;
type BuyOptions = WalletOptions & ValuesOf<typeof buySection>;

/** What buying itself costs, lamports: a signature, and the first time a token account of 165 bytes. */
const BUY_FEE = 5_000n;
const CREDIT_ACCOUNT_RENT = 2_039_280n;

export function walletCommand(program: Command): void {
  const wallet = program
    .command('wallet')
    .summary('keys, balances, buying and redeeming credits')
    .description(
      "Works with Solana key files (id.json). Credits are bought and redeemed at the bank's fixed price and are always fully backed.",
    );

  const create = addWalletOptions(wallet.command('create').summary('make a new key file')).description(
    'Makes a new key and writes it to a file that only you may read. A file that exists is never overwritten.',
  );
  addCommonOptions(create).action((options: KeyOptions) => keep(generateWalletKey(), options));

  const load = addSettings(wallet.command('import'), importSection)
    .summary('import a key that another wallet made')
    .description(
      'Reads a Solana key file (id.json) or a base58 secret key from a file or from standard input, and writes it to a key ' +
        'file with mode 0600. It never takes the secret from the command line itself: every user of the machine can see that ' +
        'in the list of processes, and the shell keeps it in its history.',
    )
    .argument('[file]', 'key file, or text file with the base58 secret (default: standard input)')
    .addHelpText(
      'after',
      '\nExamples:\n  relaymint wallet import ~/.config/solana/id.json\n' +
        '  relaymint wallet import            asks for the secret and does not show it\n' +
        '  pass show my-wallet | relaymint wallet import\n',
    );
  addCommonOptions(addWalletOptions(load)).action(async (file: string | undefined, options: ImportOptions) => {
    const secret = await readSecret(file);
    try {
      await keep(parseWalletKey(secret, options.address), options);
    } finally {
      secret.fill(0);
    }
  });

  walletSubcommand(wallet, 'balance', 'show what the wallet holds').action(async (options: WalletOptions) => {
    await using opened = await openWallet(options);
    const { ledger, wallet: own } = opened;
    const [balances, noBank] = await Promise.all([ledger.balances(own.address), missingBank(ledger)]);
    show(options, own.address, balances, noBank);
  });

  walletSubcommand(wallet, 'airdrop', 'ask the faucet for SOL (test ledgers)')
    .argument('<sol>', 'how much, for example 5', argumentOf(sol))
    .action(async (value: Lamports, options: WalletOptions) => {
      await using opened = await openWallet(options);
      await opened.wallet.airdrop(value);
      show(options, opened.wallet.address, await opened.ledger.balances(opened.wallet.address));
    });

  addSettings(walletSubcommand(wallet, 'buy', "buy credits at the bank's price"), buySection)
    .description(
      "Buys credits at the bank's fixed price. The first time it also pays the rent of the wallet's token account, about 0.002 SOL.\nSome SOL stays in the wallet, because without any it can neither settle nor close: see --keep.",
    )
    .argument('<sol>', 'how much SOL to spend', argumentOf(sol))
    .action(buy);

  walletSubcommand(wallet, 'redeem', 'turn credits back into SOL')
    .argument('<credits>', 'how many credits', argumentOf(credits))
    .action((value: Amount, options: WalletOptions) =>
      run(options, `Redeemed ${formatCredits(value)} credits.`, (own) => own.redeem(value)),
    );

  walletSubcommand(wallet, 'send', 'send credits to another wallet')
    .argument('<address>', 'the receiving wallet', argumentOf(address))
    .argument('<credits>', 'how many credits', argumentOf(credits))
    .action((to: LedgerAddress, value: Amount, options: WalletOptions) =>
      run(options, `Sent ${formatCredits(value)} credits to ${to}.`, (own) => own.send(to, value)),
    );
}

async function buy(value: Lamports, options: BuyOptions): Promise<void> {
  await using opened = await openWallet(options);
  await requireKept(opened, value, options.keep);
  await transact({
    options,
    opened,
    work: async () => {
      await opened.wallet.buy(value);
      return { done: `Bought credits for ${formatSol(value)} SOL.` };
    },
  });
}

/** @throws RelaymintError INSUFFICIENT_FUNDS when less than `keep` would be left. If the wallet lacks the SOL altogether, buying itself fails. */
async function requireKept({ ledger, wallet }: OpenedWallet, value: Lamports, keep: Lamports): Promise<void> {
  const [{ lamports: has }, hasAccount] = await Promise.all([
    ledger.balances(wallet.address),
    ledger.hasCreditAccount(wallet.address),
  ]);
  const free = has - BUY_FEE - (hasAccount ? 0n : CREDIT_ACCOUNT_RENT);
  if (free < value || free - value >= keep) return;
  const most = free - keep;
  throw new RelaymintError(
    'INSUFFICIENT_FUNDS',
    `The wallet has ${formatSol(has)} SOL, of which ${formatSol(keep)} are kept for the fees of settling and closing.`,
    {
      remedy: `${most > 0n ? `Spend at most ${formatSol(lamports(most))}` : 'Send it some SOL'}, or keep less with --keep.`,
      details: { has: has.toString(), needs: (has - free + value + keep).toString() },
    },
  );
}

async function keep(key: WalletKey, options: KeyOptions): Promise<void> {
  const output = createOutput(options.json === true);
  const file = walletFile(options);
  await writeKeyFile(file, key);
  output.value({ address: walletAddress(key), file });
  output.line(`${walletAddress(key)}\nThe key is in ${file}. Keep a copy: without it the wallet's credits are lost.`);
}

/** Why nobody can have credits of this program here; undefined if there is a bank. */
async function missingBank(ledger: LedgerReader): Promise<RelaymintError | undefined> {
  try {
    await ledger.bank();
    return undefined;
  } catch (error) {
    if (isRelaymintError(error, 'LEDGER_REJECTED')) return error;
    throw error;
  }
}

function show(options: WalletOptions, owner: LedgerAddress, balances: Balances, noBank?: RelaymintError): void {
  const output = createOutput(options.json === true);
  output.value({
    address: owner,
    ...figureTexts({ ...balances }),
    ...(noBank === undefined ? {} : { credits: null, reason: noBank.message }),
  });
  output.line(
    `${owner}\n${properties([
      ['credits', noBank === undefined ? formatCredits(balances.credits) : `unknown. ${noBank.message}`],
      ['SOL', formatSol(balances.lamports)],
    ])}`,
  );
}

async function run(
  options: WalletOptions,
  done: string,
  work: (wallet: LedgerWallet) => Promise<unknown>,
): Promise<void> {
  await using opened = await openWallet(options);
  await transact({
    options,
    opened,
    work: async () => {
      await work(opened.wallet);
      return { done };
    },
  });
}
