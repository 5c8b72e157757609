/** Names: their terms and prices, who owns them, who earns from them. */
import { charge, part, payOut } from './bank.ts';
import type { Calls, Label, Share } from './calls.ts';
import { endCommitment, requireCommitment } from './commitments.ts';
import { payRent } from './wallets.ts';
import { fits, refuse } from './world.ts';
import type { Name, Split, World } from './world.ts';

export const NAME_SIZE = 800;
const MAX_NAME_BYTES = 58;
const MAX_HOST_LABEL = 63;
const MAX_CID_BYTES = 63;
const MAX_SPLITS = 8;
/** What eight splits may be unable to divide. */
const DUST = 7n;
const DAY = 86_400n;
export const YEAR: bigint = 365n * DAY;
export const GRACE: bigint = 30n * DAY;
const MAX_YEARS = 10;
/** Just after its grace a name costs that many years on top, a day later half of it, and nothing after 21 days. */
const PREMIUM_YEARS = 1_024n;
const PREMIUM_DAYS = 21n;
/** Which field each flag of `updateName` stands for. */
const ROOT = 1;
const MANIFEST = 2;
const ROYALTY = 4;
const MANAGER = 8;
const SPLITS = 16;
const REFERRER = 32;

/** Whoever gets a name, by whatever way, gets it without anybody's claim. */
export const NO_RECOVERY: Pick<Name, 'recoveryKey' | 'recoveryDelay' | 'newOwner' | 'recoverAt' | 'recoverSlot'> = {
  recoveryKey: null,
  recoveryDelay: 0,
  newOwner: null,
  recoverAt: 0n,
  recoverSlot: 0n,
};

const RULE = /^(?!..--)[a-z0-9]([a-z0-9-]*[a-z0-9])?\.(web3|sso|image|video|map|route)$/;

export function nameOf(text: string): Label {
  return `name ${text}`;
}

/** `hash`: of what the commitment must hide. Reasons come in the code's order: rules, commitment, term, name, fields, price. */
export function registerName(world: World, { accounts, args }: Calls['registerName'], hash: Uint8Array): void {
  const { owner } = accounts;
  const hyphens = args.name.split('-').length - 1;
  const fitsHost = args.name.length <= MAX_NAME_BYTES && args.name.length + hyphens <= MAX_HOST_LABEL;
  if (!RULE.test(args.name) || !fitsHost) refuse('InvalidName');
  requireRoyalty(args.royaltyBps);
  requireReferrerShare(args.referrerBps);
  requireCommitment(world, accounts.commitment, owner, hash);
  const expiresAt = extended(world.time, args.years);
  const price = BigInt(args.years) * world.bank.nameYearPrice;

  const old = world.names.get(accounts.name);
  if (accounts.name !== nameOf(args.name)) refuse('WrongAddress');
  let premium = 0n;
  if (old === undefined) payRent(world, owner, accounts.name, NAME_SIZE);
  else {
    const released = world.time - (old.expiresAt + GRACE);
    if (released < 0n) refuse('NameTaken');
    requireDistributed(old);
    premium = premiumAfter(released, world.bank.nameYearPrice);
  }
  const fields = { root: cid(args.root), manifest: cid(args.manifest), splits: splitsOf(args.splits) };
  world.names.set(accounts.name, {
    // A name that changes hands goes on: its number of changes, what it ever earned, and fractions and dust not yet divided.
    ...(old ?? { accrued: 0n, lifetime: 0n, royaltyCarry: 0, referrerCarry: 0, transfers: 0 }),
    ...NO_RECOVERY,
    ...fields,
    seq: old === undefined ? 0n : old.seq + 1n,
    name: args.name,
    owner,
    manager: args.manager,
    registeredAt: world.time,
    expiresAt,
    royaltyBps: args.royaltyBps,
    referrerBps: args.referrerBps,
  });
  charge(world, owner, accounts.source, price + premium, args.maxPrice);
  endCommitment(world, accounts.commitment, owner);
}

export function renewName(world: World, { accounts, args }: Calls['renewName']): void {
  const name = requireName(world, accounts.name);
  requireHeld(world, name);
  const expiresAt = extended(name.expiresAt, args.years);
  if (expiresAt > world.time + BigInt(MAX_YEARS) * YEAR) refuse('TermTooLong');
  world.names.set(accounts.name, { ...name, expiresAt });
  charge(world, accounts.payer, accounts.source, BigInt(args.years) * world.bank.nameYearPrice, args.maxPrice);
}

