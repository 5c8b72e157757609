/** What the long-running node commands have in common: open, say ready, run until told to end, close. */
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import path from 'node:path';
import { SPEND_LIMIT_SITE } from '../../core/limits.ts';
import type { PricePerMiB } from '../../core/units.ts';
import { type NodeRole, startControlServer } from '../../app/control/index.ts';
import { watchLifecycle } from '../../app/lifecycle.ts';
import { defaultDataDir, type EarningOptions, type ListenOptions, type NodeOptions } from '../options.ts';
import {
  locationsOf,
  outboundSettings,
  type LocationOptions,
  type OutboundOptions,
  type PeerOptions,
  type RevealingOptions,
} from '../outbound-options.ts';
import { createLog, createOutput, type Output } from '../output.ts';
import { openNode, type NodeSettings, type RunningNode, controlHandlers } from '../../app/node/index.ts';
import type { Location } from '../../node/transport/index.ts';

export interface RunNodeOptions {
  readonly role: NodeRole;
  readonly options: NodeOptions &
    OutboundOptions &
    PeerOptions &
    LocationOptions &
    RevealingOptions &
    Partial<ListenOptions> &
    Partial<EarningOptions> & { readonly maxRoyalty?: number; readonly allowPrivateHops?: true };
  readonly relayPrice: PricePerMiB | undefined;
  /** The main price: one MiB at it is what a stranger may owe. */
  readonly windowPrice: PricePerMiB;
  readonly tillSlots: number | undefined;
  readonly maxTillSlots?: number;
  /** Adds what the role sells; runs before the node is announced. Its result closes before the node does. */
  readonly prepare: (node: RunningNode) => Promise<AsyncDisposable | undefined>;
  /** Runs after the node was announced. @returns fields to add to the ready event, and what to close. */
  readonly open?: (node: RunningNode) => Promise<{ readonly ready: object; readonly closer: AsyncDisposable }>;
  /** Lines for people once it runs. */
  readonly describe: (node: RunningNode, addresses: readonly string[], ready: object) => string;
}

const HOUR_MILLIS = 60 * 60_000;
const DEFAULT_LISTEN = '/ip4/127.0.0.1/tcp/0';

export function nodeSettings(run: Omit<RunNodeOptions, 'prepare' | 'open' | 'describe'>): NodeSettings {
  const { options, role } = run;
  const label = options.label ?? role;
  // A node without --listen is one that only dials.
  const locations = options.listen === undefined ? [] : locationsOf(options);
  return {
    role,
    label,
    dataDir: path.resolve(options.data ?? defaultDataDir(role)),
    ledgerUrl: options.ledger,
    programId: options.program,
    listen: listenOf(options.listen, locations),
    announce: options.announce ?? [],
    locations,
    onionKey: options.onionKey ?? 'node',
    onionClients: options.onionClient ?? [],
    bootstrap: options.bootstrap,
    seed: options.seed,
    airdrop: options.airdrop,
    deposit: options.deposit,
    ...(options.maxPrice === undefined ? {} : { maxPrice: options.maxPrice }),
    ...(options.opening === undefined ? {} : { opening: options.opening }),
    ...(options.maxOpening === undefined ? {} : { maxOpening: options.maxOpening }),
    spendLimits: {
      perPeer: options.spendLimitPeer,
      perSite: options.spendLimitSite ?? SPEND_LIMIT_SITE,
      total: options.spendLimit,
    },
    idleChannelMillis: options.closeIdle === 0 ? null : options.closeIdle * HOUR_MILLIS,
    ...(options.allowPrivateHops === undefined ? {} : { allowPrivateHops: options.allowPrivateHops }),
    outbound: outboundSettings(options),
    relayPrice: run.relayPrice,
    windowPrice: run.windowPrice,
    tillSlots: run.tillSlots,
    maxTillSlots: run.maxTillSlots,
    ...(options.maxPriorityFee === undefined ? {} : { maxPriorityFee: options.maxPriorityFee }),
    ...(options.settleFeeShare === undefined
      ? {}
      : {
          earning: {
            policy: {
              maxFeeShareBps: options.settleFeeShare,
              ...(options.maxRoyalty === undefined ? {} : { maxRoyaltyBps: options.maxRoyalty }),
            },
            exportReceipts: options.exportReceipts === undefined ? undefined : path.resolve(options.exportReceipts),
          },
        }),
    log: createLog(options.logLevel, label),
  };
}

/** Undefined: it only dials. A node that says where it is listens on TCP only where it is told to. */
function listenOf(listen: readonly string[] | undefined, locations: readonly Location[]): readonly string[] {
  if (listen === undefined || listen.length > 0) return listen ?? [];
  const dialled = locations.every(({ kind }) => kind === 'hint' || kind === 'unreachable');
  return dialled ? [DEFAULT_LISTEN] : [];
}

/** Resolves when the node has ended cleanly. */
export async function runNode(run: RunNodeOptions): Promise<void> {
  const output: Output = createOutput(run.options.json === true);
  using lifecycle = watchLifecycle();
  await using stack = new AsyncDisposableStack();
  const settings = nodeSettings(run);
  const node = stack.use(await openNode(settings, lifecycle.signal));
  const prepared = await run.prepare(node);
  if (prepared !== undefined) stack.use(prepared);
  const addresses = await node.announce(lifecycle.signal);
  const opened = await run.open?.(node);
  if (opened !== undefined) stack.use(opened.closer);
  const handlers = controlHandlers({ node, addresses, stop: () => lifecycle.end('asked to by its control port') });
  stack.use(await startControlServer(settings.dataDir, handlers, settings.log));
  const ready = {
    event: 'ready',
    role: run.role,
    label: settings.label,
    nodeId: node.keys.identity.nodeId,
    wallet: node.wallet.address,
    addresses,
    ...opened?.ready,
  };
  output.value(ready);
  output.line(run.describe(node, addresses, ready));
  await lifecycle.ended;
  output.line('Stopping: paying what is due, settling, closing.');
}
