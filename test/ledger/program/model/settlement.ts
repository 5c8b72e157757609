/** What receipts move from deposits to tills, names and the treasury. */
import { earn, part } from './bank.ts';
import { NO_REFERRER } from './calls.ts';
import type { Calls, Claim, ContentShare, Label, SignedReceipt } from './calls.ts';
import { requireSlot, requireTill, setSlot } from './tills.ts';
import { fits, refuse, wraps } from './world.ts';
import type { Name, Slot, World } from './world.ts';

const MAX_RECEIPTS = 64;
const MAX_VERIFIED = 8;
const MAX_SHARES = 8;
const MAX_NAMES = 16;

type Counters = Pick<Claim, 'amount' | 'up' | 'down'>;

/** Slot by slot as the batch says, its signatures last, then the shares: that order is the code's. */
export function settle(world: World, { accounts, args }: Calls['settle']): void {
  const { till } = accounts;
  requireTill(world, till);
  if (args.receiptCount === 0 || args.receiptCount > MAX_RECEIPTS) refuse('InvalidBatch');
  let total = 0n;
  let holds = args.scalarOf === 'these receipts';
  for (const claim of args.receipts) {
    const slot = requireOpen(world, till, claim.slot);
    holds &&= isFor(claim.signed, till, claim.slot, slot) && isSame(claim, claim.signed);
    total = fits(total + apply(world, till, claim.slot, claim));
  }
  if (args.scalarOf === 'a number too great') refuse('MalformedAggregate');
  if (!holds) refuse('WrongAggregate');
  credit(world, accounts, args.shares, total);
}

export function settleVerified(world: World, { accounts, args }: Calls['settleVerified']): void {
  const { till } = accounts;
  const { previous } = world;
  requireTill(world, till);
  if (args.slots.length === 0 || args.slots.length > MAX_VERIFIED) refuse('InvalidBatch');
  if (previous === undefined || !('foreign' in previous) || previous.foreign !== 'verify') {
    return refuse('MissingSignatures');
  }
  if (previous.receipts.length !== args.slots.length) refuse('SignatureCount');
  let total = 0n;
  for (const [index, number] of args.slots.entries()) {
    const slot = requireOpen(world, till, number);
    const signed = previous.receipts[index] ?? refuse('SignatureCount');
    if (signed.kind === 'with another tag') refuse('InvalidReceipt');
    if (signed.delegate !== slot.delegate) refuse('WrongDelegate');
    if (!isFor(signed, till, number, slot)) refuse('WrongChannel');
    total = fits(total + apply(world, till, number, signed));
  }
  credit(world, accounts, args.shares, total);
}

function requireOpen(world: World, till: Label, number: number): Slot {
  const slot = requireSlot(requireTill(world, till), number);
  return slot.flags === 1 ? slot : refuse('SlotNotOpen');
}

/** Signed by the channel's delegate for this very channel. */
function isFor(signed: SignedReceipt, till: Label, number: number, slot: Slot): boolean {
  return (
    signed.kind === 'receipt' &&
    signed.holds &&
    signed.delegate === slot.delegate &&
    signed.till === till &&
    signed.slot === number &&
    signed.generation === slot.generation
  );
}

function isSame(claim: Counters, signed: Counters): boolean {
  return claim.amount === signed.amount && claim.up === signed.up && claim.down === signed.down;
}

/** The amount alone decides: a receipt that is not newer moves nothing, and of a newer one up and down may be anything. */
function apply(world: World, till: Label, number: number, { amount, up, down }: Counters): bigint {
  const slot = requireSlot(requireTill(world, till), number);
  if (amount <= slot.settled) return 0n;
  if (amount > slot.deposit) refuse('DepositExceeded');
  setSlot(world, till, number, { ...slot, settled: amount, up, down });
  return amount - slot.settled;
}

/**
 * ADR 3: shares need the till's owner. The fee first, royalties (the seller caps them) on what it leaves of each share, of each
 * royalty the referrer's part by the name's own terms (ADR 50), the rest is the seller's.
 */
function credit(
  world: World,
  { till: label, tillOwner, names }: Calls['settle']['accounts'],
  shares: readonly ContentShare[],
  total: bigint,
): void {
  if (shares.length > MAX_SHARES) refuse('InvalidBatch');
  if (names.length > MAX_NAMES) refuse('WrongAccountCount');
  const till = requireTill(world, label);
  if (shares.length > 0 && tillOwner !== till.owner) refuse('NotTillOwner');
  for (const [index, name] of names.entries()) {
    if (names.indexOf(name) < index) refuse('DuplicateName');
    recordOf(world, name);
  }
  let attributed = 0n;
  let royalties = 0n;
  for (const { name: place, referrer: other, gross, maxRoyaltyBps } of shares) {
    const name = names[place] ?? refuse('WrongAccountCount');
    if (gross === 0n) refuse('ZeroShare');
    if (maxRoyaltyBps > 10_000) refuse('InvalidRoyalty');
    attributed = fits(attributed + gross);
    if (attributed > total) refuse('ShareExceedsBatch');
    if (other === place) refuse('SelfReferral');
    const referrer = other === NO_REFERRER ? undefined : (names[other] ?? refuse('WrongAccountCount'));
    const { royaltyBps, royaltyCarry, referrerBps, referrerCarry } = recordOf(world, name);
    const base = part(gross, 10_000 - world.bank.feeBps).whole;
    const royalty = part(base, Math.min(royaltyBps, maxRoyaltyBps), royaltyCarry);
    const referral = part(royalty.whole, referrer === undefined ? 0 : referrerBps, referrerCarry);
    accrue(world, name, royalty.whole - referral.whole, { royaltyCarry: royalty.carry, referrerCarry: referral.carry });
    if (referrer !== undefined) accrue(world, referrer, referral.whole);
    royalties += royalty.whole;
  }
  const used = new Set(shares.flatMap(({ name, referrer }) => [name, referrer]));
  if (names.some((_, place) => !used.has(place))) refuse('WrongAccountCount');
  const kept = fits(total - earn(world, total) - royalties);
  world.tills.set(label, {
    ...till,
    earned: fits(till.earned + kept),
    lifetimeEarned: wraps(till.lifetimeEarned + kept),
  });
}

function accrue(world: World, label: Label, earned: bigint, carries: Partial<Name> = {}): void {
  const record = recordOf(world, label);
  world.names.set(label, {
    ...record,
    ...carries,
    accrued: fits(record.accrued + earned),
    lifetime: wraps(record.lifetime + earned),
  });
}

function recordOf(world: World, label: Label): Name {
  return world.names.get(label) ?? world.missing(label);
}
