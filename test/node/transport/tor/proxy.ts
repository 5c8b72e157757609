/** A SOCKS server as far as a client sees it; behind it is an echo. */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Endpoint } from '../../../../node/transport/endpoint.ts';

/** What a client asked of the proxy. */
export interface Asked {
  readonly user: string;
  readonly password: string;
  /** The bytes of the CONNECT request. */
  readonly request: Buffer;
}

export interface Script {
  /** The method byte that the proxy chooses. Default 2, user name and password. */
  readonly method?: number;
  /** The whole reply, or none at all. Default: granted, with an IPv4 address. */
  readonly reply?: Buffer | 'silence';
  /** Sent in the same packet as the reply. */
  readonly first?: string;
}

export const GRANTED: Buffer = Buffer.from('05000001000000000000', 'hex');

export class Proxy {
  readonly asked: Asked[] = [];
  readonly sockets: Socket[] = [];
  readonly #server: Server;

  /** `script`: what to do, or what to do for a request. */
  constructor(script: Script | ((request: Buffer) => Script) = {}) {
    this.#server = createServer((socket) => {
      this.sockets.push(socket);
      socket.on('error', () => {});
      this.#serve(socket, script).catch(() => {
        // The client hung up.
      });
    });
  }

  async start(port = 0): Promise<Endpoint & { readonly kind: 'tcp' }> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    return { kind: 'tcp', host: '127.0.0.1', port: (this.#server.address() as AddressInfo).port };
  }

  /** Resolves once nobody listens on the port. */
  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #serve(socket: Socket, script: Script | ((request: Buffer) => Script)): Promise<void> {
    const methods = await take(socket, (data) => 2 + (data[1] ?? 255));
    if (!methods.subarray(2).includes(2)) socket.destroy();
    const { method = 2 } = typeof script === 'function' ? {} : script;
    socket.write(Buffer.of(5, method));
    if (method !== 2) return;
    const auth = await take(socket, (data) => {
      const user = data[1] ?? 255;
      return 3 + user + (data[2 + user] ?? 255);
    });
    const users = auth[1] as number;
    socket.write(Buffer.of(1, 0));
    const request = await take(socket, (data) => (data[3] === 3 ? 7 + (data[4] ?? 255) : data[3] === 1 ? 10 : 22));
    this.asked.push({
      user: auth.subarray(2, 2 + users).toString(),
      password: auth.subarray(3 + users).toString(),
      request,
    });
    const { reply = GRANTED, first = '' } = typeof script === 'function' ? script(request) : script;
    if (reply === 'silence') {
      // That the client hangs up must be heard.
      socket.resume();
      return;
    }
    socket.write(Buffer.concat([reply, Buffer.from(first)]));
    socket.pipe(socket);
  }
}

/** Exactly as many bytes as `length` says once it has seen enough of them. */
async function take(socket: Socket, length: (data: Buffer) => number): Promise<Buffer> {
  let data = Buffer.alloc(0);
  while (data.length < length(data)) {
    const chunk = socket.read(1) as Buffer | null;
    if (chunk === null) await once(socket, 'readable');
    else data = Buffer.concat([data, chunk]);
  }
  return data;
}
