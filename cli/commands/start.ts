/** `relaymint start`: the whole marketplace on this machine, out of real parts. */
import { createWriteStream, type WriteStream } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { orAborted } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';
import { ledgerAddress } from '../../core/ids.ts';
import { formatBytes } from '../../core/units.ts';
import { openSolanaLedger, type SolanaLedger } from '../../ledger/solana/index.ts';
import { siteUrl } from '../../core/name.ts';
import type { Log } from '../../core/ports.ts';
import { repeat } from '../../core/repeat.ts';
import { createPolicy, createTcpTransport, declarePurpose, type Policy } from '../../node/transport/index.ts';
import { watchLifecycle, type Lifecycle } from '../../app/lifecycle.ts';
import {
  DEFAULT_GATEWAY_PORT,
  count,
  flagsOnly,
  keeping,
  oneOf,
  optional,
  place,
  port,
  someWords,
  speechSection,
  standard,
  toggle,
  words,
  type ValuesOf,
} from '../../app/config/index.ts';
import {
  startCluster,
  type Cluster,
  OwnerCommands,
  publishAll,
  holdIssuerPort,
  startMarketIssuer,
  type Published,
  openLayout,
  type MarketLayout,
  MARKET_TRANSPORTS,
  openMarketNetwork,
  type MarketTransport,
  closeOwnChannels,
  nameVisitor,
  distributeOwnName,
  runRound,
  composed,
  readTown,
  requireDirectory,
  type Display,
  type Live,
  type Showing,
} from '../../app/market/index.ts';
import { openText, renderRound, renderScreen, walletLinkText } from '../market-screen.ts';
import { leftOutText } from '../left-out.ts';
import { createLog, createOutput, createSteps, type Output } from '../output.ts';
import { addSettings } from '../settings.ts';

const SITE_NAME = 'demo.web3';
const PUBLISHER = 'site';
const EXAMPLES = ['page', 'town'] as const;
const USUAL_EXAMPLE: (typeof EXAMPLES)[number] = 'town';
/** Who visits, on a wall: the forum's pages name it too. */
const VISITOR = 'you.sso';
/** How often boats say where they are, milliseconds. */
const TRAFFIC_MILLIS = 2_000;
const DEFAULT_RELAY_NODES = 3;
/** A round's own visit. */
const VISIT = declarePurpose('visit');
const EXAMPLE_SITE = fileURLToPath(new URL('../../../examples/site', import.meta.url));
const EXAMPLE_TOWN = fileURLToPath(new URL('../../../examples/town', import.meta.url));
/** Sites of an example with what they bring. */
const COMPOSED = 'composed';
const LOG_FILE = 'marketplace.log';

const startSection = flagsOnly({
  site: optional('--site <dir>', words, 'folder to publish instead of an example; --data remembers it'),
  example: oneOf(
    '--example <name>',
    EXAMPLES,
    'what is published without --site: a town (default) of several names that embed one another, or one page',
  ),
  data: optional('--data <dir>', place, 'keep all state here and continue from it'),
  once: toggle('--once', 'do one complete round (publish, fetch, settle, withdraw) and exit'),
  json: toggle('--json', 'print one JSON object (with --once) or JSON lines, and nothing else, on stdout'),
  transport: oneOf(
    '--transport <name>',
    MARKET_TRANSPORTS,
    'how the nodes reach each other; tor and i2p start a private network of their own',
    {},
    'tcp',
  ),
  relays: standard('--relays <n>', count(1, 6), 'paid relays in front of the host, 1 to 6', '3'),
  relayNodes: optional(
    '--relay-nodes <n>',
    count(1, 32),
    `relays to run, at least --relays (default: ${DEFAULT_RELAY_NODES} or --relays)`,
  ),
  cache: standard(
    '--cache <size>',
    keeping,
    'most content that the gateway keeps on disk; 0: in memory only, so that the next start pays again; off: nothing',
    '0',
  ),
  seed: optional(
    '--seed <text>',
    someWords,
    'derive every key from this text: the same text, the same keys (tests only)',
  ),
  port: standard(
    '--port <n>',
    port,
    "the gateway's port; any free one if this one is taken",
    String(DEFAULT_GATEWAY_PORT),
  ),
  // Many processes speak.
  logLevel: speechSection('warn').logLevel,
});

