/** Opens spoiled books in a process of their own. */
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

const TYPESCRIPT = new URL('../receipt/run-typescript.js', import.meta.url).href;
const CHILD = fileURLToPath(new URL('./damage-child.ts', import.meta.url));

/** One byte of one file of the books, and what is flipped in it. */
export interface Flip {
  readonly file: string;
  readonly at: number;
  readonly mask: number;
}

/** What became of a start. */
export type Outcome =
  | {
      readonly entries: readonly (readonly [key: string, hex: string])[];
      readonly complete: boolean;
      /** Of each copy that was not as it should be, what is wrong. */
      readonly damaged: readonly string[];
    }
  | { readonly error: string }
  | { readonly died: string };

/** Copies the folder `whole` to `trial` for each, spoils the copy and opens it. A child that dies is followed by another. */
export class Trials implements AsyncDisposable {
  readonly #arguments: readonly string[];
  #child: ChildProcessByStdio<Writable, Readable, null> | undefined;
  #lines: AsyncIterator<string> | undefined;
  #reader: Interface | undefined;

  constructor(whole: string, trial: string) {
    this.#arguments = ['--import', TYPESCRIPT, CHILD, whole, trial];
  }

  async open(flips: readonly Flip[]): Promise<Outcome> {
    const child = (this.#child ??= this.#start());
    child.stdin.write(`${JSON.stringify(flips)}\n`);
    const line = await this.#lines?.next();
    if (line !== undefined && line.done !== true) return JSON.parse(line.value) as Outcome;
    this.#child = undefined;
    return { died: await exitOf(child) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    child.stdin.end();
    await exitOf(child);
  }

  #start(): ChildProcessByStdio<Writable, Readable, null> {
    const child = spawn(process.execPath, [...this.#arguments], { stdio: ['pipe', 'pipe', 'ignore'] });
    // The child's end is seen where its answer is awaited.
    child.stdin.on('error', () => {});
    this.#reader = createInterface({ input: child.stdout });
    this.#lines = this.#reader[Symbol.asyncIterator]();
    return child;
  }
}

async function exitOf(child: ChildProcessByStdio<Writable, Readable, null>): Promise<string> {
  if (child.exitCode === null && child.signalCode === null) {
    await new Promise<void>((resolve) => child.once('exit', () => resolve()));
  }
  return child.signalCode ?? String(child.exitCode);
}