export function transferName(world: World, { accounts, args: { newOwner } }: Calls['transferName']): void {
  const name = requireName(world, accounts.name);
  requireOwner(name, accounts.owner);
  requireHeld(world, name);
  if (newOwner === null) return refuse('InvalidOwner');
  world.names.set(accounts.name, {
    ...name,
    ...NO_RECOVERY,
    owner: newOwner,
    manager: newOwner,
    transfers: name.transfers + 1,
    seq: name.seq + 1n,
  });
}

/** Who may, before whether the name is still held, before what is wrong with the update: the code's order. */
export function updateName(world: World, { accounts, args }: Calls['updateName']): void {
  const name = requireName(world, accounts.name);
  const { flags } = args;
  if (name.owner !== accounts.signer) {
    if (name.manager !== accounts.signer) refuse('NotNameOwner');
    if (flags > (ROOT | MANIFEST)) refuse('ManagerForbidden');
  }
  requireHeld(world, name);
  if (flags === 0 || flags > 63) refuse('InvalidInstruction');
  if (args.seq !== name.seq) refuse('StaleSequence');
  const root = flags & ROOT ? cid(args.root) : name.root;
  const manifest = flags & MANIFEST ? cid(args.manifest) : name.manifest;
  if (flags & ROYALTY) requireRoyalty(args.royaltyBps);
  if (flags & SPLITS) requireDistributed(name);
  const splits = flags & SPLITS ? splitsOf(args.splits) : name.splits;
  if (flags & REFERRER) requireReferrerShare(args.referrerBps);
  world.names.set(accounts.name, {
    ...name,
    seq: name.seq + 1n,
    root,
    manifest,
    royaltyBps: flags & ROYALTY ? args.royaltyBps : name.royaltyBps,
    manager: flags & MANAGER ? args.manager : name.manager,
    splits,
    referrerBps: flags & REFERRER ? args.referrerBps : name.referrerBps,
  });
}

/** What cannot be divided into whole base units stays accrued; a split without a purse stays owed. */
export function distributeName(world: World, { accounts }: Calls['distributeName']): void {
  const name = requireName(world, accounts.name);
  const { accrued } = name;
  if (accounts.destinations.length !== name.splits.length) refuse('WrongAccountCount');
  const parts = name.splits.map(({ bps }) => part(accrued, bps).whole);
  const splits = name.splits.map((split, index) => {
    const owed = fits(split.owed + (parts[index] ?? 0n));
    const purse = accounts.destinations[index];
    if (owed === 0n || purse === undefined || world.purses.get(purse)?.owner !== split.account) {
      return { ...split, owed };
    }
    payOut(world, purse, owed);
    return { ...split, owed: 0n };
  });
  world.names.set(accounts.name, { ...name, splits, accrued: accrued - parts.reduce((sum, each) => sum + each, 0n) });
}

/** Halved every day, in a straight line within a day, rounded up. */
export function premiumAfter(seconds: bigint, yearPrice: bigint): bigint {
  const days = seconds / DAY;
  if (days >= PREMIUM_DAYS) return 0n;
  const first = (yearPrice * PREMIUM_YEARS) >> days;
  const next = first >> 1n;
  return first - ((first - next) * (seconds % DAY)) / DAY;
}

export function requireName(world: World, label: Label): Name {
  return world.names.get(label) ?? world.missing(label);
}

export function requireOwner({ owner, manager }: Name, signer: Label): void {
  if (owner !== signer) refuse(manager === signer ? 'ManagerForbidden' : 'NotNameOwner');
}

export function requireHeld(world: World, { expiresAt }: Name): void {
  if (world.time >= expiresAt + GRACE) refuse('NameExpired');
}

function requireRoyalty(bps: number): void {
  if (bps > 10_000) refuse('InvalidRoyalty');
}

function requireReferrerShare(bps: number): void {
  if (bps > 10_000) refuse('InvalidReferrerShare');
}

function requireDistributed({ accrued, splits }: Name): void {
  if (accrued > DUST || splits.some(({ owed }) => owed > 0n)) refuse('SplitsPending');
}

function extended(from: bigint, years: number): bigint {
  return years >= 1 && years <= MAX_YEARS ? from + BigInt(years) * YEAR : refuse('InvalidYears');
}

function cid(value: Uint8Array): Uint8Array {
  return value.length <= MAX_CID_BYTES ? value : refuse('FieldTooLong');
}

function splitsOf(shares: readonly Share[]): readonly Split[] {
  const sum = shares.reduce((total, { bps }) => total + bps, 0);
  const different = new Set(shares.map(({ account }) => account)).size === shares.length;
  if (shares.length === 0 || shares.length > MAX_SPLITS || sum !== 10_000 || !different) refuse('InvalidSplits');
  return shares.map(({ account, bps }) =>
    account === null || bps === 0 ? refuse('InvalidSplits') : { account, bps, owed: 0n },
  );
}
