/** The bank: its settings, its totals, and what is bought and redeemed. */
import type { Calls, Label } from './calls.ts';
import { addLamports, burn, lamportsOf, mint, payRent, requirePurse, transfer } from './wallets.ts';
import { fits, refuse, wraps } from './world.ts';
import type { Bank, World } from './world.ts';

export const BANK_SIZE = 288;
/** The bank holds that many times its rent. */
const CUSHION = 10n;
/** Who may replace the program. */
const UPGRADER = 'the admin';
const MINT_SIZE = 82;
const MAX_CHALLENGE_SECONDS = 7_776_000n;
const MAX_FEE_BPS = 1_000;
const MAX_NAME_YEAR_PRICE = 1n << 40n;
const MAX_COMMIT_SECONDS = 3_600;
/** Which setting each flag of `configure` stands for. */
const FEE = 1;
const TREASURY = 2;
const NAME_YEAR_PRICE = 4;
const COMMIT_SECONDS = 8;
const ADMIN = 16;

const BPS_WHOLE = 10_000n;

type Settings = Partial<Pick<Bank, 'feeBps' | 'nameYearPrice' | 'commitSeconds'>> & {
  readonly treasury?: Label | null;
};

/** `amount` x bps, in whole base units, and the ten-thousandths that are carried. */
export function part(amount: bigint, bps: number, carry = 0): { readonly whole: bigint; readonly carry: number } {
  const exact = amount * BigInt(bps) + BigInt(carry);
  return { whole: exact / BPS_WHOLE, carry: Number(exact % BPS_WHOLE) };
}

function requireSettings({ feeBps = 0, treasury, nameYearPrice = 0n, commitSeconds = 1 }: Settings): void {
  const inRange =
    feeBps <= MAX_FEE_BPS &&
    treasury !== null &&
    nameYearPrice <= MAX_NAME_YEAR_PRICE &&
    commitSeconds >= 1 &&
    commitSeconds <= MAX_COMMIT_SECONDS;
  if (!inRange) refuse('InvalidConfiguration');
}

/** The documents do not say which of several faults is told; here the ranges of price and period come before the existence. */
export function initialize(world: World, { accounts, args }: Calls['initialize']): void {
  const { unitsPerLamport, challengeSeconds } = args;
  if (unitsPerLamport === 0n || challengeSeconds === 0n || challengeSeconds > MAX_CHALLENGE_SECONDS) {
    refuse('InvalidConfiguration');
  }
  if (accounts.admin !== UPGRADER) refuse('NotUpgradeAuthority');
  if (world.banks.get('bank') !== undefined) refuse('AlreadyExists');
  const cushion = CUSHION * world.rent(BANK_SIZE) - lamportsOf(world, 'bank');
  if (cushion > 0n) transfer(world, accounts.admin, 'bank', cushion);
  payRent(world, accounts.admin, 'mint', MINT_SIZE);
  requireSettings(args);
  const nothing = { bought: 0n, redeemed: 0n, burned: 0n, minted: 0n, openDeposits: 0n, unminted: 0n, reserve: 0n };
  const ours = { forgone: 0n, rent: lamportsOf(world, 'bank'), slotRents: 0n };
  const treasury = args.treasury ?? refuse('InvalidConfiguration');
  const { admin } = accounts;
  world.banks.set('bank', { ...args, ...nothing, ...ours, admin, treasury, fees: 0n, feeCarry: 0, lifetimeFees: 0n });
  world.supply.set('mint', 0n);
}

export function buy(world: World, { accounts, args: { lamports } }: Calls['buy']): void {
  const { bank } = world;
  // The documents are silent: what is no token account at all is a wrong owner, not a WrongTokenAccount.
  if (world.purses.get(accounts.destination) === undefined) refuse('WrongOwner');
  if (lamports === 0n) refuse('ZeroAmount');
  const units = fits(lamports * bank.unitsPerLamport);
  fits(outstanding(bank) + units);
  world.setBank({ reserve: fits(bank.reserve + lamports), bought: wraps(bank.bought + units) });
  transfer(world, accounts.buyer, 'bank', lamports);
  mint(world, accounts.destination, units);
}

export function redeem(world: World, { accounts, args: { amount } }: Calls['redeem']): void {
  const { bank } = world;
  requirePurse(world, accounts.source, accounts.owner);
  if (amount === 0n) refuse('ZeroAmount');
  if (amount % bank.unitsPerLamport !== 0n) refuse('NotWholeLamports');
  burn(world, accounts.source, amount);
  const lamports = amount / bank.unitsPerLamport;
  if (lamports > bank.reserve || lamports > lamportsOf(world, 'bank')) refuse('ReserveTooLow');
  world.setBank({ reserve: bank.reserve - lamports, redeemed: wraps(bank.redeemed + amount) });
  addLamports(world, 'bank', -lamports);
  addLamports(world, accounts.owner, lamports);
}

