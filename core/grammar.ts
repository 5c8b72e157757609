/**
 * How people write shares, sizes and durations: the same on the command line, in the environment and in files, and always with a
 * unit, so that "20" cannot mean 20% in one place and 0.2% in another. Amounts of money: `parseCredits` and `parseSol`.
 */
import { ALL_BPS, basisPoints, bytes, type BasisPoints, type Bytes, type Millis } from './units.ts';

const SIZE_UNITS = ['B', 'K', 'M', 'G', 'T'];
const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
/** A century: anything longer is a mistake. */
const MAX_DURATION_MILLIS = 36_525 * 86_400_000;

/** "20%", "2.5%", "2000bps" or "0". @throws RangeError */
export function parseShare(text: string): BasisPoints {
  const [, whole = '', fraction = '', unit = ''] = /^(\d{1,5})(?:\.(\d{1,2}))?(%|bps)?$/.exec(text.trim()) ?? [];
  const value = unit === '%' ? Number(whole) * 100 + Number(fraction.padEnd(2, '0')) : Number(whole);
  const isWritten = unit === '%' || (unit === 'bps' && fraction === '') || (whole === '0' && fraction === '');
  if (whole !== '' && isWritten && value <= ALL_BPS) return basisPoints(value);
  throw new RangeError('Write a share with its unit, from 0% to 100% or from 0bps to 10000bps: 20% is 2000bps.');
}

/** Basis points -> "20%" or "2.5%". */
export function formatShare(bps: number): string {
  return `${bps / 100}%`;
}

/** "500M", "20G", "1024B" or "0"; K, M, G and T are powers of 1024. @throws RangeError */
export function parseSize(text: string): Bytes {
  const [, digits, unit] = /^(\d{1,15}) ?(B|[KMGT](?:i?B)?)?$/i.exec(text.trim()) ?? [];
  if (digits === '0') return bytes(0);
  if (unit === undefined) throw new RangeError('Write a size with its unit, B, K, M, G or T: 500M, 20G.');
  return bytes(Number(digits) * 1024 ** SIZE_UNITS.indexOf(unit.charAt(0).toUpperCase()));
}

/** "90s", "30m", "24h", "7d", "250ms" or "0" -> milliseconds, at most a century. @throws RangeError */
export function parseDuration(text: string): Millis {
  const [, digits, unit = ''] = /^(\d{1,12})(ms|[smhd])?$/.exec(text.trim()) ?? [];
  const millis = digits === '0' ? 0 : Number(digits) * (DURATION_UNITS[unit] ?? Number.NaN);
  if (millis <= MAX_DURATION_MILLIS) return millis as Millis;
  throw new RangeError('Write a duration with its unit: 90s, 30m, 24h or 7d.');
}
