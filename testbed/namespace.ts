/**
 * A network of its own for programs that must not reach any other: a Linux network namespace with nothing but `lo`, and a
 * process namespace, so that everything in it ends with us however we end. Needs util-linux and iproute2.
 */
import { spawn, type ChildProcess, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { assertNotAborted } from '../core/abort.ts';
import { RelaymintError } from '../core/errors.ts';
import { hasErrno } from '../platform/errno.ts';
import { findProgram } from '../platform/program.ts';

export type InnerProcess = ChildProcessByStdio<null, Readable, Readable>;

export interface NetworkNamespace {
  /** What stands before a command line that runs inside. Plain text: another process of this user enters by it as well. */
  readonly enter: readonly string[];
  /** The command line that runs `command` inside. */
  inside(command: readonly string[]): readonly string[];
  /** Starts a program inside; its standard input is empty. It ends with the namespace at the latest. */
  start(command: readonly string[]): InnerProcess;
  /** Runs a program inside to its end. @returns its stdout. @throws RelaymintError INTERNAL with its last words. */
  run(command: readonly string[]): Promise<string>;
}

/** Who opened a namespace ends it, and all that runs in it. */
export type OwnNamespace = NetworkNamespace & AsyncDisposable;

/**
 * Opens one, with `lo` up and `addresses` on it.
 * @throws RelaymintError PROGRAM_MISSING, POLICY_REFUSED (this system lets us have no namespace), ABORTED.
 */
export async function openNamespace(options: {
  readonly addresses?: readonly string[];
  readonly signal: AbortSignal;
}): Promise<OwnNamespace> {
  assertNotAborted(options.signal, 'Opening a network namespace');
  const [unshare, nsenter, ip] = await Promise.all(['unshare', 'nsenter', 'ip'].map(findProgram));
  const asRoot = process.getuid?.() === 0;
  const rights = asRoot ? [] : ['--user', '--map-root-user'];
  // Its init reads what never comes from us: when we die, however, it reads the end, and the kernel kills all inside.
  const holder = spawn(
    unshare ?? '',
    [...rights, '--net', '--pid', '--fork', '--kill-child=SIGKILL', 'sh', '-c', 'echo ready; exec cat'],
    { stdio: ['pipe', 'pipe', 'pipe'], detached: true },
  );
  const gone = once(holder, 'close');
  holder.stdin.on('error', () => {});
  const init = await initOf(holder, gone);
  const enter = [
    nsenter ?? '',
    ...(asRoot ? [] : [`--user=/proc/${init}/ns/user`, '--preserve-credentials']),
    `--net=/proc/${init}/ns/net`,
    `--pid=/proc/${init}/ns/pid`,
    '--',
  ];
  const namespace: OwnNamespace = {
    ...enterNamespace(enter),
    async [Symbol.asyncDispose]() {
      holder.stdin.end();
      await gone;
    },
  };
  try {
    await namespace.run([ip ?? '', 'link', 'set', 'lo', 'up']);
    for (const address of options.addresses ?? []) await namespace.run([ip ?? '', 'addr', 'add', address, 'dev', 'lo']);
    for (const route of ['127.0.0.0/8', '127.0.0.1']) {
      // Programs on one machine wait 40 ms for each other's delayed acknowledgements otherwise.
      const quick = `route change local ${route} dev lo proto kernel scope host src 127.0.0.1 table local quickack 1`;
      await namespace.run([ip ?? '', ...quick.split(' ')]);
    }
    assertNotAborted(options.signal, 'Opening a network namespace');
  } catch (error) {
    await namespace[Symbol.asyncDispose]();
    throw error;
  }
  return namespace;
}

/** A namespace that is open, by its `enter`: what is started in it ends when who opened it ends it, at the latest. */
export function enterNamespace(enter: readonly string[]): NetworkNamespace {
  const start = ([...command]: readonly string[]): InnerProcess => {
    const [program = '', ...args] = [...enter, ...command];
    return spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  };
  return {
    enter,
    inside: (command) => [...enter, ...command],
    start,
    async run(command) {
      const child = start(command);
      let stdout = '';
      let stderr = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
      child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
      await once(child, 'close');
      if (child.exitCode === 0) return stdout;
      throw new RelaymintError('INTERNAL', `${command.join(' ')} failed: ${stderr.trim() || stdout.trim()}`);
    },
  };
}

/** Ends a program that runs inside, and resolves when it is gone. `child` is what entered: it waits for the program, and a signal ends it alone. */
export async function endInner(child: InnerProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  const { pid, exitCode, signalCode } = child;
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  const ended = once(child, 'close');
  const [program = pid] = await childrenOf(pid);
  try {
    process.kill(program, signal);
  } catch (error) {
    // It has ended meanwhile.
    if (!hasErrno(error, 'ESRCH')) throw error;
  }
  await ended;
}

/** The first process inside, by its id outside. */
async function initOf(holder: ChildProcess, gone: Promise<unknown>): Promise<number> {
  let stderr = '';
  holder.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ready = new Promise<true>((resolve) => holder.stdout?.once('data', () => resolve(true)));
  if ((await Promise.race([ready, gone])) !== true) {
    throw new RelaymintError('POLICY_REFUSED', `This system does not allow a network namespace: ${stderr.trim()}.`, {
      remedy: 'Allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1), or run this as root.',
    });
  }
  const [init] = await childrenOf(holder.pid ?? 0);
  return init ?? 0;
}

/** By their ids outside; none when the process is gone. */
async function childrenOf(pid: number): Promise<number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return children.split(' ').filter(Boolean).map(Number);
}
