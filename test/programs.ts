/** Programs of this machine that tests run beside ours, and what becomes of the tests where they are missing. */
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { describe } from 'vitest';
import { packageOf } from '../platform/program.ts';

const SYSTEM_PATHS = ['/usr/sbin', '/sbin'];

/** How to get those of them that are missing; undefined when all are here. */
export function missingPrograms(programs: readonly string[]): string | undefined {
  const missing = programs.filter((program) => !isInstalled(program));
  const packages = new Set(missing.map(packageOf));
  return packages.size === 0 ? undefined : `apt-get install ${[...packages].join(' ')}`;
}

/** `describe`, where nothing is missing. Elsewhere the tests are skipped and one line says why; in CI (CI=true) that is an error. */
export function describeUnless(lacking: string | undefined, what: string): typeof describe | typeof describe.skip {
  if (lacking === undefined) return describe;
  const message = `${what} need more of this machine: ${lacking}`;
  if (process.env['CI'] === 'true') throw new Error(message);
  process.stderr.write(`Skipped. ${message}\n`);
  return describe.skip;
}

function isInstalled(program: string): boolean {
  const folders = [...(process.env['PATH'] ?? '').split(path.delimiter), ...SYSTEM_PATHS];
  return folders.some((folder) => {
    try {
      accessSync(path.join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
