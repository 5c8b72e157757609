/** Links over TCP. */
import { createServer, isIP, type AddressInfo, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { RelaymintError } from '../../core/errors.ts';
import { isLoopback, parseAddress, tcpAddress, unsupported } from './address.ts';
import type { Listener, Transport } from './contract.ts';
import { KEEP_ALIVE_MILLIS, openSocket } from './socket.ts';

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
    async listen(address, onConnection) {
      const destination = parseAddress(address);
      if (destination?.kind !== 'tcp' || isIP(destination.host) === 0) throw unsupported(address, FORMS);
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

/**
 * Whose connections are counted together: an IPv4 address, or the /64 that one customer has of IPv6. undefined for this machine's own, where
 * a proxy or tor stands for everybody.
 */
export function sourceOf(remote: string | undefined): string | undefined {
  if (remote === undefined || isLoopback(remote)) return undefined;
  const bare = remote.replace(/^::ffff:(?=\d+\.)/i, '');
  if (isIP(bare) !== 6) return bare;
  const [head = '', tail] = bare.replace(/%.*$/, '').split('::');
  const groups = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - groups.length - after.length;
  const all = [...groups, ...Array.from({ length: zeros }, () => '0'), ...after];
  return all.slice(0, 4).join(':');
}

function bind(server: Server, host: string, port: number, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (cause: NodeJS.ErrnoException): void => {
      reject(
        new RelaymintError('CONNECTION_REFUSED', `Cannot listen on ${address} (${cause.code ?? cause.message}).`, {
          remedy: 'Choose another port or stop the program that uses it.',
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
