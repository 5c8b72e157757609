/** Runs `store-writer.ts` in a process of its own and kills it in mid-write. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';

const TYPESCRIPT = new URL('../receipt/run-typescript.js', import.meta.url).href;
const WRITER = fileURLToPath(new URL('./store-writer.ts', import.meta.url));

/** Starts the writer, lets it say `lines` figures, kills it with SIGKILL, and returns the last figure it said. */
export async function killedWriter(directory: string, from: bigint, lines: number): Promise<bigint> {
  const child = spawn(process.execPath, ['--import', TYPESCRIPT, WRITER, directory, String(from)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = new Promise<NodeJS.Signals | null>((resolve) =>
    child.once('exit', (_code, signal) => resolve(signal)),
  );
  let last = from;
  let count = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    last = BigInt(line);
    count += 1;
    if (count === lines) child.kill('SIGKILL');
  }
  expect(await exited).toBe('SIGKILL');
  return last;
}
