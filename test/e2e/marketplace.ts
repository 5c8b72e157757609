/** Runs the real `relaymint` program in processes of its own, as a user would, on folders that go with the test. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const PROGRAM: string = fileURLToPath(new URL('../../bin/relaymint.js', import.meta.url));

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one command to its end. */
export async function relaymint(...args: readonly string[]): Promise<Finished> {
  return relaymintIn(tmpdir(), ...args);
}

/** The same with a folder of its own for temporary files, to see what it leaves there. */
export async function relaymintIn(temporary: string, ...args: readonly string[]): Promise<Finished> {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: temporary },
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...output };
}

export interface ReadyEvent {
  readonly event: 'ready';
  readonly walletLink?: string;
  readonly visitor?: string;
  readonly gateway: string;
  readonly site: string;
  readonly ledger: string;
  readonly programId: string;
  readonly cid: string;
  readonly nodes: readonly {
    readonly label: string;
    readonly dataDir: string;
    readonly wallet: string;
    readonly role: string;
    readonly nodeId: string;
    readonly addresses: readonly string[];
  }[];
  readonly pids: Readonly<Record<string, number>>;
}

/** A marketplace that stays up: `relaymint start --json`. */
export interface Marketplace extends AsyncDisposable {
  readonly ready: ReadyEvent;
  /** Current process ids, by label. */
  readonly pids: Map<string, number>;
  /** Resolves when the process with this label was restarted after the call. */
  restarted(label: string): Promise<void>;
  /** Ctrl-C; resolves with the exit code. */
  stop(): Promise<number | null>;
  /** kill -9 of the marketplace itself. */
  kill(): void;
}

export async function startMarketplace(...args: readonly string[]): Promise<Marketplace> {
  const child = spawn(process.execPath, [PROGRAM, 'start', '--json', '--port', '0', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const pids = new Map<string, number>();
  const waiting = new Map<string, (() => void)[]>();
  const ready = await new Promise<ReadyEvent>((resolve, reject) => {
    child.once('close', (code) => reject(new Error(`the marketplace ended with code ${code}:\n${stderr}`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      const event = JSON.parse(line) as
        ReadyEvent | { event: 'restarted'; label: string; pid: number } | { event: 'open' };
      if (event.event === 'ready') {
        for (const [label, pid] of Object.entries(event.pids)) pids.set(label, pid);
        resolve(event);
      } else if (event.event === 'restarted') {
        pids.set(event.label, event.pid);
        for (const wake of waiting.get(event.label) ?? []) wake();
        waiting.delete(event.label);
      }
    });
  });
  return {
    ready,
    pids,
    restarted: (label) =>
      new Promise((resolve) => {
        waiting.set(label, [...(waiting.get(label) ?? []), resolve]);
      }),
    stop: () => interrupt(child),
    kill: () => void child.kill('SIGKILL'),
    async [Symbol.asyncDispose]() {
      await interrupt(child);
    },
  };
}

async function interrupt(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const closed = once(child, 'close') as Promise<[number | null]>;
  child.kill('SIGINT');
  return (await closed)[0];
}

/** A folder that is removed when the scope ends. */
export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'relaymint-test-'));
  return {
    path: folder,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true, maxRetries: 5 }),
  };
}

/** True while a process with this id exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
