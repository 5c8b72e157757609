/** Onion services that lead to a TCP port of this machine, put up by somebody who is not that port's owner. */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { silentLog } from '../../core/ports.ts';
import type { PrivateTorNetwork } from '../../testbed/tor.ts';
import { openSocket } from '../../node/transport/socket.ts';
import { ephemeralOnionKey } from '../../node/transport/tor/key.ts';
import { createOnionServices } from '../../node/transport/tor/service.ts';

/** What the onion services here listen on. */
export const MAPPED_PORT = 80;

export interface MappedOnion extends AsyncDisposable {
  /** Without ".onion". */
  readonly onion: string;
}

const signal = new AbortController().signal;

/** Tor lives in a namespace of its own and sees files, not our ports: it comes to a unix socket at `socket`. */
export async function mapOnion(
  network: PrivateTorNetwork,
  socket: string,
  host: string,
  port: number,
): Promise<MappedOnion> {
  await using stack = new AsyncDisposableStack();
  const server = await forward(socket, host, port);
  stack.defer(() => void server.close());
  const key = stack.use(ephemeralOnionKey());
  const services = stack.use(createOnionServices({ control: network.control, log: silentLog }));
  await services.publish(key, MAPPED_PORT, { kind: 'unix', path: socket }, {}, signal);
  const owned = stack.move();
  return { onion: key.onion, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function forward(socket: string, host: string, port: number): Promise<Server> {
  const server = createServer((near: Socket) => {
    near.on('error', () => {});
    void join(near, host, port);
  });
  server.listen(socket);
  await once(server, 'listening');
  return server;
}

async function join(near: Socket, host: string, port: number): Promise<void> {
  try {
    const far = await openSocket(host, port, signal);
    near.pipe(far).pipe(near);
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  } catch {
    near.destroy();
  }
}
