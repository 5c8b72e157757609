/** What every transport must do. Run it against each one: `transportCompliance('tcp', { setup, teardown })`. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isRelaymintError, type ErrorCode } from '../../core/errors.ts';
import type { Listener, Transport } from '../../node/transport/index.ts';
import { abortedBefore, abortedInside } from './traits.ts';

export interface TransportUnderTest {
  readonly transport: Transport;
  /** An address to listen on; a different one every time, or one that takes a free port. */
  freshAddress(): string;
  /** An address of the right form where nobody listens. */
  readonly deadAddress: string;
  /** Addresses that are not this transport's. */
  readonly foreignAddresses: readonly string[];
  /** What a dial to where nobody listens says. Default CONNECTION_REFUSED; anonymizing networks cannot always tell. */
  readonly deadCodes?: readonly ErrorCode[];
  /** How much a writer offers that nobody reads, MiB. Default 64; half of it may be on its way at most. */
  readonly unreadMib?: number;
  /** Chunks of about 150 KB in the big transfer. Default 200. */
  readonly bigChunks?: number;
  /** Answers on a second connection, after which everything that could move has had its turn. Default 50. */
  readonly turns?: number;
}

export interface TransportSetup {
  readonly setup: () => Promise<TransportUnderTest>;
  readonly teardown: () => Promise<void>;
}

const MIB = 1024 * 1024;
const signal = new AbortController().signal;

