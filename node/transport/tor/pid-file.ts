/** Which process runs a tor on a folder: its id, and when it began, because ids are used again. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { RelaymintError } from '../../../core/errors.ts';
import { deadline } from '../../../core/abort.ts';
import type { Endpoint } from '../endpoint.ts';
import { openEndpoint } from '../socket.ts';
import { managedTor } from './detect.ts';

/** One line: the process id and, where the system tells it, a space and the start in clock ticks since boot. */
const PID_FILE = 'relaymint.pid';
const PROBE_MILLIS = 2_000;

/** The process whose tor runs on this directory; undefined if there is none. */
export async function runningDaemon(directory: string): Promise<number | undefined> {
  const text = await readFile(path.join(directory, PID_FILE), 'utf8').catch(() => '');
  const [, id, began] = /^(\d+)(?: (\d+))?\s*$/.exec(text) ?? [];
  const pid = Number(id);
  if (!Number.isInteger(pid) || pid <= 0 || !isAlive(pid)) return undefined;
  const found = began === undefined ? undefined : await startOf(pid);
  const isOurs = found === undefined ? await accepts(managedTor(directory).control) : found === began;
  return isOurs ? pid : undefined;
}

/** One tor per directory; the file of a killed one is taken over. @throws RelaymintError FILE_IN_USE. */
export async function claim(directory: string): Promise<void> {
  const pid = await runningDaemon(directory);
  if (pid !== undefined && pid !== process.pid) {
    throw new RelaymintError('FILE_IN_USE', `A tor is already running on ${directory} (process ${pid}).`, {
      remedy: 'Use it, stop it with "relaymint tor stop", or give another --data.',
    });
  }
  const began = await startOf('self');
  const text = began === undefined ? `${process.pid}\n` : `${process.pid} ${began}\n`;
  await writeFile(path.join(directory, PID_FILE), text, { mode: 0o600 });
}

export async function release(directory: string): Promise<void> {
  await rm(path.join(directory, PID_FILE), { force: true });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** In clock ticks since boot (proc_pid_stat(5), field 22); undefined where the system does not tell. */
async function startOf(pid: number | 'self'): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The second field is a name in brackets, which may hold anything; the third one comes after the last bracket.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

async function accepts(endpoint: Endpoint): Promise<boolean> {
  using limit = deadline(PROBE_MILLIS, "Tor's control port");
  try {
    (await openEndpoint(endpoint, limit.signal)).destroy();
    return true;
  } catch {
    return false;
  }
}
