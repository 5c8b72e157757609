/** What was made of a publisher's files, kept from one publish to the next under what it was made of, and how. */
import { createHash } from 'node:crypto';
import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { replaceFile } from '../../platform/disk/atomic-file.ts';
import { hasErrno } from '../../platform/errno.ts';

export interface MadeFile {
  readonly file: string;
  readonly size: number;
}

const KEPT = /^[0-9a-f]{64}$/;

export class MadeFiles {
  readonly #folder: string;
  /** Also what turned out to be of no use, which is not made again. */
  readonly #used = new Set<string>();

  /** `folder`: nothing else is in it. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Made now, or before. @throws what `make` throws; the system's error. */
  async of(recipe: readonly unknown[], make: () => Promise<Uint8Array>): Promise<MadeFile> {
    const file = path.join(this.#folder, createHash('sha256').update(JSON.stringify(recipe)).digest('hex'));
    this.#used.add(file);
    const before = await stat(file).catch((error: unknown) => {
      if (!hasErrno(error, 'ENOENT')) throw error;
    });
    if (before !== undefined) return { file, size: before.size };
    const content = await make();
    await replaceFile(file, content);
    return { file, size: content.length };
  }

  /** What was made before of other files, or in another way. */
  async forgetOthers(): Promise<void> {
    for (const name of await readdir(this.#folder)) {
      const file = path.join(this.#folder, name);
      if (KEPT.test(name) && !this.#used.has(file)) await rm(file, { force: true });
    }
  }
}
