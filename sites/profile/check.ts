/** Whether a profile may say what it says: by the record of its name, as the ledger has it now. */
import { RelaymintError } from '../../core/errors.ts';
import { ENTRY_AHEAD_MILLIS } from '../../core/limits.ts';
import { isSignedBy } from '../../ledger/receipt/index.ts';
import { profileInvalid, profileMessage } from './block.ts';
import { assertBound } from './consent.ts';
import type { Profile, ProfileHolder, SignedProfile } from './contract.ts';

export interface CheckOptions {
  /** Milliseconds. */
  readonly now: number;
  /** The highest sequence that is known of this name, tenure and owner. */
  readonly known?: number | undefined;
}

/**
 * It is that of who has the name now, since that one has it, and signed by that one; a manager may sign what neither pays nor proves anything.
 * @param record undefined: nobody has the name. @throws RelaymintError PROFILE_INVALID; PROFILE_STALE.
 */
export function checkProfile(
  signed: SignedProfile,
  record: ProfileHolder | undefined,
  { now, known }: CheckOptions,
): void {
  const { profile, signature } = signed;
  const { name, sequence } = profile;
  const fail = (why: string): never => {
    throw profileInvalid(name, why);
  };
  if (record === undefined || record.status === 'expired') return fail('is of a name that nobody has');
  if (record.name !== name) fail(`is not that of ${record.name}`);
  // What was said in a name is not inherited with it.
  if (profile.tenure !== record.registeredAt) fail('is from before the name was registered anew');
  if (profile.owner !== record.owner) fail('names an owner that the name does not have now');
  // A number that no time reaches would be the last one.
  if (sequence > now + ENTRY_AHEAD_MILLIS) fail('was made in the future');
  const message = profileMessage(profile);
  if (!isSignedBy(record.owner, message, signature)) {
    if (!isSignedBy(record.manager, message, signature))
      fail('is signed neither by the owner of the name nor by its manager');
    const reserved = reservedIn(profile);
    if (reserved !== undefined) fail(`is signed by the manager of the name, and only its owner can set ${reserved}`);
  }
  for (const bound of profile.wallets) assertBound(profile, bound);
  if (known !== undefined && sequence < known) {
    throw new RelaymintError('PROFILE_STALE', `The profile of ${name} is older than one that is known.`, {
      remedy: 'After going back to older content, its owner signs it anew with "relaymint profile edit".',
    });
  }
}

/** What says who is paid, who may come in, or who reads: no more than on the ledger is it a manager's. undefined: nothing of that. */
export function reservedIn({ payout, owner, messagingKey, wallets }: Profile): string | undefined {
  if (payout !== undefined && payout !== owner) return 'who is paid';
  if (messagingKey !== undefined) return 'the messaging key';
  return wallets.length > 0 ? 'its wallets' : undefined;
}
