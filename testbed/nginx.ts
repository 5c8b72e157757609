/** An nginx of our own on loopback: a server that everybody knows, to be compared with. It ends with us, however we end. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { deadline, orAborted } from '../core/abort.ts';
import { RelaymintError } from '../core/errors.ts';
import { findProgram } from '../platform/program.ts';

export interface NginxOptions {
  /** Its configuration and its temporary files; made when it is not there. */
  readonly directory: string;
  /** A free port of loopback. */
  readonly port: number;
  /** The folder that it serves at each host name. */
  readonly sites: Readonly<Record<string, string>>;
  /** Further `server { .. }` of its configuration. */
  readonly servers?: readonly string[];
  readonly signal: AbortSignal;
}

/** Debian's list of media types, from the package of the program itself. */
const MIME_TYPES = '/etc/nginx/mime.types';
/** Text of which browsers want to know the encoding: by itself nginx names it for HTML, plain text and a few more. */
const CHARSET_TYPES = 'text/html text/css text/plain text/xml text/markdown text/javascript text/vtt text/csv';
const READY_MILLIS = 20_000;
/** One that hangs is ended by force after this, milliseconds. */
const STOP_MILLIS = 10_000;
const TAIL_LINES = 8;

/**
 * Resolves when it answers; dispose it to end it.
 * @throws RelaymintError PROGRAM_MISSING (with the Debian package), FILE_NOT_FOUND (its list of media types), INTERNAL with its own words, ABORTED.
 */
export async function startNginx(options: NginxOptions): Promise<AsyncDisposable> {
  const { directory, signal } = options;
  const [nginx, setpriv] = await Promise.all(['nginx', 'setpriv'].map(findProgram));
  await access(MIME_TYPES).catch((cause: unknown) => {
    throw new RelaymintError('FILE_NOT_FOUND', `nginx has no list of media types at ${MIME_TYPES}.`, {
      remedy: 'On Debian and its derivatives: apt-get install nginx-common',
      cause,
    });
  });
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const file = path.join(directory, 'nginx.conf');
  await writeFile(file, configuration(options));
  // -e: what it says before it has read where to.
  const command = [nginx ?? '', '-e', 'stderr', '-p', directory, '-c', file];
  const child = spawn(setpriv ?? '', ['--pdeathsig', 'TERM', '--', ...command], {
    stdio: ['ignore', 'ignore', 'pipe'],
    // A group of its own: Ctrl-C reaches us, who end it.
    detached: true,
  });
  const tail: string[] = [];
  const exited = once(child, 'close');
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MILLIS);
    await exited;
    clearTimeout(timer);
  };
  const ready = new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      tail.push(line);
      if (tail.length > TAIL_LINES) tail.shift();
      // By then it listens.
      if (line.includes('start worker process ')) resolve();
    });
    exited.then(() => reject(failure(tail)), reject);
  });
  try {
    using limit = deadline(READY_MILLIS, 'Starting nginx', signal);
    await orAborted(ready, limit.signal, 'Starting nginx');
  } catch (error) {
    await stop();
    throw error;
  }
  return { [Symbol.asyncDispose]: stop };
}

function configuration({ directory, port, sites, servers: further = [] }: NginxOptions): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (what) => `  ${what}_temp_path ${quoted(path.join(directory, what))};`,
  );
  const servers = Object.entries(sites).map(
    ([host, root]) =>
      `  server { listen 127.0.0.1:${port}; server_name ${host}; root ${quoted(root)}; index index.html; }`,
  );
  // Its workers would be another user's, who may not read our folders.
  const user = process.getuid?.() === 0 ? ['user root root;'] : [];
  return [
    ...user,
    'daemon off;',
    'worker_processes auto;',
    `pid ${quoted(path.join(directory, 'pid'))};`,
    'error_log stderr notice;',
    'events { worker_connections 1024; }',
    'http {',
    `  include ${MIME_TYPES};`,
    '  types_hash_max_size 4096;',
    '  default_type application/octet-stream;',
    '  charset utf-8;',
    `  charset_types ${CHARSET_TYPES};`,
    '  access_log off;',
    '  sendfile on;',
    '  tcp_nopush on;',
    '  keepalive_requests 1000000000;',
    '  absolute_redirect off;',
    ...temporary,
    ...servers,
    ...further,
    '}',
    '',
  ].join('\n');
}

function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
}

function failure(tail: readonly string[]): RelaymintError {
  return new RelaymintError('INTERNAL', `nginx ended by itself: ${tail.join(' ') || 'it said nothing'}`);
}
