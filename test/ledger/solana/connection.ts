/** An ordinary web3.js Connection to an embedded ledger, which can be closed before the ledger is. */
import { Connection } from '@solana/web3.js';
import type { EmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';

interface Socket {
  readonly ready: boolean;
  once(event: 'close', listener: () => void): void;
  close(): void;
}

/**
 * By itself it closes its socket half a second after its last subscription; one that outlives the server dials on and on, and
 * prints that nobody answers. Remove its subscriptions before disposing it.
 */
export function openConnection({ url, wsUrl }: EmbeddedLedger): Connection & AsyncDisposable {
  const connection = new Connection(url, { commitment: 'confirmed', wsEndpoint: wsUrl });
  return Object.assign(connection, {
    [Symbol.asyncDispose]: async (): Promise<void> => {
      const socket = Reflect.get(connection, '_rpcWebSocket') as Socket;
      if (!socket.ready) return;
      const closed = new Promise<void>((resolve) => {
        socket.once('close', resolve);
      });
      socket.close();
      await closed;
    },
  });
}