/** The order of the checks is the code's: final before foreign, then the flags, then the fields in their order. */
export function configure(world: World, { accounts, args }: Calls['configure']): void {
  const { bank } = world;
  const { flags } = args;
  if (bank.admin === null) refuse('ConfigurationFinal');
  if (bank.admin !== accounts.admin) refuse('NotAdmin');
  if (flags === 0 || flags > 31) refuse('InvalidInstruction');
  requireSettings({
    ...(flags & FEE && { feeBps: args.feeBps }),
    ...(flags & TREASURY && { treasury: args.treasury }),
    ...(flags & NAME_YEAR_PRICE && { nameYearPrice: args.nameYearPrice }),
    ...(flags & COMMIT_SECONDS && { commitSeconds: args.commitSeconds }),
  });
  if (flags & ADMIN && args.newAdmin !== null && accounts.newAdmin !== args.newAdmin) refuse('WrongAddress');
  world.setBank({
    ...(flags & FEE && { feeBps: args.feeBps }),
    ...(flags & TREASURY && args.treasury !== null && { treasury: args.treasury }),
    ...(flags & NAME_YEAR_PRICE && { nameYearPrice: args.nameYearPrice }),
    ...(flags & COMMIT_SECONDS && { commitSeconds: args.commitSeconds }),
    ...(flags & ADMIN && { admin: args.newAdmin }),
  });
}

export function collectFees(world: World, { accounts: { destination } }: Calls['collectFees']): void {
  const { treasury, fees } = world.bank;
  requirePurse(world, destination, treasury);
  if (fees === 0n) return;
  world.setBank({ fees: 0n });
  payOut(world, destination, fees);
}

/** Credits in circulation, in deposits and earned: what the reserve must cover. */
export function outstanding({ bought, redeemed }: Bank): bigint {
  return wraps(bought - redeemed);
}

/** Credits go into a channel: its deposit and its opening payment. */
export function deposit(world: World, purse: Label, amount: bigint, opening: bigint): void {
  const { openDeposits, burned } = world.bank;
  const sum = fits(amount + opening);
  world.setBank({ openDeposits: fits(openDeposits + sum), burned: wraps(burned + sum) });
  burn(world, purse, sum);
}

/** What an opener put down: it must be there beside everything that is somebody's. */
export function takeSlotRent(world: World, lamports: bigint): void {
  const slotRents = fits(world.bank.slotRents + lamports);
  world.setBank({ slotRents });
  const { rent, reserve } = world.bank;
  if (lamportsOf(world, 'bank') < rent + reserve + slotRents) refuse('SlotRentMissing');
  world.count('slot rents taken', lamports);
}

export function returnSlotRent(world: World, to: Label, lamports: bigint): void {
  world.setBank({ slotRents: world.bank.slotRents - lamports });
  addLamports(world, 'bank', -lamports);
  addLamports(world, to, lamports);
}

/** Deposits become earnings; the treasury gets its part. Returns the fee. */
export function earn(world: World, total: bigint): bigint {
  const { openDeposits, unminted, feeBps, feeCarry, fees, lifetimeFees } = world.bank;
  const fee = part(total, feeBps, feeCarry);
  world.setBank({
    openDeposits: fits(openDeposits - total),
    unminted: fits(unminted + total),
    fees: fits(fees + fee.whole),
    feeCarry: fee.carry,
    lifetimeFees: wraps(lifetimeFees + fee.whole),
  });
  return fee.whole;
}

/** Earned credits are minted. */
export function payOut(world: World, purse: Label, amount: bigint): void {
  const { unminted, minted } = world.bank;
  world.setBank({ unminted: fits(unminted - amount), minted: wraps(minted + amount) });
  mint(world, purse, amount);
}

/** An opening payment that its payee has not returned is nobody's. */
export function forgo(world: World, opening: bigint): void {
  const { openDeposits, forgone } = world.bank;
  world.setBank({ openDeposits: fits(openDeposits - opening), forgone: fits(forgone + opening) });
}

/** What a channel did not spend is minted back. */
export function refund(world: World, purse: Label, amount: bigint): void {
  const { openDeposits, minted } = world.bank;
  world.setBank({ openDeposits: fits(openDeposits - amount), minted: wraps(minted + amount) });
  mint(world, purse, amount);
}

/** The price of a name is burned and is the treasury's. Nothing is looked at when it is free. */
export function charge(world: World, payer: Label, source: Label, price: bigint, maxPrice: bigint): void {
  if (price > maxPrice) refuse('PriceAboveMaximum');
  if (price === 0n) return;
  requirePurse(world, source, payer);
  const { unminted, fees, burned, lifetimeFees } = world.bank;
  world.setBank({
    unminted: fits(unminted + price),
    fees: fits(fees + price),
    burned: wraps(burned + price),
    lifetimeFees: wraps(lifetimeFees + price),
  });
  burn(world, source, price);
}
