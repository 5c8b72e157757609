/**
 * What a command prints. People read stdout as plain lines; scripts use `--json` and get only JSON there;
 * logs and progress always go to stderr.
 */
import { destination, pino, type Logger } from 'pino';
import { SingleBar } from 'cli-progress';
import { isRelaymintError, messageOf } from '../core/errors.ts';
import { printable } from '../core/printable.ts';
import { formatBytes } from '../core/units.ts';
import { hasErrno } from '../platform/errno.ts';

export interface Output {
  readonly json: boolean;
  /** One line for people; nothing with --json. */
  line(text?: string): void;
  /** One JSON value, on one line, with --json only. */
  value(value: unknown): void;
}

export function createOutput(json: boolean): Output {
  return {
    json,
    line: (text = '') => {
      if (!json) process.stdout.write(`${text}\n`);
    },
    value: (value) => {
      if (json) process.stdout.write(`${JSON.stringify(value)}\n`);
    },
  };
}

/** Log lines that wait for room on the disk, bytes. */
const MAX_UNWRITTEN_LOG = 256 * 1024;

/** Log lines as JSON on stderr, written at once so that none is lost in a crash. `loggedError` formats an error in the field `err`. */
export function createLog(level: string, label: string): Logger {
  const stderr = destination({ dest: 2, sync: true, maxLength: MAX_UNWRITTEN_LOG });
  // A disk that takes no lines must not end a node that earns: what waits is written once there is room, and what is more is lost.
  stderr.on('error', () => {});
  return pino(
    {
      level,
      base: { node: label },
      formatters: { level: (name) => ({ level: name }) },
      serializers: { err: loggedError },
    },
    stderr,
  );
}

/**
 * An expected failure: its code and its message, without its cause, which may contain a secret (the URL of a ledger's node
 * holds its key). A fault of ours: with its stack.
 */
export function loggedError(error: unknown): object {
  if (!isRelaymintError(error)) return { message: messageOf(error), stack: stackOf(error) };
  const { code, message, cause } = error;
  return { code, message, ...(code === 'INTERNAL' && cause !== undefined ? { stack: stackOf(cause) } : {}) };
}

export interface Progress {
  /** `done` of `total` bytes; unknown totals show only the count. */
  update(done: number, total: number | undefined): void;
  finish(): void;
}

/** A progress bar on stderr when a person watches; otherwise silent. */
export function createProgress(title: string, quiet: boolean): Progress {
  if (quiet || !process.stderr.isTTY) return { update() {}, finish() {} };
  const bar = createBar(title);
  let started = false;
  return {
    update(done, total) {
      const shown = total === undefined ? formatBytes(done) : `${formatBytes(done)} of ${formatBytes(total)}`;
      if (!started) {
        bar.start(total ?? Math.max(done, 1), done, { shown });
        started = true;
      } else {
        if (total === undefined) bar.setTotal(Math.max(done, 1));
        bar.update(done, { shown });
      }
    },
    finish() {
      if (started) bar.stop();
    },
  };
}

export interface Steps {
  /** `done` of `total` steps; `what` is the latest. */
  update(done: number, total: number, what: string): void;
  finish(): void;
}

/** The same for work that is counted in steps. */
export function createSteps(title: string, quiet: boolean): Steps {
  if (quiet || !process.stderr.isTTY) return { update() {}, finish() {} };
  const bar = createBar(title);
  let started = false;
  return {
    update(done, total, shown) {
      if (!started) bar.start(total, 0, { shown: printable(shown) });
      started = true;
      bar.setTotal(total);
      bar.update(done, { shown: printable(shown) });
    },
    finish() {
      if (started) bar.stop();
      started = false;
    },
  };
}

function createBar(title: string): SingleBar {
  return new SingleBar({
    format: `${title} {bar} {percentage}% | {shown}`,
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
    barsize: 28,
  });
}

export interface Status {
  show(text: string): void;
  clear(): void;
}

/** One line on stderr, in place of the one before, when a person watches; otherwise silent. */
export function createStatus(quiet: boolean): Status {
  if (quiet || !process.stderr.isTTY) return { show() {}, clear() {} };
  const erase = '\r\u001b[2K';
  return {
    show: (text) => void process.stderr.write(`${erase}${text}`),
    clear: () => void process.stderr.write(erase),
  };
}

/**
 * For when the reader of our output is gone ("| head", a closed terminal), or the disk that it goes to is full: a node goes on earning; any
 * other command has failed, unless its reader stopped reading.
 */
export function surviveReaders(): void {
  for (const output of [process.stdout, process.stderr]) {
    let said = false;
    output.on('error', (error) => {
      if (hasErrno(error, 'EPIPE', 'EIO') || said) return;
      said = true;
      process.exitCode = 1;
      if (output === process.stdout) process.stderr.write(`relaymint: cannot write the output: ${error.message}\n`);
    });
  }
}

/** Prints an error for its reader. A fault of ours shows its stack; an expected failure only its message. */
export function reportError(error: unknown, json: boolean): void {
  if (json) reportJson(error);
  process.stderr.write(`relaymint: ${errorText(error)}\n`);
}

/** It may name a file, or say what a peer said: its lines are text, whatever is in them. */
export function errorText(error: unknown): string {
  if (!isRelaymintError(error)) return stackOf(error);
  return `${error.message.split('\n').map(printable).join('\n')} [${error.code}]`;
}

/** The same for scripts, on stdout. */
export function reportJson(error: unknown): void {
  const code = isRelaymintError(error) ? error.code : 'INTERNAL';
  process.stdout.write(`${JSON.stringify({ ok: false, error: { code, message: messageOf(error) } })}\n`);
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** Columns padded to their widest cell; those whose numbers are in `right` are right-aligned, as figures should be. */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, index) => (widths[index] = Math.max(widths[index] ?? 0, cell.length)));
  const padded = (cell: string, index: number): string =>
    right.includes(index) ? cell.padStart(widths[index] ?? 0) : cell.padEnd(widths[index] ?? 0);
  return rows.map((row) => row.map(padded).join('  ').trimEnd()).join('\n');
}

/** Text of others over several lines, each of them printable and set in: none looks like one of ours. */
export function printableLines(text: string): string {
  return text
    .split(/\r\n|[\n\r\u2028\u2029]/)
    .map((line) => `  ${printable(line)}`.trimEnd())
    .join('\n');
}

/** "1 channel", "2 channels". */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** The two largest units of a time span, at least a second. */
export function durationText(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.ceil(seconds / 60)} min`;
  if (seconds < 48 * 3600) return withRest(seconds, 3600, 'h', 60, 'min');
  return withRest(seconds, 24 * 3600, 'd', 3600, 'h');
}

function withRest(seconds: number, whole: number, name: string, part: number, partName: string): string {
  const rest = Math.floor((seconds % whole) / part);
  return `${Math.floor(seconds / whole)} ${name}${rest === 0 ? '' : ` ${rest} ${partName}`}`;
}

/** Keeps lines with these words off stderr while `work` lasts: a library's, about what is known here. */
export async function withoutLine<T>(words: string, work: () => Promise<T>): Promise<T> {
  const { stderr } = process;
  const write = stderr.write.bind(stderr);
  stderr.write = ((...said: Parameters<typeof write>) =>
    String(said[0]).includes(words) || write(...said)) as typeof stderr.write;
  try {
    return await work();
  } finally {
    stderr.write = write;
  }
}
