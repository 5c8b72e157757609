/** `relaymint bank`: what backs the credits, what a settlement costs, and who may change that. */
import type { Command } from 'commander';
import { RelaymintError } from '../../core/errors.ts';
import { formatShare } from '../../core/grammar.ts';
import { formatCredits, formatSol } from '../../core/units.ts';
import type { BankSettings, BankState, LedgerWallet } from '../../ledger/contract.ts';
import { MAX_COMMIT_SECONDS, MAX_FEE_BPS, readKeyFile } from '../../ledger/solana/index.ts';
import {
  count,
  credits,
  flagsOnly,
  optional,
  place,
  shareUpTo,
  toggle,
  wallet,
  type ValuesOf,
} from '../../app/config/index.ts';
import type { ReaderOptions, WalletOptions } from '../options.ts';
import { createOutput } from '../output.ts';
import { addSettings } from '../settings.ts';
import {
  openLedger,
  openWallet,
  priceText,
  properties,
  transact,
  walletSubcommand,
  type OpenedWallet,
  addReaderOptions,
} from './transact.ts';

const configureSection = flagsOnly({
  feeShare: optional(
    '--fee-share <share>',
    shareUpTo(MAX_FEE_BPS),
    'part of every settlement for the treasury, for example 1%',
  ),
  treasury: optional('--treasury <address>', wallet, 'wallet that gets the fees, including those not yet collected'),
  nameYearPrice: optional('--name-year-price <credits>', credits, 'price of a name per year'),
  commitSeconds: optional(
    '--commit-seconds <n>',
    count(1, MAX_COMMIT_SECONDS),
    'minimum age of a commitment to a name',
  ),
  newAdmin: optional(
    '--new-admin <file>',
    place,
    'hand the bank over to the wallet of this key file, which also signs',
  ),
  giveUpForEver: toggle('--give-up-for-ever', 'give the bank up: nobody can ever change its settings again'),
});

type ConfigureOptions = WalletOptions & ValuesOf<typeof configureSection>;

export function bankCommand(program: Command): void {
  const bank = program
    .command('bank')
    .summary('what backs the credits, and what a settlement costs')
    .description(
      'The bank sells and redeems credits at a fixed price. It may keep part of every settlement for its treasury, at most a\ntenth. Its price and its challenge period never change.',
    );
  const show = bank
    .command('show')
    .summary('show totals and settings')
    .description('Shows totals and settings of the bank.');
  addReaderOptions(show).action(showBank);

  addSettings(
    walletSubcommand(bank, 'configure', "change the bank's settings (its admin only)"),
    configureSection,
  ).action(configure);

  walletSubcommand(bank, 'collect-fees', "mint the fees to the bank's treasury (anybody may)").action(collectFees);
}

async function showBank(options: ReaderOptions): Promise<void> {
  const output = createOutput(options.json === true);
  await using opened = openLedger(options);
  const bank = await opened.ledger.bank();
  output.value(bankValue(bank));
  output.line(
    `Bank ${bank.address}\n\n${properties([
      ['credit mint', bank.mint],
      ['price', priceText(bank.unitsPerLamport)],
      ['reserve', `${formatSol(bank.reserve)} SOL`],
      ['in wallets', `${formatCredits(bank.supply)} credits`],
      ['in channels', `${formatCredits(bank.openDeposits)} credits`],
      ['earned, not minted', `${formatCredits(bank.unminted)} credits`],
      ['fee', `${formatShare(bank.feeBps)} of every settlement`],
      ['fees to collect', `${formatCredits(bank.fees)} credits (${formatCredits(bank.lifetimeFees)} ever)`],
      ['treasury', bank.treasury],
      ['name, a year', `${formatCredits(bank.nameYearPrice)} credits`],
      ['commitment', `${bank.commitSeconds} s`],
      ['challenge period', `${bank.challengeSeconds} s`],
      ['admin', bank.admin ?? 'nobody, for ever'],
    ])}`,
  );
}

async function configure(options: ConfigureOptions): Promise<void> {
  await using opened = await openWallet(options);
  const settings = chosenSettings(options);
  const newAdmin = await chosenAdmin(options, opened);
  if (Object.keys(settings).length === 0 && newAdmin === undefined) {
    throw new RelaymintError('INVALID_ARGUMENT', 'There is nothing to change.', {
      remedy: 'Give at least one setting: see "relaymint bank configure --help".',
    });
  }
  const before = await opened.ledger.bank();
  await transact({
    options,
    opened,
    work: async () => {
      await opened.wallet.configure({ ...settings, ...(newAdmin === undefined ? {} : { newAdmin }) });
      const after = await opened.ledger.bank();
      return { done: `Changed the bank: ${changes(before, after)}.`, value: { bank: bankValue(after) } };
    },
  });
}

async function collectFees(options: WalletOptions): Promise<void> {
  await using opened = await openWallet(options);
  const { fees, treasury } = await opened.ledger.bank();
  await transact({
    options,
    opened,
    figures: async () => ({ treasury: (await opened.ledger.balances(treasury)).credits }),
    work: async () => {
      if (fees === 0n) return { done: 'There are no fees to collect.', value: { treasury, collected: '0' } };
      await opened.wallet.collectFees();
      const collected = fees.toString();
      return {
        done: `Minted ${formatCredits(fees)} credits to the treasury ${treasury}.`,
        value: { treasury, collected },
      };
    },
  });
}

function chosenSettings(options: ConfigureOptions): Partial<BankSettings> {
  const { feeShare: feeBps, treasury, nameYearPrice, commitSeconds } = options;
  return {
    ...(feeBps === undefined ? {} : { feeBps }),
    ...(treasury === undefined ? {} : { treasury }),
    ...(nameYearPrice === undefined ? {} : { nameYearPrice }),
    ...(commitSeconds === undefined ? {} : { commitSeconds }),
  };
}

/** undefined: the admin stays; null: there will be none. */
async function chosenAdmin(options: ConfigureOptions, opened: OpenedWallet): Promise<LedgerWallet | null | undefined> {
  if (options.newAdmin === undefined) return options.giveUpForEver === true ? null : undefined;
  if (options.giveUpForEver === true) {
    throw new RelaymintError('INVALID_ARGUMENT', 'The bank can be handed over or given up, not both.', {
      remedy: 'Leave out --new-admin or --give-up-for-ever.',
    });
  }
  return opened.ledger.wallet(await readKeyFile(options.newAdmin));
}

/** The settings as people read them. */
function settingTexts(bank: BankState): Readonly<Record<string, string>> {
  return {
    fee: formatShare(bank.feeBps),
    treasury: bank.treasury,
    'name price': `${formatCredits(bank.nameYearPrice)} credits`,
    commitment: `${bank.commitSeconds} s`,
    admin: bank.admin ?? 'nobody, for ever',
  };
}

function changes(before: BankState, after: BankState): string {
  const was = settingTexts(before);
  const changed = Object.entries(settingTexts(after)).filter(([name, text]) => was[name] !== text);
  if (changed.length === 0) return 'to what it was already';
  return changed.map(([name, text]) => `${name} ${was[name]} -> ${text}`).join(', ');
}

/** For scripts: amounts in base units, as text. */
function bankValue(bank: BankState): object {
  const { clusterTag, ...rest } = bank;
  const texts = Object.entries(rest).map(([name, value]) => [
    name,
    typeof value === 'bigint' ? value.toString() : value,
  ]);
  return {
    ...Object.fromEntries(texts),
    admin: bank.admin ?? null,
    clusterTag: Buffer.from(clusterTag).toString('hex'),
  };
}
