/** Whose files and sockets are trusted as tor's if no setting names them. */
import { readFile } from 'node:fs/promises';

/** What packages of tor call its user: Debian, OpenBSD and others, Arch and others, Fedora. */
const TOR_USERS: readonly string[] = ['debian-tor', '_tor', 'tor', 'toranon'];
/** Users of the system are below; a person whose name is Tor is not. */
const FIRST_PERSON = 1000;
const ROOT = 0;

/** True for root, for ourselves, and for tor's user as `passwd`, the text of /etc/passwd, has it. */
export function mayBeTor(uid: number, ours: number | undefined, passwd: string): boolean {
  if (uid === ROOT || uid === ours) return true;
  if (uid >= FIRST_PERSON) return false;
  return passwd.split('\n').some((line) => {
    const [name = '', , id] = line.split(':');
    return TOR_USERS.includes(name) && id === String(uid);
  });
}

/** `mayBeTor` on this machine. Never throws. */
export async function isTorsOwner(uid: number): Promise<boolean> {
  const passwd = await readFile('/etc/passwd', 'utf8').catch(() => '');
  return mayBeTor(uid, process.getuid?.(), passwd);
}
