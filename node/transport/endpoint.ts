/** Where a program on this machine answers: a proxy, a router or a control port. Written without any name to look up. */
import { isIP } from 'node:net';
import path from 'node:path';
import { RelaymintError } from '../../core/errors.ts';
import { isLoopback } from './address.ts';

export type Endpoint =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/**
 * Reads `127.0.0.1:9050`, `[::1]:9050`, a bare port of this machine, or `unix:/PATH`.
 * @throws RelaymintError INVALID_ARGUMENT. A host other than this machine is refused: what reaches a proxy in the clear is not hidden.
 */
export function parseEndpoint(text: string): Endpoint {
  if (text.startsWith('unix:') && path.isAbsolute(text.slice(5))) return { kind: 'unix', path: text.slice(5) };
  const match = /^(?:(\[[0-9a-f:.]+\]|[0-9.]+|localhost):)?(\d{1,5})$/i.exec(text);
  const host = (match?.[1] ?? '127.0.0.1').replace(/^\[|\]$/g, '').replace(/^localhost$/i, '127.0.0.1');
  const port = Number(match?.[2]);
  if (match !== null && isIP(host) !== 0 && isLoopback(host) && port >= 1 && port <= 65_535) {
    return { kind: 'tcp', host, port };
  }
  throw new RelaymintError('INVALID_ARGUMENT', `"${text.slice(0, 200)}" is not a place on this machine.`, {
    remedy: 'Write 127.0.0.1:PORT, a port alone, or unix:/PATH.',
  });
}

/** The text that `parseEndpoint` reads. */
export function formatEndpoint(endpoint: Endpoint): string {
  if (endpoint.kind === 'unix') return `unix:${endpoint.path}`;
  return `${isIP(endpoint.host) === 6 ? `[${endpoint.host}]` : endpoint.host}:${endpoint.port}`;
}

/** The longest path of a unix socket that the kernel takes. */
const MAX_SOCKET_PATH = 107;

/** @throws RelaymintError INVALID_ARGUMENT. */
export function assertSocketPath(socket: string): void {
  if (Buffer.byteLength(socket) <= MAX_SOCKET_PATH) return;
  throw new RelaymintError('INVALID_ARGUMENT', `The path ${socket} is too long for a unix socket.`, {
    remedy: 'Use a folder with a shorter path.',
  });
}
