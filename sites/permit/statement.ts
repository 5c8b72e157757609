/**
 * What a wallet signs to permit it: a text that a person can read where it is signed, written by us on both sides and never read back. It names
 * everything that it is good for, so that it is good for nothing else.
 */
import { toHex } from '../../core/codec.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import { isSignedBy } from '../../ledger/receipt/index.ts';
import { formsOfText, memoTransactionOf, type SignedBytes, type SignedForm } from '../siws/index.ts';
import type { PermitTerms, SignedPermit } from './contract.ts';

const DOMAIN = 'relaymint:permit:v1';

/** ASCII. */
export function permitText({ name, author, key, since, until }: PermitTerms, wallet: LedgerAddress): string {
  return [
    DOMAIN,
    `Pages of ${name} may write, change and take back posts there as ${author}. They may do nothing else with this wallet, and it moves no money.`,
    `Wallet: ${wallet}`,
    `Key: ${toHex(key)}`,
    `From: ${new Date(since).toISOString()}`,
    `Until: ${new Date(until).toISOString()}`,
  ].join('\n');
}

/** All bytes whose signature by that wallet permits it. */
export function permitForms(terms: PermitTerms, wallet: LedgerAddress): readonly SignedBytes[] {
  return formsOfText(permitText(terms, wallet), wallet);
}

/** For wallets that sign transactions only; no ledger takes it. */
export function permitTransaction(terms: PermitTerms, wallet: LedgerAddress): Uint8Array {
  return memoTransactionOf(permitText(terms, wallet), wallet);
}

/** In which form that wallet signed it; undefined: it did not. */
export function signedForm(terms: PermitTerms, wallet: LedgerAddress, signature: Uint8Array): SignedForm | undefined {
  return permitForms(terms, wallet).find(({ bytes }) => isSignedBy(wallet, bytes, signature))?.form;
}

/** Whether that wallet permits it, in the form that it says. */
export function isPermitted(permit: SignedPermit, wallet: LedgerAddress): boolean {
  return permitForms(permit, wallet).some(
    ({ form, bytes }) => form === permit.form && isSignedBy(wallet, bytes, permit.signature),
  );
}
