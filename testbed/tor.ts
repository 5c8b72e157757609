/**
 * A whole Tor network on this machine, real in every part: one directory authority, three relays and a client, each a process of
 * the installed tor. It lives in a network namespace; what it is used by are the client's unix sockets. More clients may join it,
 * from other processes as well.
 */
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { RelaymintError } from '../core/errors.ts';
import type { Log } from '../core/ports.ts';
import { assertSocketPath, type Endpoint } from '../node/transport/index.ts';
import { findProgram } from '../platform/program.ts';
import { endInner, enterNamespace, openNamespace, type InnerProcess, type NetworkNamespace } from './namespace.ts';
import { assertNotAborted, deadline, onAbort, type Deadline } from '../core/abort.ts';

export interface PrivateTorNetworkOptions {
  /** Keys, logs and sockets go here; made 0700. */
  readonly directory: string;
  /** What the client carries at most each way, bytes a second, over its peers and its users together; unlimited by default. */
  readonly clientBytesPerSecond?: number;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** For people: `done` of `total` per cent, and what happens. */
  readonly onProgress?: (done: number, total: number, what: string) => void;
}

export interface PrivateTorNetwork extends AsyncDisposable {
  readonly socks: Endpoint;
  /** Asks for the cookie. */
  readonly control: Endpoint;
  /** Where the network is; other programs can be run in it. */
  readonly namespace: NetworkNamespace;
  /** Lines with which the torrc of another tor in the namespace joins this network. */
  readonly clientTorrc: readonly string[];
  /** Ends the client and starts it again on the same sockets. */
  restartClient(): Promise<void>;
  /** Adds a relay that nobody has heard of. @returns its bridge line: by it alone one gets in. */
  startBridge(transport: 'plain' | 'obfs4'): Promise<string>;
  /** Ends the bridges: who gets in by them alone builds no circuit any more. */
  stopBridges(): Promise<void>;
}

/** The authority and the relays, without a client. */
export interface TorServers extends AsyncDisposable {
  /** For clients. */
  invite(): TorInvitation;
}

/** What a client needs to join: plain data, for other processes of this user as well. It is good as long as the servers run. */
export interface TorInvitation {
  /** Of the network's namespace. */
  readonly enter: readonly string[];
  readonly clientTorrc: readonly string[];
  /** The first of the ports at which its bridges listen, and nobody else's. */
  readonly bridgePort: number;
}

const RELAYS: readonly string[] = ['relay1', 'relay2', 'relay3'];
const START_MILLIS = 120_000;
const FIRST_PORT = 5000;
const FIRST_BRIDGE_PORT = 6000;
/** Of each client: where its plain bridge listens, and both ports of the other. */
const BRIDGE_PORTS = { plain: 0, obfs4: 1 } as const;
const PORTS_OF_BRIDGES = 3;
/** Seconds between votes at the start; the first vote is made so many seconds after the authority has started. */
const VOTING_SECONDS = 5;
const VOTE_LEAD_SECONDS = 1;
const DISTRIBUTION_SECONDS = 4;
const TAIL_LINES = 8;

/** Ends when a consensus of the authority at this port calls so many routers running. It runs inside, where the port is. */
const WATCH_CONSENSUS = `
  const [, port, count] = process.argv;
  const url = 'http://127.0.0.1:' + port + '/tor/status-vote/current/consensus-microdesc';
  const look = async () => {
    const text = await fetch(url).then((answer) => answer.text()).catch(() => '');
    if ((text.match(/^s .*\\bRunning\\b/gm) ?? []).length < Number(count)) setTimeout(look, 100);
  };
  look();
`;

/**
 * Resolves when the client is ready for onion services, about 8 s later. Nothing outlives us, and no packet leaves.
 * @throws RelaymintError PROGRAM_MISSING, POLICY_REFUSED (no namespace), TOR_BOOTSTRAP_FAILED with tor's own words, ABORTED.
 */
