/** A TCP proxy on loopback behind which everything is as far away as it is told: each direction late by half a round trip, in order. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

export interface DelayOptions {
  /** Between the two ends, milliseconds; 0 passes on at once. */
  readonly roundTripMillis: number;
  /** The port of this machine behind it, asked for at each connection. */
  readonly target: () => number;
}

const LOOPBACK = '127.0.0.1';
/** What is on its way in one direction of a connection, bytes; beyond it the sender waits, as at a full link. */
const MAX_ON_THE_WAY = 4 * 1024 * 1024;

export class DelayProxy implements AsyncDisposable {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;

  private constructor(server: Server, sockets: Set<Socket>) {
    this.#server = server;
    this.#sockets = sockets;
    this.port = (server.address() as AddressInfo).port;
  }

  static async open({ roundTripMillis, target }: DelayOptions): Promise<DelayProxy> {
    const sockets = new Set<Socket>();
    const own = (socket: Socket): Socket => {
      sockets.add(socket);
      return socket.setNoDelay(true).once('close', () => sockets.delete(socket));
    };
    const server = createServer({ allowHalfOpen: true }, (near) => {
      const far = connect({ host: LOOPBACK, port: target(), allowHalfOpen: true });
      join(own(near), own(far), roundTripMillis);
    });
    server.listen(0, LOOPBACK);
    await once(server, 'listening');
    return new DelayProxy(server, sockets);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of Array.from(this.#sockets)) socket.destroy();
    await closed;
  }
}

/** A connection that breaks at one end breaks at the other. */
function join(near: Socket, far: Socket, roundTripMillis: number): void {
  const now = performance.now();
  const oneWayMillis = roundTripMillis / 2;
  // Who dials sends only when the answer to its SYN is there, a round trip later than it does here.
  carry(near, far, { oneWayMillis, notBefore: now + roundTripMillis + oneWayMillis });
  carry(far, near, { oneWayMillis, notBefore: now + roundTripMillis });
  const broken = (): void => {
    near.destroy();
    far.destroy();
  };
  near.on('error', broken);
  far.on('error', broken);
}

/** Undefined: the sender has ended. */
interface OnTheWay {
  readonly chunk: Buffer | undefined;
  readonly due: number;
}

function carry(
  from: Socket,
  to: Socket,
  { oneWayMillis, notBefore }: { readonly oneWayMillis: number; readonly notBefore: number },
): void {
  const queue: OnTheWay[] = [];
  let bytes = 0;
  let timer: NodeJS.Timeout | undefined;
  const deliver = (): void => {
    clearTimeout(timer);
    timer = undefined;
    for (;;) {
      const [next] = queue;
      if (next === undefined || to.writableNeedDrain || to.destroyed) break;
      const early = next.due - performance.now();
      if (early > 0) {
        timer = setTimeout(deliver, Math.ceil(early));
        break;
      }
      queue.shift();
      if (next.chunk === undefined) to.end();
      else to.write(next.chunk);
      bytes -= next.chunk?.length ?? 0;
    }
    if (bytes <= MAX_ON_THE_WAY) from.resume();
  };
  const leave = (chunk: Buffer | undefined): void => {
    bytes += chunk?.length ?? 0;
    queue.push({ chunk, due: Math.max(performance.now() + oneWayMillis, notBefore) });
    if (bytes > MAX_ON_THE_WAY) from.pause();
    if (timer === undefined) deliver();
  };
  from.on('data', leave).once('end', () => leave(undefined));
  to.on('drain', deliver).once('close', () => clearTimeout(timer));
}
