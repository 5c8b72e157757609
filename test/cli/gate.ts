/** A way to a ledger that can be blocked: it then takes requests and answers none, or is not there at all. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface Gate extends AsyncDisposable {
  /** Where it listens. */
  readonly url: string;
  /** Requests that it does not answer, as long as their sender waits. */
  readonly held: number;
  /** From now on it takes what comes and answers nothing, on the connections that there are too. */
  hang(): void;
  /** From now on nobody listens, and the connections are gone. */
  refuse(): Promise<void>;
  /** Resolves when a request is held. */
  holds(): Promise<void>;
}

/** `url` is the ledger's own. Requests with `unanswered` in them get no answer even while it does not hang. */
export async function gateTo(url: string, unanswered?: string): Promise<Gate> {
  const port = Number(new URL(url).port);
  const sockets = new Set<Socket>();
  /** Where an answer is due. */
  const asking = new Set<Socket>();
  const held = new Set<Socket>();
  let hanging = false;
  const wake: (() => void)[] = [];
  const hold = (socket: Socket): void => {
    held.add(socket);
    for (const resolve of wake.splice(0)) resolve();
  };
  const server = createServer((socket) => {
    sockets.add(socket);
    const ledger = connect(port, '127.0.0.1');
    socket.on('data', (bytes) => {
      if (hanging || (unanswered !== undefined && bytes.includes(unanswered))) hold(socket);
      else {
        asking.add(socket);
        ledger.write(bytes);
      }
    });
    ledger.on('data', (bytes) => {
      if (hanging) return;
      asking.delete(socket);
      socket.write(bytes);
    });
    const over = (): void => {
      sockets.delete(socket);
      asking.delete(socket);
      held.delete(socket);
      ledger.destroy();
      socket.destroy();
    };
    socket.on('close', over).on('error', over);
    ledger.on('error', over).on('close', () => {
      if (!hanging) over();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const end = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get held() {
      return held.size;
    },
    hang: () => {
      hanging = true;
      for (const socket of asking) hold(socket);
    },
    refuse: end,
    holds: () =>
      new Promise((resolve) => {
        if (held.size > 0) resolve();
        else wake.push(resolve);
      }),
    [Symbol.asyncDispose]: end,
  };
}
