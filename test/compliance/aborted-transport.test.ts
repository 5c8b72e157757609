/** How whatever opens connections and speaks with tor and I2P routers ends with its signal: here with programs that never answer. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { silentLog } from '../../core/ports.ts';
import {
  createDetectedTor,
  createI2pTransport,
  createPolicy,
  createTcpTransport,
  createTorTransport,
  ephemeralOnionKey,
  findTor,
  garlicMultiaddr,
  onionMultiaddr,
  persistentDestination,
  plainOrHalfClosing,
  samVersion,
  spoken,
  startTorDaemon,
  connectControl,
  type Endpoint,
  type HostDialer,
  type OnionKey,
  type Policy,
  type Transport,
} from '../../node/transport/index.ts';
import { greeted } from '../../node/transport/halfclose.ts';
import { acceptStream, connectStream, createSession, generateKeys } from '../../node/transport/i2p/sam.ts';
import { memoryPair } from '../../node/transport/memory.ts';
import { createOnionServices, type OnionServices } from '../../node/transport/tor/service.ts';
import { createSocksDialer } from '../../node/transport/tor/socks.ts';
import { openNamespace } from '../../testbed/namespace.ts';
import { joinI2pNetwork, startI2pNetwork, startI2pRouters } from '../../testbed/i2p.ts';
import { joinTorNetwork, startTorNetwork, startTorServers } from '../../testbed/tor.ts';
import { abortedBefore, abortedInside, type Calls } from './traits.ts';

type Network = Transport & HostDialer & AsyncDisposable;

interface Ground {
  readonly folder: string;
  /** Takes connections and says nothing. */
  readonly silent: Endpoint;
  readonly key: OnionKey;
  readonly services: OnionServices;
  readonly tor: Network;
  readonly i2p: Network;
  readonly found: Network;
  readonly policy: Policy;
}

let server: Server;
const sockets: Socket[] = [];
let ground: Ground;
beforeAll(async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'relaymint-aborted-'));
  server = createServer((socket) => void sockets.push(socket.on('error', () => {}))).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const silent: Endpoint = { kind: 'tcp', host: '127.0.0.1', port: (server.address() as AddressInfo).port };
  const key = ephemeralOnionKey();
  const tor = createTorTransport({ socks: silent, control: silent, keys: [key], log: silentLog });
  ground = {
    folder,
    silent,
    key,
    services: createOnionServices({ control: silent, log: silentLog }),
    tor,
    i2p: createI2pTransport({ sam: silent, log: silentLog }),
    found: createDetectedTor({
      places: [{ socks: silent, control: silent }],
      create: ({ socks }) => createTorTransport({ socks, log: silentLog }),
    }),
    policy: createPolicy({ transports: [createTcpTransport(), tor], outbound: 'any' }),
  };
});
afterAll(async () => {
  ground.policy.close();
  for (const socket of sockets) socket.destroy();
  server.close();
  await Promise.all([ground.services, ground.tor, ground.i2p, ground.found].map((one) => one[Symbol.asyncDispose]()));
  ground.key[Symbol.dispose]();
  await rm(ground.folder, { recursive: true, force: true });
});

const onion = (): string => onionMultiaddr(ground.key.onion, 80);
const garlic = (): string => garlicMultiaddr('a'.repeat(52));
const isolation = 'a test';

/** What waits for an answer that does not come. */
const WAITING: Calls<Ground> = {
  connectControl: ({ silent }, signal) => connectControl({ endpoint: silent, signal }),
  'OnionServices.publish': ({ services, key, silent }, signal) => services.publish(key, 80, silent, {}, signal),
  'a SOCKS dialer': ({ silent }, signal) =>
    createSocksDialer(silent).connect('name.example', 80, { isolation, signal }),
  'tor: dial': ({ tor }, signal) => tor.dial(onion(), { signal }),
  'tor: dialHost': ({ tor }, signal) => tor.dialHost('name.example', 80, { isolation, signal }),
  'tor: listen': ({ tor }, signal) => tor.listen(onion(), () => {}, { signal }),
  'a tor to be found: dial': ({ found }, signal) => found.dial(onion(), { signal }),
  'a tor to be found: dialHost': ({ found }, signal) => found.dialHost('name.example', 80, { isolation, signal }),
  'a tor to be found: listen': ({ found }, signal) => found.listen(onion(), () => {}, { signal }),
  findTor: ({ silent }, signal) => findTor([{ socks: silent, control: silent }], signal),
  samVersion: ({ silent }, signal) => samVersion(silent, signal),
  generateKeys: ({ silent }, signal) => generateKeys(silent, signal),
  createSession: ({ silent }, signal) => createSession(silent, { id: 'x', privateKey: 'y', options: {} }, signal),
  connectStream: ({ silent }, signal) => connectStream(silent, 'x', 'y.b32.i2p', signal),
  acceptStream: ({ silent }, signal) => acceptStream(silent, 'x', signal),
  persistentDestination: ({ silent, folder }, signal) =>
    persistentDestination(path.join(folder, 'i2p.key'), silent, signal),
  'I2P: dial': ({ i2p }, signal) => i2p.dial(garlic(), { signal }),
  'I2P: dialHost': ({ i2p }, signal) => i2p.dialHost('name.i2p', 80, { isolation, signal }),
  'the policy: dial': ({ policy }, signal) => policy.dial(onion(), { signal }),
  'the policy: connect': ({ policy }, signal) =>
    policy.connect('ledger', { host: `${ground.key.onion}.onion`, port: 80 }, { signal }),
  'the policy: listen': ({ policy }, signal) => policy.listen(onion(), () => {}, { signal }),
  greeted: (_ground, signal) => greeted(memoryPair()[0], signal),
  spoken: (_ground, signal) => spoken(memoryPair()[0], signal),
  plainOrHalfClosing: (_ground, signal) => plainOrHalfClosing(memoryPair()[0], 22, signal),
};

abortedBefore(() => ground, {
  ...WAITING,
  startTorDaemon: ({ folder }, signal) =>
    startTorDaemon({ directory: path.join(folder, 'tor'), log: silentLog, signal }),
  openNamespace: (_ground, signal) => openNamespace({ signal }),
  startTorNetwork: ({ folder }, signal) => startTorNetwork({ directory: folder, log: silentLog, signal }),
  startTorServers: ({ folder }, signal) => startTorServers({ directory: folder, log: silentLog, signal }),
  joinTorNetwork: ({ folder }, signal) =>
    joinTorNetwork({ enter: [], clientTorrc: [], bridgePort: 0 }, { directory: folder, log: silentLog, signal }),
  startI2pNetwork: ({ folder }, signal) => startI2pNetwork({ directory: folder, log: silentLog, signal }),
  startI2pRouters: ({ folder }, signal) => startI2pRouters({ directory: folder, log: silentLog, signal }),
  joinI2pNetwork: ({ folder }, signal) =>
    joinI2pNetwork({ enter: [], known: folder, router: 1 }, { directory: folder, log: silentLog, signal }),
});
abortedInside(
  () => ground,
  Object.fromEntries(
    Object.entries(WAITING).map(([name, call]) => [
      name,
      (tested: Ground, signal: AbortSignal) => ({ work: call(tested, signal) }),
    ]),
  ),
);
