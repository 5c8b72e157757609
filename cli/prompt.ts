/** Questions to a person at a terminal. They go to stderr: stdout belongs to what the command says. */
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { RelaymintError } from '../core/errors.ts';

/** Whether there is somebody to ask. */
export function canAsk(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY;
}

/** True for y or yes. @throws RelaymintError ABORTED on Ctrl-C or Ctrl-D. */
export async function confirm(question: string): Promise<boolean> {
  return /^y(?:es)?$/i.test((await ask(`${question} [y/N] `, process.stderr)).trim());
}

/** One line that the terminal does not show. @throws RelaymintError ABORTED on Ctrl-C or Ctrl-D. */
export async function askHidden(question: string): Promise<string> {
  process.stderr.write(question);
  try {
    // The terminal is in raw mode and echoes nothing; what readline would echo is discarded.
    return await ask('', new Writable({ write: (_chunk, _encoding, done) => done() }));
  } finally {
    process.stderr.write('\n');
  }
}

async function ask(question: string, output: NodeJS.WritableStream): Promise<string> {
  const prompt = createInterface({ input: process.stdin, output, terminal: true, historySize: 0 });
  const stop = new AbortController();
  const end = (): void => stop.abort();
  prompt.once('SIGINT', end).once('close', end);
  try {
    return await prompt.question(question, { signal: stop.signal });
  } catch (cause) {
    throw new RelaymintError('ABORTED', 'There was no answer.', { cause });
  } finally {
    prompt.off('close', end).close();
  }
}
