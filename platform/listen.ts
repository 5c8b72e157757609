/** Listening where others find us. */
import { createServer, type AddressInfo, type Server } from 'node:net';
import { RelaymintError } from '../core/errors.ts';
import { hasErrno } from './errno.ts';

export interface ListenAt {
  /** 0: any free one. */
  readonly port: number;
  readonly address: string;
}

/** Resolves with the port, once it listens. @throws RelaymintError ADDRESS_IN_USE; INVALID_CONFIG when it cannot for another reason. */
export async function listenAt(server: Server, { port, address }: ListenAt, what: string): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    const failed = (cause: Error): void => reject(cannotListen(port, address, what, cause));
    server.once('error', failed);
    server.listen(port, address, () => {
      server.off('error', failed);
      resolve();
    });
  });
  return (server.address() as AddressInfo).port;
}

/** A port that nobody has now, for who has to know it before it listens. Another process may be faster. @throws RelaymintError INVALID_CONFIG, ADDRESS_IN_USE. */
export async function unusedPort(address: string, what: string): Promise<number> {
  const server = createServer();
  const port = await listenAt(server, { port: 0, address }, what);
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  return port;
}

/** A port that is held: nobody else has it, and who connects is sent away. Dispose it right before listening there oneself. */
export interface HeldPort extends AsyncDisposable {
  readonly port: number;
}

/** @throws RelaymintError INVALID_CONFIG, ADDRESS_IN_USE. */
export async function holdPort(address: string, what: string, wanted: number = 0): Promise<HeldPort> {
  const server = createServer((socket) => socket.destroy());
  const port = await listenAt(server, { port: wanted, address }, what);
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

function cannotListen(port: number, address: string, what: string, cause: Error): RelaymintError {
  const taken = hasErrno(cause, 'EADDRINUSE');
  const message = taken ? `Port ${port} is taken.` : `Port ${port}: ${cause.message}.`;
  return new RelaymintError(taken ? 'ADDRESS_IN_USE' : 'INVALID_CONFIG', message, {
    remedy: hasErrno(cause, 'EADDRNOTAVAIL')
      ? `${address} is no address of this machine: choose another.`
      : `Choose another port for ${what}.`,
    cause,
  });
}
