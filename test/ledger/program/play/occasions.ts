/** Transactions at the very second that decides them, one before, or one after. */
import type { Step } from '../model/calls.ts';
import { COMMITMENT_LIFE } from '../model/commitments.ts';
import { GRACE } from '../model/names.ts';
import { purseOf } from '../model/wallets.ts';
import { reveal } from './name-moves.ts';
import type { Stage } from './stage.ts';

export interface Occasion {
  /** Seconds by the chain's clock, not before now. */
  readonly at: bigint;
  /** The cluster's slot, not before now; a few more than now when absent. */
  readonly slot?: bigint;
  readonly steps: readonly Step[];
}

/** Something that is about to change with time: a pending close or recovery, a commitment, the end of a name's grace. */
export function occasion(stage: Stage): Occasion | undefined {
  const { random, world } = stage;
  // The end of a name's grace seldom: it lies a year ahead for all.
  const found = random.once(25)
    ? graceEnd(stage)
    : random.of([pendingClose, commitment, pendingRecovery] as const)(stage);
  if (found === undefined) return undefined;
  const at = found.at + random.of([-1n, 0n, 1n]);
  if (found.slot === undefined) return at < world.time ? undefined : { ...found, at };
  // Either of clock and slot decides; both never go back.
  const slot = found.slot + random.of([-1n, 0n, 1n]);
  return { ...found, at: later(at, world.time), slot: later(slot, world.slot) };
}

function later(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function pendingClose(stage: Stage): Occasion | undefined {
  const open = stage.channel();
  if (open === undefined || open.slot.closeAt === 0n) return undefined;
  const { till, number, slot } = open;
  const { payer, generation } = slot;
  if (payer === null) return undefined;
  const accounts = { payer, till, destination: purseOf(payer), tillOwner: undefined };
  return {
    at: slot.closeAt,
    slot: slot.closeSlot,
    steps: [{ instruction: 'closeChannel', accounts, args: { slot: number, generation } }],
  };
}

function pendingRecovery(stage: Stage): Occasion | undefined {
  const { random, world } = stage;
  const pending = world.names.labels().filter((label) => (world.names.get(label)?.recoverAt ?? 0n) > 0n);
  const name = random.of(pending);
  const record = name === undefined ? undefined : world.names.get(name);
  if (name === undefined || record === undefined) return undefined;
  const { recoverAt: at, recoverSlot: slot } = record;
  return { at, slot, steps: [{ instruction: 'finishRecovery', accounts: { name }, args: {} }] };
}

function commitment(stage: Stage): Occasion | undefined {
  const { random, world, bank } = stage;
  const secret = random.of(stage.secrets);
  const found = secret === undefined ? undefined : world.commitments.get(secret.label);
  if (secret === undefined || found === undefined) return undefined;
  const { committer, label } = secret;
  if (random.once(3)) {
    const accounts = { signer: stage.actor(), commitment: label, committer };
    return { at: found.committedAt + COMMITMENT_LIFE, steps: [{ instruction: 'dropCommitment', accounts, args: {} }] };
  }
  const age = random.once(2) ? BigInt(bank.commitSeconds) : COMMITMENT_LIFE;
  return { at: found.committedAt + age, steps: reveal(stage, secret, committer) };
}

function graceEnd(stage: Stage): Occasion | undefined {
  const { label, record } = stage.name();
  if (record === undefined) return undefined;
  const { owner, seq } = record;
  const none = { royaltyBps: 0, referrerBps: 0, manager: null, splits: [] };
  const content = { root: new Uint8Array(1), manifest: new Uint8Array(), ...none };
  const steps: readonly Step[] = [
    { instruction: 'transferName', accounts: { owner, name: label }, args: { newOwner: owner } },
    { instruction: 'updateName', accounts: { signer: owner, name: label }, args: { seq, flags: 1, ...content } },
    {
      instruction: 'renewName',
      accounts: { payer: owner, name: label, source: purseOf(owner) },
      args: { years: 1, maxPrice: (1n << 64n) - 1n },
    },
  ];
  const step = stage.random.of(steps);
  return step === undefined ? undefined : { at: record.expiresAt + GRACE, steps: [step] };
}
