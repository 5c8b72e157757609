import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { silentLog } from '../../../core/ports.ts';
import type { PrivateTorNetwork } from '../../../testbed/tor.ts';
import { onionMultiaddr } from '../../../node/transport/address.ts';
import { ephemeralOnionKey, type OnionKey } from '../../../node/transport/tor/key.ts';
import { createTorTransport, type TorTransport } from '../../../node/transport/tor/transport.ts';
import { transportCompliance } from '../../compliance/transport.ts';
import { joinSharedTor, requirePrograms } from '../../network.ts';

requirePrograms('tor', 'tor-gencert')('over real Tor', () => {
  let directory: string;
  let network: PrivateTorNetwork;
  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'rm-tor-'));
    network = await joinSharedTor(directory);
  });
  afterAll(async () => {
    await network[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  let tested: TorTransport;
  let keys: OnionKey[];
  transportCompliance('tor', {
    setup: async () => {
      keys = [ephemeralOnionKey(), ephemeralOnionKey()];
      tested = createTorTransport({
        ...network,
        keys,
        targetDir: path.join(directory, 'targets'),
        log: silentLog,
      });
      const fresh = keys.map(({ onion }) => onionMultiaddr(onion, 4001));
      return {
        transport: tested,
        freshAddress: () => fresh.pop() as string,
        deadAddress: onionMultiaddr(ephemeralOnionKey().onion, 4001),
        foreignAddresses: [
          '/memory/x',
          '/ip4/127.0.0.1/tcp/1',
          '/dns4/example.com/tcp/80',
          `/garlic32/${'a'.repeat(52)}`,
          // No checksum of an onion address, and an address of version 2.
          `/onion3/${'a'.repeat(56)}:1`,
          '/onion/expyuzz4wqqyqhjn:80',
        ],
        deadCodes: ['ONION_UNREACHABLE', 'CONNECTION_REFUSED'],
        unreadMib: 24,
        turns: 20,
        bigChunks: 100,
      };
    },
    teardown: async () => {
      await tested[Symbol.asyncDispose]();
      for (const key of keys) key[Symbol.dispose]();
    },
  });
});
