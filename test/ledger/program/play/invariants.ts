/** Every promise about money, over the whole world, after every step. Sums of records that did not change are kept. */
import type { Label } from '../model/calls.ts';
import { BANK_SIZE, outstanding } from '../model/bank.ts';
import { NAME_SIZE } from '../model/names.ts';
import { CLAIM_SIZE, tillSize } from '../model/tills.ts';
import { wraps } from '../model/world.ts';
import type { Slot, Till, World } from '../model/world.ts';

const TOTALS = ['bought', 'redeemed', 'burned', 'minted', 'lifetimeFees', 'forgone'] as const;
/** How often one transaction can turn all credits round, at most. */
const TURNOVER = 8n;
const COMMITMENT_SIZE = 88;

interface Held {
  readonly credits: bigint;
  /** Lamports put down by openers. */
  readonly rents: bigint;
}

const open = new WeakMap<Till, Held>();

/** Sentences about what is broken in the kept world; none when all is well. */
export function brokenPromises(world: World): readonly string[] {
  const broken: string[] = [];
  const bank = world.banks.get('bank');
  if (bank === undefined) return broken;
  const same = (what: string, left: bigint, right: bigint): void => {
    if (left !== right) broken.push(`${what}: ${left} is not ${right}`);
  };
  const supply = world.supply.get('mint') ?? 0n;
  same(
    'bought - redeemed = supply + deposits + unminted + forgone + what holders burned themselves',
    outstanding(bank),
    supply + bank.openDeposits + bank.unminted + bank.forgone + world.tally('burned by holders'),
  );
  same(
    'burned - minted = deposits + unminted + forgone',
    wraps(bank.burned - bank.minted),
    bank.openDeposits + bank.unminted + bank.forgone,
  );
  if (bank.reserve * bank.unitsPerLamport < outstanding(bank)) broken.push('the reserve covers every credit');
  // What came unasked; openers may have used it in place of a payment of their own.
  const unasked = world.tally('gifts to the bank') - world.tally('slot rents taken');
  if (unasked < 0n) broken.push('no slot rent is taken that was not paid');
  same('lamports of the bank', held(world, 'bank'), bank.rent + bank.reserve + bank.slotRents + unasked);
  rent(world, 'bank', BANK_SIZE, broken);

  let deposits = 0n;
  let rents = 0n;
  let earned = bank.fees;
  for (const label of world.tills.labels()) {
    const till = world.tills.get(label);
    if (till === undefined) continue;
    const inside = openOf(till, broken);
    deposits += inside.credits;
    rents += inside.rents;
    earned += till.earned;
    rent(world, label, tillSize(till.slots.length), broken);
  }
  for (const label of world.names.labels()) {
    const name = world.names.get(label);
    if (name === undefined) continue;
    earned += name.accrued + name.splits.reduce((sum, { owed }) => sum + owed, 0n);
    if (name.splits.reduce((sum, { bps }) => sum + bps, 0) !== 10_000) broken.push(`splits of ${label} are the whole`);
    if (name.royaltyCarry >= 10_000) broken.push(`the carry of ${label} is a fraction`);
    if (name.referrerCarry >= 10_000) broken.push(`the carry of referrers of ${label} is a fraction`);
    rent(world, label, NAME_SIZE, broken);
  }
  for (const label of world.commitments.labels()) rent(world, label, COMMITMENT_SIZE, broken);
  for (const label of world.claims.labels()) {
    deposits += world.claims.get(label)?.amount ?? 0n;
    rent(world, label, CLAIM_SIZE, broken);
  }
  same('slot rents', rents, bank.slotRents);
  same('open deposits', deposits, bank.openDeposits);
  same('earned, accrued, owed and fees', earned, bank.unminted);
  same(
    'credits in all purses',
    world.purses.values().reduce((sum, { credits }) => sum + credits, 0n),
    supply,
  );
  if (bank.feeCarry >= 10_000) broken.push('the carry of the fee is a fraction');
  return broken;
}

/**
 * Sentences about what went back between the kept world and the draft. Totals wrap at 2^64, so going back looks like a rise
 * by more than all the credits there are.
 */
export function wentBack(world: World): readonly string[] {
  const broken: string[] = [];
  const [oldBank, bank] = [world.banks.before('bank'), world.banks.get('bank')];
  if (oldBank === undefined || bank === undefined) return broken;
  const [before, after] = [outstanding(oldBank), outstanding(bank)];
  const most = TURNOVER * (before > after ? before : after);
  const rises = (what: string, from: bigint, to: bigint): void => {
    if (wraps(to - from) > most) broken.push(`${what} went back from ${from} to ${to}`);
  };
  for (const total of TOTALS) rises(total, oldBank[total], bank[total]);
  for (const label of world.tills.changed()) {
    const [old, till] = [world.tills.before(label), world.tills.get(label)];
    if (old === undefined || till === undefined) continue;
    slotsRise(label, old.slots, till.slots, broken);
    // A till that was opened anew has earned nothing yet.
    if (till.lifetimeEarned !== 0n) rises(`lifetime earnings of ${label}`, old.lifetimeEarned, till.lifetimeEarned);
  }
  for (const label of world.names.changed()) {
    const [old, name] = [world.names.before(label), world.names.get(label)];
    if (old === undefined || name === undefined) continue;
    rises(`lifetime earnings of ${label}`, old.lifetime, name.lifetime);
    if (name.seq < old.seq) broken.push(`seq of ${label} went back`);
    if (name.registeredAt === old.registeredAt && name.expiresAt < old.expiresAt) {
      broken.push(`the term of ${label} went back`);
    }
  }
  return broken;
}

function slotsRise(label: Label, before: readonly Slot[], after: readonly Slot[], broken: string[]): void {
  for (const [number, old] of before.entries()) {
    const slot = after[number];
    if (slot === undefined || slot === old) continue;
    if (slot.generation < old.generation) broken.push(`generation of slot ${number} of ${label} went back`);
    if (slot.generation !== old.generation) continue;
    for (const counter of ['deposit', 'settled'] as const) {
      if (slot[counter] < old[counter]) broken.push(`${counter} of slot ${number} of ${label} went back`);
    }
    // What is returned of the opening payment is deposit then: together they never go back either.
    if (slot.deposit + slot.opening < old.deposit + old.opening) {
      broken.push(`what slot ${number} of ${label} holds went back`);
    }
  }
}

function openOf(till: Till, broken: string[]): Held {
  const known = open.get(till);
  if (known !== undefined) return known;
  let credits = 0n;
  let rents = 0n;
  for (const { deposit, settled, opening, rent: put } of till.slots) {
    if (settled > deposit) broken.push('settled is at most the deposit');
    credits += deposit + opening - settled;
    rents += put;
  }
  const sums = { credits, rents };
  open.set(till, sums);
  return sums;
}

function held(world: World, label: Label): bigint {
  return world.lamports.get(label) ?? 0n;
}

function rent(world: World, label: Label, size: number, broken: string[]): void {
  if (held(world, label) < world.rent(size)) broken.push(`${label} pays its rent`);
}
