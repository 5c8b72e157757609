/** `relaymint name`: who a name belongs to, how long, what it points to and who earns from it. */
import type { Command } from 'commander';
import { RelaymintError } from '../../core/errors.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import { amount, formatCredits } from '../../core/units.ts';
import type { NameRecord } from '../../ledger/contract.ts';
import { readKeyFile, walletAddress } from '../../ledger/solana/index.ts';
import { MAX_YEARS, daysBetween } from '../../ledger/term.ts';
import {
  DEFAULT_ROYALTY,
  count,
  credits,
  flagsOnly,
  grammar,
  list as listOf,
  name as anyName,
  newName,
  optional,
  share,
  standard,
  toggle,
  wallet,
  type ValuesOf,
} from '../../app/config/index.ts';
import { watchLifecycle } from '../../app/lifecycle.ts';
import { walletFile, type ReaderOptions, type WalletOptions } from '../options.ts';
import { createOutput, createStatus } from '../output.ts';
import { addSettings, argumentOf } from '../settings.ts';
import { change, requireRecord, situation } from './name-change.ts';
import {
  RENEWAL_HINT_DAYS,
  dateText,
  nameLines,
  nameTable,
  nameValue,
  parseCid,
  parseSplit,
  priceText,
  registrationText,
  wholeSplits,
} from './name-text.ts';
import { recoverCommand, recoveryCommand } from './name-recovery.ts';
import { openLedger, openWallet, transact, walletSubcommand, addReaderOptions } from './transact.ts';

const ROYALTY = ['--royalty <share>', share, 'your share of what hosts earn with it: 20% or 2000bps'] as const;

const termSection = flagsOnly({
  years: standard('--years <n>', count(1, MAX_YEARS), `how many years, 1 to ${MAX_YEARS}`, '1'),
  maxPrice: optional('--max-price <credits>', credits, 'the most it may cost (default: what it costs now)'),
});

const recordSection = flagsOnly({
  root: optional('--root <cid>', grammar(parseCid), 'CID of the content, or "none"'),
  manifest: optional('--manifest <cid>', grammar(parseCid), 'CID of the manifest, or "none"'),
  royalty: optional(...ROYALTY),
  referrerShare: optional(
    '--referrer-share <share>',
    share,
    'how much of the royalty goes to the name of another site that shows it: 10% or 1000bps',
  ),
  manager: optional('--manager <address>', wallet, 'a wallet that may change root and manifest too'),
  split: listOf(
    '--split <account=share>',
    grammar(parseSplit),
    'who gets the royalty: ACCOUNT=25% or ACCOUNT=2500bps (repeatable; their sum is 100%)',
  ),
});

const registerSection = flagsOnly({
  ...termSection,
  ...recordSection,
  // A new name has one, whatever is said.
  royalty: standard(...ROYALTY, DEFAULT_ROYALTY),
});

const updateSection = flagsOnly({
  ...recordSection,
  distribute: toggle('--distribute', 'first pay what the current splits earned, creating the token accounts they lack'),
});

const distributeSection = flagsOnly({
  createAccounts: toggle('--create-accounts', 'also create missing token accounts, about 0.002 SOL each'),
});

const listSection = flagsOnly({
  owner: optional('--owner <address>', wallet, 'list the names of this wallet instead'),
  all: toggle('--all', 'list every name on the ledger', { conflicts: ['owner'] }),
});

type TermOptions = WalletOptions & ValuesOf<typeof termSection>;
type RegisterOptions = WalletOptions & ValuesOf<typeof registerSection>;
type UpdateOptions = WalletOptions & ValuesOf<typeof updateSection>;
type DistributeOptions = WalletOptions & ValuesOf<typeof distributeSection>;
type ListOptions = WalletOptions & ValuesOf<typeof listSection>;

