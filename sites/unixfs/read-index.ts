/**
 * What files were when they were last read, and the leaves that they became: an import passes over those that certainly are the same still.
 * It is a cache. One that is missing, damaged, of another folder or of another version is empty, and everything is read.
 *
 * A file is the same while its size, modification and change times (nanoseconds) and inode are. The system's clock ticks in steps, so that a
 * change just after a reading may leave the times as they were: a file that was touched shortly before it was read is not remembered (as
 * git has it for "racily clean" files).
 */
import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import path from 'node:path';
import { CID } from 'multiformats/cid';
import { z } from 'zod';
import { systemClock, type Clock } from '../../core/ports.ts';
import { readWhole, replaceFile } from '../../platform/disk/atomic-file.ts';
import { makeFolder } from '../../platform/disk/folder.ts';

/** Bytes of a leaf, as the profile `unixfs-v1-2025` has it. */
export const LEAF_BYTES: number = 1024 * 1024;

/** A file that was touched less than this before it was read may change without a trace: FAT keeps times to two seconds. */
const RACY_MILLIS = 3_000;
/** A root has at most 65,536 blocks, each of them about 80 bytes here. */
const MAX_INDEX_BYTES = 64 * 1024 * 1024;
const NANOS_PER_MILLI = 1_000_000n;

export interface ReadIndexOptions {
  /** Where it is kept. */
  readonly file: string;
  readonly clock?: Clock;
}

interface Known {
  /** Size, times and inode. */
  readonly mark: string;
  readonly leaves: readonly CID[];
}

const headSchema = z.object({ version: z.literal(1), folder: z.string(), sha256: z.string() });
const lineSchema = z.tuple([z.string(), z.string()], z.string());

export class ReadIndex {
  readonly #file: string;
  readonly #folder: string;
  readonly #clock: Clock;
  /** From earlier imports, and from this one. */
  readonly #known: ReadonlyMap<string, Known>;
  readonly #noted = new Map<string, Known>();

  private constructor(options: ReadIndexOptions, folder: string, known: ReadonlyMap<string, Known>) {
    this.#file = options.file;
    this.#folder = folder;
    this.#clock = options.clock ?? systemClock;
    this.#known = known;
  }

  /** `folder`: what is imported, absolute. Never fails. */
  static async open(options: ReadIndexOptions, folder: string): Promise<ReadIndex> {
    return new ReadIndex(options, folder, await knownIn(options.file, folder));
  }

  /** The leaves of the file at `name`, if it is certainly as it was when it was read. */
  leavesOf(name: string, stats: BigIntStats): readonly CID[] | undefined {
    const known = this.#known.get(name);
    return known?.mark === markOf(stats) ? known.leaves : undefined;
  }

  /** Now, for `note`. */
  begin(): number {
    return this.#clock.now();
  }

  /** The file was read: it was `stats` from `begunAt` until after its last byte. */
  note(name: string, stats: BigIntStats, begunAt: number, leaves: readonly CID[]): void {
    const touched = stats.mtimeNs > stats.ctimeNs ? stats.mtimeNs : stats.ctimeNs;
    if (touched > BigInt(begunAt - RACY_MILLIS) * NANOS_PER_MILLI) return;
    this.#noted.set(name, { mark: markOf(stats), leaves });
  }

  /** It was not read, as it is the same. */
  keep(name: string): void {
    const known = this.#known.get(name);
    if (known !== undefined) this.#noted.set(name, known);
  }

  /** Replaces what is on disk by what this import saw. @throws RelaymintError STORAGE_FAILED, STORAGE_FULL: then the old one stays. */
  async save(): Promise<void> {
    const lines = Array.from(
      this.#noted,
      ([name, { mark, leaves }]) => `${JSON.stringify([name, mark, ...leaves.map(String)])}\n`,
    );
    const rest = Buffer.from(lines.join(''));
    const head = { version: 1, folder: this.#folder, sha256: sha256(rest) };
    await makeFolder(path.dirname(this.#file));
    await replaceFile(this.#file, Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), rest]));
  }
}

function markOf({ size, mtimeNs, ctimeNs, ino }: BigIntStats): string {
  return `${size} ${mtimeNs} ${ctimeNs} ${ino}`;
}

/** Nothing, whatever is wrong with it. */
async function knownIn(file: string, folder: string): Promise<ReadonlyMap<string, Known>> {
  const known = new Map<string, Known>();
  try {
    const content = (await readWhole(file, ensureFits)) ?? Buffer.alloc(0);
    const end = content.indexOf('\n');
    const head = headSchema.parse(JSON.parse(content.toString('utf8', 0, end)));
    const rest = content.subarray(end + 1);
    if (head.folder !== folder || head.sha256 !== sha256(rest)) return known;
    for (const line of rest.toString().split('\n').slice(0, -1)) {
      const [name, mark, ...leaves] = lineSchema.parse(JSON.parse(line));
      known.set(name, { mark, leaves: leaves.map((leaf) => CID.parse(leaf)) });
    }
    return known;
  } catch {
    return new Map();
  }
}

function ensureFits(bytes: number): void {
  if (bytes > MAX_INDEX_BYTES) throw new RangeError(`${bytes} bytes`);
}

function sha256(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
