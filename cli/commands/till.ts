/** `relaymint till`: the account into which a wallet is paid. */
import type { Command } from 'commander';
import { RelaymintError } from '../../core/errors.ts';
import { formatCredits, formatSol } from '../../core/units.ts';
import type { TillState, TillTerms } from '../../ledger/contract.ts';
import { MAX_TILL_SLOTS } from '../../ledger/solana/index.ts';
import { count, credits, flagsOnly, optional, standard, type ValuesOf } from '../../app/config/index.ts';
import type { WalletOptions } from '../options.ts';
import { createOutput } from '../output.ts';
import { addSettings } from '../settings.ts';
import { channelTable, channelValue } from './channel-table.ts';
import { tillEvictCommand } from './till-evict.ts';
import { tillSizeCommands } from './till-size.ts';
import { openWallet, properties, transact, walletSubcommand, type Figures, type OpenedWallet } from './transact.ts';

const MIN_DEPOSIT = ['--min-deposit <credits>', credits, 'the least deposit of a channel'] as const;
const OPENING = ['--opening <credits>', credits, 'what a payer stakes to open a channel'] as const;

const openSection = flagsOnly({
  slots: standard(
    '--slots <n>',
    count(1, MAX_TILL_SLOTS),
    `channels it can hold at once, 1 to ${MAX_TILL_SLOTS}`,
    '16',
  ),
  minDeposit: standard(...MIN_DEPOSIT, '0'),
  opening: standard(...OPENING, '0'),
});

/** What is not given stays as it is. */
const termsSection = flagsOnly({ minDeposit: optional(...MIN_DEPOSIT), opening: optional(...OPENING) });

type OpenOptions = WalletOptions & ValuesOf<typeof openSection>;
type TermsOptions = WalletOptions & ValuesOf<typeof termsSection>;

export function tillCommand(program: Command): void {
  const till = program
    .command('till')
    .summary('the account into which a wallet is paid')
    .description(
      'A till has a slot for each channel that pays into it, and keeps what was settled until it is withdrawn. A relay or host opens its own when it first starts.',
    );
  addSettings(walletSubcommand(till, 'open', "open a wallet's till"), openSection).action(open);
  addSettings(
    walletSubcommand(till, 'terms', 'show or set what the till asks of a payer that opens a channel'),
    termsSection,
  )
    .description(
      'Shows the least deposit and the opening payment, or sets them for channels that are opened from now on. The opening\npayment is the most that a payer may ever owe. It comes back when the payer has paid for everything; otherwise nobody gets it.',
    )
    .action(terms);
  tillSizeCommands(till);
  tillEvictCommand(till);
  walletSubcommand(till, 'withdraw', 'mint what the till earned to the wallet').action(withdraw);
  walletSubcommand(till, 'show', 'show what the till holds, and who pays into it').action(show);
}

async function open(options: OpenOptions): Promise<void> {
  await using opened = await openWallet(options);
  if ((await ownTill(opened)) !== undefined) {
    throw new RelaymintError('INVALID_ARGUMENT', 'The wallet has a till already.', {
      remedy: 'See it with "relaymint till show".',
    });
  }
  const address = opened.ledger.tillAddress(opened.wallet.address);
  await transact({
    options,
    opened,
    work: async () => {
      const { minDeposit, opening } = options;
      await opened.wallet.openTill(options.slots, { minDeposit, opening });
      return {
        done: `Opened till ${address} with ${options.slots} slots. Besides the fee, the wallet paid its rent.`,
        value: { till: address, slots: options.slots, ...termsValue(options) },
      };
    },
  });
}

async function terms(options: TermsOptions): Promise<void> {
  await using opened = await openWallet(options);
  const till = await requireTill(opened);
  const { minDeposit = till.minDeposit, opening = till.opening } = options;
  const wanted = { minDeposit, opening };
  if (options.minDeposit === undefined && options.opening === undefined) {
    const output = createOutput(options.json === true);
    output.value({ till: till.address, ...termsValue(till), slotRentLamports: till.slotRent.toString() });
    output.line(properties(termRows(till)));
    return;
  }
  await transact({
    options,
    opened,
    work: async () => {
      await opened.wallet.setTillTerms(wanted);
      const [deposit, burned] = [formatCredits(minDeposit), formatCredits(opening)];
      return {
        done: `Channels opened from now on need a deposit of at least ${deposit} credits and an opening payment of ${burned}.`,
        value: { till: till.address, ...termsValue(wanted) },
      };
    },
  });
}

function termsValue({ minDeposit, opening }: TillTerms): { minDeposit: string; opening: string } {
  return { minDeposit: minDeposit.toString(), opening: opening.toString() };
}

function termRows({ minDeposit, opening, slotRent }: TillState): [string, string][] {
  return [
    ['least deposit', `${formatCredits(minDeposit)} credits`],
    ['opening payment', `${formatCredits(opening)} credits`],
    ['slot rent', `${formatSol(slotRent)} SOL, which its opener gets back`],
  ];
}

async function withdraw(options: WalletOptions): Promise<void> {
  await using opened = await openWallet(options);
  const { address, earned } = await requireTill(opened);
  await transact({
    options,
    opened,
    figures: async (): Promise<Figures> => ({ earned: (await requireTill(opened)).earned }),
    work: async () => {
      if (earned === 0n) return { done: 'The till holds nothing to withdraw.', value: { till: address } };
      await opened.wallet.withdraw();
      return { done: `Withdrew ${formatCredits(earned)} credits.`, value: { till: address } };
    },
  });
}

async function show(options: WalletOptions): Promise<void> {
  const output = createOutput(options.json === true);
  await using opened = await openWallet(options);
  const till = await requireTill(opened);
  const channels = till.channels.map((channel) => ({ side: 'earns' as const, channel }));
  output.value({
    address: till.address,
    owner: till.owner,
    slots: till.slots,
    earned: till.earned.toString(),
    lifetimeEarned: till.lifetimeEarned.toString(),
    ...termsValue(till),
    slotRentLamports: till.slotRent.toString(),
    channels: channels.map(channelValue),
  });
  output.line(
    `Till ${till.address}\n\n${properties([
      ['owner', till.owner],
      ['slots', `${till.slots}, ${channels.length} taken`],
      ['to withdraw', `${formatCredits(till.earned)} credits`],
      ['earned ever', `${formatCredits(till.lifetimeEarned)} credits`],
      ...termRows(till),
    ])}`,
  );
  if (channels.length > 0) output.line(`\n${channelTable(channels, Date.now())}`);
}

function ownTill({ ledger, wallet }: OpenedWallet): Promise<TillState | undefined> {
  return ledger.till(wallet.address);
}

async function requireTill(opened: OpenedWallet): Promise<TillState> {
  const till = await ownTill(opened);
  if (till !== undefined) return till;
  throw new RelaymintError('CHANNEL_UNKNOWN', `${opened.wallet.address} has no till.`, {
    remedy: 'Open one with "relaymint till open", or give another wallet with --wallet or --data.',
  });
}
