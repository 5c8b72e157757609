/** Programs of this machine that we run. */
import { access, constants } from 'node:fs/promises';
import path from 'node:path';
import { RelaymintError } from '../core/errors.ts';

/** Programs that come from Debian packages of other names. */
const PACKAGES: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  nginx: 'nginx-light',
  setpriv: 'util-linux',
  certutil: 'libnss3-tools',
  'tor-gencert': 'tor',
};
/** Where daemons lie that are not on every user's PATH. */
const SYSTEM_PATHS: readonly string[] = ['/usr/sbin', '/sbin'];

/** The Debian package that a program is in. */
export function packageOf(program: string): string {
  return PACKAGES[program] ?? program;
}

/** The program's file. @throws RelaymintError PROGRAM_MISSING, naming the package. */
export async function findProgram(name: string): Promise<string> {
  const folders = [...(process.env['PATH'] ?? '').split(path.delimiter).filter(Boolean), ...SYSTEM_PATHS];
  for (const folder of folders) {
    const file = path.join(folder, name);
    const found = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return file;
  }
  throw new RelaymintError('PROGRAM_MISSING', `The program ${name} is not installed.`, {
    remedy: `On Debian and its derivatives: apt-get install ${packageOf(name)}`,
    details: { program: name },
  });
}