export function nameCommand(program: Command): void {
  const name = program
    .command('name')
    .summary('register, renew, change and show names')
    .description(
      'A name such as demo.web3 belongs to a wallet for the years that were paid. It points to content, and says which share\n' +
        'of what hosts earn with it goes to whom. "relaymint site publish" registers and updates names by itself.',
    );

  addSettings(walletSubcommand(name, 'register', 'register a name'), registerSection)
    .description(
      'Commits to the name without revealing it, waits as long as the ledger asks (about a minute), and registers it. Whoever\n' +
        'sees the name then is too late to take it first. If it is interrupted, run it again within a day to continue.\n' +
        'A name that was given up costs its price plus a premium that falls to zero within 21 days.',
    )
    .argument('<name>', 'for example demo.web3', argumentOf(newName))
    .addHelpText(
      'after',
      '\nExample:\n  relaymint name register demo.web3 --years 2 --split AUTHOR=75% --split EDITOR=25%\n',
    )
    .action(register);

  addSettings(walletSubcommand(name, 'renew', 'pay for more years'), termSection)
    .description(
      'Adds years to the current term, up to 10 from now. Any wallet may pay for any name, until 30 days after it expires.',
    )
    .argument('<name>', 'the name', argumentOf(anyName))
    .action(renew);

  walletSubcommand(name, 'transfer', 'give a name to another wallet')
    .description(
      'The new owner also manages it. Its content, royalty and splits stay as they are until the new owner changes them; its recovery key goes.',
    )
    .argument('<name>', 'the name', argumentOf(anyName))
    .argument('<address>', "the new owner's wallet", argumentOf(wallet))
    .action(transfer);

  addSettings(
    walletSubcommand(name, 'update', "change a name's content, royalty, referrer's share, manager or splits"),
    updateSection,
  )
    .description(
      'Changes what you give and leaves the rest. The manager may change root and manifest. Splits can only be changed when\n' +
        'nothing is owed to the current ones.',
    )
    .argument('<name>', 'the name', argumentOf(anyName))
    .action(update);

  recoveryCommand(name);
  recoverCommand(name, anyName);

  addReaderOptions(name.command('show').summary('show what the ledger says about a name'))
    .description(
      "Shows owner, term, content, royalty, the referrer's share, splits, and who may recover it or does, or says that the name is free and what it costs.",
    )
    .argument('<name>', 'the name', argumentOf(anyName))
    .action(show);

  addSettings(walletSubcommand(name, 'distribute', 'pay out what a name earned'), distributeSection)
    .description(
      'Divides what the name earned among its splits and pays those that have a token account. Any wallet may do it.',
    )
    .argument('<name>', 'the name', argumentOf(anyName))
    .action(distribute);

  addSettings(walletSubcommand(name, 'list', "list a wallet's names"), listSection).action(list);
}

async function register(name: string, options: RegisterOptions): Promise<void> {
  const splits = wholeSplits(options.split);
  using lifecycle = watchLifecycle();
  await using opened = await openWallet(options);
  const status = createStatus(options.json === true);
  await transact({
    options,
    opened,
    work: async () => {
      const wanted = {
        name,
        years: options.years,
        maxPrice: options.maxPrice,
        root: options.root ?? new Uint8Array(),
        manifest: options.manifest,
        royaltyBps: options.royalty,
        referrerBps: options.referrerShare,
        manager: options.manager,
        splits,
      };
      const { paid, expiresAt } = await opened.wallet
        .registerName(wanted, {
          signal: lifecycle.signal,
          onStep: (step) => status.show(registrationText(name, step)),
        })
        .finally(() => status.clear());
      return {
        done: `Registered ${name} until ${dateText(expiresAt)} for ${priceText(paid)}.`,
        value: { paid: String(paid), name: nameValue(await situation(opened, name)) },
      };
    },
  });
}

async function renew(name: string, options: TermOptions): Promise<void> {
  await using opened = await openWallet(options);
  const before = await requireRecord(opened, name);
  await transact({
    options,
    opened,
    work: async () => {
      const { paid, expiresAt } = await opened.wallet.renewName(name, options.years, options.maxPrice);
      const from = before.expiresAt === undefined ? '' : ` (was ${dateText(before.expiresAt)})`;
      return {
        done: `Renewed ${name} until ${dateText(expiresAt)}${from} for ${priceText(paid)}.`,
        value: { paid: String(paid), name: nameValue(await situation(opened, name)) },
      };
    },
  });
}

