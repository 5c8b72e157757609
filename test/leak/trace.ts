/**
 * What a process and all its children do with sockets, seen from outside: strace writes down every system call that opens
 * a way out, whatever library or thread made it. Needs strace (Debian: strace) and Linux.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { formatEndpoint, type Endpoint } from '../../node/transport/index.ts';

/**
 * Calls by which bytes can leave. io_uring could carry out sockets' work unseen, so that setting one up counts as well
 * (libuv keeps it off unless it is asked for).
 */
const CALLS = 'connect,sendto,sendmsg,sendmmsg,bind,listen,socket,io_uring_setup';

/** One call that names a destination or an address of its own. */
export interface SocketCall {
  readonly call: string;
  /** `inet`, `inet6`, `unix`, `netlink`, `packet` and so on, lower case. */
  readonly family: string;
  /** `127.0.0.1:9050`, `[::1]:53`, a path, or what strace printed. */
  readonly target: string;
  /** The line as strace wrote it. */
  readonly line: string;
}

export interface Traced extends AsyncDisposable {
  /** strace itself, in front of the command: its stdio is the command's. */
  readonly child: ChildProcess;
  /** Every call so far. A line that is being written is left out. */
  calls(): Promise<SocketCall[]>;
}

/** Starts `command` under strace. Dispose it after the child has ended. */
export async function trace(
  command: readonly string[],
  options: { readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Traced> {
  const directory = await mkdtemp(path.join(tmpdir(), 'relaymint-trace-'));
  const child = spawn(
    'strace',
    // -ff: a file a process, so that no line is torn; --kill-on-exit is newer than Debian 12's strace.
    [
      '-ff',
      '--seccomp-bpf',
      '-s',
      '256',
      '-e',
      `trace=${CALLS}`,
      '-e',
      'signal=none',
      '-o',
      path.join(directory, 'pid'),
      ...command,
    ],
    { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...options.env } },
  );
  return {
    child,
    async calls() {
      const files = await readdir(directory);
      const texts = await Promise.all(files.map((file) => readFile(path.join(directory, file), 'utf8')));
      return texts.flatMap((text) => text.split('\n').slice(0, -1).flatMap(parseCall));
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

/** What strace prints of an address, by family. */
const FORMS: readonly { readonly pattern: RegExp; readonly target: (groups: RegExpExecArray) => string }[] = [
  {
    pattern: /sa_family=AF_INET, sin_port=htons\((\d+)\), sin_addr=inet_addr\("([^"]+)"\)/,
    target: ([, port, host]) => `${host}:${port}`,
  },
  {
    pattern: /sa_family=AF_INET6, sin6_port=htons\((\d+)\).*?inet_pton\(AF_INET6, "([^"]+)"/,
    target: ([, port, host]) => `[${host}]:${port}`,
  },
  { pattern: /sa_family=AF_UNIX, sun_path=(@?)"([^"]*)"/, target: ([, abstract, name]) => `${abstract}${name}` },
];

/** @returns nothing for calls without an address: a socket that is only made, data on a connected one. */
export function parseCall(line: string): SocketCall[] {
  const call = /^(\w+)\(/.exec(line)?.[1];
  if (call === undefined) return [];
  if (call === 'io_uring_setup') return [{ call, family: 'io_uring', target: '', line }];
  if (call === 'socket') {
    // A socket of a family that needs no address to send (raw, packet) is a way out by itself.
    const family = /^socket\(AF_(\w+), SOCK_(\w+)/.exec(line);
    const [, name = '', type = ''] = family ?? [];
    return type === 'RAW' && name !== 'NETLINK' ? [{ call, family: name.toLowerCase(), target: 'raw', line }] : [];
  }
  const family = /sa_family=AF_(\w+)/.exec(line)?.[1]?.toLowerCase();
  if (family === undefined) return [];
  for (const { pattern, target } of FORMS) {
    const match = pattern.exec(line);
    if (match !== null) return [{ call, family, target: target(match), line }];
  }
  return [{ call, family, target: line.slice(0, 200), line }];
}

export interface Allowed {
  /** Places to connect to: `127.0.0.1:9050` or the path of a unix socket. */
  readonly connect: readonly string[];
  /** True: listening on loopback and on unix sockets is allowed, on any port. */
  readonly listen: boolean;
}

/** As it stands in `SocketCall.target`. */
export function placeOf(endpoint: Endpoint): string {
  return formatEndpoint(endpoint).replace(/^unix:/, '');
}

/** The calls that none of `allowed` covers: each one is a leak. */
export function leaks(calls: readonly SocketCall[], allowed: Allowed): SocketCall[] {
  return calls.filter(({ call, family, target }) => {
    // The kernel's own table of network cards: nothing leaves the machine by it.
    if (family === 'netlink') return false;
    if (call === 'bind') return !(allowed.listen && (family === 'unix' || isLoopback(target)));
    return !allowed.connect.includes(target);
  });
}

function isLoopback(target: string): boolean {
  return target.startsWith('127.') || target.startsWith('[::1]:');
}
