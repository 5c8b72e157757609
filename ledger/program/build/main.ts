/**
 * Builds the on-chain program: `main [--check]`. Without an option it writes relaymint.so; `--check` builds into a
 * temporary folder and compares the bytes with the committed file.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { equalBytes } from '../../../core/codec.ts';
import { RelaymintError, messageOf } from '../../../core/errors.ts';
import { link } from './link.ts';
import { compile } from './toolchain.ts';

/** The program's bytes, built from `source` (the folder that holds src/lib.rs). */
export async function buildProgram(source: string): Promise<Uint8Array> {
  const scratch = await mkdtemp(join(tmpdir(), 'relaymint-program-'));
  try {
    return link(await compile(source, scratch));
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** `ledger/program` of the checkout this file runs from, compiled or not. */
export function programFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = resolve(folder, '..');
    if (parent === folder) throw new RelaymintError('FILE_NOT_FOUND', 'The source of the program is not here.');
    folder = parent;
  }
  return join(folder, 'ledger', 'program');
}

/** @throws RelaymintError STORAGE_FAILED when the committed program is not what the source builds. */
export async function main(args: readonly string[]): Promise<string> {
  const unknown = args.find((arg) => arg !== '--check');
  if (unknown !== undefined) {
    throw new RelaymintError('INVALID_ARGUMENT', `Unknown option ${unknown}.`, { remedy: 'The only one is --check.' });
  }
  const folder = programFolder();
  const target = join(folder, 'relaymint.so');
  const built = await buildProgram(folder);
  if (args.length === 0) {
    await writeFile(target, built);
    return `Wrote ${target}, ${built.length} bytes.`;
  }
  const committed = await readFile(target);
  if (!equalBytes(committed, built)) {
    throw new RelaymintError(
      'STORAGE_FAILED',
      `The committed relaymint.so (${committed.length} bytes) is not what the source builds (${built.length} bytes).`,
      { remedy: 'Run npm run program:build and commit the result.' },
    );
  }
  return `relaymint.so is what the source builds, ${built.length} bytes.`;
}

const invoked = process.argv[1];
if (invoked !== undefined && resolve(invoked) === fileURLToPath(import.meta.url)) {
  try {
    process.stdout.write(`${await main(process.argv.slice(2))}\n`);
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`);
    process.exitCode = 1;
  }
}