function transfer(name: string, to: LedgerAddress, options: WalletOptions): Promise<void> {
  return change(name, options, `Gave ${name} to ${to}.`, (wallet) => wallet.transferName(name, to));
}

async function update(name: string, options: UpdateOptions): Promise<void> {
  const { root, manifest, manager } = options;
  const splits = wholeSplits(options.split);
  const wanted = { root, manifest, royaltyBps: options.royalty, referrerBps: options.referrerShare, manager, splits };
  if (Object.values(wanted).every((value) => value === undefined)) {
    throw new RelaymintError('INVALID_ARGUMENT', 'There is nothing to change.', {
      remedy: 'Give --root, --manifest, --royalty, --referrer-share, --manager or --split.',
    });
  }
  await change(name, options, `Updated ${name}.`, async (wallet, record) => {
    if (splits !== undefined && isOwing(record)) {
      if (options.distribute !== true) throw owing(record);
      await wallet.distributeName(name, { createAccounts: true });
    }
    await wallet.updateName(name, wanted);
  });
}

async function show(name: string, options: ReaderOptions): Promise<void> {
  await using opened = openLedger(options);
  const output = createOutput(options.json === true);
  const found = await situation(opened, name);
  output.value(nameValue(found));
  output.line(nameLines(found));
}

async function distribute(name: string, options: DistributeOptions): Promise<void> {
  await using opened = await openWallet(options);
  const before = await requireRecord(opened, name);
  await transact({
    options,
    opened,
    work: async () => {
      await opened.wallet.distributeName(name, { createAccounts: options.createAccounts === true });
      const after = await situation(opened, name);
      const paid = waiting(before) - (after.record === undefined ? 0n : waiting(after.record));
      const left = after.record?.splits.filter(({ owed }) => owed > 0n).length ?? 0;
      const hint = left === 0 ? '' : `\n${left} of its splits have no token account: --create-accounts makes them.`;
      return {
        done: `Paid out ${formatCredits(amount(paid))} credits that ${name} earned.${hint}`,
        value: { paid: String(paid), name: nameValue(after) },
      };
    },
  });
}

async function list(options: ListOptions): Promise<void> {
  const output = createOutput(options.json === true);
  await using opened = openLedger(options);
  const owner = options.all === true ? undefined : (options.owner ?? (await ownAddress(options)));
  const [names, now, { nameYearPrice: yearPrice }] = await Promise.all([
    opened.ledger.names(),
    opened.ledger.now(),
    opened.ledger.bank(),
  ]);
  const found = names.filter((record) => owner === undefined || record.owner === owner);
  output.value(found.map((record) => nameValue({ name: record.name, record, yearPrice, now })));
  output.line(found.length === 0 ? 'No names.' : nameTable(found, now));
  const soon = found.filter(
    ({ expiresAt }) => expiresAt !== undefined && daysBetween(now, expiresAt) < RENEWAL_HINT_DAYS,
  );
  if (soon.length > 0 && owner !== undefined) {
    output.line(`\nTo renew soon: ${soon.map((record) => record.name).join(', ')}`);
  }
}

async function ownAddress(options: WalletOptions): Promise<LedgerAddress> {
  return walletAddress(await readKeyFile(walletFile(options)));
}

/** More than can be left undivided, or owed to a split. The program asks the same. */
function isOwing({ accrued, splits }: NameRecord): boolean {
  const dust = 7n;
  return accrued > dust || splits.some(({ owed }) => owed > 0n);
}

function waiting({ accrued, splits }: NameRecord): bigint {
  return splits.reduce((sum: bigint, { owed }) => sum + owed, accrued);
}

function owing(record: NameRecord): RelaymintError {
  const text = priceText(amount(waiting(record)));
  return new RelaymintError('INVALID_ARGUMENT', `What ${record.name} earned (${text}) belongs to its current splits.`, {
    remedy: 'Pay them first: add --distribute.',
  });
}
