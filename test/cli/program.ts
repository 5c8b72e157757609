/** Runs `relaymint` as a user does, in a process and an environment of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('../../bin/relaymint.js', import.meta.url));

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Surroundings {
  /** What comes in on standard input, which then ends. */
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Running {
  readonly child: ChildProcess;
  readonly finished: Promise<Finished>;
}

export function start(args: readonly string[], { input = '', env = {} }: Surroundings = {}): Running {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, RELAYMINT_LOG_LEVEL: 'warn', ...env },
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  // A command that reads nothing may be gone before this arrives.
  child.stdin.on('error', () => undefined).end(input);
  const finished = once(child, 'close').then(([code]) => ({ code: code as number | null, ...output }));
  return { child, finished };
}

export function run(args: readonly string[], surroundings: Surroundings = {}): Promise<Finished> {
  return start(args, surroundings).finished;
}
