/**
 * What a wallet signs that is bound to a profile: a text that people can read where they sign, written by us and never read back. It names the
 * profile, its owner and its tenure, so that it serves for no other.
 *
 * As it is handed from the one machine to the other: base64url of dag-cbor { name, tenure, owner, wallet, created, signature }.
 */
import * as dagCbor from '@ipld/dag-cbor';
import { z } from 'zod';
import { utf8 } from '../../core/codec.ts';
import { RelaymintError } from '../../core/errors.ts';
import { ledgerAddressBytes } from '../../core/ids.ts';
import { ENTRY_AHEAD_MILLIS } from '../../core/limits.ts';
import { isSignedBy } from '../../ledger/receipt/index.ts';
import type { PublisherKey } from '../blocks/contract.ts';
import { profileInvalid } from './block.ts';
import type { BoundWallet, Profile, WalletConsent, WalletStatement } from './contract.ts';
import { createdField, profileNameField, signatureField, tenureField, walletField } from './fields.ts';

const DOMAIN = 'relaymint:profile-wallet:v1';
/** More than any is long: it is pasted. */
const MAX_CONSENT_CHARACTERS = 600;

const consentSchema: z.ZodType<WalletConsent> = z.strictObject({
  name: profileNameField,
  tenure: tenureField,
  owner: walletField,
  wallet: walletField,
  created: createdField,
  signature: signatureField,
});

/** What is signed. */
export function consentMessage({ name, tenure, owner, wallet, created }: WalletStatement): Uint8Array {
  return utf8(
    `${DOMAIN}\nThis wallet and the profile ${name} belong to one person.\nWallet: ${wallet}\nOwner of ${name}: ${owner}\nSince: ${tenure}\nSaid: ${created}\n`,
  );
}

/** The wallet's side; the owner's is the profile that lists it. @throws RelaymintError INVALID_ARGUMENT: the owner need not say it. */
export async function signConsent(said: Omit<WalletStatement, 'wallet'>, key: PublisherKey): Promise<WalletConsent> {
  const statement = { ...said, wallet: key.address };
  if (statement.wallet === statement.owner) {
    throw new RelaymintError('INVALID_ARGUMENT', `This wallet has ${said.name}, and need not be bound to it.`, {
      remedy: 'Give the --wallet or --data of the other wallet.',
    });
  }
  return { ...statement, signature: Uint8Array.from(await key.sign(consentMessage(statement))) };
}

export function consentText(consent: WalletConsent): string {
  const { tenure, created, owner, wallet, ...rest } = consent;
  const wire = {
    ...rest,
    owner: ledgerAddressBytes(owner),
    wallet: ledgerAddressBytes(wallet),
    tenure: Number(tenure),
    created: Number(created),
  };
  return Buffer.from(dagCbor.encode(wire)).toString('base64url');
}

/** @throws RelaymintError INVALID_ARGUMENT: it is none. Whether it is signed is looked at by `bindWallet`. */
export function parseConsent(text: string): WalletConsent {
  try {
    if (text.length > MAX_CONSENT_CHARACTERS) throw new RangeError('it is too long');
    return consentSchema.parse(dagCbor.decode(Buffer.from(text.trim(), 'base64url')));
  } catch (cause) {
    throw new RelaymintError('INVALID_ARGUMENT', 'That is not the consent of a wallet.', {
      remedy: 'Give what "relaymint profile consent" printed on the machine of the other wallet, all of it.',
      cause,
    });
  }
}

/**
 * The wallets of a profile with one more, or with a newer word of one that it has.
 * @param now milliseconds. @throws RelaymintError PROFILE_INVALID: it was not said by that wallet, not of this profile, or in the future.
 */
export function bindWallet(
  profile: Pick<Profile, 'name' | 'tenure' | 'owner' | 'wallets'>,
  consent: WalletConsent,
  now: number,
): readonly BoundWallet[] {
  const { name, tenure, owner, wallets } = profile;
  const { wallet, created, signature } = consent;
  if (consent.name !== name) throw profileInvalid(name, `is not what that wallet spoke of: that is ${consent.name}`);
  if (consent.owner !== owner || consent.tenure !== tenure)
    throw profileInvalid(name, 'is another owner’s, or of another time, than the one that wallet spoke of');
  if (Number(created) * 1000 > now + ENTRY_AHEAD_MILLIS) throw profileInvalid(name, 'was spoken of in the future');
  const bound = { wallet, created, signature };
  assertBound(profile, bound);
  return [...wallets.filter((one) => one.wallet !== wallet), bound];
}

/** @throws RelaymintError PROFILE_INVALID: the wallet did not say that it belongs to this profile. */
export function assertBound(
  { name, tenure, owner }: Pick<Profile, 'name' | 'tenure' | 'owner'>,
  { wallet, created, signature }: BoundWallet,
): void {
  if (isSignedBy(wallet, consentMessage({ name, tenure, owner, wallet, created }), signature)) return;
  throw profileInvalid(name, `lists the wallet ${wallet}, which did not say so`);
}
