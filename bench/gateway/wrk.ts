/** The load: wrk, because a generator in JavaScript would take the very cores that are measured. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { assertNotAborted, onAbort } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';
import { findProgram } from '../../platform/program.ts';

export interface Load {
  readonly port: number;
  /** The Host header. */
  readonly host: string;
  /** Of one page, or of pages that are asked for once each. */
  readonly paths: string | readonly string[];
  readonly connections: number;
  /** It is over earlier when there is no page left that was not asked for. */
  readonly seconds: number;
  readonly signal: AbortSignal;
}

export interface Loaded {
  /** Answered, each whole. */
  readonly requests: number;
  /** All that came, heads and what was left unfinished too. */
  readonly bytes: number;
  readonly millis: number;
}

const reportSchema = z.strictObject({
  requests: z.int(),
  bytes: z.int(),
  micros: z.int(),
  /** Connections that broke, and answers with a status of 400 or more. */
  failed: z.int(),
});

/** Said by the script on a line of its own. */
const OVER = 'every page was asked for';

export class Wrk {
  readonly #program: string;
  readonly #directory: string;
  #scripts = 0;

  private constructor(program: string, directory: string) {
    this.#program = program;
    this.#directory = directory;
  }

  /** `directory`: for its scripts. @throws RelaymintError PROGRAM_MISSING. */
  static async open(directory: string): Promise<Wrk> {
    return new Wrk(await findProgram('wrk'), directory);
  }

  /** @throws RelaymintError INTERNAL when an answer was none or an error, ABORTED. */
  async load({ port, host, paths, connections, seconds, signal }: Load): Promise<Loaded> {
    assertNotAborted(signal, 'Measuring');
    this.#scripts += 1;
    const script = path.join(this.#directory, `load-${this.#scripts}.lua`);
    await writeFile(script, scriptOf(typeof paths === 'string' ? [] : paths));
    const url = `http://127.0.0.1:${port}${typeof paths === 'string' ? paths : '/'}`;
    // One thread: its pages are counted in one place, and it fills a core long before nginx does.
    const args = ['-t', '1', '-c', String(connections), '-d', `${seconds}s`, '--timeout', '30s', '-s', script];
    const child = spawn(this.#program, [...args, '-H', `Host: ${host}`, url], {
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    });
    using _ending = onAbort(signal, () => child.kill('SIGKILL'));
    const lines: string[] = [];
    createInterface({ input: child.stderr }).on('line', (line) => {
      // It reports what was answered until then.
      if (line === OVER) child.kill('SIGINT');
      else lines.push(line);
    });
    const [code] = (await once(child, 'close')) as [number | null];
    assertNotAborted(signal, 'Measuring');
    const said = lines.join('\n');
    if (code !== 0) throw new RelaymintError('INTERNAL', `wrk failed: ${said}`);
    const { requests, bytes, micros, failed } = reportSchema.parse(JSON.parse(said));
    if (failed > 0) throw new RelaymintError('INTERNAL', `${failed} of ${requests} requests to ${host} failed.`);
    return { requests, bytes, millis: micros / 1000 };
  }
}

/** In Lua, as wrk runs it: a state for its thread, and another one for `done`. */
function scriptOf(paths: readonly string[]): string {
  const list = paths.map((one) => JSON.stringify(one)).join(',');
  const each = `
local paths = {${list}}
local asked = 0
function request()
  asked = asked + 1
  if asked == #paths + 1 then io.stderr:write("${OVER}\\n") end
  return wrk.format(nil, paths[(asked - 1) % #paths + 1])
end`;
  return `${paths.length === 0 ? '' : each}
function done(summary)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.timeout + errors.status
  io.stderr:write(string.format('{"requests":%d,"bytes":%d,"micros":%d,"failed":%d}\\n', summary.requests, summary.bytes, summary.duration, failed))
end
`;
}
