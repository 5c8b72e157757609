import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentLog } from '../../../core/ports.ts';
import type { PrivateI2pNetwork } from '../../../testbed/i2p.ts';
import { garlicMultiaddr } from '../../../node/transport/address.ts';
import {
  persistentDestination,
  readDestination,
  transientDestination,
  type I2pDestination,
} from '../../../node/transport/i2p/destination.ts';
import { samVersion } from '../../../node/transport/i2p/sam.ts';
import { createI2pTransport, type I2pTransport } from '../../../node/transport/i2p/transport.ts';
import { transportCompliance } from '../../compliance/transport.ts';
import { joinSharedI2p, requirePrograms } from '../../network.ts';

const signal = new AbortController().signal;
/** Short tunnels come up sooner; what they hide is not this test's business. */
const TUNNELS = { inboundLength: 1, outboundLength: 0 };

requirePrograms('i2pd')('over real I2P', () => {
  let directory: string;
  let network: PrivateI2pNetwork;
  let destinations: I2pDestination[];
  let tested: I2pTransport;
  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'rm-i2p-'));
    network = await joinSharedI2p(directory);
    destinations = await Promise.all([1, 2, 3].map(() => transientDestination(network.sam, signal)));
    tested = createI2pTransport({ sam: network.sam, destinations, tunnels: TUNNELS, log: silentLog });
  }, 120_000);
  afterAll(async () => {
    await tested[Symbol.asyncDispose]();
    await network[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  // One transport for all: a session's tunnels take seconds, and outlive its listeners.
  transportCompliance('i2p', {
    setup: async () => {
      const unknown = await transientDestination(network.sam, signal);
      const fresh = destinations.map(({ garlic }) => garlicMultiaddr(garlic));
      return {
        transport: tested,
        freshAddress: () => fresh.pop() as string,
        deadAddress: garlicMultiaddr(unknown.garlic),
        foreignAddresses: [
          '/memory/x',
          '/ip4/127.0.0.1/tcp/1',
          '/dns4/example.com/tcp/80',
          `/onion3/${'a'.repeat(56)}:1`,
        ],
        deadCodes: ['I2P_UNREACHABLE', 'CONNECTION_REFUSED'],
        unreadMib: 24,
        turns: 20,
        bigChunks: 60,
      };
    },
    teardown: async () => {},
  });

  describe('destinations', () => {
    it('persist in a file that only we may read, and are the same again', async () => {
      const file = path.join(directory, 'node', 'i2p.key');
      using first = await persistentDestination(file, network.sam, signal);
      using again = await persistentDestination(file, network.sam, signal);
      expect(again.garlic).toBe(first.garlic);
      expect((await stat(file)).mode & 0o777).toBe(0o600);
      expect((await readFile(file, 'utf8')).trim()).toBe(first.privateKey);
      expect(first.garlic).toMatch(/^[a-z2-7]{52}$/);
    });

    it('are refused when they are not keys', () => {
      for (const text of ['', 'x', 'A'.repeat(500), '!'.repeat(600), 'A'.repeat(10_000)]) {
        expect(() => readDestination(text)).toThrow(expect.objectContaining({ code: 'INVALID_ENCODING' }));
      }
    });
  });

  it('comes back when the router was away, at the same address', async () => {
    const own = destinations[2] as I2pDestination;
    const listener = await tested.listen(garlicMultiaddr(own.garlic), (connection) => connection.end('back'));
    await network.restartRouter();
    const [address = ''] = listener.addresses;
    const answer = async (): Promise<string> => {
      const connection = await tested.dial(address, { signal });
      const chunks: Buffer[] = [];
      for await (const chunk of connection) chunks.push(chunk as Buffer);
      connection.destroy();
      return Buffer.concat(chunks).toString();
    };
    await expect.poll(() => answer().catch(String), { timeout: 120_000, interval: 500 }).toBe('back');
    await listener.close();
  });

  it('says what to do where no router answers', async () => {
    const nowhere = { kind: 'unix', path: path.join(directory, 'nowhere') } as const;
    await expect(samVersion(nowhere, signal)).rejects.toMatchObject({
      code: 'I2P_NOT_RUNNING',
      message: expect.stringContaining('apt-get install i2pd') as string,
    });
  });
});
