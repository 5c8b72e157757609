/** Clients that are programs of their own: they run as long as their test, and end with us, however we end. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { deadline, orAborted } from '../../../../core/abort.ts';
import type { Cleanup } from '../../kit.ts';

const READY_MILLIS = 30_000;

export interface Running {
  readonly program: string;
  readonly args: readonly string[];
  readonly directory: string;
  readonly env?: Readonly<Record<string, string>>;
  /** In the line by which it says that it listens. */
  readonly ready: RegExp;
}

/** Resolves when it is ready. @throws Error with its last words. */
export async function startProgram({ program, args, directory, env, ready }: Running, cleanup: Cleanup): Promise<void> {
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', '--', program, ...args], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], HOME: directory, TMPDIR: directory, LC_ALL: 'C.UTF-8', ...env },
  });
  const exited = once(child, 'close');
  cleanup.add(async () => {
    child.kill('SIGTERM');
    await exited;
  });
  const words: string[] = [];
  const isReady = new Promise<void>((resolve, reject) => {
    for (const output of [child.stdout, child.stderr]) {
      createInterface({ input: output }).on('line', (line) => {
        words.push(line);
        if (ready.test(line)) resolve();
      });
    }
    exited.then(() => reject(new Error(`${program} ended: ${words.slice(-8).join('\n')}`)), reject);
  });
  using limit = deadline(READY_MILLIS, `Starting ${program}`);
  await orAborted(isReady, limit.signal, `Starting ${program}`);
}
