/** Who sees which destination of ours: a SAM bridge that makes keys and remembers from which of them each stream was asked for. */
import { randomBytes } from 'node:crypto';
import { EventEmitter, getEventListeners, once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { silentLog } from '../../../core/ports.ts';
import { createI2pTransport, garlicMultiaddr, type Endpoint } from '../../../node/transport/index.ts';
import { readDestination } from '../../../node/transport/i2p/destination.ts';

const signal = new AbortController().signal;
const PEERS = [garlicMultiaddr('a'.repeat(52)), garlicMultiaddr('b'.repeat(52))];
const LEDGER = 'ledger.i2p';

/** Keys as a router makes them: a destination with an empty certificate, and what makes it secret. */
function madeKey(): string {
  const key = Buffer.concat([randomBytes(384), Buffer.of(0, 0, 0), randomBytes(96)]);
  return key.toString('base64').replaceAll('+', '-').replaceAll('/', '~');
}

interface Asked {
  /** The destination of ours, by its 52 characters. */
  readonly from: string;
  readonly to: string;
}

describe('a node over I2P', () => {
  let sam: Endpoint;
  let asked: Asked[];
  /** The router ends every session and stream. */
  let lose: () => void;
  let close: () => void;

  beforeEach(async () => {
    asked = [];
    const sessions = new Map<string, string>();
    const sockets = new Set<Socket>();
    const answer = (line: string, socket: Socket): void => {
      const field = (name: string): string => new RegExp(` ${name}=(\\S+)`).exec(line)?.[1] ?? '';
      if (line.startsWith('HELLO')) socket.write('HELLO REPLY RESULT=OK VERSION=3.1\n');
      else if (line.startsWith('DEST')) socket.write(`DEST REPLY PUB=x PRIV=${madeKey()}\n`);
      else if (line.startsWith('SESSION CREATE')) {
        sessions.set(field('ID'), readDestination(field('DESTINATION')).garlic);
        socket.write(`SESSION STATUS RESULT=OK DESTINATION=${field('DESTINATION')}\n`);
      } else if (line.startsWith('STREAM CONNECT')) {
        asked.push({ from: sessions.get(field('ID')) ?? '', to: field('DESTINATION') });
        socket.write('STREAM STATUS RESULT=CANT_REACH_PEER\n');
      }
    };
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      createInterface({ input: socket }).on('line', (line) => answer(line, socket));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    sam = { kind: 'tcp', host: '127.0.0.1', port: (server.address() as AddressInfo).port };
    lose = () => {
      for (const socket of sockets) socket.destroy();
      sockets.clear();
    };
    close = () => {
      server.close();
      lose();
    };
  });
  afterEach(() => {
    vi.restoreAllMocks();
    close();
  });

  /** The destinations from which `to` was asked for, each once. */
  const seenBy = (to: string): Set<string> => new Set(asked.filter((one) => one.to === to).map(({ from }) => from));

  it('keeps nothing of a session that was lost', async () => {
    const signals = new Set<AbortSignal>();
    const listen = vi.spyOn(AbortSignal.prototype, 'addEventListener');
    listen.mockImplementation(function (this: AbortSignal, ...how: Parameters<AbortSignal['addEventListener']>): void {
      signals.add(this);
      EventTarget.prototype.addEventListener.apply(this, how);
    });
    const events = new EventEmitter();
    const log = { ...silentLog, warn: () => void events.emit('lost') };
    await using transport = createI2pTransport({ sam, destinations: [readDestination(madeKey())], tunnels: {}, log });
    const [peer = ''] = PEERS;
    for (let sessions = 1; sessions <= 3; sessions += 1) {
      await expect(transport.dial(peer, { signal })).rejects.toMatchObject({ code: 'I2P_UNREACHABLE' });
      const lost = once(events, 'lost');
      lose();
      await lost;
    }
    expect(signals.size).toBeGreaterThan(0);
    const left = (): unknown[] => Array.from(signals).flatMap((each) => getEventListeners(each, 'abort'));
    await expect.poll(left).toEqual([]);
  });

  it.each([true, false])(
    'uses different destinations for its peers, its ledger and its name look-ups; published: %s',
    async (published) => {
      const own = readDestination(madeKey());
      await using transport = createI2pTransport({
        sam,
        destinations: published ? [own] : [],
        tunnels: {},
        log: silentLog,
      });
      const [first = '', second = ''] = PEERS;
      const unreachable = { code: 'I2P_UNREACHABLE' };
      await expect(transport.dial(first, { signal })).rejects.toMatchObject(unreachable);
      await expect(transport.dial(second, { signal })).rejects.toMatchObject(unreachable);
      const byIsolation = new Map<string, Set<string>>();
      for (const isolation of ['ledger', 'names', 'ledger']) {
        const before = asked.length;
        await expect(transport.dialHost(LEDGER, 80, { isolation, signal })).rejects.toMatchObject(unreachable);
        const from = asked.slice(before).flatMap((one) => (one.to === LEDGER ? [one.from] : []));
        byIsolation.set(isolation, new Set([...(byIsolation.get(isolation) ?? []), ...from]));
      }

      const peers = seenBy(`${'a'.repeat(52)}.b32.i2p`);
      expect(peers.size).toBe(1);
      expect(seenBy(`${'b'.repeat(52)}.b32.i2p`)).toEqual(peers);
      expect(peers.has(own.garlic)).toBe(published);
      // The same purpose comes from the same one again, each other purpose from another.
      expect([...byIsolation.values()].map((from) => from.size)).toEqual([1, 1]);
      const all = [...peers, ...[...byIsolation.values()].flatMap((from) => [...from])];
      expect(new Set(all).size).toBe(3);
    },
  );
});
