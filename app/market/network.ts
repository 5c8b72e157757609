/**
 * The network over which a marketplace's nodes reach each other: loopback TCP, or a private Tor or I2P network that is
 * started for it and goes with it.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { assertNotAborted } from '../../core/abort.ts';
import type { Log } from '../../core/ports.ts';
import { formatEndpoint, type Endpoint } from '../../node/transport/index.ts';
import { startI2pNetwork } from '../../testbed/i2p.ts';
import { startTorNetwork } from '../../testbed/tor.ts';

export type MarketTransport = 'tcp' | 'tor' | 'i2p';
export const MARKET_TRANSPORTS: readonly MarketTransport[] = ['tcp', 'tor', 'i2p'];

export interface MarketNetwork extends AsyncDisposable {
  readonly transport: MarketTransport;
  /** Time a node may take to be ready, milliseconds: an onion service or a lease set has to be published first. */
  readonly readyMillis: number;
  /** Options of every node. */
  readonly nodeArgs: readonly string[];
  /** Options of a node that others dial. `port`: where it listened the last time, or 0; only TCP has ports to remember. */
  listenArgs(port: number): readonly string[];
}

export interface MarketNetworkOptions {
  readonly transport: MarketTransport;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** For people: what is ready of the network. */
  readonly onProgress: (done: number, total: number, what: string) => void;
}

const READY_MILLIS = 60_000;
/** Tor took 1 to 3 s to publish a service, I2P up to a minute to build its first tunnels; a loaded machine takes longer. */
const READY_MILLIS_ANONYMOUS = 240_000;

/** No node of an onion marketplace has another way to the others. */
const NOTHING_DIRECT: readonly string[] = ['--phase', 'tor-only'];

/**
 * Nothing of the private networks leaves this machine, and none outlives us.
 * @throws RelaymintError PROGRAM_MISSING (which program, and how to get it), TOR_BOOTSTRAP_FAILED, I2P_FAILED, ABORTED.
 */
export async function openMarketNetwork(options: MarketNetworkOptions): Promise<MarketNetwork> {
  assertNotAborted(options.signal, 'Starting the network');
  if (options.transport === 'tcp') {
    return {
      transport: 'tcp',
      readyMillis: READY_MILLIS,
      nodeArgs: [],
      listenArgs: (port) => ['--listen', `/ip4/127.0.0.1/tcp/${port}`],
      async [Symbol.asyncDispose]() {},
    };
  }
  await using stack = new AsyncDisposableStack();
  // Not in the marketplace's own folder: paths of sockets must be short, and nothing of the network is worth keeping.
  const directory = await mkdtemp(path.join(tmpdir(), 'relaymint-net-'));
  stack.defer(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }));
  const reached = await startNetwork({ ...options, directory }, (resource) => stack.use(resource));
  const owned = stack.move();
  return {
    transport: options.transport,
    readyMillis: READY_MILLIS_ANONYMOUS,
    nodeArgs: [...NOTHING_DIRECT, ...reached.nodeArgs],
    listenArgs: () => ['--location', reached.location],
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** A few routers build short tunnels soonest, and have nobody to hide from. */
const SHORT_TUNNELS = 'inbound.length=1,outbound.length=0';

async function startNetwork(
  options: MarketNetworkOptions & { readonly directory: string },
  own: <T extends AsyncDisposable>(resource: T) => T,
): Promise<{ readonly nodeArgs: readonly string[]; readonly location: string }> {
  const place = (option: string, endpoint: Endpoint): readonly string[] => [option, formatEndpoint(endpoint)];
  if (options.transport === 'tor') {
    const { socks, control } = own(await startTorNetwork(options));
    return { nodeArgs: [...place('--tor-socks', socks), ...place('--tor-control', control)], location: 'onion:80' };
  }
  const { sam } = own(await startI2pNetwork(options));
  return { nodeArgs: [...place('--i2p-sam', sam), '--i2p-tunnels', SHORT_TUNNELS], location: 'i2p' };
}