type StartOptions = ValuesOf<typeof startSection>;

export function startCommand(program: Command): void {
  const command = program
    .command('start')
    .summary('run the local marketplace: ledger, relays, host, gateway and example sites')
    .description(
      'Starts an embedded ledger, relays, one host and one gateway as separate processes on loopback, publishes a small town of\n' +
        `sites (or any folder, as ${SITE_NAME}) and serves them through paid relays. Stays up until Ctrl-C and leaves nothing behind,\n` +
        'unless --data names a folder: then the next start continues where this one stopped.',
    );
  addSettings(command, startSection)
    .addHelpText(
      'after',
      `
Examples:
  npm start                                   the marketplace, until Ctrl-C
  npm start -- --data ./market                the same, and it continues next time
  npm start -- --site ./my-docs               publish any folder as ${SITE_NAME}
  npm start -- --transport tor                the nodes reach each other over a private Tor network
  npm start -- --once --json                  one complete round, as JSON, for scripts
`,
    )
    .action((options: StartOptions) => start(options));
}

async function start(options: StartOptions): Promise<void> {
  const began = performance.now();
  const { relays, relayNodes = Math.max(DEFAULT_RELAY_NODES, relays) } = options;
  if (relayNodes < relays) {
    throw new RelaymintError('INVALID_ARGUMENT', `--relays ${relays} needs as many relays to run, not ${relayNodes}.`, {
      remedy: `Give --relay-nodes ${relays} or more.`,
    });
  }
  if (options.site !== undefined) await requireDirectory(options.site);
  if (options.site !== undefined && options.example !== undefined) {
    throw new RelaymintError('INVALID_ARGUMENT', 'Both --site and --example say what is published.', {
      remedy: 'Give one of them.',
    });
  }
  const output = createOutput(options.json === true);
  const log = createLog(options.logLevel, 'start');
  using lifecycle = watchLifecycle();
  await using stack = new AsyncDisposableStack();

  const layout = await openLayout(options.data);
  stack.defer(() => layout.remove());
  const display = await displayOf(options, layout);
  const logFile = createWriteStream(path.join(layout.root, LOG_FILE), { flags: 'a', mode: 0o600 });
  stack.defer(() => closed(logFile));
  const onLogLine = (label: string, line: string): void => {
    logFile.write(`${label}: ${line}\n`);
    if (options.logLevel !== 'silent') process.stderr.write(`${line}\n`);
  };

  const building = createSteps(`Building a private network (${options.transport})`, output.json);
  const network = stack.use(
    await openMarketNetwork({
      transport: options.transport,
      log,
      signal: lifecycle.signal,
      onProgress: (done, total, what) => building.update(done, total, what),
    }).finally(() => building.finish()),
  );
  const progress = createSteps('Starting', output.json);
  const held = options.once === true ? undefined : stack.use(await holdIssuerPort(layout));
  const cluster = await startCluster({
    layout,
    network,
    relayNodes,
    relays,
    cache: options.cache,
    seed: options.seed,
    gatewayPort: options.once === true && options.data === undefined ? 0 : options.port,
    issuer: held && `http://localhost:${held.port}`,
    challengeSeconds: options.once === true ? 1 : undefined,
    logLevel: options.logLevel,
    log,
    onLogLine,
    onReady: (label, done, total) => progress.update(done, total, label),
    onRestart: (label, pid) => output.value({ event: 'restarted', label, pid }),
    signal: lifecycle.signal,
  }).finally(() => progress.finish());
  stack.use(cluster);
  const readyMs = Math.round(performance.now() - began);

  const owners = new OwnerCommands({
    cluster,
    readyMillis: network.readyMillis,
    layout,
    logLevel: options.logLevel,
    log,
    onLogLine,
    signal: lifecycle.signal,
  });
  const onPublished = ({ skipped }: Published): void => {
    if (skipped.length === 0) return;
    output.line(leftOutText(skipped));
    // The report of a round has no place for it: scripts find it where they find what else went wrong.
    if (output.json) log.warn({ skipped }, 'files were left out');
  };

  if (options.once === true) {
    await untilEnded(
      lifecycle,
      once({ output, cluster, layout, display, owners, onPublished, readyMs, log, transport: options.transport }),
    );
    return;
  }
  const publishing = createSteps('Publishing', output.json);
  const { showings, posts } = display;
  const [{ name: front }] = showings;
  const urlOf = (name: string): string => siteUrl(name, Number(new URL(cluster.gatewayUrl).port));
  const url = urlOf(front);
  let done = 0;
  const { sites: all } = await publishAll({
    display,
    owners,
    layout,
    log,
    onBegin: (what) => publishing.update(done, showings.length + posts.length, what),
    onPublished: (published) => {
      done += 1;
      onPublished(published);
      if (published.name !== front) return;
      const millis = Math.round(performance.now() - began);
      output.value({ event: 'open', site: url, millis });
      if (showings.length === 1) return;
      publishing.finish();
      output.line(openText(front, url, millis));
    },
    onSaid: () => {
      done += 1;
    },
  }).finally(() => publishing.finish());
  for (const live of display.live) {
    // Without it all else is there.
    const following = await liveTraffic(owners, live, log).catch((error: unknown) => {
      log.warn({ err: error, name: live.name }, 'nobody says where its boats are');
      return undefined;
    });
    if (following !== undefined) stack.use(following);
  }
  const signIn =
    held &&
    startMarketIssuer({
      cluster,
      layout,
      held,
      logLevel: options.logLevel,
      log,
      onLogLine,
      onRestart: (label, pid, { walletLink }) => {
        output.value({ event: 'restarted', label, pid, walletLink });
        output.line(walletLinkText(walletLink));
      },
      signal: lifecycle.signal,
    });
  const issuer = await signIn?.catch((error: unknown) => {
    // Without it all else is there.
    log.warn({ err: error }, 'nobody can sign in');
    return undefined;
  });
  if (issuer !== undefined) stack.use(issuer);
  const visitor = issuer && (await visitorOf(cluster, layout, display, log));
  const [published] = all;
  const [thread] = display.posts;
  output.line(
    renderScreen({
      issuer,
      visitor:
        visitor === undefined || thread === undefined
          ? undefined
          : { name: visitor, wall: urlOf(thread.name) + thread.path.slice(1) },
      cluster,
      published: all,
      urlOf,
      dataDir: options.data,
      logFile: path.join(layout.root, LOG_FILE),
      transport: options.transport,
    }),
  );
  output.value({
    event: 'ready',
    transport: options.transport,
    gateway: cluster.gatewayUrl,
    site: url,
    issuer: issuer?.url,
    walletLink: issuer?.walletLink,
    visitor,
    ledger: cluster.ledger.url,
    programId: cluster.ledger.programId,
    cid: published.cid,
    names: all.map(({ name, cid, wallet }) => ({ name, cid, wallet })),
    nodes: cluster.nodes.map(({ ready, dataDir }) => ({ ...ready, event: undefined, dataDir })),
    pids: cluster.pids(),
  });
  await lifecycle.ended;
  output.line('\nStopping: paying what is due, settling, closing.');
}

