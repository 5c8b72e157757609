/** Names that a wallet may point somewhere. */
import { RelaymintError } from '../../core/errors.ts';
import type { LedgerReader, LedgerWallet, NameRecord } from '../../ledger/contract.ts';

export interface OwnNameParts {
  readonly ledger: Pick<LedgerReader, 'name'>;
  readonly wallet: Pick<LedgerWallet, 'address'>;
}

/** A registered name that the wallet may change. @throws RelaymintError NAME_UNKNOWN, NAME_TAKEN, NAME_EXPIRED. */
export async function requireOwn({ ledger, wallet }: OwnNameParts, name: string): Promise<NameRecord> {
  const record = await ledger.name(name);
  if (record === undefined) throw nameUnknown(name);
  assertOurs(record, wallet.address);
  if (record.status !== 'expired') return record;
  throw new RelaymintError('NAME_EXPIRED', `${name} has expired and its grace period is over.`, {
    remedy: 'Publish a folder under it with "relaymint site publish", which registers it again.',
  });
}

export function nameUnknown(name: string): RelaymintError {
  return new RelaymintError('NAME_UNKNOWN', `Nobody has registered ${name}.`, {
    remedy: 'Check the spelling, or publish a folder under it with "relaymint site publish".',
  });
}

/** @throws RelaymintError NAME_TAKEN. */
export function assertOurs({ name, owner, manager }: NameRecord, wallet: string): void {
  if (owner === wallet || manager === wallet) return;
  throw new RelaymintError('NAME_TAKEN', `${name} belongs to another wallet.`, {
    remedy: 'Choose another name, or give the --data folder whose wallet.json owns it.',
  });
}
