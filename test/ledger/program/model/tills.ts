/** Tills and their channels, but for settling. */
import { deposit, forgo, payOut, refund, returnSlotRent, takeSlotRent } from './bank.ts';
import type { Calls, Label } from './calls.ts';
import { lamportsOf, payRent, releaseRent, requirePurse, transfer } from './wallets.ts';
import { fits, refuse } from './world.ts';
import type { Slot, Till, World } from './world.ts';

const HEADER_SIZE = 128;
const SLOT_SIZE = 136;
export const CLAIM_SIZE = 56;
const SLOTS_PER_SECOND = 2n;
const RETURN_FEE = 5_000n;
const MAX_SLOTS = 1_024;
const MAX_NEW_SLOTS = 74;
const U32_MAX = 2 ** 32 - 1;

export function tillSize(slots: number): number {
  return HEADER_SIZE + SLOT_SIZE * slots;
}

export function tillOf(owner: Label): Label {
  return `till of ${owner}`;
}

export function requireTill(world: World, label: Label): Till {
  return world.tills.get(label) ?? world.missing(label);
}

export function requireSlot({ slots }: Till, slot: number): Slot {
  return slots[slot] ?? refuse('SlotOutOfRange');
}

export function setSlot(world: World, label: Label, number: number, slot: Slot): void {
  const till = requireTill(world, label);
  world.tills.set(label, { ...till, slots: till.slots.with(number, slot) });
}

/** ADR 12: the cluster's slot, at least 1; beyond 32 bits no till opens or grows. */
function firstGeneration(world: World): number {
  if (world.slot > BigInt(U32_MAX)) refuse('Overflow');
  return Math.max(1, Number(world.slot));
}

function freeSlot(generation: number): Slot {
  const zero = { deposit: 0n, settled: 0n, up: 0n, down: 0n, closeAt: 0n, closeSlot: 0n, opening: 0n, rent: 0n };
  return { ...zero, payer: null, delegate: null, flags: 0, generation };
}

function freeSlots(world: World, count: number): readonly Slot[] {
  return Array<Slot>(count).fill(freeSlot(firstGeneration(world)));
}

export function claimOf(payer: Label): Label {
  return `claim of ${payer}`;
}

export function openTill(world: World, { accounts: { owner, till }, args }: Calls['openTill']): void {
  const { slots, minDeposit, opening } = args;
  if (slots === 0 || slots > MAX_NEW_SLOTS) refuse('InvalidSlotCount');
  if (till !== tillOf(owner)) refuse('WrongAddress');
  if (world.tills.get(till) !== undefined) refuse('AlreadyExists');
  payRent(world, owner, till, tillSize(slots));
  const terms = { minDeposit, opening, slotRent: world.rent(CLAIM_SIZE) };
  world.tills.set(till, { owner, earned: 0n, lifetimeEarned: 0n, ...terms, slots: freeSlots(world, slots) });
}

export function growTill(world: World, { accounts, args: { slots } }: Calls['growTill']): void {
  const till = requireTill(world, accounts.till);
  if (till.owner !== accounts.owner) refuse('NotTillOwner');
  const more = slots - till.slots.length;
  if (more <= 0 || more > MAX_NEW_SLOTS || slots > MAX_SLOTS) refuse('InvalidSlotCount');
  payRent(world, accounts.owner, accounts.till, tillSize(slots));
  const slotRent = world.rent(CLAIM_SIZE);
  world.tills.set(accounts.till, { ...till, slotRent, slots: [...till.slots, ...freeSlots(world, more)] });
}

export function setTillTerms(world: World, { accounts, args }: Calls['setTillTerms']): void {
  const till = requireTill(world, accounts.till);
  if (till.owner !== accounts.owner) refuse('NotTillOwner');
  world.tills.set(accounts.till, { ...till, ...args, slotRent: world.rent(CLAIM_SIZE) });
}

/**
 * Which of several reasons is told is the code's: earnings first, then slot by slot open before fresh. From the last slot
 * of 32 bits on nothing is fresh, for no till opens that could repeat an id.
 */
export function closeTill(world: World, { accounts }: Calls['closeTill']): void {
  const till = requireTill(world, accounts.till);
  if (till.owner !== accounts.owner) refuse('NotTillOwner');
  if (till.earned !== 0n) refuse('TillNotEmpty');
  const next = world.slot >= BigInt(U32_MAX) ? Infinity : firstGeneration(world);
  for (const { flags, generation } of till.slots) {
    if (flags === 1) refuse('TillInUse');
    if (generation >= next) refuse('TillTooFresh');
  }
  world.tills.delete(accounts.till);
  releaseRent(world, accounts.till, accounts.owner);
}

export function openChannel(world: World, { accounts, args }: Calls['openChannel']): void {
  const till = requireTill(world, accounts.till);
  requirePurse(world, accounts.source, accounts.payer);
  if (args.deposit === 0n) refuse('ZeroAmount');
  if (args.deposit < till.minDeposit) refuse('DepositBelowTerms');
  if (args.opening < till.opening) refuse('OpeningBelowTerms');
  if (args.delegate === null) refuse('InvalidDelegate');
  const slot = requireSlot(till, args.slot);
  if (slot.flags === 1) refuse('SlotInUse');
  if (slot.generation === U32_MAX) refuse('Overflow');
  const rent = till.slotRent;
  takeSlotRent(world, rent);
  deposit(world, accounts.source, args.deposit, args.opening);
  const { payer } = accounts;
  const { delegate, opening } = args;
  setSlot(world, accounts.till, args.slot, {
    ...slot,
    payer,
    delegate,
    deposit: args.deposit,
    opening,
    rent,
    flags: 1,
  });
}

