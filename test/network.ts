/** Private networks for tests: those that all files of a run share, what they need of the machine, and what becomes of them where it is missing. */
import { spawnSync } from 'node:child_process';
import { inject, type describe } from 'vitest';
import { RelaymintError, type ErrorCode } from '../core/errors.ts';
import { silentLog } from '../core/ports.ts';
import { joinI2pNetwork, type I2pInvitation, type PrivateI2pNetwork } from '../testbed/i2p.ts';
import { joinTorNetwork, type PrivateTorNetwork, type TorInvitation } from '../testbed/tor.ts';
import type { Refusal } from './network-server.ts';
import { describeUnless, missingPrograms } from './programs.ts';

const ALWAYS = ['unshare', 'nsenter', 'ip'] as const;

/**
 * A client of the file's own in the Tor network that all files of the run share: other files do not notice what is done to it, and
 * it ends when it is disposed. Its files go to `directory`. The first who asks waits until the network runs, about 10 s.
 */
export async function joinSharedTor(directory: string): Promise<PrivateTorNetwork> {
  const { signal } = new AbortController();
  return joinTorNetwork((await invitation('tor')) as TorInvitation, { directory, log: silentLog, signal });
}

/** A router of the file's own, with SAM, in the I2P network that all files of the run share. The rest as `joinSharedTor`. */
export async function joinSharedI2p(directory: string): Promise<PrivateI2pNetwork> {
  const { signal } = new AbortController();
  return joinI2pNetwork((await invitation('i2p')) as I2pInvitation, { directory, log: silentLog, signal });
}

/** @throws RelaymintError that the start of the network ended with, whoever had asked for it first. */
async function invitation(name: string): Promise<unknown> {
  return invitationAt(inject('networks'), name);
}

/** The same of the server at `url`. */
export async function invitationAt(url: string, name: string): Promise<unknown> {
  const response = await fetch(`${url}/${name}`);
  const answer: unknown = await response.json();
  if (response.ok) return answer;
  const { code, message } = answer as Refusal;
  throw new RelaymintError(code as ErrorCode, message);
}

/**
 * `describe` where the programs are installed and this user may have a network namespace. Elsewhere the tests are skipped
 * and one line says what to install; in CI (CI=true) that is an error, so that none is ever skipped there unnoticed.
 */
export function requirePrograms(...programs: readonly string[]): typeof describe | typeof describe.skip {
  const lacking =
    missingPrograms([...ALWAYS, ...programs]) ??
    (mayHaveNamespaces()
      ? undefined
      : 'run them as root, or allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1)');
  return describeUnless(lacking, `Tests over private networks (${programs.join(', ')})`);
}

function mayHaveNamespaces(): boolean {
  const rights = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  return spawnSync('unshare', [...rights, '--net', '--pid', '--fork', 'true']).status === 0;
}