export async function startTorNetwork(options: PrivateTorNetworkOptions): Promise<PrivateTorNetwork> {
  const { onProgress = () => {} } = options;
  /** The step's own per cent as a part of the whole. */
  const part =
    (from: number, to: number) =>
    (done: number, total: number, what: string): void =>
      onProgress(from + Math.floor((done * (to - from)) / total), 100, what);
  await using stack = new AsyncDisposableStack();
  const servers = stack.use(await startTorServers({ ...options, onProgress: part(0, 40) }));
  const network = stack.use(await joinTorNetwork(servers.invite(), { ...options, onProgress: part(40, 100) }));
  const owned = stack.move();
  return { ...network, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** The network alone, about 5 s later: clients join it. The rest as `startTorNetwork`. */
export async function startTorServers(
  options: Omit<PrivateTorNetworkOptions, 'clientBytesPerSecond'>,
): Promise<TorServers> {
  const { directory, signal, onProgress = () => {} } = options;
  assertNotAborted(signal, 'Starting a Tor network');
  const [tor, gencert] = await Promise.all([findProgram('tor'), findProgram('tor-gencert')]);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await using stack = new AsyncDisposableStack();
  onProgress(0, 100, 'a namespace');
  const namespace = stack.use(await openNamespace({ signal }));
  const servers = new Tors({ directory, tor, namespace, log: options.log });
  using limit = starting(signal);
  try {
    onProgress(12, 100, 'the authority');
    await servers.makeAuthority(gencert);
    onProgress(50, 100, 'relays');
    await servers.startServers(limit.signal);
  } catch (error) {
    assertNotAborted(signal, 'Starting a Tor network');
    throw error;
  }
  const owned = stack.move();
  let bridgePort = FIRST_BRIDGE_PORT - PORTS_OF_BRIDGES;
  return {
    invite: () => ({
      enter: namespace.enter,
      clientTorrc: servers.joinLines,
      bridgePort: (bridgePort += PORTS_OF_BRIDGES),
    }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/**
 * A client of its own in a network that runs: what is done to it, no other client notices. Disposing it ends the client and its
 * bridges. The rest as `startTorNetwork`.
 */
export async function joinTorNetwork(
  { enter, clientTorrc, bridgePort }: TorInvitation,
  options: PrivateTorNetworkOptions,
): Promise<PrivateTorNetwork> {
  const { directory, clientBytesPerSecond, log, signal, onProgress = () => {} } = options;
  assertNotAborted(signal, 'Joining a Tor network');
  const [socks, control] = [path.join(directory, 'client', 'socks'), path.join(directory, 'client', 'control')];
  assertSocketPath(control);
  const tor = await findProgram('tor');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const namespace = enterNamespace(enter);
  await using stack = new AsyncDisposableStack();
  const joined = stack.use(new Tors({ directory, tor, namespace, joinLines: clientTorrc, clientBytesPerSecond, log }));
  using limit = starting(signal);
  try {
    onProgress(0, 100, 'a client');
    await joined.startClient(limit.signal, (percent, what) => onProgress(percent, 100, what));
  } catch (error) {
    assertNotAborted(signal, 'Joining a Tor network');
    throw error;
  }
  const owned = stack.move();
  return {
    socks: { kind: 'unix', path: socks },
    control: { kind: 'unix', path: control },
    namespace,
    clientTorrc,
    restartClient: async () => {
      await joined.stop('client');
      using again = starting(signal);
      await joined.startClient(again.signal, () => {});
    },
    startBridge: async (transport) => {
      using added = starting(signal);
      return await joined.startBridge(transport, bridgePort + BRIDGE_PORTS[transport], added.signal);
    },
    stopBridges: async () => {
      for (const transport of ['plain', 'obfs4'] as const) await joined.stop(bridgeName(transport));
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The time that a tor, or all of them at first, has until it is connected. */
function starting(signal: AbortSignal): Deadline {
  return deadline(START_MILLIS, 'Starting the private Tor network', signal);
}

interface TorsOptions {
  readonly directory: string;
  /** The program. */
  readonly tor: string;
  readonly namespace: NetworkNamespace;
  /** Of a network that runs; whoever makes its own authority has them afterwards. */
  readonly joinLines?: readonly string[];
  readonly clientBytesPerSecond?: number | undefined;
  readonly log: Log;
}

/** Processes of tor in one folder, each known by its name. */
class Tors implements AsyncDisposable {
  readonly #options: TorsOptions;
  readonly #running = new Map<string, InnerProcess>();
  readonly #tails = new Map<string, string[]>();
  #joinLines: readonly string[];

  constructor(options: TorsOptions) {
    this.#options = options;
    this.#joinLines = options.joinLines ?? [];
  }

  get joinLines(): readonly string[] {
    return this.#joinLines;
  }

  /** Its identity has to be known before anybody's torrc can be written. */
  async makeAuthority(gencert: string): Promise<void> {
    const keys = this.#path('authority', 'keys');
    await mkdir(keys, { recursive: true, mode: 0o700 });
    await this.#writeResolver();
    const certificate = path.join(keys, 'authority_certificate');
    const files = ['-i', path.join(keys, 'authority_identity_key'), '-s', path.join(keys, 'authority_signing_key')];
    const address = `127.0.0.1:${FIRST_PORT + 1}`;
    const made = ['--create-identity-key', '--passphrase-fd', '0', '-m', '12', '-a', address, ...files];
    await this.#options.namespace.run([gencert, ...made, '-c', certificate]);
    const identity = /^fingerprint ([0-9A-F]{40})$/m.exec(await readFile(certificate, 'utf8'))?.[1];
    await this.#writeTorrc('authority', this.#serverLines('authority', FIRST_PORT));
    const listed = await this.#options.namespace.run([
      this.#options.tor,
      '-f',
      this.#path('authority', 'torrc'),
      '--list-fingerprint',
      '--quiet',
    ]);
    const fingerprint = /^authority (.+)$/m.exec(listed)?.[1]?.replaceAll(' ', '');
    if (identity === undefined || fingerprint === undefined) throw failed('The authority has no identity', listed);
    this.#joinLines = [
      'TestingTorNetwork 1',
      'AssumeReachable 1',
      'PathsNeededToBuildCircuits 0.67',
      // KIST waits for the kernel's idea of a slow link; there is none here.
      'Schedulers Vanilla',
      `DirAuthority authority orport=${FIRST_PORT} no-v2 v3ident=${identity} ${address} ${fingerprint}`,
    ];
  }

  /** Starts the authority and the relays, and waits until a consensus calls all of them running. */
  async startServers(signal: AbortSignal): Promise<void> {
    // The vote then falls into the second after the start, when the relays have just said that they are there.
    const offset = Math.ceil(Date.now() / 1000 + VOTE_LEAD_SECONDS + DISTRIBUTION_SECONDS) % VOTING_SECONDS;
    await this.#writeTorrc('authority', [
      ...this.joinLines,
      ...this.#serverLines('authority', FIRST_PORT),
      `DirPort 127.0.0.1:${FIRST_PORT + 1}`,
      'AuthoritativeDirectory 1',
      'V3AuthoritativeDirectory 1',
      'ContactInfo nobody@localhost',
      `TestingV3AuthInitialVotingInterval ${VOTING_SECONDS}`,
      `TestingV3AuthVotingStartOffset ${offset}`,
      'TestingV3AuthInitialVoteDelay 2',
      'TestingV3AuthInitialDistDelay 2',
      'V3AuthVotingInterval 10',
      'V3AuthVoteDelay 2',
      'V3AuthDistDelay 2',
      'V3AuthNIntervalsValid 2',
      'TestingDirAuthVoteExit *',
      'TestingDirAuthVoteHSDir *',
      'TestingDirAuthVoteGuard *',
      'TestingMinExitFlagThreshold 0',
      // There are not relays enough to set some aside for second hops: see the client's first ones.
      'ConsensusParams vanguards-lite-enabled=0',
    ]);
    for (const [index, name] of RELAYS.entries()) {
      const lines = this.#serverLines(name, FIRST_PORT + 10 * (index + 1));
      await this.#writeTorrc(name, [...this.joinLines, ...lines, 'DirCache 0']);
    }
    for (const name of ['authority', ...RELAYS]) this.#start(name);
    await this.#untilRunning(1 + RELAYS.length, signal);
  }

  async startClient(signal: AbortSignal, onBootstrap: (percent: number, what: string) => void): Promise<void> {
    const socket = (name: string): string => `unix:"${this.#path('client', name)}"`;
    await this.#writeTorrc('client', [
      ...this.joinLines,
      ...this.#commonLines('client'),
      `SocksPort ${socket('socks')} IsolateSOCKSAuth ExtendedErrors`,
      `ControlSocket ${socket('control')}`,
      'CookieAuthentication 1',
      'ClientOnly 1',
      // The authority would be its only guard, and each circuit that ends there fail at once: after five failures tor rests for up to
      // a minute. Without guards any relay is a first hop.
      'UseEntryGuards 0',
      ...this.#limitLines(),
    ]);
    await this.#untilConnected('client', signal, onBootstrap);
  }

  async startBridge(transport: 'plain' | 'obfs4', port: number, signal: AbortSignal): Promise<string> {
    const name = bridgeName(transport);
    const obfuscated = [
      `ServerTransportPlugin obfs4 exec ${transport === 'obfs4' ? await findProgram('obfs4proxy') : ''}`,
      `ServerTransportListenAddr obfs4 127.0.0.1:${port + 1}`,
      'ExtORPort auto',
    ];
    const lines = [...this.joinLines, ...this.#serverLines(name, port), 'BridgeRelay 1', 'PublishServerDescriptor 0'];
    await this.#writeResolver();
    await this.#writeTorrc(name, [...lines, ...(transport === 'obfs4' ? obfuscated : [])]);
    await this.#untilConnected(name, signal, () => {});
    const fingerprint = /^\S+ ([0-9A-F]{40})/.exec(await readFile(this.#path(name, 'fingerprint'), 'utf8'))?.[1] ?? '';
    if (transport === 'plain') return `127.0.0.1:${port} ${fingerprint}`;
    const written = await readFile(this.#path(name, 'pt_state', 'obfs4_bridgeline.txt'), 'utf8');
    const secret = /cert=\S+ iat-mode=\d/.exec(written)?.[0] ?? '';
    return `obfs4 127.0.0.1:${port + 1} ${fingerprint} ${secret}`;
  }

  async #untilConnected(
    name: string,
    signal: AbortSignal,
    onBootstrap: (percent: number, what: string) => void,
  ): Promise<void> {
    const child = this.#start(name);
    await new Promise<void>((resolve, reject) => {
      const lines = createInterface({ input: child.stdout });
      let tie: Disposable | undefined = undefined;
      const settle = (error?: RelaymintError): void => {
        tie?.[Symbol.dispose]();
        lines.off('line', onLine);
        child.off('exit', onExit);
        if (error === undefined) resolve();
        else reject(error);
      };
      const giveUp = (): void => settle(this.#failure(`${name} was not connected in time`, name));
      const onExit = (): void => settle(this.#failure(`${name} ended`, name));
      const onLine = (line: string): void => {
        const [, percent, what = ''] = /Bootstrapped (\d+)%(?: \([^)]*\))?: (.*)$/.exec(line) ?? [];
        if (percent === undefined) return;
        onBootstrap(Number(percent), what);
        if (percent === '100') settle();
      };
      lines.on('line', onLine);
      child.once('exit', onExit);
      tie = onAbort(signal, giveUp);
    });
  }

  async stop(name: string): Promise<void> {
    const child = this.#running.get(name);
    if (child === undefined) return;
    this.#running.delete(name);
    await endInner(child, 'SIGTERM');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(Array.from(this.#running.keys(), (name) => this.stop(name)));
  }

  #path(...parts: readonly string[]): string {
    return path.join(this.#options.directory, ...parts);
  }

  async #writeTorrc(name: string, lines: readonly string[]): Promise<void> {
    await mkdir(this.#path(name), { recursive: true, mode: 0o700 });
    await writeFile(this.#path(name, 'torrc'), `${lines.join('\n')}\n`);
  }

  /** Relays ask nobody for names. */
  async #writeResolver(): Promise<void> {
    await writeFile(this.#path('resolv.conf'), '');
  }

  #commonLines(name: string): string[] {
    return [`DataDirectory ${this.#path(name)}`, `Nickname ${name}`, 'ShutdownWaitLength 0', 'Log notice stdout'];
  }

  /** Loopback counts as well: tor leaves it out otherwise. */
  #limitLines(): string[] {
    const { clientBytesPerSecond: rate } = this.#options;
    return rate === undefined
      ? []
      : [`BandwidthRate ${rate} bytes`, `BandwidthBurst ${rate} bytes`, 'CountPrivateBandwidth 1'];
  }

  #serverLines(name: string, port: number): string[] {
    return [
      ...this.#commonLines(name),
      'Address 127.0.0.1',
      `ORPort 127.0.0.1:${port}`,
      'OutboundBindAddress 127.0.0.1',
      'SocksPort 0',
      'ExitRelay 1',
      'ExitPolicyRejectPrivate 0',
      'ExitPolicy accept *:*',
      'ServerDNSDetectHijacking 0',
      'ServerDNSAllowBrokenConfig 1',
      `ServerDNSResolvConfFile ${this.#path('resolv.conf')}`,
    ];
  }

  #start(name: string): InnerProcess {
    const { namespace, tor, log } = this.#options;
    const child = namespace.start([tor, '-f', this.#path(name, 'torrc')]);
    const tail: string[] = [];
    this.#tails.set(name, tail);
    this.#running.set(name, child);
    for (const input of [child.stdout, child.stderr]) {
      createInterface({ input }).on('line', (line) => {
        tail.push(line);
        if (tail.length > TAIL_LINES) tail.shift();
        log.debug({ tor: name, line }, 'tor says');
      });
    }
    return child;
  }

  async #untilRunning(count: number, signal: AbortSignal): Promise<void> {
    const { namespace } = this.#options;
    const watcher = namespace.start([process.execPath, '-e', WATCH_CONSENSUS, String(FIRST_PORT + 1), String(count)]);
    const ended = once(watcher, 'close');
    const stopped = new Promise<'stopped'>((resolve) => {
      onAbort(signal, () => resolve('stopped'));
      for (const child of this.#running.values()) child.once('exit', () => resolve('stopped'));
    });
    if ((await Promise.race([ended, stopped])) !== 'stopped') return;
    watcher.kill();
    throw this.#failure('No consensus was found in time', 'authority');
  }

  #failure(what: string, name: string): RelaymintError {
    return failed(what, (this.#tails.get(name) ?? []).join('\n'));
  }
}

function bridgeName(transport: 'plain' | 'obfs4'): string {
  return `bridge${transport}`;
}

function failed(what: string, words: string): RelaymintError {
  return new RelaymintError('TOR_BOOTSTRAP_FAILED', `${what}: ${words.trim() || 'tor said nothing'}.`, {
    remedy: 'Check that the machine has free memory and processor time, then try again.',
  });
}