export function transportCompliance(name: string, { setup, teardown }: TransportSetup): void {
  describe(`transport ${name}`, () => {
    let tested: TransportUnderTest;
    let listeners: Listener[];
    let connections: Duplex[];
    beforeEach(async () => {
      tested = await setup();
      listeners = [];
      connections = [];
    });
    afterEach(async () => {
      for (const connection of connections) connection.destroy();
      await Promise.all(listeners.map((listener) => listener.close()));
      await teardown();
    });

    const listen = async (onConnection: (connection: Duplex) => void): Promise<string> => {
      const listener = await tested.transport.listen(tested.freshAddress(), (connection) => {
        connections.push(connection);
        onConnection(connection);
      });
      listeners.push(listener);
      expect(listener.addresses.length).toBeGreaterThan(0);
      return listener.addresses[0] as string;
    };
    const dial = async (address: string): Promise<Duplex> => {
      const connection = await tested.transport.dial(address, { signal });
      connections.push(connection);
      return connection;
    };
    const pair = async (): Promise<[Duplex, Duplex]> => {
      let accepted: ((connection: Duplex) => void) | undefined;
      const arriving = new Promise<Duplex>((resolve) => {
        accepted = resolve;
      });
      const near = await dial(await listen((connection) => accepted?.(connection)));
      return [near, await arriving];
    };

    const deadCodes = (): readonly ErrorCode[] => tested.deadCodes ?? ['CONNECTION_REFUSED'];
    const codeOfDial = async (address: string): Promise<string> => {
      try {
        await dial(address);
        return 'connected';
      } catch (error) {
        return isRelaymintError(error) ? error.code : String(error);
      }
    };

    it('gives out addresses that it can dial itself', async () => {
      const address = await listen((connection) => connection.end('hello'));
      expect(tested.transport.canDial(address)).toBe(true);
      expect(await text(await dial(address))).toBe('hello');
    });

    it('tells its own addresses from foreign ones', async () => {
      for (const address of [...tested.foreignAddresses, '', '/', 'nonsense', '/ip4/1.2.3.4', 'x'.repeat(10_000)]) {
        expect(tested.transport.canDial(address)).toBe(false);
        await expect(tested.transport.dial(address, { signal })).rejects.toMatchObject({ code: 'ADDRESS_UNSUPPORTED' });
        await expect(tested.transport.listen(address, () => {})).rejects.toMatchObject({ code: 'ADDRESS_UNSUPPORTED' });
      }
    });

    it('carries bytes both ways at once', async () => {
      const [near, far] = await pair();
      near.end('from near');
      far.end('from far');
      expect(await Promise.all([text(near), text(far)])).toEqual(['from far', 'from near']);
    });

    it('half-closes: the other direction stays open', async () => {
      const [near, far] = await pair();
      near.end('question');
      expect(await text(far)).toBe('question');
      expect(far.writable).toBe(true);
      far.write('answer ');
      far.end('in two parts');
      expect(await text(near)).toBe('answer in two parts');
    });

    it('pushes back on a writer that nobody reads', async () => {
      const { unreadMib = 64, turns = 50 } = tested;
      const [near, far] = await pair();
      const chunk = Buffer.alloc(MIB, 1);
      let acknowledged = 0;
      for (let i = 0; i < unreadMib; i += 1) {
        near.write(chunk, () => {
          acknowledged += 1;
        });
      }
      // An echo on a second connection shows that everything that could move has had its turn.
      const other = await dial(await listen((connection) => connection.pipe(connection)));
      for (let turn = 0; turn < turns; turn += 1) {
        other.write('x');
        await once(other, 'data');
      }
      expect(acknowledged).toBeLessThan(unreadMib / 2);
      let read = 0;
      far.on('data', (data: Buffer) => {
        read += data.length;
      });
      near.end();
      await once(far, 'end');
      expect(read).toBe(unreadMib * MIB);
      expect(acknowledged).toBe(unreadMib);
    });

    it('carries a big transfer unchanged', async () => {
      const { bigChunks = 200 } = tested;
      const [near, far] = await pair();
      const sent = createHash('sha256');
      const received = createHash('sha256');
      far.on('data', (data: Buffer) => received.update(data));
      const ended = once(far, 'end');
      for (let i = 0; i < bigChunks; i += 1) {
        const chunk = randomBytes(1 + ((i * 7919) % 300_000));
        sent.update(chunk);
        if (!near.write(chunk)) await once(near, 'drain');
      }
      near.end();
      await ended;
      expect(received.digest('hex')).toBe(sent.digest('hex'));
    });

    it('ends the connection when the peer vanishes', async () => {
      const [near, far] = await pair();
      const gone = closed(near.on('end', () => near.end()));
      near.resume();
      far.destroy();
      await gone;
      const [busy, vanishing] = await pair();
      const cut = closed(busy.on('end', () => busy.end()));
      busy.resume();
      for (let i = 0; i < (tested.unreadMib ?? 64); i += 1) busy.write(Buffer.alloc(MIB));
      vanishing.destroy();
      await cut;
      expect(busy.destroyed).toBe(true);
    });

    it('refuses to dial where nobody listens', async () => {
      expect(deadCodes()).toContain(await codeOfDial(tested.deadAddress));
    });

    // Some networks have few addresses, and take long to listen on one: none is taken twice in a test.
    let free: string | undefined;
    beforeEach(() => {
      free = undefined;
    });
    abortedBefore(() => tested, {
      dial: ({ transport, deadAddress }, ended) => transport.dial(deadAddress, { signal: ended }),
      listen: (it, ended) => it.transport.listen((free ??= it.freshAddress()), () => {}, { signal: ended }),
    });
    abortedInside(() => tested, {
      dial: async ({ transport }, ending) => {
        const address = listeners[0]?.addresses[0] ?? (await listen(() => {}));
        return { work: transport.dial(address, { signal: ending }) };
      },
    });

    it('can close a listener again without harm', async () => {
      const address = await listen(() => {});
      await Promise.all([listeners[0]?.close(), listeners[0]?.close()]);
      await listeners[0]?.close();
      expect(deadCodes()).toContain(await codeOfDial(address));
    });

    it('refuses to listen twice on one address, and can listen again once it is free', async () => {
      const address = await listen(() => {});
      await expect(tested.transport.listen(address, () => {})).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' });
      await listeners[0]?.close();
      const again = await tested.transport.listen(address, (connection) => connection.end('again'));
      listeners.push(again);
      expect(again.addresses).toEqual([address]);
      expect(await text(await dial(address))).toBe('again');
    });

    it('keeps connections when the listener closes, and takes no new ones', async () => {
      const [near, far] = await pair();
      const address = listeners[0]?.addresses[0] as string;
      await listeners[0]?.close();
      expect(deadCodes()).toContain(await codeOfDial(address));
      near.end('still here');
      expect(await text(far)).toBe('still here');
    });

    it('serves a thousand short connections', async () => {
      const address = await listen((connection) => connection.pipe(connection));
      let next = 0;
      const worker = async (): Promise<number> => {
        let done = 0;
        while (next < 1000) {
          next += 1;
          const message = `message ${next}`;
          const connection = await tested.transport.dial(address, { signal: new AbortController().signal });
          connection.end(message);
          expect(await text(connection)).toBe(message);
          done += 1;
        }
        return done;
      };
      const counts = await Promise.all(Array.from({ length: 20 }, worker));
      expect(counts.reduce((sum, count) => sum + count, 0)).toBe(1000);
    });
  });
}

/** Everything up to the end, without closing the other direction. */
function text(connection: Duplex): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    connection.on('data', (chunk: Buffer) => chunks.push(chunk));
    connection.once('end', () => resolve(Buffer.concat(chunks).toString()));
    connection.once('close', () => reject(new Error('the connection closed before its end')));
  });
}

function closed(connection: Duplex): Promise<void> {
  return new Promise((resolve) => {
    connection.once('close', () => resolve());
  });
}
