/** Who sees which destination of ours. */
import { EventEmitter, getEventListeners, once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { silentLog } from '../../../core/ports.ts';
import { createI2pTransport, garlicMultiaddr, type Endpoint } from '../../../node/transport/index.ts';
import { readDestination } from '../../../node/transport/i2p/destination.ts';
import { SamBridge, madeKey } from './sam-bridge.ts';

const signal = new AbortController().signal;
const PEERS = [garlicMultiaddr('a'.repeat(52)), garlicMultiaddr('b'.repeat(52))];
const LEDGER = 'ledger.i2p';

describe('a node over I2P', () => {
  let bridge: SamBridge;
  let sam: Endpoint;
  beforeEach(async () => {
    bridge = new SamBridge();
    sam = await bridge.start();
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await bridge.stop();
  });

  /** The destinations from which `to` was asked for, each once. */
  const seenBy = (to: string): Set<string> =>
    new Set(bridge.asked.filter((one) => one.to === to).map(({ from }) => from));

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
      bridge.lose();
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
        const before = bridge.asked.length;
        await expect(transport.dialHost(LEDGER, 80, { isolation, signal })).rejects.toMatchObject(unreachable);
        const from = bridge.asked.slice(before).flatMap((one) => (one.to === LEDGER ? [one.from] : []));
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
