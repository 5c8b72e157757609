/** What happened in a play: instructions that succeeded, reasons of refusals, and situations that must not be missed. */
import { NO_REFERRER } from '../model/calls.ts';
import type { Call, ContentShare, Label, Step } from '../model/calls.ts';
import type { Failure } from '../model/model.ts';
import type { World } from '../model/world.ts';

export const SITUATIONS = [
  'a closed till was opened again',
  'a till grew while channels were open',
  'a till had more than 900 slots',
  'a channel was topped up by somebody else',
  'a channel with a pending close was settled',
  'a payer closed alone after the challenge period',
  'an outage did not end a challenge period',
  'a claim was added to',
  'a part of an opening payment was returned',
  'a payer closed a channel alone that held no opening payment',
  'a claim waited for a purse of its payer',
  'a payee closed a channel while its payer was closing it',
  'a settlement moved nothing',
  'a receipt of a dead channel was refused',
  'a batch with shares was settled',
  'a referrer got a part of a royalty',
  'one name was shown by two referrers',
  'a released name was taken',
  'a released name was taken with a premium',
  'a split without a purse stayed owed',
  "a recovery passed on the former owner's split",
  'a recovery found a split of the new owner',
  'an outage did not end the delay of a recovery',
  'a till waited for a purse of its owner',
  'the fee changed',
  'the bank was given up',
  'a total wrapped at 2^64',
  'a transaction of several steps was undone',
] as const;
type Situation = (typeof SITUATIONS)[number];

export class Coverage {
  /** Instructions of ours that the machine carried out or refused. */
  instructions = 0;
  readonly succeeded: Map<string, number> = new Map();
  readonly refused: Map<string, number> = new Map();
  readonly met: Map<Situation, number> = new Map();
  /** Tills there ever were. */
  readonly #tills = new Set<Label>();

  /** To be told while the world still holds the transaction as a draft. */
  count(world: World, steps: readonly Step[], failure: Failure | undefined): void {
    const calls = steps.flatMap((step) => ('foreign' in step ? [] : [step]));
    const at = failure?.at ?? steps.length - 1;
    this.instructions += steps.slice(0, at + 1).filter((step) => !('foreign' in step)).length;
    if (failure !== undefined) {
      add(this.refused, failure.reason);
      if (at > 0) add(this.met, 'a transaction of several steps was undone');
      const failed = steps[at];
      if (failed !== undefined && isWaiting(world, failed)) add(this.met, 'a till waited for a purse of its owner');
      if (failed !== undefined) for (const situation of refusedSituations(world, failed)) add(this.met, situation);
      if (calls.some((call) => isDead(world, call))) add(this.met, 'a receipt of a dead channel was refused');
      return;
    }
    for (const call of calls) {
      add(this.succeeded, call.instruction);
      for (const situation of this.#situations(world, call)) add(this.met, situation);
    }
    const [before, after] = [world.banks.before('bank'), world.banks.get('bank')];
    if (before === undefined || after === undefined) return;
    if (after.bought < before.bought) add(this.met, 'a total wrapped at 2^64');
    if (after.feeBps !== before.feeBps) add(this.met, 'the fee changed');
    if (after.admin === null) add(this.met, 'the bank was given up');
  }

  /** Adds another play's figures. */
  include(other: Coverage): void {
    this.instructions += other.instructions;
    for (const [name, times] of other.succeeded) add(this.succeeded, name, times);
    for (const [reason, times] of other.refused) add(this.refused, reason, times);
    for (const [situation, times] of other.met) add(this.met, situation, times);
  }

  #situations(world: World, call: Call): readonly Situation[] {
    switch (call.instruction) {
      case 'openTill': {
        const { till } = call.accounts;
        const isAgain = this.#tills.has(till);
        this.#tills.add(till);
        return isAgain ? ['a closed till was opened again'] : [];
      }
      case 'growTill': {
        const slots = world.tills.before(call.accounts.till)?.slots ?? [];
        return [
          ...(slots.some(({ flags }) => flags === 1) ? ['a till grew while channels were open' as const] : []),
          ...(call.args.slots > 900 ? ['a till had more than 900 slots' as const] : []),
        ];
      }
      case 'topUp': {
        const slot = world.tills.before(call.accounts.till)?.slots[call.args.slot];
        return slot !== undefined && slot.payer !== call.accounts.funder
          ? ['a channel was topped up by somebody else']
          : [];
      }
      case 'closeChannel': {
        if (call.accounts.tillOwner !== undefined) return [];
        const slot = world.tills.before(call.accounts.till)?.slots[call.args.slot];
        const alone = 'a payer closed alone after the challenge period' as const;
        const returned = 'a payer closed a channel alone that held no opening payment' as const;
        return slot?.opening === 0n && slot.deposit > slot.settled ? [alone, returned] : [alone];
      }
      case 'returnOpening': {
        const left = world.tills.get(call.accounts.till)?.slots[call.args.slot]?.opening;
        return left === undefined || left === 0n ? [] : ['a part of an opening payment was returned'];
      }
      case 'closeByPayee': {
        const { till, claim } = call.accounts;
        const slot = world.tills.before(till)?.slots[call.args.slot];
        return [
          ...(world.claims.before(claim) === undefined ? [] : ['a claim was added to' as const]),
          ...(slot?.flags === 1 && slot.closeAt > 0n
            ? ['a payee closed a channel while its payer was closing it' as const]
            : []),
        ];
      }
      case 'settle':
      case 'settleVerified':
        return settling(world, call);
      case 'registerName': {
        const [before, after] = [world.banks.before('bank'), world.banks.get('bank')];
        if (world.names.before(call.accounts.name) === undefined || before === undefined || after === undefined)
          return [];
        const paid = after.lifetimeFees - before.lifetimeFees;
        const hasPremium = paid > BigInt(call.args.years) * before.nameYearPrice;
        return [
          'a released name was taken',
          ...(hasPremium ? ['a released name was taken with a premium' as const] : []),
        ];
      }
      case 'distributeName': {
        const splits = world.names.get(call.accounts.name)?.splits ?? [];
        return splits.some(({ owed }) => owed > 0n) ? ['a split without a purse stayed owed'] : [];
      }
      case 'finishRecovery': {
        const { name } = call.accounts;
        const [before, after] = [world.names.before(name), world.names.get(name)];
        const accounts = before?.splits.map(({ account }) => account) ?? [];
        if (!accounts.includes(before?.owner ?? '')) return [];
        return accounts.includes(after?.owner ?? '')
          ? ['a recovery found a split of the new owner']
          : ["a recovery passed on the former owner's split"];
      }
      default:
        return [];
    }
  }
}

