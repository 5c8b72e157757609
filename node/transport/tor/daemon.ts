/**
 * A tor of our own: started with our configuration, waited for until it is connected, and gone with us however we end. Tor
 * watches the control connection that owns it, and the process behind that.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { RelaymintError, isRelaymintError, messageOf } from '../../../core/errors.ts';
import type { Log } from '../../../core/ports.ts';
import { abortError, assertNotAborted, deadline, orAborted, pause } from '../../../core/abort.ts';
import { makeFolder } from '../../../platform/disk/folder.ts';
import { assertSocketPath, type Endpoint } from '../endpoint.ts';
import { findProgram } from '../../../platform/program.ts';
import type { Bridges } from './bridges.ts';
import { connectControl, type TorControl } from './control.ts';
import { managedTor } from './detect.ts';
import { claim, release } from './pid-file.ts';
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

type TorProcess = ChildProcessByStdio<null, Readable, Readable>;

/**
 * Resolves when tor says that it is connected.
 * @throws RelaymintError PROGRAM_MISSING, FILE_IN_USE (one runs on this directory), TOR_BOOTSTRAP_FAILED with the reason that
 *   tor gives, INVALID_ARGUMENT (a path too long for sockets), ABORTED.
 */
export async function startTorDaemon(options: TorDaemonOptions): Promise<TorDaemon> {
  const { directory, signal, bridges, extraTorrc = [], wrap = [] } = options;
  assertNotAborted(signal, 'Starting tor');
  const tor = await findProgram('tor');
  const transportPrograms = new Map<string, string>();
  for (const transport of bridges?.transports ?? [])
    transportPrograms.set(transport, await transportProgram(transport));
  await makeFolder(path.join(directory, 'data'));
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
    using limit = deadline(bootstrapMillis, 'Connecting to Tor', signal);
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
        // A tor that does not answer ends, which is said below, or is given up.
        void control
          .onEvent('STATUS_CLIENT', take, limit)
          .then(() => control.getInfo('status/bootstrap-phase', limit))
          .then(take)
          .catch(() => {});
      });
      await orAborted(Promise.race([connected, ended]), either, 'Connecting to Tor');
    } catch (error) {
      const late = either.aborted;
      // Ends the search for a control port and every wait for an answer.
      limit.abort(new RelaymintError('CLOSED', 'Starting tor was stopped.'));
      if (signal.aborted) throw abortError(signal, 'Starting tor');
      if (isRelaymintError(error, 'TOR_BOOTSTRAP_FAILED')) throw error;
      const why = problem === '' ? '' : ` (${problem})`;
      throw this.#failure(late ? `Tor was not connected in ${bootstrapMillis / 1000} s${why}` : messageOf(error));
    }
  }

  async #untilControl(endpoint: Endpoint, signal: AbortSignal): Promise<TorControl> {
    for (;;) {
      try {
        return await connectControl({ endpoint, signal });
      } catch (error) {
        if (!isRelaymintError(error, 'TOR_NOT_RUNNING')) throw error;
      }
      await pause(POLL_MILLIS, signal, 'Starting tor');
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
    await release(this.#directory);
  }

  /** With what tor said last, warnings before the rest. */
  #failure(what: string): RelaymintError {
    const words = this.#tail.filter((line) => /\[(?:warn|err)\]/.test(line));
    const said = (words.length > 0 ? words : this.#tail).map((line) => line.replace(/^.*?\[(?:\w+)\] /, '')).join(' ');
    return new RelaymintError('TOR_BOOTSTRAP_FAILED', `${what}: ${said || 'it said nothing'}`, {
      remedy:
        'Check the connection and the clock. Where Tor is blocked, use bridges: relaymint tor start --use-bridges FILE.',
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
