/** `relaymint name recovery` and `recover`: what an owner sets beforehand, and what gets a name back when the owner's wallet is lost. */
import type { Command } from 'commander';
import { RelaymintError } from '../../core/errors.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import { parseName } from '../../core/name.ts';
import {
  durationBetween,
  flagsOnly,
  name as anyName,
  optional,
  standard,
  toggle,
  wallet,
  type Grammar,
  type ValuesOf,
} from '../../app/config/index.ts';
import type { WalletOptions } from '../options.ts';
import { addSettings, argumentOf } from '../settings.ts';
import { change } from './name-change.ts';
import { momentText } from './name-text.ts';
import { walletSubcommand } from './transact.ts';

const MILLIS = 1000;

const recoverySection = flagsOnly({
  key: optional(
    '--key <address>',
    wallet,
    'another wallet of yours, or of somebody you trust: it may begin to recover the name',
  ),
  after: standard(
    '--after <duration>',
    durationBetween('1d', '90d'),
    'how long you can then cancel it, from 1d to 90d',
    '7d',
  ),
  remove: toggle('--remove', 'nobody may recover it any more', { conflicts: ['key'] }),
});

const recoverSection = flagsOnly({
  to: optional('--to <address>', wallet, 'begin: the wallet that gets the name; sign with the recovery key'),
  cancel: toggle('--cancel', 'end what was begun; sign with the wallet of the owner, or the recovery key', {
    conflicts: ['to', 'finish'],
  }),
  finish: toggle('--finish', 'give the name to its new owner, once the time is over; any wallet may', {
    conflicts: ['to', 'cancel'],
  }),
});

type RecoveryOptions = WalletOptions & ValuesOf<typeof recoverySection>;
type RecoverOptions = WalletOptions & ValuesOf<typeof recoverSection>;

export function recoveryCommand(parent: Command): void {
  addSettings(walletSubcommand(parent, 'recovery', 'say who may recover a name if its wallet is lost'), recoverySection)
    .description(
      'Sets another wallet, whose key you keep apart from this one, as the recovery key of a name. If you lose this wallet, that one names your\n' +
        'new wallet, everybody sees it, and after the time the name is yours again. As long as you have this wallet you can cancel that. It is no\n' +
        'help against a thief who has this wallet, and it is gone when the name is given away or lapses. Set it again after a recovery.',
    )
    .argument('<name>', 'the name', argumentOf(anyName))
    .addHelpText('after', '\nExample:\n  relaymint name recovery ann.sso --key ADDRESS --after 14d\n')
    .action(setRecovery);
}

/** `of`: which names the command is about. */
export function recoverCommand(parent: Command, of: Grammar<string>): void {
  const isProfile = parent.name() === 'profile';
  addSettings(walletSubcommand(parent, 'recover', 'get a name back whose wallet is lost'), recoverSection)
    .description(
      'Begins with the recovery key that the owner set beforehand ("relaymint name recovery"), and finishes when the time that was set with it is\n' +
        'over. Meanwhile the owner can cancel it. The name, its term, what it earned, and who you are to sites that you signed in to stay. What the\n' +
        'lost wallet signed counts no more: profile, terms and wallets that belong to it are signed anew.',
    )
    .argument('<name>', isProfile ? 'the profile, for example ann.sso' : 'the name', argumentOf(of))
    .addHelpText(
      'after',
      `\nExample:\n  relaymint ${parent.name()} recover ann.sso --to ADDRESS --wallet ~/recovery.json\n  relaymint ${parent.name()} recover ann.sso --finish\n`,
    )
    .action(recover);
}

async function setRecovery(name: string, { key, after, remove, ...options }: RecoveryOptions): Promise<void> {
  if (key !== undefined) {
    const delay = Math.ceil(after / MILLIS);
    await change(name, options, `${key} may recover ${name}.`, (own) => own.setRecovery(name, { key, delay }));
    return;
  }
  if (remove !== true) throw nothingSaid('Give --key with the address of another wallet, or --remove.');
  await change(name, options, `Nobody may recover ${name}.`, (own) => own.setRecovery(name, undefined));
}

async function recover(name: string, { to, cancel, finish, ...options }: RecoverOptions): Promise<void> {
  if (to !== undefined) await begin(name, to, options);
  else if (cancel === true) {
    await change(name, options, `The recovery of ${name} is cancelled.`, (own) => own.cancelRecovery(name));
  } else if (finish === true) await finishRecovery(name, options);
  else throw nothingSaid('Give --to with the address of the new wallet to begin, --cancel, or --finish.');
}

async function begin(name: string, to: LedgerAddress, options: WalletOptions): Promise<void> {
  const next = `Its owner can cancel it until then. Afterwards: relaymint name recover ${name} --finish`;
  await change(name, options, `The recovery of ${name} has begun. ${next}`, (own) => own.beginRecovery(name, to));
}

async function finishRecovery(name: string, options: WalletOptions): Promise<void> {
  const anew =
    parseName(name).tld === 'sso'
      ? `With its new wallet, make its profile anew: relaymint profile create ${name}`
      : `With its new wallet, publish it anew: relaymint site publish`;
  await change(
    name,
    options,
    `${name} is recovered. ${anew}\nWhoever may recover it next has to be set again: relaymint name recovery ${name}`,
    async (own, { recovery }) => {
      const pending = recovery?.pending;
      try {
        await own.finishRecovery(name);
      } catch (error) {
        if (!(error instanceof RelaymintError) || error.details['program'] !== 'RecoveryNotDue') throw error;
        throw new RelaymintError('LEDGER_REJECTED', `The recovery of ${name} cannot be finished yet.`, {
          remedy: `Do it from ${pending === undefined ? 'the time that the name shows' : momentText(pending.at)} on.`,
          cause: error,
        });
      }
    },
  );
}

function nothingSaid(remedy: string): RelaymintError {
  return new RelaymintError('INVALID_ARGUMENT', 'Nothing is said that is to be done.', { remedy });
}
