/**
 * The local marketplace's processes: the embedded ledger, relays, one host and one gateway, each a `relaymint` command
 * of its own. Started in the order in which they need each other, stopped the other way round.
 */
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import type { ZodType } from 'zod';
import { isRelaymintError } from '../../core/errors.ts';
import type { Log } from '../../core/ports.ts';
import { readSettleToken } from '../control/index.ts';
import type { Keeping } from '../config/index.ts';
import { ledgerReadySchema, nodeReadySchema, type LedgerReady, type NodeReady } from './events.ts';
import type { MarketLayout } from './layout.ts';
import type { MarketNetwork } from './network.ts';
import { MarketProcess } from './process.ts';

/** What its gateway may spend in an hour. */
const PLAY_CREDITS = '5000';

export interface ClusterOptions {
  /** Over which the nodes reach each other. */
  readonly network: MarketNetwork;
  readonly layout: MarketLayout;
  /** Relays that run, at least `relays`. */
  readonly relayNodes: number;
  /** Paid relays in front of the host, 1 .. 6. */
  readonly relays: number;
  /** Deterministic keys when given. */
  readonly seed: string | undefined;
  /** What the gateway keeps of content. */
  readonly cache: Keeping;
  /** 0 for any free port. */
  readonly gatewayPort: number;
  /** Told to pages of sites. Absent: nobody signs in. */
  readonly issuer?: string | undefined;
  /** Challenge period of a new ledger's channels; undefined for the ledger's default. */
  readonly challengeSeconds: number | undefined;
  /** Flags of Node that a process gets besides the usual ones. */
  readonly nodeFlags?: (label: string) => readonly string[];
  /** Called when a process that had ended by itself is ready again. */
  readonly onRestart: (label: string, pid: number | undefined) => void;
  /** Stops the start. */
  readonly signal: AbortSignal;
  readonly logLevel: string;
  readonly log: Log;
  readonly onLogLine: (label: string, line: string) => void;
  /** Called as each process becomes ready. */
  readonly onReady: (label: string, done: number, total: number) => void;
}

export interface ClusterNode {
  readonly dataDir: string;
  readonly ready: NodeReady;
}

export interface Cluster extends AsyncDisposable {
  readonly ledger: LedgerReady;
  /** Relays, then the host, then the gateway. */
  readonly nodes: readonly ClusterNode[];
  readonly gatewayUrl: string;
  /** The same page, with the secret that lets a person settle there; for that person alone. */
  readonly settleUrl: string;
  /** Arguments that tie another command to this marketplace. */
  readonly joinArgs: readonly string[];
  /** The same for one whose keys are to come of the market's seed; none without one. */
  readonly seedArgs: readonly string[];
  /** Process ids by label, for those who want to end one and watch. */
  pids(): Readonly<Record<string, number | undefined>>;
}

/** What each node is given on the test ledger, in SOL. */
const NODE_SOL = '20';