export function topUp(world: World, { accounts, args }: Calls['topUp']): void {
  const till = requireTill(world, accounts.till);
  requirePurse(world, accounts.source, accounts.funder);
  if (args.amount === 0n && args.opening === 0n) refuse('ZeroAmount');
  const slot = requireChannel(till, args);
  const sums = { deposit: fits(slot.deposit + args.amount), opening: fits(slot.opening + args.opening) };
  setSlot(world, accounts.till, args.slot, { ...slot, ...sums });
  deposit(world, accounts.source, args.amount, args.opening);
}

export function requestClose(world: World, { accounts, args }: Calls['requestClose']): void {
  const slot = requireChannel(requireTill(world, accounts.till), args);
  if (slot.payer !== accounts.payer) refuse('NotPayer');
  if (slot.closeAt !== 0n) refuse('ClosePending');
  const { challengeSeconds } = world.bank;
  const closeSlot = fits(world.slot + SLOTS_PER_SECOND * challengeSeconds);
  setSlot(world, accounts.till, args.slot, { ...slot, closeAt: world.time + challengeSeconds, closeSlot });
}

export function closeChannel(world: World, { accounts, args }: Calls['closeChannel']): void {
  const till = requireTill(world, accounts.till);
  requirePurse(world, accounts.destination, accounts.payer);
  const slot = requireChannel(till, args);
  if (slot.payer !== accounts.payer) refuse('NotPayer');
  if (accounts.tillOwner === undefined) {
    if (slot.closeAt === 0n) refuse('CloseNotRequested');
    if (world.time < slot.closeAt || world.slot < slot.closeSlot) refuse('ChallengePending');
  } else if (accounts.tillOwner !== till.owner) refuse('NotTillOwner');
  setSlot(world, accounts.till, args.slot, freeSlot(slot.generation + 1));
  const kept = accounts.tillOwner === undefined ? slot.opening : 0n;
  forgo(world, kept);
  const rest = slot.deposit + slot.opening - slot.settled - kept;
  if (rest > 0n) refund(world, accounts.destination, rest);
  returnSlotRent(world, accounts.payer, slot.rent);
}

export function closeByPayee(world: World, { accounts, args }: Calls['closeByPayee']): void {
  const till = requireTill(world, accounts.till);
  if (till.owner !== accounts.owner) refuse('NotTillOwner');
  const slot = requireChannel(till, args);
  const payer = slot.payer ?? refuse('SlotNotOpen');
  if (accounts.claim !== claimOf(payer)) refuse('WrongAddress');
  const claim = world.claims.get(accounts.claim);
  if (claim === undefined) {
    const missing = world.rent(CLAIM_SIZE) - lamportsOf(world, accounts.claim) - slot.rent;
    if (missing > 0n) transfer(world, accounts.owner, accounts.claim, missing);
  }
  setSlot(world, accounts.till, args.slot, freeSlot(slot.generation + 1));
  forgo(world, slot.opening);
  const amount = fits((claim?.amount ?? 0n) + slot.deposit - slot.settled);
  world.claims.set(accounts.claim, { payer, amount });
  returnSlotRent(world, accounts.claim, slot.rent);
}

export function returnOpening(world: World, { accounts, args }: Calls['returnOpening']): void {
  const till = requireTill(world, accounts.till);
  if (till.owner !== accounts.owner) refuse('NotTillOwner');
  if (args.amount === 0n) refuse('ZeroAmount');
  const slot = requireChannel(till, args);
  if (args.amount > slot.opening) refuse('OpeningExceeded');
  const opening = slot.opening - args.amount;
  const isOwed = slot.closeAt !== 0n && opening === 0n && args.amount >= 2n * RETURN_FEE * world.bank.unitsPerLamport;
  const fee = isOwed && slot.rent >= RETURN_FEE ? RETURN_FEE : 0n;
  const moved = { opening, deposit: fits(slot.deposit + args.amount), rent: slot.rent - fee };
  setSlot(world, accounts.till, args.slot, { ...slot, ...moved });
  returnSlotRent(world, accounts.owner, fee);
}

export function payClaim(world: World, { accounts: { payer, claim: label, destination } }: Calls['payClaim']): void {
  const claim = world.claims.get(label) ?? world.missing(label);
  if (claim.payer !== payer) refuse('WrongAddress');
  requirePurse(world, destination, payer);
  if (claim.amount > 0n) refund(world, destination, claim.amount);
  world.claims.delete(label);
  releaseRent(world, label, payer);
}

export function withdraw(world: World, { accounts }: Calls['withdraw']): void {
  const till = requireTill(world, accounts.till);
  if (till.owner !== accounts.owner) refuse('NotTillOwner');
  requirePurse(world, accounts.destination, accounts.owner);
  if (till.earned === 0n) return;
  world.tills.set(accounts.till, { ...till, earned: 0n });
  payOut(world, accounts.destination, till.earned);
}

/** The slot, when it holds an open channel of that generation. */
function requireChannel(till: Till, { slot: number, generation }: Calls['requestClose']['args']): Slot {
  const slot = requireSlot(till, number);
  if (slot.flags === 0) refuse('SlotNotOpen');
  return slot.generation === generation ? slot : refuse('WrongGeneration');
}
