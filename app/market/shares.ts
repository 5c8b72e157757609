/**
 * Who earned what of the content of a round, twice: from what the host metered and the names' terms, and from the chain. What names and pages
 * got must agree to the base unit.
 */
import type { LedgerReader, NameEarning, NameRecord } from '../../ledger/contract.ts';
import { NO_CARRY, royaltyOf, type RoyaltyCarry } from '../../ledger/royalty.ts';
import { amount } from '../../core/units.ts';
import type { NodeStats } from '../control/index.ts';

/** Content of a name in the pages of one other name, or in its own. Amounts are decimal strings of base units. */
export interface ReportShare {
  readonly name: string;
  readonly owner: string;
  /** Of frames that the host sent for it. */
  readonly bytes: number;
  /** What was settled of what these bytes cost: less than two base units of it may still wait for the next settlement. */
  readonly paid: string;
  /** The royalty, basis points. */
  readonly termsBps: number;
  /** The name whose page showed it; null: its own. */
  readonly referrer: string | null;
  /** What of the royalty is the referrer's, basis points. */
  readonly referrerBps: number;
  /** What the chain says that it gave the name, and the referrer. */
  readonly accrued: string;
  readonly referrerAccrued: string;
}

/** Parts of a base unit wait in the account that a payer pays into, and in the books, for the next round too: together less than two. */
const CARRIED = 1n;

/** What host and chain said when a round began. */
export interface SharesBefore {
  readonly records: ReadonlyMap<string, NameRecord>;
  readonly content: readonly NodeStats['content'][number][];
  /** Signatures of settlements that the names had earned from. */
  readonly settled: ReadonlySet<string>;
}

export async function sharesBefore(
  reader: LedgerReader,
  names: readonly string[],
  stats: readonly NodeStats[],
): Promise<SharesBefore> {
  const records = await reader.findNames(names);
  const earned = await Promise.all(records.map(({ name }) => reader.nameEarnings(name)));
  return {
    records: new Map(records.map((record) => [record.name, record])),
    content: stats.flatMap(({ content }) => content),
    settled: new Set(earned.flatMap(({ earnings }) => earnings.map(({ signature }) => signature))),
  };
}

export interface Shares {
  readonly shares: readonly ReportShare[];
  /** What does not agree; empty when all does. */
  readonly faults: readonly string[];
}

export async function sharesSince(
  reader: LedgerReader,
  names: readonly string[],
  stats: readonly NodeStats[],
  before: SharesBefore,
): Promise<Shares> {
  const [records, { feeBps }] = await Promise.all([reader.findNames(names), reader.bank()]);
  const shares: ReportShare[] = [];
  const faults: string[] = [];
  const gained = new Map<string, bigint>();
  const gain = (name: string, units: bigint): void => void gained.set(name, (gained.get(name) ?? 0n) + units);
  for (const record of records) {
    const { name, owner, royaltyBps, referrerBps } = record;
    const { earnings, unread } = await reader.nameEarnings(name);
    if (unread.length > 0) faults.push(`${name}: the ledger does not say what ${unread.length} transactions did`);
    // Of its own content, in the order in which the program counted.
    const own = inOrder(earnings.filter((one) => one.name === name && !before.settled.has(one.signature)));
    const terms = { feeBps, royaltyBps, referrerBps };
    const rows = new Map<string | null, { gross: bigint; accrued: bigint; referred: bigint }>();
    let carry: RoyaltyCarry = carryOf(before.records.get(name));
    for (const { referrer = null, gross, royalty, referred } of own) {
      const expected = royaltyOf(gross, referrer !== null, terms, carry);
      carry = expected.carry;
      if (expected.royalty !== royalty || expected.referred !== referred) {
        faults.push(
          `${name}: its terms give ${expected.royalty} and ${expected.referred}, the chain ${royalty} and ${referred}`,
        );
      }
      const row = rows.get(referrer) ?? { gross: 0n, accrued: 0n, referred: 0n };
      rows.set(referrer, {
        gross: row.gross + gross,
        accrued: row.accrued + royalty - referred,
        referred: row.referred + referred,
      });
      gain(name, royalty - referred);
      if (referrer !== null) gain(referrer, referred);
    }
    const metered = meteredOf(name, stats, before.content);
    for (const referrer of new Set([...metered.keys(), ...rows.keys()])) {
      const { bytes, gross } = metered.get(referrer) ?? { bytes: 0, gross: 0n };
      const row = rows.get(referrer) ?? { gross: 0n, accrued: 0n, referred: 0n };
      const difference = gross - row.gross;
      if (difference > CARRIED || difference < -CARRIED) {
        faults.push(`${name} in ${referrer ?? 'its own page'}: ${gross} was metered and ${row.gross} settled`);
      }
      shares.push({
        name,
        owner,
        bytes,
        paid: String(row.gross),
        termsBps: royaltyBps,
        referrer,
        referrerBps,
        accrued: String(row.accrued),
        referrerAccrued: String(row.referred),
      });
    }
  }
  for (const { name, lifetime } of records) {
    const grown = lifetime - (before.records.get(name)?.lifetime ?? amount(0n));
    const expected = gained.get(name) ?? 0n;
    if (grown !== expected) faults.push(`${name}: its record grew by ${grown}, its shares come to ${expected}`);
  }
  return { shares, faults };
}

/** Settlements come newest first; the shares of one stay in their order. */
function inOrder(earnings: readonly NameEarning[]): NameEarning[] {
  const groups = new Map<string, NameEarning[]>();
  for (const earning of earnings) groups.set(earning.signature, [...(groups.get(earning.signature) ?? []), earning]);
  return [...groups.values()].toReversed().flat();
}

function carryOf(record: NameRecord | undefined): RoyaltyCarry {
  return record === undefined ? NO_CARRY : record.carry;
}

function meteredOf(
  name: string,
  stats: readonly NodeStats[],
  before: SharesBefore['content'],
): Map<string | null, { readonly bytes: number; readonly gross: bigint }> {
  const metered = new Map<string | null, { readonly bytes: number; readonly gross: bigint }>();
  const add = (row: NodeStats['content'][number], sign: 1 | -1): void => {
    if (row.name !== name) return;
    const known = metered.get(row.referrer) ?? { bytes: 0, gross: 0n };
    metered.set(row.referrer, {
      bytes: known.bytes + sign * row.bytes,
      gross: known.gross + BigInt(sign) * BigInt(row.gross),
    });
  };
  for (const { content } of stats) for (const row of content) add(row, 1);
  for (const row of before) add(row, -1);
  return metered;
}
