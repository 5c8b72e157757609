/** Ends of the rows `tor-socket` and `i2p-socket`: the network's own streams, with nothing of ours on them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { silentLog } from '../../../core/ports.ts';
import { SEED_BYTES, identityFromSeed } from '../../../platform/keys/identity.ts';
import {
  createI2pTransport,
  createTorTransport,
  ephemeralOnionKey,
  parseEndpoint,
  parseTunnels,
  type Endpoint,
  type HostDialer,
} from '../../../node/transport/index.ts';
import { transientDestination, type I2pDestination } from '../../../node/transport/i2p/destination.ts';
import { acceptStream, createSession } from '../../../node/transport/i2p/sam.ts';
import { createOnionServices } from '../../../node/transport/tor/service.ts';
import { pingPong, serveEcho, serveSource, transfer } from '../load.ts';
import type { Peer, PlainPeer, Way } from '../protocol.ts';

/** The private network has few routers and nobody to hide from. */
export const TUNNELS = 'inbound.length=1,outbound.length=0';
const PORT = 80;
const OPEN_MILLIS = 180_000;

type HiddenWay = Exclude<Way, { readonly transport: 'tcp' }>;

export async function openRawPeer({ to }: PlainPeer, way: HiddenWay): Promise<Peer> {
  using identity = identityFromSeed(randomBytes(SEED_BYTES));
  const { nodeId } = identity;
  if (to === undefined) {
    const addresses = [await serve(way, serveSource), await serve(way, serveEcho)];
    return { where: { nodeId, addresses }, commands: {} };
  }
  const dialer = dialerOf(way);
  const dial = (host: string | undefined): Promise<Duplex> =>
    dialer.dialHost(host ?? '', PORT, { isolation: 'bench', signal: AbortSignal.timeout(OPEN_MILLIS) });
  const [source, echo] = [await dial(to.addresses[0]), await dial(to.addresses[1])];
  return {
    where: { nodeId, addresses: [] },
    commands: {
      join: async () => {},
      transfer: (bytes) => transfer(source, bytes),
      pingPong: (count) => pingPong(echo, count),
    },
  };
}

function dialerOf(way: HiddenWay): HostDialer {
  return way.transport === 'tor'
    ? createTorTransport({ socks: parseEndpoint(way.socks), log: silentLog })
    : createI2pTransport({ sam: parseEndpoint(way.sam), tunnels: parseTunnels(TUNNELS), log: silentLog });
}

/** @returns the host name to dial. */
async function serve(way: HiddenWay, serveStream: (stream: Duplex) => void): Promise<string> {
  if (way.transport === 'tor') return serveOnion(parseEndpoint(way.control), serveStream);
  const sam = parseEndpoint(way.sam);
  const destination = await transientDestination(sam, AbortSignal.timeout(OPEN_MILLIS));
  await serveGarlic(sam, destination, serveStream);
  return `${destination.garlic}.b32.i2p`;
}

async function serveOnion(control: Endpoint, serveStream: (stream: Duplex) => void): Promise<string> {
  const directory = mkdtempSync(path.join(tmpdir(), 'relaymint-raw-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  const socket = path.join(directory, 'in');
  const server = createServer((connection) => {
    connection.on('error', () => {});
    serveStream(connection);
  });
  await new Promise<void>((resolve) => {
    server.listen(socket, resolve);
  });
  const key = ephemeralOnionKey();
  const services = createOnionServices({ control, log: silentLog });
  await services.publish(key, PORT, { kind: 'unix', path: socket }, {}, AbortSignal.timeout(OPEN_MILLIS));
  return `${key.onion}.onion`;
}

/** Serves every stream that comes to `destination`, as it is. */
export async function serveGarlic(
  sam: Endpoint,
  destination: I2pDestination,
  serveStream: (stream: Duplex) => void,
): Promise<void> {
  const { inboundLength = 1, outboundLength = 0 } = parseTunnels(TUNNELS);
  const session = await createSession(
    sam,
    {
      id: `raw-${randomBytes(8).toString('hex')}`,
      privateKey: destination.privateKey,
      options: { SIGNATURE_TYPE: 7, 'inbound.length': inboundLength, 'outbound.length': outboundLength },
    },
    AbortSignal.timeout(OPEN_MILLIS),
  );
  await session.announced;
  const accept = async (): Promise<void> => {
    for (;;) {
      const { connection } = await acceptStream(sam, session.id, new AbortController().signal);
      connection.on('error', () => {});
      serveStream(connection);
    }
  };
  accept().catch((error: unknown) => process.stderr.write(`${String(error)}\n`));
}