/** Starts everything; on failure, what was already running is stopped again. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { layout, network, log, onLogLine, onRestart, signal, nodeFlags = () => [] } = options;
  await using stack = new AsyncDisposableStack();
  const processes = new Map<string, { readonly pid: number | undefined }>();
  const total = options.relayNodes + 3;

  const launch = async <Ready>(
    label: string,
    args: () => readonly string[],
    schema: ZodType<Ready>,
  ): Promise<Ready> => {
    const child = new MarketProcess<Ready>(
      {
        label,
        args,
        log,
        onLogLine,
        signal,
        onRestart,
        readyMillis: network.readyMillis,
        nodeFlags: nodeFlags(label),
      },
      schema,
    );
    stack.use(child);
    processes.set(label, child);
    const ready = await child.start();
    options.onReady(label, processes.size, total);
    return ready;
  };

  const seedArgs = options.seed === undefined ? [] : ['--seed', options.seed];
  const common = (label: string): readonly string[] => [
    '--json',
    '--log-level',
    options.logLevel,
    '--data',
    layout.dirOf(label),
    ...seedArgs,
  ];

  const ledger = await launch(
    'ledger',
    () => [
      'ledger',
      'start',
      ...common('ledger'),
      '--port',
      String(layout.portOf('ledger')),
      ...(options.challengeSeconds === undefined ? [] : ['--challenge-seconds', String(options.challengeSeconds)]),
    ],
    ledgerReadySchema,
  );
  await layout.rememberPort('ledger', portOfUrl(ledger.url));

  let bootstrap: readonly string[] = [];
  const joinArgs = (): readonly string[] => [
    '--ledger',
    ledger.url,
    '--program',
    ledger.programId,
    ...network.nodeArgs,
    ...bootstrap,
  ];
  const nodeArgs = (label: string): readonly string[] => [
    ...common(label),
    '--label',
    label,
    ...joinArgs(),
    '--airdrop',
    NODE_SOL,
  ];
  const nodes: ClusterNode[] = [];
  const launchNode = async (label: string, args: () => readonly string[]): Promise<NodeReady> => {
    const ready = await launch(label, args, nodeReadySchema);
    nodes.push({ dataDir: layout.dirOf(label), ready });
    return ready;
  };
  const listenArgs = (label: string): readonly string[] => network.listenArgs(layout.portOf(label));
  /** TCP addresses in offers depend on ports; onion addresses on keys alone. */
  const rememberAddress = async (label: string, address: string | undefined): Promise<void> => {
    const port = portOfMultiaddr(address);
    if (port !== 0) await layout.rememberPort(label, port);
  };

  for (let index = 1; index <= options.relayNodes; index += 1) {
    const label = `relay-${index}`;
    const ready = await launchNode(label, () => ['relay', ...nodeArgs(label), ...listenArgs(label)]);
    await rememberAddress(label, ready.addresses[0]);
    if (index === 1) bootstrap = ['--bootstrap', `${ready.nodeId}@${ready.addresses[0]}`];
  }
  const host = await launchNode('host', () => ['host', ...nodeArgs('host'), ...listenArgs('host')]);
  await rememberAddress('host', host.addresses[0]);

  let gatewayPort = layout.portOf('gateway') || options.gatewayPort;
  const launchGateway = (): Promise<NodeReady> =>
    launchNode('gateway', () => [
      'gateway',
      ...nodeArgs('gateway'),
      '--relays',
      String(options.relays),
      ...(options.issuer === undefined ? [] : ['--issuer', options.issuer]),
      '--cache',
      options.cache === 'off' ? 'off' : `${options.cache}B`,
      '--port',
      String(gatewayPort),
      '--watch',
      layout.root,
      // The credits of this market are free: a large local site must not end at the limits of real ones.
      ...['--spend-limit-site', '--spend-limit-peer', '--spend-limit'].flatMap((option) => [option, PLAY_CREDITS]),
    ]);
  const gateway = await launchGateway().catch((error: unknown) => {
    // Whether a port is free shows only when it is taken.
    if (gatewayPort === 0 || !isRelaymintError(error, 'ADDRESS_IN_USE')) throw error;
    gatewayPort = 0;
    return launchGateway();
  });
  const gatewayUrl = gateway.gateway ?? '';
  gatewayPort = portOfUrl(gatewayUrl);
  await layout.rememberPort('gateway', gatewayPort);

  const owned = stack.move();
  return {
    ledger,
    nodes,
    gatewayUrl,
    settleUrl: `${gatewayUrl}market#settle=${await readSettleToken(layout.dirOf('gateway'))}`,
    joinArgs: joinArgs(),
    seedArgs,
    pids: () => Object.fromEntries([...processes].map(([label, child]) => [label, child.pid])),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function portOfUrl(url: string): number {
  return Number(new URL(url).port) || 0;
}

function portOfMultiaddr(address: string | undefined): number {
  return Number(/\/tcp\/(\d+)/.exec(address ?? '')?.[1] ?? 0);
}
