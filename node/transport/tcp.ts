/** Links over TCP. */
import { createServer, isIP, type AddressInfo, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { assertNotAborted } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';
import { isLoopback, parseAddress, tcpAddress, unsupported } from './address.ts';
import type { Listener, Transport } from './contract.ts';
import { KEEP_ALIVE_MILLIS, openSocket } from './socket.ts';
import { customerOf } from '../../platform/customer.ts';
import { hasErrno } from '../../platform/errno.ts';

const FORMS = '/ip4/ADDRESS/tcp/PORT, /ip6/ADDRESS/tcp/PORT or /dns4/NAME/tcp/PORT';

/** Dials `/ip4|ip6|dns|dns4|dns6/../tcp/PORT`; listens on `/ip4|ip6/../tcp/PORT`, where port 0 takes a free one. */
export function createTcpTransport(): Transport {
  return {
    name: 'tcp',
    canDial: (address) => parseAddress(address)?.kind === 'tcp',
    async dial(address, { signal }) {
      const destination = parseAddress(address);
      if (destination?.kind !== 'tcp' || destination.port === 0) throw unsupported(address, FORMS);
      return openSocket(destination.host, destination.port, signal);
    },
    async listen(address, onConnection, { signal } = {}) {
      const destination = parseAddress(address);
      if (destination?.kind !== 'tcp' || isIP(destination.host) === 0) throw unsupported(address, FORMS);
      assertNotAborted(signal, `Listening on ${address}`);
      const server = createServer({
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: KEEP_ALIVE_MILLIS,
        allowHalfOpen: true,
      });
      server.on('connection', (socket) => {
        // An error nobody watches must not end the process; whoever holds the socket sees it close.
        socket.on('error', () => {});
        onConnection(socket, sourceOf(socket.remoteAddress));
      });
      await bind(server, destination.host, destination.port, address);
      return listenerOf(server, destination.host);
    },
  };
}

/** The source under which connections are counted. undefined for this machine's own, where a proxy or tor may carry anybody. */
export function sourceOf(remote: string | undefined): string | undefined {
  return remote === undefined || isLoopback(remote) ? undefined : customerOf(remote);
}

function bind(server: Server, host: string, port: number, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (cause: NodeJS.ErrnoException): void => {
      const taken = hasErrno(cause, 'EADDRINUSE');
      const code = taken ? 'ADDRESS_IN_USE' : 'CONNECTION_REFUSED';
      reject(
        new RelaymintError(code, `Cannot listen on ${address} (${cause.code ?? cause.message}).`, {
          remedy: taken
            ? 'Choose another port or stop the program that uses it.'
            : 'Choose an address of this machine, and a port that you may use.',
          cause,
        }),
      );
    };
    server.once('error', onError);
    server.listen({ host, port, backlog: 511 }, () => {
      server.off('error', onError);
      // After this point only accept() fails (out of file handles): the server goes on when some are free again.
      server.on('error', () => {});
      resolve();
    });
  });
}

function listenerOf(server: Server, host: string): Listener {
  const { port } = server.address() as AddressInfo;
  const addresses = reachableHosts(host).map((reachable) => tcpAddress(reachable, port));
  return {
    addresses,
    close: () =>
      new Promise((resolve) => {
        // close() waits for connections that were handed out, which are not the listener's: 'listening' has ended at once.
        server.close();
        server.unref();
        resolve();
      }),
  };
}

/** The host itself, or every address of this machine where it stands for all of them. */
function reachableHosts(host: string): string[] {
  if (host !== '0.0.0.0' && host !== '::') return [host];
  const family = isIP(host) === 6 ? 'IPv6' : 'IPv4';
  const found: string[] = [];
  for (const card of Object.values(networkInterfaces())) {
    for (const { family: own, address, scopeid } of card ?? []) {
      if (own === family && (scopeid === undefined || scopeid === 0)) found.push(address);
    }
  }
  return found;
}
