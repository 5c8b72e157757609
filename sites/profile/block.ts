/**
 * A profile's bytes: dag-cbor in its only encoding, a file in the content of its name.
 *
 *   { body: { version, name, tenure, owner, sequence, displayName, links, wallets, ... }, signature: 64 bytes }
 *
 * Signed is "relaymint:profile:v1" and the encoding of the body. Wallets are their 32 bytes, times whole numbers, what is not said is not there.
 */
import * as dagCbor from '@ipld/dag-cbor';
import { z } from 'zod';
import { concatBytes, equalBytes, utf8 } from '../../core/codec.ts';
import { RelaymintError } from '../../core/errors.ts';
import { ledgerAddressBytes } from '../../core/ids.ts';
import { MAX_PROFILE_BYTES } from '../../core/limits.ts';
import { unixMillis } from '../../core/units.ts';
import type { PublisherKey } from '../blocks/contract.ts';
import { cborDepth } from '../blocks/index.ts';
import type { BoundWallet, Profile, SignedProfile } from './contract.ts';
import {
  MAX_WALLETS,
  aboutField,
  avatarField,
  createdField,
  displayNameField,
  firstIssue,
  linksField,
  messagingKeyField,
  profileNameField,
  signatureField,
  tenureField,
  walletField,
} from './fields.ts';
import { wrongWithDisplayName } from './text.ts';

const VERSION = 1;
const DOMAIN = 'relaymint:profile:v1';
/** file, body, links, link. */
const MAX_DEPTH = 4;

const REMEDY =
  'Who has the name can sign another with "relaymint profile edit", or make one with "relaymint profile create".';

const boundSchema: z.ZodType<BoundWallet> = z.strictObject({
  wallet: walletField,
  created: createdField,
  signature: signatureField,
});

const bodySchema: z.ZodType<Profile> = z.strictObject({
  version: z.literal(VERSION),
  name: profileNameField,
  tenure: tenureField,
  owner: walletField,
  sequence: z.int().positive().transform(unixMillis),
  displayName: displayNameField,
  avatar: avatarField.optional(),
  about: aboutField.optional(),
  links: linksField,
  payout: walletField.optional(),
  messagingKey: messagingKeyField.optional(),
  wallets: z.array(boundSchema).max(MAX_WALLETS),
});

const profileSchema: z.ZodType<{ readonly body: Profile; readonly signature: Uint8Array }> = z.strictObject({
  body: bodySchema,
  signature: signatureField,
});

/** `why` is the end of a sentence about the profile. */
export function profileInvalid(name: string, why: string, cause?: unknown): RelaymintError {
  return new RelaymintError('PROFILE_INVALID', `The profile of ${name} ${why}.`, { remedy: REMEDY, cause });
}

/** What is signed. */
export function profileMessage(profile: Profile): Uint8Array {
  return concatBytes(utf8(DOMAIN), dagCbor.encode(wireOf(profile)));
}

/** By a key of the owner or manager of the name. @throws RelaymintError PROFILE_INVALID: something in it is not as it has to be. */
export async function signProfile(profile: Omit<Profile, 'version'>, key: PublisherKey): Promise<SignedProfile> {
  const body: Profile = { ...profile, version: VERSION };
  const signature = await key.sign(profileMessage(body));
  // Read as others do: nothing is signed that they would refuse.
  return decodeProfile(body.name, encode(body, signature));
}

/** What it says; whether it may say so is `checkProfile`'s. `name`: whose it is to be. @throws RelaymintError PROFILE_INVALID. */
export function decodeProfile(name: string, encoded: Uint8Array): SignedProfile {
  if (encoded.length > MAX_PROFILE_BYTES)
    throw profileInvalid(name, `has ${encoded.length} bytes, and at most ${MAX_PROFILE_BYTES} are allowed`);
  const depth = cborDepth(encoded);
  if (depth === undefined || depth > MAX_DEPTH) throw profileInvalid(name, 'is malformed');
  let said: unknown;
  try {
    said = dagCbor.decode(encoded);
  } catch (cause) {
    throw profileInvalid(name, 'is malformed', cause);
  }
  const { data, error } = profileSchema.safeParse(said);
  if (error !== undefined) throw profileInvalid(name, `does not say what it has to: ${firstIssue(error)}`);
  const { body: profile, signature } = data;
  const wrong = wrongTogether(profile);
  if (wrong !== undefined) throw profileInvalid(name, `does not say what it has to: body.${wrong}`);
  if (profile.name !== name) throw profileInvalid(name, `is that of ${profile.name}`);
  if (!equalBytes(encode(profile, signature), encoded)) throw profileInvalid(name, 'is not in its only encoding');
  return { profile, signature, encoded };
}

/** What does not fit together, as `field: why`; undefined if all does. */
function wrongTogether({ name, displayName, owner, wallets }: Profile): string | undefined {
  const called = wrongWithDisplayName(displayName, name);
  if (called !== undefined) return `displayName: ${called}`;
  const all = wallets.map(({ wallet }) => wallet);
  if (all.includes(owner)) return 'wallets: lists the owner, whose it is anyway';
  return new Set(all).size < all.length ? 'wallets: lists a wallet twice' : undefined;
}

function encode(profile: Profile, signature: Uint8Array): Uint8Array {
  return dagCbor.encode({ body: wireOf(profile), signature });
}

function wireOf({ owner, payout, tenure, wallets, ...rest }: Profile): object {
  const fields = {
    ...rest,
    tenure: Number(tenure),
    owner: ledgerAddressBytes(owner),
    payout: payout && ledgerAddressBytes(payout),
    wallets: wallets.map(({ wallet, created, signature }) => ({
      wallet: ledgerAddressBytes(wallet),
      created: Number(created),
      signature,
    })),
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
