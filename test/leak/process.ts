/** Runs `relaymint` commands under the tracer, as children that leave when their standard input closes. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { ATTACHED } from '../../app/lifecycle.ts';
import { PROGRAM } from '../e2e/marketplace.ts';
import { trace, type SocketCall } from './trace.ts';

/** The event with which every long-running command says that it works; what it tells depends on the command. */
export interface Ready {
  readonly event: 'ready';
  readonly nodeId?: string | undefined;
  readonly addresses?: readonly string[] | undefined;
  readonly gateway?: string | undefined;
  readonly url?: string | undefined;
  readonly programId?: string | undefined;
}

const readySchema: z.ZodType<Ready> = z.looseObject({
  event: z.literal('ready'),
  nodeId: z.string().optional(),
  addresses: z.array(z.string()).optional(),
  gateway: z.string().optional(),
  url: z.string().optional(),
  programId: z.string().optional(),
});

export interface TracedNode extends AsyncDisposable {
  readonly ready: Ready;
  calls(): Promise<SocketCall[]>;
  /** What it has said on stderr so far. */
  log(): string;
  /** Ends it cleanly. @returns its exit code. */
  stop(): Promise<number | null>;
  /** kill -9; what it did before is still in `calls()`. */
  kill(): Promise<void>;
}

/** Starts a long-running command and waits until it is ready. @throws Error with its last words when it ends before. */
export async function startTraced(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<TracedNode> {
  const traced = await trace([process.execPath, PROGRAM, ...args], { env: { ...env, [ATTACHED]: '1' } });
  const { child } = traced;
  const over = once(child, 'close');
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ready = await new Promise<Ready>((resolve, reject) => {
    void over.then(() => reject(new Error(`${args[0]} ended with code ${child.exitCode}:\n${stderr}`)));
    if (child.stdout === null) return;
    createInterface({ input: child.stdout }).on('line', (line) => {
      const event = readySchema.safeParse(JSON.parse(line));
      if (event.success) resolve(event.data);
    });
  });
  const stop = async (): Promise<number | null> => {
    child.stdin?.end();
    await over;
    return child.exitCode;
  };
  return {
    ready,
    calls: () => traced.calls(),
    log: () => stderr,
    stop,
    async kill() {
      for (const pid of await childrenOf(child.pid ?? 0)) process.kill(pid, 'SIGKILL');
      await over;
    },
    async [Symbol.asyncDispose]() {
      await stop();
      await traced[Symbol.asyncDispose]();
    },
  };
}

export interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly calls: readonly SocketCall[];
}

/** Runs a command to its end. */
export async function runTraced(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Run> {
  await using traced = await trace([process.execPath, PROGRAM, ...args], { env });
  const { child } = traced;
  const output = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  await once(child, 'close');
  return { code: child.exitCode, ...output, calls: await traced.calls() };
}

/** Of strace: the traced program. */
async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.split(' ').filter(Boolean).map(Number);
}
