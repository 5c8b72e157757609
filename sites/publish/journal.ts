/**
 * What was published from a data folder: a line of JSON before a name is pointed at a root, and the same entry again, with its transaction,
 * once the chain has confirmed it. So a death between the two leaves an entry that says what was meant. No secret is in it, and nothing
 * that is paid depends on it.
 */
import { CID } from 'multiformats/cid';
import { z } from 'zod';
import { MAX_PUBLISHED_KEPT } from '../../core/limits.ts';
import { unixMillis, type UnixMillis } from '../../core/units.ts';
import { replaceFile } from '../../platform/disk/atomic-file.ts';
import { diskError } from '../../platform/disk/disk-error.ts';
import { appendLines, joined, readLines } from '../../platform/disk/line-file.ts';

/** How a name came to point where it points. */
export type PublishStep = 'registered' | 'updated' | 'rolled back' | 'unpublished';

export interface PublishEntry {
  readonly name: string;
  /** From 1, of each name its own; it stays what it is. */
  readonly number: number;
  readonly at: UnixMillis;
  readonly step: PublishStep;
  /** undefined: the name points to nothing. */
  readonly root: CID | undefined;
  /** Of the folder; absent where nobody knows any more. */
  readonly files?: number | undefined;
  readonly bytes?: number | undefined;
  /** Node ids of those that took it. */
  readonly hosts: readonly string[];
  /** undefined: it was not confirmed as far as is known here. */
  readonly transaction: string | undefined;
}

/** Entries of each name that stay. */
const LEAST_OF_NAME = 16;
/** More is not read. */
const MAX_BYTES = 16 * 1024 * 1024;

const lineSchema: z.ZodType<PublishEntry> = z.object({
  name: z.string(),
  number: z.int().positive(),
  at: z.int().nonnegative().transform(unixMillis),
  step: z.enum(['registered', 'updated', 'rolled back', 'unpublished']),
  root: z
    .string()
    .nullable()
    .transform((text) => (text === null ? undefined : CID.parse(text))),
  files: z.int().optional(),
  bytes: z.int().optional(),
  hosts: z.array(z.string()),
  transaction: z
    .string()
    .nullable()
    .transform((text) => text ?? undefined),
});

export class PublishJournal {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /** Of one name, oldest first. Lines that cannot be read are passed over. @throws RelaymintError STORAGE_FAILED. */
  async read(name: string): Promise<readonly PublishEntry[]> {
    return entriesOf(await readLines(this.#file, MAX_BYTES)).filter((entry) => entry.name === name);
  }

  /** Adds an entry, with the next number of its name. @throws RelaymintError STORAGE_FULL, STORAGE_FAILED. */
  async begin(entry: Omit<PublishEntry, 'number' | 'transaction'>): Promise<PublishEntry> {
    const last = (await this.read(entry.name)).at(-1)?.number ?? 0;
    const begun = { ...entry, number: last + 1, transaction: undefined };
    await this.#add(begun);
    return begun;
  }

  /** It is confirmed. @throws RelaymintError STORAGE_FULL, STORAGE_FAILED. */
  async confirm(entry: PublishEntry, transaction: string): Promise<void> {
    await this.#add({ ...entry, transaction });
  }

  async #add(entry: PublishEntry): Promise<void> {
    try {
      await appendLines(this.#file, [lineOf(entry)]);
      const lines = await readLines(this.#file, MAX_BYTES);
      if (lines.length < 2 * MAX_PUBLISHED_KEPT) return;
      const kept = newestOf(entriesOf(lines));
      await replaceFile(this.#file, Buffer.from(joined(kept.map(lineOf))));
    } catch (cause) {
      throw diskError(cause, 'Writing down what was published');
    }
  }
}

/** The newest of all, and of each name some, however busy others are: its numbers go on from there. */
function newestOf(entries: readonly PublishEntry[]): readonly PublishEntry[] {
  const ofName = new Map<string, number>();
  const isKept = ({ name }: PublishEntry, age: number): boolean => {
    const newer = ofName.get(name) ?? 0;
    ofName.set(name, newer + 1);
    return age < MAX_PUBLISHED_KEPT || newer < LEAST_OF_NAME;
  };
  return entries.toReversed().filter(isKept).toReversed();
}

/** An entry that was confirmed later counts as confirmed, where it began. */
function entriesOf(lines: readonly string[]): PublishEntry[] {
  const entries = new Map<string, PublishEntry>();
  for (const line of lines) {
    const entry = entryOf(line);
    if (entry !== undefined) entries.set(`${entry.name} ${entry.number}`, entry);
  }
  return Array.from(entries.values());
}

function entryOf(line: string): PublishEntry | undefined {
  try {
    return lineSchema.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}

function lineOf({ root, transaction, ...entry }: PublishEntry): string {
  return JSON.stringify({ ...entry, root: root?.toString() ?? null, transaction: transaction ?? null });
}
