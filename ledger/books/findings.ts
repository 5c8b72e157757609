/** What was wrong with the books when they were opened or inspected. */
import { access } from 'node:fs/promises';
import path from 'node:path';
import { RelaymintError } from '../../core/errors.ts';
import type { Log } from '../../core/ports.ts';
import { merge } from './copy.ts';
import type { Missing } from './copy.ts';
import { openError } from './failure.ts';
import { readJournal } from './journal.ts';
import { Level } from './level.ts';
import { payloadOf } from './record.ts';
import type { WorthOf } from './record.ts';

/** The files in the folder of the books. */
export const FILES: { readonly level: string; readonly journal: string; readonly reading: string } = {
  level: 'level',
  journal: 'journal',
  reading: 'level.reading',
};
/** Version 1 was a LevelDB in the folder itself. */
const VERSION_1_FILE = 'CURRENT';

/** What was wrong with the files when they were opened. */
export interface Findings {
  /** Damaged copies: what is wrong, and where the damaged files are kept. */
  readonly damaged: readonly Damage[];
  /** Nothing that was confirmed is missing. */
  readonly complete: boolean;
  readonly missing: Missing;
}

export interface Damage {
  readonly copy: 'journal' | 'level';
  readonly faults: readonly string[];
  /** undefined when there was nothing to keep. */
  readonly keptAs: string | undefined;
}

export function sayFindings({ damaged, complete, missing }: Findings, log: Log): void {
  for (const { copy, faults, keptAs } of damaged) {
    log.warn(
      { copy, faults: faults.slice(0, 8), ...(keptAs === undefined ? {} : { keptAs }) },
      `one copy of the books was damaged; it was rebuilt${complete ? ' from the other, and nothing is missing' : ''}`,
    );
  }
  if (complete) return;
  log.error(
    {
      missingRecords: missing.records,
      missingUnits: String(missing.worth),
      unreadable: missing.keys.slice(0, 32),
    },
    'both copies of the books are damaged and at least this much of them is missing: payers bring their newest receipts when they connect; import a receipt file with "relaymint books import"',
  );
}

/** What is on disk. */
export interface Inspected extends Findings {
  /** There are no books there. */
  readonly absent: boolean;
  /** The newest of either copy. */
  readonly entries: ReadonlyMap<string, Uint8Array>;
}

/** Reads both copies without changing them. Nobody may have them open. */
export async function inspect(directory: string, worthOf: WorthOf): Promise<Inspected> {
  await refuseVersion1(directory);
  try {
    const level = await Level.inspect(path.join(directory, FILES.level), worthOf);
    const journal = await readJournal(path.join(directory, FILES.journal), worthOf);
    const { live, complete, missing } = merge(level, journal, worthOf);
    const damaged: Damage[] = [];
    const news = level.absent && journal.absent;
    for (const [copy, read] of [
      ['journal', journal],
      ['level', level],
    ] as const) {
      if (read.whole !== undefined || news) continue;
      damaged.push({ copy, faults: read.absent ? ['it is missing'] : read.faults, keptAs: undefined });
    }
    const entries = new Map(Array.from(live, ([key, record]) => [key, payloadOf(record)] as const));
    return { damaged, complete, missing, entries, absent: news };
  } catch (error) {
    throw openError(directory, error);
  }
}

/** @throws RelaymintError VERSION_UNSUPPORTED. */
export async function refuseVersion1(directory: string): Promise<void> {
  if (!(await exists(path.join(directory, VERSION_1_FILE)))) return;
  throw new RelaymintError('VERSION_UNSUPPORTED', `The books in ${directory} have format version 1, not 2.`, {
    remedy: 'Use the version of Relaymint that wrote them, or give this one another --data directory.',
  });
}

export async function exists(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch {
    return false;
  }
}
