/**
 * Units are types. A plain number or bigint is not accepted where one of these is expected; the constructors check the
 * range, and they are the only way in from outside.
 */
import { RelaymintError } from './errors.ts';

declare const unit: unique symbol;
type Branded<T, Name extends string> = T & { readonly [unit]: Name };

/** Base units of the credit token (1 credit = 1,000,000 base units), 0 .. 2^64-1. */
export type Amount = Branded<bigint, 'Amount'>;
/** Base units of credit for one MiB (2^20 bytes) carried, 0 .. 2^40. */
export type PricePerMiB = Branded<bigint, 'PricePerMiB'>;
/** A count of bytes, 0 .. 2^53-1. */
export type Bytes = Branded<number, 'Bytes'>;
/** Milliseconds since 1970-01-01 UTC. */
export type UnixMillis = Branded<number, 'UnixMillis'>;
/** A length of time in milliseconds. */
export type Millis = Branded<number, 'Millis'>;
/** Whole seconds since 1970-01-01 UTC, as the chain's clock tells them. */
export type UnixSeconds = Branded<bigint, 'UnixSeconds'>;
/** Lamports (10^-9 SOL), 0 .. 2^64-1. */
export type Lamports = Branded<bigint, 'Lamports'>;

/** A share in parts of 10,000, 0 .. 10,000. */
export type BasisPoints = Branded<number, 'BasisPoints'>;

export const U64_MAX: bigint = (1n << 64n) - 1n;
export const MIB: number = 1024 * 1024;
/** The whole of something. */
export const ALL_BPS: BasisPoints = 10_000 as BasisPoints;
/** Base units in one credit. */
export const BASE_UNITS_PER_CREDIT: bigint = 1_000_000n;
const CREDIT_DECIMALS = 6;
/** Base units per MiB: more than a million credits is a mistake. */
export const MAX_PRICE: bigint = 1n << 40n;

/** The one choke point for u64 values that count money. @throws RangeError outside 0 .. 2^64-1. */
export function amount(value: bigint | number): Amount {
  return u64(value, 'amount') as Amount;
}

export function lamports(value: bigint | number): Lamports {
  return u64(value, 'lamports') as Lamports;
}

/** @throws RangeError outside 0 .. 2^40 base units per MiB (more than a million credits per MiB is a mistake). */
export function pricePerMiB(value: bigint | number): PricePerMiB {
  const price = u64(value, 'price');
  if (price > MAX_PRICE) throw new RangeError(`price must be at most ${MAX_PRICE} base units per MiB, got ${price}`);
  return price as PricePerMiB;
}

export function bytes(value: number): Bytes {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new RangeError(`bytes must be a whole number >= 0, got ${value}`);
  return value as Bytes;
}

export function unixMillis(value: number): UnixMillis {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`milliseconds must be >= 0, got ${value}`);
  return value as UnixMillis;
}

export function unixSeconds(value: bigint | number): UnixSeconds {
  return u64(value, 'seconds') as UnixSeconds;
}

/** @throws RangeError outside 0 .. 10,000. */
export function basisPoints(value: number): BasisPoints {
  if (Number.isInteger(value) && value >= 0 && value <= ALL_BPS) return value as BasisPoints;
  throw new RangeError(`a share must be a whole number of basis points, 0 .. ${ALL_BPS}, got ${value}`);
}

function u64(value: bigint | number, what: string): bigint {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw new RangeError(`${what} must be a whole number, got ${value}`);
  }
  const wide = BigInt(value);
  if (wide < 0n || wide > U64_MAX) throw new RangeError(`${what} must fit an unsigned 64-bit integer, got ${wide}`);
  return wide;
}

/** Sum of amounts. @throws RangeError when it leaves the u64 range. */
export function addAmounts(...values: readonly Amount[]): Amount {
  let total = 0n;
  for (const value of values) total += value;
  return amount(total);
}

/** `a - b`. @throws RangeError when b is greater. */
export function subtractAmount(a: Amount, b: Amount): Amount {
  return amount(a - b);
}

/** "1234.5" credits -> base units. Plain decimal digits, at most six after the point. @throws RelaymintError INVALID_ARGUMENT. */
export function parseCredits(text: string): Amount {
  return amount(parseDecimal(text, CREDIT_DECIMALS, 'credits'));
}

/** Base units -> "1234.5", exact, without trailing zeros. */
export function formatCredits(value: Amount | PricePerMiB): string {
  return formatDecimal(value, CREDIT_DECIMALS);
}

/** "0.5" SOL -> lamports. @throws RelaymintError INVALID_ARGUMENT. */
export function parseSol(text: string): Lamports {
  return lamports(parseDecimal(text, 9, 'SOL'));
}

export function formatSol(value: Lamports): string {
  return formatDecimal(value, 9);
}

function parseDecimal(text: string, decimals: number, what: string): bigint {
  const match = /^(\d{1,20})(?:\.(\d+))?$/.exec(text.trim());
  const fraction = match?.[2] ?? '';
  if (match === null || fraction.length > decimals) {
    throw new RelaymintError('INVALID_ARGUMENT', `"${text}" is not an amount of ${what}.`, {
      remedy: `Write digits with at most ${decimals} decimals, for example 12.5.`,
    });
  }
  const value = BigInt((match[1] ?? '0') + fraction.padEnd(decimals, '0'));
  if (value > U64_MAX) {
    throw new RelaymintError('INVALID_ARGUMENT', `"${text}" ${what} is more than can exist.`, {
      remedy: 'Give a smaller amount.',
    });
  }
  return value;
}

function formatDecimal(value: bigint, decimals: number): string {
  const digits = value.toString().padStart(decimals + 1, '0');
  const fraction = digits.slice(-decimals).replace(/0+$/, '');
  const whole = digits.slice(0, -decimals);
  return fraction === '' ? whole : `${whole}.${fraction}`;
}

/** "12.3 MiB": for people, never for scripts. */
export function formatBytes(value: Bytes | number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let scaled: number = value;
  let step = 0;
  while (scaled >= 1024 && step < names.length - 1) {
    scaled /= 1024;
    step += 1;
  }
  return `${step === 0 ? scaled : scaled.toFixed(1)} ${names[step]}`;
}
