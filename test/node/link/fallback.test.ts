/** A node whose tor never answers: when it goes on to a direct address of the peer, and when it must not. */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { silentLog, type Log } from '../../../core/ports.ts';
import { createPolicy, createTcpTransport, onionKeyOf, onionMultiaddr } from '../../../node/transport/index.ts';
import type { PolicyOptions } from '../../../node/transport/policy.ts';
import { createTorTransport } from '../../../node/transport/tor/transport.ts';
import { TestNodes, type TestNode } from './nodes.ts';

/** Of one dial through tor. No answer ever comes, so that no machine is too slow for it. */
const DIAL_MILLIS = 200;

describe('tor does not answer', () => {
  const nodes = new TestNodes();
  const sockets: Socket[] = [];
  let mute: Server;
  let peer: TestNode;
  /** Of the peer. */
  let onion: string;
  beforeAll(async () => {
    mute = createServer((socket) => sockets.push(socket.on('error', () => {}).resume())).listen(0, '127.0.0.1');
    await once(mute, 'listening');
  });
  beforeEach(async () => {
    peer = await nodes.start();
    using key = onionKeyOf(peer.identity);
    onion = onionMultiaddr(key.onion, 80);
  });
  afterEach(async () => {
    await nodes.close();
    for (const socket of sockets.splice(0)) socket.destroy();
  });
  afterAll(() => {
    mute.close();
  });

  /** A node with real transports, and what it warned of. */
  const start = async (settings: Partial<PolicyOptions>) => {
    const { port } = mute.address() as AddressInfo;
    const socks = { kind: 'tcp', host: '127.0.0.1', port } as const;
    const tor = createTorTransport({ socks, dialMillis: DIAL_MILLIS, log: silentLog });
    const policy = createPolicy({ transports: [createTcpTransport(), tor], ...settings });
    const warnings: unknown[] = [];
    const log: Log = { ...silentLog, warn: (fields, message) => warnings.push({ ...fields, message }) };
    const { links } = await nodes.start({ policy, log });
    const connect = (...addresses: readonly string[]) => links.connect(peer.identity.nodeId, addresses);
    return { policy, warnings, connect };
  };

  it.each<[string, () => Partial<PolicyOptions>]>([
    ['phase default', () => ({ phase: 'default' })],
    ['preference hybrid', () => ({ preferences: new Map([[peer.identity.nodeId, 'hybrid']]) })],
  ])('%s: it warns and goes on directly', async (_name, settings) => {
    const { warnings, connect, policy } = await start(settings());
    const [direct = ''] = peer.addresses;
    const link = await connect(direct, onion);
    expect(link.transport).toBe('tcp');
    expect(await link.ping()).toBeGreaterThan(0);
    // Tor was tried first, and only what followed was direct.
    await expect.poll(() => sockets.length).toBe(1);
    expect(policy.stats().link).toMatchObject({ failed: 1, opened: 1 });
    expect(warnings).toEqual([
      expect.objectContaining({
        address: direct,
        failures: 1,
        message: expect.stringContaining('no hidden address of the peer works; connecting to it directly') as string,
      }),
    ]);
  });

  it.each([
    { phase: 'tor-only' },
    { anonymize: true, phase: 'tor-only' },
    { anonymize: true, phase: 'default' },
  ] as const)('%o: it never goes on directly', async (setting) => {
    const { warnings, connect, policy } = await start(setting);
    await expect(connect(...peer.addresses, onion)).rejects.toMatchObject({
      code: 'TOR_CIRCUIT_FAILED',
      message: expect.stringContaining(`no circuit in ${DIAL_MILLIS} ms`) as string,
    });
    await expect.poll(() => sockets.length).toBe(1);
    expect(policy.stats().link).toMatchObject({ failed: 1, opened: 0 });
    expect(peer.links.links()).toEqual([]);
    expect(warnings).toEqual([]);
  });

  it('has no transport for a peer without a usable address, and tries none', async () => {
    const refused = { code: 'NO_TRANSPORT', message: expect.stringContaining('No available transport') as string };
    const onlyTor = await start({ phase: 'tor-only' });
    await expect(onlyTor.connect(...peer.addresses)).rejects.toMatchObject(refused);
    const onlyDirect = await start({ phase: 'default', preferences: new Map([[peer.identity.nodeId, 'direct']]) });
    await expect(onlyDirect.connect(onion)).rejects.toMatchObject(refused);
    for (const { policy } of [onlyTor, onlyDirect]) {
      expect(policy.stats().link).toMatchObject({ opened: 0, failed: 0, refused: 0 });
    }
    expect(sockets).toEqual([]);
  });
});
