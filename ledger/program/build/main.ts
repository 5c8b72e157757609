/**
 * Builds the on-chain program: `main [--check | --sha512-syscall FILE]`. Without an option it writes relaymint.so; `--check`
 * builds into a temporary folder and compares the bytes with the committed file; `--sha512-syscall` writes a program to
 * FILE that leaves SHA-512 to the runtime, for clusters that have that syscall (feature SIMD-0512).
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

export interface ProgramOptions {
  /** Let the runtime compute SHA-512. The program fails on clusters without that call. */
  readonly sha512Syscall?: boolean;
}

/** The program's bytes, built from `source` (the folder that holds src/lib.rs). */
export async function buildProgram(source: string, options: ProgramOptions = {}): Promise<Uint8Array> {
  const scratch = await mkdtemp(join(tmpdir(), 'relaymint-program-'));
  try {
    if (options.sha512Syscall !== true) return link(await compile(source, scratch));
    return link(await compile(source, scratch, ['relaymint_sha512_syscall']), ['sol_sha512']);
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
  const [option, file, ...more] = args;
  if (option === '--sha512-syscall' && file !== undefined && more.length === 0) {
    const built = await buildProgram(programFolder(), { sha512Syscall: true });
    await writeFile(file, built);
    return `Wrote ${file}, ${built.length} bytes.`;
  }
  if (args.length > 1 || (option !== undefined && option !== '--check')) {
    throw new RelaymintError('INVALID_ARGUMENT', `Unknown arguments: ${args.join(' ')}.`, {
      remedy: 'They are --check, or --sha512-syscall FILE.',
    });
  }
  const folder = programFolder();
  const target = join(folder, 'relaymint.so');
  const built = await buildProgram(folder);
  if (option === undefined) {
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
