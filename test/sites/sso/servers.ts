/** Debian's own database servers, as processes of a test: on loopback, in a folder that goes with them. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, readdirSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import type { StoreConnect } from '../../../sites/sso/index.ts';
import { freePort } from '../../port.ts';

export interface TestServer extends AsyncDisposable {
  readonly url: URL;
  /** At once, as a power cut does. */
  kill(): Promise<void>;
  /** Again, on the same records. */
  start(): Promise<void>;
}

const READY_MILLIS = 60_000;
/** PostgreSQL refuses to run as root: then it runs as this user, whom every system has. */
const NOBODY = 65_534;
const REDIS = '/usr/bin/redis-server';

export function hasRedis(): boolean {
  return mayRun(REDIS);
}

export function hasPostgres(): boolean {
  return postgresFolder() !== undefined;
}

export async function startRedis(password: string): Promise<TestServer> {
  const folder = await mkdtemp(path.join(tmpdir(), 'relaymint-redis-'));
  const port = await freePort();
  const settings = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--requirepass', password];
  const durable = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', ''];
  return await started(
    new URL(`redis://:${password}@127.0.0.1:${port}/0`),
    folder,
    () => spawn(REDIS, [...settings, ...durable], { stdio: ['ignore', 'pipe', 'inherit'] }),
    'Ready to accept connections',
  );
}

export async function startPostgres(password: string): Promise<TestServer> {
  const programs = postgresFolder();
  if (programs === undefined) throw new Error('PostgreSQL is not installed');
  const folder = await mkdtemp(path.join(tmpdir(), 'relaymint-postgres-'));
  const port = await freePort();
  const data = path.join(folder, 'data');
  const isRoot = process.getuid?.() === 0;
  const who = isRoot ? { uid: NOBODY, gid: NOBODY } : {};
  await mkdir(data);
  await chmod(data, 0o700);
  if (isRoot) for (const one of [folder, data]) await chown(one, NOBODY, NOBODY);
  const words = path.join(folder, 'password');
  await writeFile(words, `${password}\n`, { mode: 0o644 });
  const made = spawnSync(
    path.join(programs, 'initdb'),
    [
      '-D',
      data,
      '-U',
      'relaymint',
      '--auth=scram-sha-256',
      `--pwfile=${words}`,
      '--no-sync',
      '-E',
      'UTF8',
      '--locale=C',
    ],
    { ...who, cwd: folder, encoding: 'utf8' },
  );
  if (made.status !== 0) throw new Error(`initdb: ${made.stderr}`);
  const settings = ['-D', data, '-p', String(port), '-c', 'listen_addresses=127.0.0.1', '-k', folder];
  return await started(
    new URL(`postgres://relaymint:${password}@127.0.0.1:${port}/postgres`),
    folder,
    () =>
      spawn(path.join(programs, 'postgres'), settings, { ...who, cwd: folder, stdio: ['ignore', 'inherit', 'pipe'] }),
    'database system is ready to accept connections',
  );
}

/** As the policy connects. */
export const connectDirectly: StoreConnect = async ({ host, port }, { signal }): Promise<Duplex> => {
  const socket = createConnection({ host, port, noDelay: true });
  await once(socket, 'connect', { signal });
  socket.on('error', () => undefined);
  return socket;
};

async function started(url: URL, folder: string, run: () => ChildProcess, ready: string): Promise<TestServer> {
  let child: ChildProcess | undefined;
  const server: TestServer = {
    url,
    async start() {
      child = run();
      await said(child, ready);
    },
    async kill() {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
    async [Symbol.asyncDispose]() {
      await server.kill();
      await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
  await server.start();
  return server;
}

async function said(child: ChildProcess, words: string): Promise<void> {
  let output = '';
  const signal = AbortSignal.timeout(READY_MILLIS);
  const stream = child.stdout ?? child.stderr;
  if (stream === null) throw new Error('it has no output');
  stream.setEncoding('utf8');
  for (;;) {
    const [text] = (await Promise.race([
      once(stream, 'data', { signal }),
      once(child, 'exit', { signal }).then(() => {
        throw new Error(`it ended: ${output}`);
      }),
    ])) as [string];
    output += text;
    if (!output.includes(words)) continue;
    stream.resume();
    return;
  }
}

function postgresFolder(): string | undefined {
  try {
    const versions = readdirSync('/usr/lib/postgresql').toSorted((a, b) => Number(b) - Number(a));
    return versions.map((one) => `/usr/lib/postgresql/${one}/bin`).find((one) => mayRun(path.join(one, 'postgres')));
  } catch {
    return undefined;
  }
}

function mayRun(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
