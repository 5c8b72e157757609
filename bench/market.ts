/** The local marketplace as benchmarks use it: each node a process, as `npm start` runs them, and sites that are published in it. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { startCluster, type Cluster } from '../app/market/cluster.ts';
import { nodeReadySchema, publishedSchema } from '../app/market/events.ts';
import { openLayout, type MarketLayout } from '../app/market/layout.ts';
import type { MarketNetwork } from '../app/market/network.ts';
import { MarketProcess, runCommand } from '../app/market/process.ts';
import { createLog } from '../cli/output.ts';
import { profileArgs } from './profile.ts';

export interface MarketOptions {
  /** Everything that its processes keep goes there. */
  readonly data: string;
  /** Paid relays in front of the host. */
  readonly relays: number;
  /** Over which the nodes reach each other; it goes with the marketplace. */
  readonly network: (layout: MarketLayout) => Promise<MarketNetwork>;
  readonly signal: AbortSignal;
  /** For people: what is being done now. */
  readonly onStage: (what: string) => void;
}

export interface Market extends AsyncDisposable {
  /** Of a gateway that fetches and pays for everything anew. */
  readonly gatewayPort: number;
  /** Starts one more gateway, as `relaymint gateway` is without settings: it keeps what it has fetched. Resolves with its port. */
  openKeeping(): Promise<number>;
  /** Publishes a folder as a name. @throws RelaymintError INTERNAL, ABORTED. */
  publish(folder: string, name: string): Promise<void>;
}

const LOG_LEVEL = 'warn';
/** From dist/bench. */
const PROGRAM = fileURLToPath(new URL('../../bin/relaymint.js', import.meta.url));

/** In it nobody has paid anybody yet. @throws RelaymintError INTERNAL, ABORTED. */
export async function startMarket({ data, relays, network, signal, onStage }: MarketOptions): Promise<Market> {
  // What starts the marketplace's processes takes the program that it runs in itself.
  process.argv[1] = PROGRAM;
  await using stack = new AsyncDisposableStack();
  const log = createLog(LOG_LEVEL, 'bench');
  const layout = await openLayout(data);
  const onLogLine = (_label: string, line: string): void => void process.stderr.write(`${line}\n`);
  const cluster: Cluster = stack.use(
    await startCluster({
      layout,
      network: stack.use(await network(layout)),
      relayNodes: relays,
      relays,
      seed: undefined,
      cache: 'off',
      gatewayPort: 0,
      challengeSeconds: undefined,
      logLevel: LOG_LEVEL,
      log,
      onLogLine,
      onReady: (label, done, total) => onStage(`${label} is up (${done} of ${total})`),
      onRestart: () => {},
      nodeFlags: profileArgs,
      signal,
    }),
  );
  const owned = stack.move();
  const commonOf = (label: string): readonly string[] => [
    '--json',
    '--log-level',
    LOG_LEVEL,
    '--data',
    layout.dirOf(label),
    '--airdrop',
    '20',
  ];
  return {
    gatewayPort: Number(new URL(cluster.gatewayUrl).port),
    openKeeping: async () => {
      const label = 'keeping-gateway';
      const own = ['--relays', String(relays), '--port', '0'];
      const args = (): readonly string[] => ['gateway', ...commonOf(label), ...own, ...cluster.joinArgs];
      const options = { label, args, log, onLogLine, signal, nodeFlags: profileArgs(label) };
      const gateway = owned.use(new MarketProcess(options, nodeReadySchema));
      const { gateway: url = '' } = await gateway.start();
      return Number(new URL(url).port);
    },
    publish: async (folder, name) => {
      onStage('publishing');
      const common = commonOf('publisher');
      const args = (): readonly string[] => [
        'publish',
        path.resolve(folder),
        '--name',
        name,
        ...common,
        ...cluster.joinArgs,
      ];
      await runCommand({ label: 'publisher', args, log, onLogLine, signal }, publishedSchema, 'published');
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
