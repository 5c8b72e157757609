/** One long-running `relaymint` command, as a script would run it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { PROGRAM } from './marketplace.ts';

export interface RunningCommand extends AsyncDisposable {
  readonly ready: Readonly<Record<string, unknown>>;
  /** kill -9. */
  kill(): Promise<void>;
}

/** Starts it and waits for its ready event. Disposing it is Ctrl-C. @throws Error with its last words when it ends before. */
export async function startCommand(...args: readonly string[]): Promise<RunningCommand> {
  const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const over = once(child, 'close');
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ready = await new Promise<Record<string, unknown>>((resolve, reject) => {
    over.then(() => reject(new Error(`${args[0]} ended with code ${child.exitCode}:\n${stderr}`)), reject);
    createInterface({ input: child.stdout }).on('line', (line) => {
      const event = JSON.parse(line) as Record<string, unknown>;
      if (event['event'] === 'ready') resolve(event);
    });
  });
  return {
    ready,
    async kill() {
      child.kill('SIGKILL');
      await over;
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGINT');
      await over;
    },
  };
}
