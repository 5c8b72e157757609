/** What the system and token programs do: lamports move, accounts come and go, credits are minted and burned. */
import type { Foreign, Label } from './calls.ts';
import { refuse } from './world.ts';
import type { World } from './world.ts';

/** What both programs answer when there is too little. */
const TOO_LITTLE = 'InsufficientFunds';

export function lamportsOf(world: World, label: Label): bigint {
  return world.lamports.get(label) ?? 0n;
}

export function addLamports(world: World, label: Label, value: bigint): void {
  const sum = lamportsOf(world, label) + value;
  if (sum === 0n) world.lamports.delete(label);
  else world.lamports.set(label, sum);
}

export function transfer(world: World, from: Label, to: Label, value: bigint): void {
  if (lamportsOf(world, from) < value) refuse(TOO_LITTLE);
  addLamports(world, from, -value);
  addLamports(world, to, value);
}

/** Whoever sent lamports there beforehand only makes it cheaper. */
export function payRent(world: World, payer: Label, account: Label, size: number): void {
  const missing = world.rent(size) - lamportsOf(world, account);
  if (missing > 0n) transfer(world, payer, account, missing);
}

/** A closed account: all its lamports go, whatever it held beyond its rent too. */
export function releaseRent(world: World, account: Label, to: Label): void {
  const held = lamportsOf(world, account);
  addLamports(world, account, -held);
  addLamports(world, to, held);
}

/** A credit account of the expected owner. */
export function requirePurse(world: World, purse: Label, owner: Label): void {
  if (world.purses.get(purse)?.owner !== owner) refuse('WrongTokenAccount');
}

export function mint(world: World, label: Label, value: bigint): void {
  const purse = world.purses.get(label);
  if (purse === undefined) throw new RangeError(`${label} was to be looked at before`);
  world.purses.set(label, { ...purse, credits: purse.credits + value });
  world.supply.set('mint', (world.supply.get('mint') ?? 0n) + value);
}

export function burn(world: World, label: Label, value: bigint): void {
  const purse = world.purses.get(label);
  if (purse === undefined || purse.credits < value) return refuse(TOO_LITTLE);
  world.purses.set(label, { ...purse, credits: purse.credits - value });
  world.supply.set('mint', (world.supply.get('mint') ?? 0n) - value);
}

export function purseOf(owner: Label): Label {
  return `purse of ${owner}`;
}

export function runForeign(world: World, step: Foreign): void {
  switch (step.foreign) {
    case 'verify':
      if (step.receipts.some(({ holds }) => !holds)) refuse('BadSignature');
      return;
    case 'gift':
      if (step.to === 'bank') world.count('gifts to the bank', step.lamports);
      return transfer(world, step.from, step.to, step.lamports);
    case 'burn':
      if (world.purses.get(purseOf(step.owner)) === undefined) return refuse('InvalidAccountData');
      world.count('burned by holders', step.amount);
      return burn(world, purseOf(step.owner), step.amount);
    case 'make purse': {
      const label = purseOf(step.owner);
      if (world.purses.get(label) === undefined) world.purses.set(label, { owner: step.owner, credits: 0n });
      return;
    }
    default: {
      const purse = world.purses.get(purseOf(step.owner));
      if (purse === undefined) return refuse('InvalidAccountData');
      if (purse.credits !== 0n) return refuse('PurseNotEmpty');
      world.purses.delete(purseOf(step.owner));
    }
  }
}
