/** Runs `spin` on the models of this folder: exhaustive searches, and random walks of a model. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const MAX_OUTPUT = 64 * 1024 * 1024;
/** Of memory a search may use, MiB, and the deepest path it may follow; it fails when either is not enough. */
const SEARCH_MEMORY = 3_000;
const SEARCH_DEPTH = 1_000_000;

/** Why the models cannot be searched here; undefined when they can. */
export const missing: string | undefined = findMissing();

export interface Search {
  /** What was violated, as spin says it; undefined when nothing was. */
  readonly violation: string | undefined;
  /** Every state was looked at: nothing was cut off or only hashed. */
  readonly exhaustive: boolean;
  readonly states: number;
  readonly depth: number;
  /** Lines of the model that no state reached. */
  readonly unreached: readonly string[];
}

export interface SearchOptions {
  /** `-D` of the model. */
  readonly defines?: readonly string[];
  /** The model's `ltl` formula is searched for cycles that break it, instead of assertions and deadlocks. */
  readonly liveness?: boolean;
}

/** Searches all states of a model (`pair` is `pair.pml`). */
export async function search(model: string, { defines = [], liveness = false }: SearchOptions = {}): Promise<Search> {
  const directory = await mkdtemp(path.join(tmpdir(), 'relaymint-model-'));
  try {
    await run('spin', [...flags(defines), '-a', file(model)], { cwd: directory });
    const mode = liveness ? [] : ['-DSAFETY'];
    const compile = ['-O1', '-w', '-DNOFAIR', `-DMEMLIM=${SEARCH_MEMORY}`, ...mode, '-o', 'pan', 'pan.c'];
    await run('cc', compile, { cwd: directory });
    const options = [`-m${SEARCH_DEPTH}`, '-w22', ...(liveness ? ['-a'] : [])];
    const { stdout } = await run(path.join(directory, 'pan'), options, { cwd: directory, maxBuffer: MAX_OUTPUT });
    return read(stdout);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The events that the model prints with -DTRACE along one random walk, first to last. */
export async function walk(model: string, seed: number, steps: number, defines: readonly string[]): Promise<string[]> {
  const directory = await mkdtemp(path.join(tmpdir(), 'relaymint-walk-'));
  try {
    const options = ['-T', `-n${seed}`, `-u${steps}`, '-DTRACE', ...flags(defines), file(model)];
    const { stdout } = await run('spin', options, { cwd: directory, maxBuffer: MAX_OUTPUT });
    // The step at which the walk ends may be in the middle of a line.
    return stdout.split('\n').filter((line) => /^EV .*=\d+\s*$/.test(line));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function read(output: string): Search {
  const whole =
    output.includes('Full statespace search') && !/Search not completed|max search depth|out of memory/i.test(output);
  return {
    violation: /^pan:\d+: (.*) \(at depth \d+\)$/m.exec(output)?.[1],
    exhaustive: whole,
    states: Number(/(\d+(?:\.\d+e\+\d+)?) states, stored/.exec(output)?.[1] ?? Number.NaN),
    depth: Number(/depth reached (\d+)/.exec(output)?.[1] ?? Number.NaN),
    unreached: [...output.matchAll(/^\t\S+?:(\d+), state \d+, "(.*)"$/gm)]
      .filter(([, , statement]) => statement !== '-end-')
      .map(([, line, statement]) => `${line}: ${statement}`),
  };
}

function flags(defines: readonly string[]): string[] {
  return defines.map((define) => `-D${define}`);
}

function file(model: string): string {
  return path.join(import.meta.dirname, `${model}.pml`);
}

function findMissing(): string | undefined {
  const absent = ['spin', 'cc'].filter((program) => {
    try {
      execFileSync(program, [program === 'spin' ? '-V' : '--version'], { stdio: 'ignore' });
      return false;
    } catch {
      return true;
    }
  });
  if (absent.length === 0) return undefined;
  return `${absent.join(' and ')} not found: apt-get install spin gcc libc6-dev`;
}
