/**
 * A tor of our own: started with our configuration, waited for until it is connected, and gone with us however we end. Tor
 * watches the control connection that owns it, and the process behind that.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { RelaymintError, isRelaymintError, messageOf } from '../../../core/errors.ts';
import type { Log } from '../../../core/ports.ts';
import { abortError, deadline } from '../abort.ts';
import { assertSocketPath, type Endpoint } from '../endpoint.ts';
import { findProgram } from '../program.ts';
import type { Bridges } from './bridges.ts';
import { connectControl, type TorControl } from './control.ts';
import { managedTor } from './detect.ts';
import { torrcText } from './torrc.ts';

export interface TorDaemonOptions {
  /** Made 0700. Holds torrc, sockets and tor's own data. */
  readonly directory: string;
  readonly bridges?: Bridges | undefined;
  readonly socksPort?: number | undefined;
  /** Lines of the user's own torrc. */
  readonly extraTorrc?: readonly string[];
  /** Time until it must be connected, milliseconds. Default two minutes. */
  readonly bootstrapMillis?: number;
  /** Put in front of tor's command line. */
  readonly wrap?: readonly string[];
  readonly onBootstrap?: (percent: number, summary: string) => void;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Dispose it to end tor. */
export interface TorDaemon extends AsyncDisposable {
  readonly version: string;
  readonly pid: number;
  readonly socks: Endpoint;
  readonly control: Endpoint;
  /** Resolves when tor ends by itself, with its last words. */
  readonly ended: Promise<RelaymintError>;
}

const BOOTSTRAP_MILLIS = 120_000;
/** A tor that is asked to end does so at once; one that hangs is ended by force after this, milliseconds. */
const STOP_MILLIS = 10_000;
const TAIL_LINES = 10;
/** Its control socket is looked for this often while it starts, milliseconds. */
const POLL_MILLIS = 50;
const PID_FILE = 'relaymint.pid';

type TorProcess = ChildProcessByStdio<null, Readable, Readable>;

/**
 * Resolves when tor says that it is connected.
 * @throws RelaymintError PROGRAM_MISSING, FILE_IN_USE (one runs on this directory), TOR_BOOTSTRAP_FAILED with the reason that
 *   tor gives, INVALID_ARGUMENT (a path too long for sockets), ABORTED.
 */
