/** The only call in the house that opens a socket to somewhere. Reached through the policy. */
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { RelaymintError, messageOf } from '../../core/errors.ts';
import { abortError, orAborted } from '../../core/abort.ts';
import { hasErrno } from '../../platform/errno.ts';
import { isLocalhost } from './address.ts';
import { formatEndpoint, type Endpoint } from './endpoint.ts';

/** An idle connection that a firewall forgot is noticed after about this long, milliseconds. */
export const KEEP_ALIVE_MILLIS = 60_000;

const LOCALHOST = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];

/** @throws RelaymintError CONNECTION_REFUSED, TIMEOUT, ABORTED. */
export function openSocket(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  const options: NetConnectOpts = {
    host,
    port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MILLIS,
    allowHalfOpen: true,
    // These names must stay on this machine: no resolver is asked.
    ...(isLocalhost(host) ? { lookup: (_name, _options, done) => done(null, LOCALHOST) } : {}),
  };
  return open(options, `${host} port ${port}`, signal);
}

/** The same to a program on this machine. @throws RelaymintError CONNECTION_REFUSED, TIMEOUT, ABORTED. */
export function openEndpoint(endpoint: Endpoint, signal: AbortSignal): Promise<Socket> {
  if (endpoint.kind === 'tcp') return openSocket(endpoint.host, endpoint.port, signal);
  return open({ path: endpoint.path, allowHalfOpen: true }, formatEndpoint(endpoint), signal);
}

async function open(options: NetConnectOpts, where: string, signal: AbortSignal): Promise<Socket> {
  const what = `Connecting to ${where}`;
  if (signal.aborted) throw abortError(signal, what);
  const socket = connect(options);
  const connected = new Promise<void>((resolve, reject) => {
    socket.once('connect', () => resolve());
    // Stays on: an error nobody watches must not end the process; whoever holds the socket sees it close.
    socket.on('error', (cause) => reject(refused(where, cause)));
  });
  try {
    await orAborted(connected, signal, what);
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function refused(where: string, cause: NodeJS.ErrnoException): RelaymintError {
  if (hasErrno(cause, 'ETIMEDOUT')) {
    return new RelaymintError('TIMEOUT', `${where} does not answer.`, { remedy: 'Check the address.', cause });
  }
  const why = cause.code ?? messageOf(cause);
  return new RelaymintError('CONNECTION_REFUSED', `No connection to ${where} (${why}).`, {
    remedy: 'Check the address and that the other side is running.',
    cause,
  });
}
