/**
 * A TCP proxy on loopback behind which everything is as far away, and the line as slow, as it is told: each direction late by half a
 * round trip, in order.
 */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

export interface DelayOptions {
  /** Between the two ends, milliseconds; 0 passes on at once. */
  readonly roundTripMillis: number;
  /** The port of this machine behind it, asked for at each connection. */
  readonly target: () => number;
  /** What the line carries in each direction of each connection; without a limit when absent. */
  readonly bytesPerSecond?: number;
}

type Distance = Omit<DelayOptions, 'target'>;

const LOOPBACK = '127.0.0.1';
/** What is on its way in one direction of a connection, bytes; beyond it the sender waits, as at a full link. */
const MAX_ON_THE_WAY = 4 * 1024 * 1024;

export class DelayProxy implements AsyncDisposable {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;
  readonly #lines: readonly Line[];

  private constructor(server: Server, sockets: Set<Socket>, lines: readonly Line[]) {
    this.#server = server;
    this.#sockets = sockets;
    this.#lines = lines;
    this.port = (server.address() as AddressInfo).port;
  }

  static async open({ target, ...distance }: DelayOptions): Promise<DelayProxy> {
    const sockets = new Set<Socket>();
    const lines: Line[] = [];
    const own = (socket: Socket): Socket => {
      sockets.add(socket);
      return socket.setNoDelay(true).once('close', () => sockets.delete(socket));
    };
    const server = createServer({ allowHalfOpen: true }, (near) => {
      const far = connect({ host: LOOPBACK, port: target(), allowHalfOpen: true });
      lines.push(...join(own(near), own(far), distance));
    });
    server.listen(0, LOOPBACK);
    await once(server, 'listening');
    return new DelayProxy(server, sockets, lines);
  }

  /** What is on its way now: in the fullest direction of any connection, bytes. */
  get waiting(): number {
    return Math.max(0, ...this.#lines.map((line) => line.bytes));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of Array.from(this.#sockets)) socket.destroy();
    await closed;
  }
}

/** A connection that breaks at one end breaks at the other. */
function join(near: Socket, far: Socket, { roundTripMillis, bytesPerSecond }: Distance): readonly Line[] {
  const now = performance.now();
  const oneWayMillis = roundTripMillis / 2;
  // Who dials sends only when the answer to its SYN is there, a round trip later than it does here.
  const there = new Line(near, far, { oneWayMillis, bytesPerSecond, notBefore: now + roundTripMillis + oneWayMillis });
  const back = new Line(far, near, { oneWayMillis, bytesPerSecond, notBefore: now + roundTripMillis });
  const broken = (): void => {
    near.destroy();
    far.destroy();
  };
  near.on('error', broken);
  far.on('error', broken);
  return [there, back];
}

/** Undefined: the sender has ended. */
interface OnTheWay {
  readonly chunk: Buffer | undefined;
  readonly due: number;
}

interface LineOptions {
  readonly oneWayMillis: number;
  readonly bytesPerSecond: number | undefined;
  /** Nothing arrives before, by performance.now(). */
  readonly notBefore: number;
}

/** One direction of a connection. */
class Line {
  /** On their way. */
  bytes = 0;
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #options: LineOptions;
  readonly #queue: OnTheWay[] = [];
  /** When the line has sent all that was given to it, by performance.now(). */
  #freeAt = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(from: Socket, to: Socket, options: LineOptions) {
    this.#from = from;
    this.#to = to;
    this.#options = options;
    from.on('data', (chunk: Buffer) => this.#leave(chunk)).once('end', () => this.#leave(undefined));
    to.on('drain', () => this.#deliver()).once('close', () => clearTimeout(this.#timer));
  }

  #leave(chunk: Buffer | undefined): void {
    const { oneWayMillis, bytesPerSecond = Infinity, notBefore } = this.#options;
    const length = chunk?.length ?? 0;
    this.bytes += length;
    this.#freeAt = Math.max(this.#freeAt, performance.now()) + (length * 1000) / bytesPerSecond;
    this.#queue.push({ chunk, due: Math.max(this.#freeAt + oneWayMillis, notBefore) });
    if (this.bytes > MAX_ON_THE_WAY) this.#from.pause();
    if (this.#timer === undefined) this.#deliver();
  }

  #deliver(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (;;) {
      const [next] = this.#queue;
      if (next === undefined || this.#to.writableNeedDrain || this.#to.destroyed) break;
      const early = next.due - performance.now();
      if (early > 0) {
        this.#timer = setTimeout(() => this.#deliver(), Math.ceil(early));
        break;
      }
      this.#queue.shift();
      if (next.chunk === undefined) this.#to.end();
      else this.#to.write(next.chunk);
      this.bytes -= next.chunk?.length ?? 0;
    }
    if (this.bytes <= MAX_ON_THE_WAY) this.#from.resume();
  }
}