export async function startTorDaemon(options: TorDaemonOptions): Promise<TorDaemon> {
  const { directory, signal, bridges, extraTorrc = [], wrap = [] } = options;
  signal.throwIfAborted();
  const tor = await findProgram('tor');
  const transportPrograms = new Map<string, string>();
  for (const transport of bridges?.transports ?? [])
    transportPrograms.set(transport, await transportProgram(transport));
  await mkdir(path.join(directory, 'data'), { recursive: true, mode: 0o700 });
  const { socks, control } = managedTor(directory);
  for (const { path: file } of [socks, control]) assertSocketPath(file);
  await claim(directory);
  const torrc = path.join(directory, 'torrc');
  const { socksPort } = options;
  const owner = process.pid;
  await writeFile(torrc, torrcText({ directory, owner, socksPort, bridges, transportPrograms, extra: extraTorrc }), {
    mode: 0o600,
  });
  await Promise.all([socks, control].map((endpoint) => rm(endpoint.path, { force: true })));
  const [program, ...args] = [...wrap, tor, '-f', torrc];
  const child = spawn(program ?? tor, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const daemon = new ManagedTor(child, directory, options.log);
  try {
    await daemon.connect(control, options);
  } catch (error) {
    await daemon.stop();
    throw error;
  }
  return {
    version: daemon.version,
    pid: child.pid ?? 0,
    socks,
    control,
    ended: daemon.ended,
    [Symbol.asyncDispose]: () => daemon.stop(),
  };
}

/** The process whose tor runs on this directory; undefined when none does. */
export async function runningDaemon(directory: string): Promise<number | undefined> {
  const text = await readFile(path.join(directory, PID_FILE), 'utf8').catch(() => '');
  const [number = '', began] = text.trim().split(' ');
  const pid = Number(number);
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  try {
    process.kill(pid, 0);
  } catch {
    return undefined;
  }
  // Another program may have got the number since.
  const present = await beginning(pid);
  return began === undefined || present === undefined || present === began ? pid : undefined;
}

/** When a process began, in ticks since the machine did; undefined where the system does not say. */
async function beginning(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // proc(5): field 22; the second, in brackets, may hold spaces.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

/** One tor a directory; what a killed one left behind is taken over. */
async function claim(directory: string): Promise<void> {
  const file = path.join(directory, PID_FILE);
  const pid = await runningDaemon(directory);
  if (pid !== undefined && pid !== process.pid) {
    throw new RelaymintError('FILE_IN_USE', `A tor runs on ${directory} already (process ${pid}).`, {
      remedy: 'Use it, end it with "relaymint tor stop", or give another --data.',
    });
  }
  await writeFile(file, `${process.pid} ${(await beginning(process.pid)) ?? ''}`.trim(), { mode: 0o600 });
}

class ManagedTor {
  readonly ended: Promise<RelaymintError>;
  readonly #child: TorProcess;
  readonly #directory: string;
  readonly #tail: string[] = [];
  readonly #exited: Promise<unknown>;
  #control: TorControl | undefined;
  #stopping = false;

  constructor(child: TorProcess, directory: string, log: Log) {
    this.#child = child;
    this.#directory = directory;
    this.#exited = Promise.race([once(child, 'close'), once(child, 'error')]).catch(() => undefined);
    for (const input of [child.stdout, child.stderr]) {
      createInterface({ input }).on('line', (line) => {
        this.#tail.push(line);
        if (this.#tail.length > TAIL_LINES) this.#tail.shift();
        log.debug({ line }, 'tor says');
      });
    }
    this.ended = this.#exited.then(() => this.#failure('Tor ended'));
  }

  get version(): string {
    return this.#control?.version ?? '';
  }

  async connect(endpoint: Endpoint, options: TorDaemonOptions): Promise<void> {
    const { signal, bootstrapMillis = BOOTSTRAP_MILLIS, onBootstrap = () => {} } = options;
    using limit = deadline(bootstrapMillis, 'Connecting tor', signal);
    const either = limit.signal;
    const ended = this.ended.then((error): never => {
      throw error;
    });
    ended.catch(() => {});
    let problem = '';
    let reached = 0;
    try {
      const control = await Promise.race([this.#untilControl(endpoint, either), ended]);
      this.#control = control;
      await control.command('TAKEOWNERSHIP', { signal: either });
      // From here on the connection is the owner, which also works where tor has other process ids than we.
      await control.command('RESETCONF __OwningControllerProcess', { signal: either });
      const connected = new Promise<void>((resolve) => {
        const take = (line: string): void => {
          const [, percent] = /PROGRESS=(\d+)/.exec(line) ?? [];
          if (!/BOOTSTRAP/.test(line) || percent === undefined) return;
          const summary = /SUMMARY="([^"]*)"/.exec(line)?.[1] ?? '';
          const warning = /WARNING="([^"]*)"/.exec(line)?.[1];
          if (warning !== undefined) problem = warning;
          // Tor's own steps overtake each other now and then.
          reached = Math.max(reached, Number(percent));
          onBootstrap(reached, warning ?? summary);
          if (percent === '100') resolve();
        };
        // What fails here also ends the wait: the connection closes, or the time is over.
        void control
          .onEvent('STATUS_CLIENT', take, { signal: either })
          .then(async () => take(await control.getInfo('status/bootstrap-phase', { signal: either })))
          .catch(() => {});
      });
      const aborted = new Promise<never>((_, reject) => {
        either.addEventListener('abort', () => reject(either.reason as Error), { once: true });
      });
      aborted.catch(() => {});
      await Promise.race([connected, ended, aborted]);
    } catch (error) {
      if (signal.aborted) throw abortError(signal, 'Starting tor');
      if (isRelaymintError(error, 'TOR_BOOTSTRAP_FAILED')) throw error;
      const why = problem === '' ? '' : ` (${problem})`;
      throw this.#failure(
        either.aborted ? `Tor was not connected in ${bootstrapMillis / 1000} s${why}` : messageOf(error),
      );
    } finally {
      // Whoever still waits for something of it, waits in vain.
      limit.abort(new RelaymintError('CLOSED', 'Starting tor is over.'));
    }
  }

  async #untilControl(endpoint: Endpoint, signal: AbortSignal): Promise<TorControl> {
    for (;;) {
      try {
        const control = await connectControl({ endpoint, signal });
        if (!signal.aborted) return control;
        await control.close();
      } catch (error) {
        if (!isRelaymintError(error, 'TOR_NOT_RUNNING')) throw error;
      }
      await wait(POLL_MILLIS, undefined, { signal }).catch(() => {});
      signal.throwIfAborted();
    }
  }

  async stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGTERM');
      await this.#control?.close();
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MILLIS);
      await this.#exited;
      clearTimeout(timer);
    }
    await rm(path.join(this.#directory, PID_FILE), { force: true });
  }

  /** With what tor said last, warnings before the rest. */
  #failure(what: string): RelaymintError {
    const words = this.#tail.filter((line) => /\[(?:warn|err)\]/.test(line));
    const said = (words.length > 0 ? words : this.#tail).map((line) => line.replace(/^.*?\[(?:\w+)\] /, '')).join(' ');
    return new RelaymintError('TOR_BOOTSTRAP_FAILED', `${what}: ${said || 'it said nothing'}`, {
      remedy:
        'Check the connection and the clock; where Tor is blocked, use bridges: relaymint tor start --use-bridges FILE.',
    });
  }
}

async function transportProgram(transport: string): Promise<string> {
  const program = TRANSPORT_PROGRAMS[transport];
  if (program !== undefined) return findProgram(program);
  throw new RelaymintError('INVALID_CONFIG', `Bridges of the kind ${transport} cannot be used.`, {
    remedy: `Use plain bridges, or one of: ${Object.keys(TRANSPORT_PROGRAMS).join(', ')}.`,
  });
}

const TRANSPORT_PROGRAMS: Readonly<Record<string, string>> = {
  obfs3: 'obfs4proxy',
  obfs4: 'obfs4proxy',
  scramblesuit: 'obfs4proxy',
  meek_lite: 'obfs4proxy',
};
