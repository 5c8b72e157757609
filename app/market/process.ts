/**
 * The marketplace's child processes: `relaymint ...` commands that print JSON lines on stdout. Each runs in its own
 * process group, so that Ctrl-C reaches only the marketplace, which stops its children in order; and each leaves by
 * itself when its standard input closes, so that none outlives us however we die.
 */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { abortError, assertNotAborted, onAbort } from '../../core/abort.ts';
import { backoff, type Backoff } from '../../core/backoff.ts';
import { RelaymintError } from '../../core/errors.ts';
import type { Log } from '../../core/ports.ts';
import { ATTACHED } from '../lifecycle.ts';

export interface ProcessOptions {
  /** Shown in logs and errors, for example "relay-2". */
  readonly label: string;
  /** Arguments of `relaymint`, asked for at every start: ports are known only after the first. */
  readonly args: () => readonly string[];
  readonly log: Log;
  /** Where the child's own log lines (stderr) go. */
  readonly onLogLine: (label: string, line: string) => void;
  /** Ends the wait for a child's first output. */
  readonly signal: AbortSignal;
  /** How long a child may take to be ready, milliseconds. */
  readonly readyMillis?: number;
  /** Of Node, besides ours. */
  readonly nodeFlags?: readonly string[];
}

export interface StayingOptions<Ready> extends ProcessOptions {
  /** A child that had ended by itself is ready again. */
  readonly onRestart?: (label: string, pid: number | undefined, ready: Ready) => void;
}

/**
 * Many processes share few cores here, and every frame leaves buffers outside V8's heap behind. Parallel collectors would
 * only take the cores from each other (about 10 % of a relay), and each 64 MB of such buffers would begin an incremental
 * marking that frees nothing more than a plain collection does (another 15 % of a relay that is paid).
 */
export const NODE_FLAGS: readonly string[] = ['--single-threaded-gc', '--no-incremental-marking'];
const READY_MILLIS = 60_000;
const STOP_MILLIS = 20_000;
/** Pauses before a process that ended by itself is started again. */
const RESTARTS: Backoff = { first: 250, last: 5_000 };
/** Last log lines kept for the error when a child fails. */
const TAIL_LINES = 12;

const eventSchema = z.looseObject({ event: z.string() });
/** How a command with --json says that it failed. */
const errorSchema = z.object({ ok: z.literal(false), error: z.object({ code: z.string(), message: z.string() }) });

/** A child that stays: restarted when it ends by itself, until it is disposed. */
export class MarketProcess<Ready> implements AsyncDisposable {
  readonly label: string;
  readonly #options: StayingOptions<Ready>;
  readonly #schema: z.ZodType<Ready>;
  #child: ChildProcessWithoutNullStreams | undefined;
  #stopping = false;
  #restartTimer: NodeJS.Timeout | undefined;
  /** How often in a row it ended by itself before it was ready. */
  #ends = 0;

  constructor(options: StayingOptions<Ready>, schema: z.ZodType<Ready>) {
    this.label = options.label;
    this.#options = options;
    this.#schema = schema;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /**
   * Resolves with its ready event.
   * @throws RelaymintError ADDRESS_IN_USE if it says so; INTERNAL with its last output when it ends otherwise or stays silent before that.
   */
  async start(): Promise<Ready> {
    assertNotAborted(this.#options.signal, `Starting ${this.label}`);
    const { child, tail } = launch(this.#options);
    this.#child = child;
    const ready = await awaitEvent(
      child,
      tail,
      this.#options,
      'ready',
      this.#schema,
      this.#options.readyMillis ?? READY_MILLIS,
    );
    this.#ends = 0;
    if (child.exitCode !== null || child.signalCode !== null) this.#ended(child.exitCode, child.signalCode);
    else child.once('exit', (code, signal) => this.#ended(code, signal));
    return ready;
  }

  #ended(code: number | null, signal: NodeJS.Signals | null): void {
    if (this.#stopping) return;
    const { log } = this.#options;
    this.#ends += 1;
    const inMillis = backoff(this.#ends, RESTARTS);
    log.warn({ process: this.label, code, signal, inMillis }, 'a process ended by itself; restarting it');
    this.#restartTimer = setTimeout(() => {
      void this.#restart();
    }, inMillis);
  }

  async #restart(): Promise<void> {
    const { log, onRestart } = this.#options;
    try {
      const ready = await this.start();
      log.info({ process: this.label }, 'restarted');
      onRestart?.(this.label, this.pid, ready);
    } catch (error) {
      log.error({ process: this.label, err: error }, 'the restart failed');
      this.#ended(null, null);
    }
  }

  /** Asks the child to finish cleanly, and kills it if it does not within 20 s. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#restartTimer);
    if (this.#child !== undefined) await stop(this.#child, this.#options);
  }
}

/**
 * Runs a command to its end and resolves with its event called `event`.
 * @throws RelaymintError INTERNAL with the command's last output when it fails.
 */
export async function runCommand<Result>(
  options: ProcessOptions,
  schema: z.ZodType<Result>,
  event: string,
): Promise<Result> {
  assertNotAborted(options.signal, `Starting ${options.label}`);
  const { child, tail } = launch(options);
  const exited = new Promise<number | null>((resolve) => {
    child.once('exit', (code) => resolve(code));
  });
  const result = await awaitEvent(child, tail, options, event, schema, undefined);
  const code = await exited;
  if (code !== 0) throw failure(options.label, `ended with exit code ${code}`, tail);
  return result;
}

/** Node settings in the operator's environment do not apply to this market: its processes get everything as arguments. */
export function childEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const ours = Object.entries(environment).filter(([name]) => !name.startsWith('RELAYMINT_'));
  return { ...Object.fromEntries(ours), [ATTACHED]: '1' };
}

interface Launched {
  readonly child: ChildProcessWithoutNullStreams;
  /** Its last log lines. */
  readonly tail: readonly string[];
}

function launch(options: ProcessOptions): Launched {
  const flags = [...NODE_FLAGS, ...(options.nodeFlags ?? [])];
  const child = spawn(process.execPath, [...flags, process.argv[1] ?? '', ...options.args()], {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
    env: childEnvironment(process.env),
  });
  child.stdin.on('error', () => {});
  const tail: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    tail.push(line);
    if (tail.length > TAIL_LINES) tail.shift();
    options.onLogLine(options.label, line);
  });
  return { child, tail };
}