function settling(
  world: World,
  { accounts, args }: Extract<Call, { instruction: 'settle' | 'settleVerified' }>,
): readonly Situation[] {
  const [before, after] = [world.tills.before(accounts.till), world.tills.get(accounts.till)];
  if (before === undefined || after === undefined) return [];
  const moved = after.slots.filter((slot, number) => slot.settled > (before.slots[number]?.settled ?? 0n));
  return [
    ...(moved.length === 0 ? ['a settlement moved nothing' as const] : []),
    ...(moved.some(({ closeAt }) => closeAt > 0n) ? ['a channel with a pending close was settled' as const] : []),
    ...(args.shares.length > 0 ? ['a batch with shares was settled' as const] : []),
    ...referring(world, accounts.names, args.shares),
  ];
}

function referring(world: World, names: readonly Label[], shares: readonly ContentShare[]): readonly Situation[] {
  const shown = shares.filter(({ referrer }) => referrer !== NO_REFERRER);
  const lifetime = (at: 'before' | 'get', place: number): bigint => world.names[at](names[place] ?? '')?.lifetime ?? 0n;
  const isPaid = shown.some(
    ({ referrer }) =>
      shares.every(({ name }) => name !== referrer) && lifetime('get', referrer) > lifetime('before', referrer),
  );
  const isTwice = shown.some(({ name, referrer }) =>
    shown.some((other) => other.name === name && other.referrer !== referrer),
  );
  return [
    ...(isPaid ? ['a referrer got a part of a royalty' as const] : []),
    ...(isTwice ? ['one name was shown by two referrers' as const] : []),
  ];
}

function refusedSituations(world: World, step: Step): readonly Situation[] {
  if ('foreign' in step) return [];
  if (step.instruction === 'payClaim') {
    const { claim, payer, destination } = step.accounts;
    const isWaiting = world.claims.before(claim)?.payer === payer && world.purses.get(destination) === undefined;
    return isWaiting ? ['a claim waited for a purse of its payer'] : [];
  }
  if (step.instruction === 'finishRecovery') {
    const name = world.names.before(step.accounts.name);
    const isOver = name !== undefined && name.newOwner !== null && name.recoverAt <= world.time;
    return isOver && name.recoverSlot > world.slot ? ['an outage did not end the delay of a recovery'] : [];
  }
  if (step.instruction !== 'closeChannel' || step.accounts.tillOwner !== undefined) return [];
  const slot = world.tills.before(step.accounts.till)?.slots[step.args.slot];
  const isOver = slot?.flags === 1 && slot.closeAt > 0n && slot.closeAt <= world.time && slot.closeSlot > world.slot;
  return isOver ? ['an outage did not end a challenge period'] : [];
}

/** Earnings that could be withdrawn, had their owner a token account. */
function isWaiting(world: World, step: Step): boolean {
  if ('foreign' in step || step.instruction !== 'withdraw') return false;
  const { owner, till: label, destination } = step.accounts;
  const till = world.tills.before(label);
  return till?.owner === owner && till.earned > 0n && world.purses.before(destination) === undefined;
}

/** It shows a receipt of an earlier generation of a slot that holds a channel now. */
function isDead(world: World, call: Call): boolean {
  if (call.instruction !== 'settle') return false;
  const slots = world.tills.before(call.accounts.till)?.slots;
  return call.args.receipts.some(({ signed }) => {
    const slot = slots?.[signed.slot];
    return slot?.flags === 1 && signed.till === call.accounts.till && signed.generation < slot.generation;
  });
}

function add<K>(counts: Map<K, number>, key: K, times = 1): void {
  counts.set(key, (counts.get(key) ?? 0) + times);
}
