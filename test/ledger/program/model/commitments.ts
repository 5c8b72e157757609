/** Commitments: a name is promised before it is told. */
import { createHash } from 'node:crypto';
import type { Calls, Label } from './calls.ts';
import { payRent, releaseRent } from './wallets.ts';
import { refuse } from './world.ts';
import type { Commitment, World } from './world.ts';

const COMMITMENT_SIZE = 88;
/** Seconds during which it can be revealed. */
export const COMMITMENT_LIFE: bigint = 86_400n;
const DOMAIN = 'relaymint:name-commitment:v1';

/** What the hash hides. `owner` by its 32 bytes. */
export function commitmentHash(owner: Uint8Array, salt: Uint8Array, name: string): Uint8Array {
  return new Uint8Array(createHash('sha256').update(DOMAIN).update(owner).update(salt).update(name).digest());
}

/** One committer's commitment to one hash. */
export function commitmentOf(committer: Label, hash: Uint8Array): Label {
  return `commitment of ${committer} to ${Buffer.from(hash).toString('hex')}`;
}

export function commitName(world: World, { accounts, args }: Calls['commitName']): void {
  const { committer, commitment } = accounts;
  if (commitment !== commitmentOf(committer, args.hash)) refuse('WrongAddress');
  if (world.commitments.get(commitment) !== undefined) refuse('AlreadyExists');
  payRent(world, committer, commitment, COMMITMENT_SIZE);
  world.commitments.set(commitment, { committer, hash: args.hash, committedAt: world.time });
}

export function dropCommitment(world: World, { accounts }: Calls['dropCommitment']): void {
  const found = world.commitments.get(accounts.commitment) ?? world.missing(accounts.commitment);
  if (found.committer !== accounts.committer) refuse('WrongAddress');
  if (accounts.signer !== accounts.committer && age(world, found) <= COMMITMENT_LIFE) refuse('NotCommitter');
  endCommitment(world, accounts.commitment, accounts.committer);
}

/** The owner's own promise of that name, old enough and not too old. The documents do not say which is told first. */
export function requireCommitment(world: World, label: Label, owner: Label, hash: Uint8Array): void {
  const found = world.commitments.get(label);
  if (found === undefined || label !== commitmentOf(owner, hash)) return refuse('NoCommitment');
  if (age(world, found) < BigInt(world.bank.commitSeconds)) refuse('CommitmentTooYoung');
  if (age(world, found) > COMMITMENT_LIFE) refuse('CommitmentTooOld');
}

export function endCommitment(world: World, label: Label, committer: Label): void {
  world.commitments.delete(label);
  releaseRent(world, label, committer);
}

function age(world: World, { committedAt }: Commitment): bigint {
  return world.time - committedAt;
}
