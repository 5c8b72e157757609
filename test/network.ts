/** What tests of private networks need of the machine, and what becomes of them where it is missing. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { describe } from 'vitest';

/** The Debian package of each program that is not in a package of its own name. */
const PACKAGES: Readonly<Record<string, string>> = { ip: 'iproute2', unshare: 'util-linux', nsenter: 'util-linux' };
const ALWAYS = ['unshare', 'nsenter', 'ip'] as const;
const SYSTEM_PATHS = ['/usr/sbin', '/sbin'];

/**
 * `describe` where the programs are installed and this user may have a network namespace. Elsewhere the tests are skipped
 * and one line says what to install; in CI (CI=true) that is an error, so that none is ever skipped there unnoticed.
 */
export function requirePrograms(...programs: readonly string[]): typeof describe | typeof describe.skip {
  const missing = [...ALWAYS, ...programs].filter((program) => !isInstalled(program));
  const reason =
    missing.length > 0
      ? `apt-get install ${missing.map((program) => PACKAGES[program] ?? program).join(' ')}`
      : mayHaveNamespaces()
        ? undefined
        : 'run them as root, or allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1)';
  if (reason === undefined) return describe;
  const message = `Tests over private networks (${programs.join(', ')}) need more of this machine: ${reason}`;
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

function mayHaveNamespaces(): boolean {
  const rights = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  return spawnSync('unshare', [...rights, '--net', '--pid', '--fork', 'true']).status === 0;
}
