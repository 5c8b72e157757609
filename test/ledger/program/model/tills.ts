/** Tills and their channels, but for settling. */
import { deposit, payOut, refund } from './bank.ts';
import type { Calls, Label } from './calls.ts';
import { payRent, releaseRent, requirePurse } from './wallets.ts';
import { fits, refuse } from './world.ts';
import type { Slot, Till, World } from './world.ts';

const HEADER_SIZE = 96;
const SLOT_SIZE = 112;
const MAX_SLOTS = 1_024;
const MAX_NEW_SLOTS = 90;
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
  const zero = { deposit: 0n, settled: 0n, up: 0n, down: 0n, closeAt: 0n };
  return { ...zero, payer: null, delegate: null, flags: 0, generation };
}

function freeSlots(world: World, count: number): readonly Slot[] {
  return Array<Slot>(count).fill(freeSlot(firstGeneration(world)));
}

export function openTill(world: World, { accounts: { owner, till }, args: { slots } }: Calls['openTill']): void {
  if (slots === 0 || slots > MAX_NEW_SLOTS) refuse('InvalidSlotCount');
  if (till !== tillOf(owner)) refuse('WrongAddress');
  if (world.tills.get(till) !== undefined) refuse('AlreadyExists');
  payRent(world, owner, till, tillSize(slots));
  world.tills.set(till, { owner, earned: 0n, lifetimeEarned: 0n, slots: freeSlots(world, slots) });
}

export function growTill(world: World, { accounts, args: { slots } }: Calls['growTill']): void {
  const till = requireTill(world, accounts.till);
  if (till.owner !== accounts.owner) refuse('NotTillOwner');
  const more = slots - till.slots.length;
  if (more <= 0 || more > MAX_NEW_SLOTS || slots > MAX_SLOTS) refuse('InvalidSlotCount');
  payRent(world, accounts.owner, accounts.till, tillSize(slots));
  world.tills.set(accounts.till, { ...till, slots: [...till.slots, ...freeSlots(world, more)] });
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
  if (args.delegate === null) refuse('InvalidDelegate');
  const slot = requireSlot(till, args.slot);
  if (slot.flags === 1) refuse('SlotInUse');
  if (slot.generation === U32_MAX) refuse('Overflow');
  deposit(world, accounts.source, args.deposit);
  const { payer } = accounts;
  const { delegate } = args;
  setSlot(world, accounts.till, args.slot, { ...slot, payer, delegate, deposit: args.deposit, flags: 1 });
}

export function topUp(world: World, { accounts, args }: Calls['topUp']): void {
  const till = requireTill(world, accounts.till);
  requirePurse(world, accounts.source, accounts.funder);
  if (args.amount === 0n) refuse('ZeroAmount');
  const slot = requireChannel(till, args);
  setSlot(world, accounts.till, args.slot, { ...slot, deposit: fits(slot.deposit + args.amount) });
  deposit(world, accounts.source, args.amount);
}

export function requestClose(world: World, { accounts, args }: Calls['requestClose']): void {
  const slot = requireChannel(requireTill(world, accounts.till), args);
  if (slot.payer !== accounts.payer) refuse('NotPayer');
  if (slot.closeAt !== 0n) refuse('ClosePending');
  setSlot(world, accounts.till, args.slot, { ...slot, closeAt: world.time + world.bank.challengeSeconds });
}

export function closeChannel(world: World, { accounts, args }: Calls['closeChannel']): void {
  const till = requireTill(world, accounts.till);
  requirePurse(world, accounts.destination, accounts.payer);
  const slot = requireChannel(till, args);
  if (slot.payer !== accounts.payer) refuse('NotPayer');
  if (accounts.tillOwner === undefined) {
    if (slot.closeAt === 0n) refuse('CloseNotRequested');
    if (world.time < slot.closeAt) refuse('ChallengePending');
  } else if (accounts.tillOwner !== till.owner) refuse('NotTillOwner');
  setSlot(world, accounts.till, args.slot, freeSlot(slot.generation + 1));
  const rest = slot.deposit - slot.settled;
  if (rest > 0n) refund(world, accounts.destination, rest);
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
