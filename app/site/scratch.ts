/** A folder for blocks of this process alone. What processes that were killed left is removed by the next one. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { isRunning } from '../../platform/process.ts';

export interface Scratch extends AsyncDisposable {
  readonly path: string;
}

const PREFIX = 'relaymint-scratch-';

/** `what`: a word of its name. */
export async function openScratch(what: string): Promise<Scratch> {
  await removeLeft();
  const folder = await mkdtemp(path.join(tmpdir(), `${PREFIX}${process.pid}-${what}-`));
  return { path: folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

async function removeLeft(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const [, pid] = name.startsWith(PREFIX) ? (/^(\d+)-/.exec(name.slice(PREFIX.length)) ?? []) : [];
    if (pid === undefined || isRunning(Number(pid))) continue;
    // Somebody else's stays.
    await rm(path.join(tmpdir(), name), { recursive: true, force: true }).catch(() => undefined);
  }
}
