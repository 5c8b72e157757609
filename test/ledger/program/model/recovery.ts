/** Names whose owner's wallet is lost: a key set beforehand gets them to another wallet, after a delay. */
import type { Calls } from './calls.ts';
import { NO_RECOVERY, requireHeld, requireName, requireOwner } from './names.ts';
import { refuse } from './world.ts';
import type { World } from './world.ts';

const DAY = 86_400;
/** The least and the most, in days. */
const DELAY_DAYS = [1, 90] as const;
/** Of the cluster, for each second of a delay. */
const SLOTS_PER_SECOND = 2n;

export function setRecovery(world: World, { accounts, args: { key, delay } }: Calls['setRecovery']): void {
  const name = requireName(world, accounts.name);
  requireOwner(name, accounts.owner);
  requireHeld(world, name);
  const [least, most] = DELAY_DAYS;
  const isGood = key === null ? delay === 0 : key !== accounts.owner && delay >= least * DAY && delay <= most * DAY;
  if (!isGood) refuse('InvalidRecovery');
  const seq = name.seq + 1n;
  world.names.set(accounts.name, { ...name, ...NO_RECOVERY, recoveryKey: key, recoveryDelay: delay, seq });
}

export function beginRecovery(world: World, { accounts, args: { newOwner } }: Calls['beginRecovery']): void {
  const name = requireName(world, accounts.name);
  if (name.recoveryKey !== accounts.key) refuse('NotRecoveryKey');
  requireHeld(world, name);
  if (newOwner === null) return refuse('InvalidOwner');
  if (name.newOwner !== null) refuse('RecoveryPending');
  const delay = BigInt(name.recoveryDelay);
  world.names.set(accounts.name, {
    ...name,
    newOwner,
    recoverAt: world.time + delay,
    recoverSlot: world.slot + delay * SLOTS_PER_SECOND,
    seq: name.seq + 1n,
  });
}

export function cancelRecovery(world: World, { accounts }: Calls['cancelRecovery']): void {
  const name = requireName(world, accounts.name);
  if (name.recoveryKey !== accounts.signer) requireOwner(name, accounts.signer);
  requireHeld(world, name);
  if (name.newOwner === null) refuse('NoRecovery');
  world.names.set(accounts.name, { ...name, newOwner: null, recoverAt: 0n, recoverSlot: 0n, seq: name.seq + 1n });
}

/** The same person goes on with another wallet: its share of what the name earns goes with it, the count of hands stays. */
export function finishRecovery(world: World, { accounts }: Calls['finishRecovery']): void {
  const name = requireName(world, accounts.name);
  requireHeld(world, name);
  const { newOwner, owner, splits } = name;
  if (newOwner === null) return refuse('NoRecovery');
  if (world.time < name.recoverAt || world.slot < name.recoverSlot) refuse('RecoveryNotDue');
  const hasShare = splits.some(({ account }) => account === newOwner);
  world.names.set(accounts.name, {
    ...name,
    ...NO_RECOVERY,
    owner: newOwner,
    manager: newOwner,
    splits: splits.map((split) => (split.account === owner && !hasShare ? { ...split, account: newOwner } : split)),
    seq: name.seq + 1n,
  });
}
