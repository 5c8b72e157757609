/** What every command that changes a name does around it. */
import { RelaymintError } from '../../core/errors.ts';
import type { LedgerWallet, NameRecord } from '../../ledger/contract.ts';
import type { WalletOptions } from '../options.ts';
import { changedLines, nameValue, type NameSituation } from './name-text.ts';
import { openWallet, transact, type OpenedLedger, type OpenedWallet } from './transact.ts';

/** Runs what changes a record and prints the difference. */
export async function change(
  name: string,
  options: WalletOptions,
  done: string,
  work: (wallet: LedgerWallet, record: NameRecord) => Promise<unknown>,
): Promise<void> {
  await using opened = await openWallet(options);
  const before = await requireRecord(opened, name);
  await transact({
    options,
    opened,
    work: async () => {
      await work(opened.wallet, before);
      const after = await situation(opened, name);
      const lines = after.record === undefined ? '' : changedLines(before, after.record);
      return { done: lines === '' ? done : `${done}\n${lines}`, value: { name: nameValue(after) } };
    },
  });
}

export async function situation({ ledger }: OpenedLedger, name: string): Promise<NameSituation> {
  const [record, { nameYearPrice: yearPrice }, now] = await Promise.all([
    ledger.name(name),
    ledger.bank(),
    ledger.now(),
  ]);
  return { name, record, yearPrice, now };
}

export async function requireRecord({ ledger }: OpenedWallet, name: string): Promise<NameRecord> {
  const record = await ledger.name(name);
  if (record !== undefined) return record;
  throw new RelaymintError('NAME_UNKNOWN', `Nobody has registered ${name}.`, {
    remedy: `Check the spelling, or register it with "relaymint name register ${name}".`,
  });
}