/** Waits for one event on stdout; ends the child and throws when it cannot come any more. */
function awaitEvent<Result>(
  child: ChildProcessWithoutNullStreams,
  tail: readonly string[],
  options: ProcessOptions,
  event: string,
  schema: z.ZodType<Result>,
  timeoutMillis: number | undefined,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    let tie: Disposable | undefined = undefined;
    const settle = (work: () => void): void => {
      clearTimeout(timer);
      tie?.[Symbol.dispose]();
      child.off('exit', onExit).off('error', onError);
      work();
    };
    let code: string | undefined;
    const fail = (what: string, cause?: unknown): void => {
      settle(() => {
        child.kill('SIGKILL');
        reject(failure(options.label, what, tail, cause, code));
      });
    };
    const giveUp = (): void => {
      settle(() => {
        stop(child, options).then(() => reject(abortError(options.signal, `Starting ${options.label}`)), reject);
      });
    };
    const onExit = (code: number | null, signal: NodeJS.Signals | null): void => {
      fail(`ended with ${signal ?? `exit code ${code}`} too early`);
    };
    const onError = (error: Error): void => fail('could not be started', error);
    const timer =
      timeoutMillis === undefined
        ? undefined
        : setTimeout(() => fail(`was not ready after ${timeoutMillis / 1000} s`), timeoutMillis);
    child.once('error', onError);
    child.stdout.once('end', () => {
      // A command prints its result and exits: look at the exit only once all its output was read.
      if (child.exitCode !== null || child.signalCode !== null) onExit(child.exitCode, child.signalCode);
      else child.once('exit', onExit);
    });
    createInterface({ input: child.stdout }).on('line', (line) => {
      code = errorCodeOf(line) ?? code;
      const found = parseEvent(line);
      if (found?.event !== event) return;
      const parsed = schema.safeParse(found);
      if (parsed.success) settle(() => resolve(parsed.data));
      else fail(`announced itself in an unknown form: ${parsed.error.message}`);
    });
    tie = onAbort(options.signal, giveUp);
  });
}

async function stop(child: ChildProcessWithoutNullStreams, options: ProcessOptions): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  child.kill('SIGTERM');
  const timer = setTimeout(() => {
    options.log.warn({ process: options.label }, 'it did not stop in time and was killed');
    child.kill('SIGKILL');
  }, STOP_MILLIS);
  await exited;
  clearTimeout(timer);
}

/** `code`: what the child itself called it. */
function failure(label: string, what: string, tail: readonly string[], cause?: unknown, code?: string): RelaymintError {
  const words = tail.length === 0 ? '' : ` Its last output:\n  ${tail.join('\n  ')}`;
  return new RelaymintError(code === 'ADDRESS_IN_USE' ? code : 'INTERNAL', `${label} ${what}.${words}`, { cause });
}

function errorCodeOf(line: string): string | undefined {
  try {
    return errorSchema.parse(JSON.parse(line)).error.code;
  } catch {
    return undefined;
  }
}

function parseEvent(line: string): z.infer<typeof eventSchema> | undefined {
  try {
    return eventSchema.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}
