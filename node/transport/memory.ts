/** Connections inside one process, for tests and for nodes that share it. They push back and half-close as sockets do. */
import { Duplex } from 'node:stream';
import { RelaymintError } from '../../core/errors.ts';
import { assertNotAborted } from '../../core/abort.ts';
import { parseAddress, unsupported } from './address.ts';
import type { Listener, Transport } from './contract.ts';

const FORMS = '/memory/NAME';

/** Names that nodes of one process listen on. Nodes reach each other when they share it. */
export interface MemoryNetwork {
  readonly listeners: Map<string, (connection: Duplex) => void>;
}

export function createMemoryNetwork(): MemoryNetwork {
  return { listeners: new Map() };
}

export function createMemoryTransport(network: MemoryNetwork): Transport {
  return {
    name: 'memory',
    canDial: (address) => parseAddress(address)?.kind === 'memory',
    async dial(address, { signal }) {
      const name = nameOf(address);
      await new Promise(setImmediate);
      assertNotAborted(signal, `Connecting to ${address}`);
      const accept = network.listeners.get(name);
      if (accept === undefined) {
        throw new RelaymintError('CONNECTION_REFUSED', `Nobody listens on ${address}.`, {
          remedy: 'Start the other node first.',
        });
      }
      const [ours, theirs] = memoryPair();
      accept(theirs);
      return ours;
    },
    async listen(address, onConnection, { signal } = {}): Promise<Listener> {
      const name = nameOf(address);
      assertNotAborted(signal, `Listening on ${address}`);
      if (network.listeners.has(name)) {
        throw new RelaymintError('ADDRESS_IN_USE', `Cannot listen on ${address}: the name is taken.`, {
          remedy: 'Choose another name.',
        });
      }
      network.listeners.set(name, onConnection);
      return {
        addresses: [address],
        close: async () => {
          network.listeners.delete(name);
        },
      };
    },
  };
}

function nameOf(address: string): string {
  const destination = parseAddress(address);
  if (destination?.kind !== 'memory') throw unsupported(address, FORMS);
  return destination.name;
}

/** Two connected ends. */
export function memoryPair(): [Duplex, Duplex] {
  const left = new MemoryConnection();
  const right = new MemoryConnection();
  left.join(right);
  right.join(left);
  return [left, right];
}

/**
 * One end. A chunk is handed over on a later turn of the event loop, so that two ends that answer each other neither
 * recurse nor starve timers; the write is acknowledged once the other end has room.
 */
class MemoryConnection extends Duplex {
  #peer: MemoryConnection | undefined;
  /** Acknowledges the write that waits for us to read. */
  #acknowledge: (() => void) | undefined;

  constructor() {
    super({ allowHalfOpen: true });
    // An error nobody watches must not end the process; whoever holds the connection sees it close.
    this.on('error', () => {});
  }

  join(peer: MemoryConnection): void {
    this.#peer = peer;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    setImmediate(() => {
      const peer = this.#peer;
      if (peer === undefined || peer.destroyed) done(broken('EPIPE'));
      else if (peer.push(chunk)) done();
      else peer.#acknowledge = done;
    });
  }

  override _read(): void {
    const acknowledge = this.#acknowledge;
    this.#acknowledge = undefined;
    acknowledge?.();
  }

  override _final(done: (error?: Error | null) => void): void {
    setImmediate(() => {
      if (this.#peer?.destroyed === false) this.#peer.push(null);
      done();
    });
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const peer = this.#peer;
    const orderly = this.writableFinished && this.readableEnded;
    this._read();
    this.#peer = undefined;
    setImmediate(() => {
      if (!orderly && peer?.destroyed === false) peer.destroy(broken('ECONNRESET'));
    });
    done(error);
  }
}

function broken(code: 'EPIPE' | 'ECONNRESET'): NodeJS.ErrnoException {
  return Object.assign(new Error(`the other end of this connection is gone (${code})`), { code });
}