/** Says where the boats of a name are, again and again, until it is disposed. */
async function liveTraffic(owners: OwnerCommands, live: Live, log: Log): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  stack.use(await owners.followTraffic(live));
  stack.use(
    repeat({
      everyMillis: TRAFFIC_MILLIS,
      work: () => owners.writeTraffic(live),
      what: `saying where the boats of ${live.name} are`,
      log,
    }),
  );
  const owned = stack.move();
  return { [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** What was named, else what an earlier start published here, else the usual example. */
async function displayOf({ site, example }: StartOptions, layout: MarketLayout): Promise<Display> {
  if (site !== undefined || example !== undefined) await layout.rememberShown({ site, example });
  // Folders of before the town was the usual example remember none.
  else if (!layout.continued) await layout.rememberShown({ example: USUAL_EXAMPLE });
  const { shown } = layout;
  if (shown.site === undefined && shown.example === 'town') {
    const { showings, ...rest } = await readTown(EXAMPLE_TOWN);
    const [front, ...others] = showings;
    const compose = (showing: Showing): Promise<Showing> => composed(showing, path.join(layout.root, COMPOSED));
    return { ...rest, showings: [await compose(front), ...(await Promise.all(others.map(compose)))] };
  }
  const directory = await directoryOf(shown.site);
  const showing = { name: SITE_NAME, directory, owner: PUBLISHER, publishArgs: [], embeds: [], brings: [] };
  return { showings: [showing], posts: [], live: [] };
}

async function directoryOf(site: string | undefined): Promise<string> {
  if (site === undefined) return await requireDirectory(EXAMPLE_SITE);
  try {
    return await requireDirectory(site);
  } catch (cause) {
    throw new RelaymintError('FILE_NOT_FOUND', `The folder that this marketplace publishes is gone: ${site}.`, {
      remedy: 'Give its new path with --site. What is already published stays as it is.',
      cause,
    });
  }
}

function ledgerOf({ ledger }: Cluster, policy: Policy, log: Log): SolanaLedger {
  return openSolanaLedger({
    url: ledger.url,
    programId: ledgerAddress(ledger.programId),
    fetch: policy.fetch('ledger'),
    log,
  });
}

/** undefined: there is no wall to write on, or no profile to be had. */
async function visitorOf(
  cluster: Cluster,
  layout: MarketLayout,
  display: Display,
  log: Log,
): Promise<string | undefined> {
  if (display.posts.length === 0) return undefined;
  const policy = createPolicy({ transports: [createTcpTransport()], purposes: [], outbound: 'loopback' });
  const gets = nameVisitor(ledgerOf(cluster, policy, log), layout.dirOf('gateway'), VISITOR);
  const isTheirs = await gets.catch((error: unknown) => {
    // Without it all else is there.
    log.warn({ err: error, name: VISITOR }, 'the visitor has no profile');
    return false;
  });
  return isTheirs ? VISITOR : undefined;
}

interface OnceOptions {
  readonly output: Output;
  readonly cluster: Cluster;
  readonly layout: MarketLayout;
  readonly display: Display;
  readonly owners: OwnerCommands;
  readonly onPublished: (published: Published) => void;
  readonly readyMs: number;
  readonly log: ReturnType<typeof createLog>;
  readonly transport: MarketTransport;
}

async function once(options: OnceOptions): Promise<void> {
  const { output, cluster, layout, log } = options;
  const policy = createPolicy({ transports: [createTcpTransport()], purposes: [VISIT], outbound: 'loopback' });
  const reader = ledgerOf(cluster, policy, log);
  const report = await runRound({
    cluster,
    reader,
    display: options.display,
    owners: options.owners,
    layout,
    distribute: ({ owner, name }) => distributeOwnName(reader, layout.dirOf(owner), name),
    closeOwner: (owner) => closeOwnChannels(reader, layout.dirOf(owner)),
    fetch: policy.fetch(VISIT),
    log,
    onStage: (stage) => output.line(stage),
    onPublished: options.onPublished,
    onProgress: (files, bytes) => {
      if (!output.json && process.stderr.isTTY) process.stderr.write(`\r  ${files} files, ${formatBytes(bytes)} `);
    },
    readyMs: options.readyMs,
    transport: options.transport,
  });
  output.line(renderRound(report));
  output.value(report);
  if (!report.ok) process.exitCode = 1;
}

/** Rejects as soon as the command is told to end, so that nobody waits for work that no longer matters. */
async function untilEnded<T>(lifecycle: Lifecycle, work: Promise<T>): Promise<T> {
  return await orAborted(work, lifecycle.signal, 'The command');
}

function closed(stream: WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.end(() => resolve());
  });
}
