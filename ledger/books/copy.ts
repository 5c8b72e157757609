/** What one copy of the books holds, and how two copies are merged. */
import { RelaymintError } from '../../core/errors.ts';
import { amount } from '../../core/units.ts';
import type { Amount } from '../../core/units.ts';
import { committed, FORMAT_VERSION, Inventory, seqOf } from './record.ts';
import type { Sealed, WorthOf } from './record.ts';

/** One copy as it was read. */
export interface Copy {
  /** The newest record of each key; undefined when it is known to be deleted since that write. */
  readonly versions: ReadonlyMap<string, Version>;
  /** Everything written up to this write is there, and nothing else, according to its own sums. undefined: damaged, or absent. */
  readonly whole: number | undefined;
  /** The newest commit that can be read. */
  readonly commit: Sealed | undefined;
  /** Nothing was ever written here. */
  readonly absent: boolean;
  /** The faults, as text for people; empty if there are none. */
  readonly faults: readonly string[];
  /** Keys whose record is there but fails its checksum. */
  readonly spoiled: readonly string[];
}

export interface Version {
  readonly seq: number;
  readonly record: Sealed | undefined;
}

/** Two copies taken together. */
export interface Merged {
  readonly live: Map<string, Sealed>;
  /** The newest write of which anything was found. */
  readonly seq: number;
  /** Nothing that was confirmed is missing: the sums of the newest commit agree, or neither copy ever held anything. */
  readonly complete: boolean;
  readonly missing: Missing;
}

/** What is certainly gone. */
export interface Missing {
  /** At least this many records. */
  readonly records: number;
  /** At least this much in receipts held, base units. */
  readonly worth: Amount;
  /** Records that are there and cannot be read, and have no second copy; or an older one. */
  readonly keys: readonly string[];
}

/** The newer version of each key; from a whole copy also what it no longer has. */
export function merge(a: Copy, b: Copy, worthOf: WorthOf): Merged {
  const live = new Map<string, Sealed>();
  let seq = Math.max(a.whole ?? 0, b.whole ?? 0, seqOfCommit(a), seqOfCommit(b));
  for (const key of new Set([...a.versions.keys(), ...b.versions.keys()])) {
    const newest = newer(versionIn(a, key), versionIn(b, key));
    if (newest.seq > seq) seq = newest.seq;
    if (newest.record !== undefined) live.set(key, newest.record);
  }
  if (a.absent && b.absent) return { live, seq, complete: true, missing: { records: 0, worth: amount(0n), keys: [] } };
  const found = new Inventory(worthOf);
  for (const [key, record] of live) found.add(key, record);
  const commit = seqOfCommit(a) > seqOfCommit(b) ? a.commit : (b.commit ?? a.commit);
  const complete = commit !== undefined && found.agreesWith(commit);
  const expected = commit === undefined ? { records: 0, worth: 0n } : committed(commit);
  const keys = complete ? [] : [...new Set([...a.spoiled, ...b.spoiled])];
  const records = Math.max(1, expected.records - found.records);
  const worth = expected.worth > found.worth && !complete ? expected.worth - found.worth : 0n;
  return { live, seq, complete, missing: { records: complete ? 0 : records, worth: amount(worth), keys } };
}

/** @throws RelaymintError VERSION_UNSUPPORTED. */
export function ensureVersion(directory: string, version: number): void {
  if (version === FORMAT_VERSION) return;
  throw new RelaymintError(
    'VERSION_UNSUPPORTED',
    `The books in ${directory} have format version ${version}, not ${FORMAT_VERSION}.`,
    { remedy: 'Use the version of Relaymint that wrote them, or give this one another --data directory.' },
  );
}

const UNKNOWN: Version = { seq: -1, record: undefined };

function versionIn(copy: Copy, key: string): Version {
  return copy.versions.get(key) ?? (copy.whole === undefined ? UNKNOWN : { seq: copy.whole, record: undefined });
}

/** Of the same write it is the record that counts: it is there. */
function newer(a: Version, b: Version): Version {
  if (a.seq === b.seq) return a.record === undefined ? b : a;
  return a.seq > b.seq ? a : b;
}

function seqOfCommit({ commit }: Copy): number {
  return commit === undefined ? 0 : seqOf(commit);
}
