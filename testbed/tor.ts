/**
 * A whole Tor network on this machine, real in every part: one directory authority, three relays and one client, each a
 * process of the installed tor. It lives in a network namespace; what it is used by are the client's unix sockets.
 */
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { RelaymintError } from '../core/errors.ts';
import type { Log } from '../core/ports.ts';
import { assertSocketPath, findProgram, type Endpoint } from '../node/transport/index.ts';
import { openNamespace, type InnerProcess, type NetworkNamespace } from './namespace.ts';
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
  /** Ends all relays: circuits break, and none can be built any more. */
  stopRelays(): Promise<void>;
}

const RELAYS = 3;
const START_MILLIS = 120_000;
const FIRST_PORT = 5000;
const BRIDGE_PORTS = { plain: 6000, obfs4: 6010 } as const;
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
  const { directory, signal, onProgress = () => {} } = options;
  assertNotAborted(signal, 'Starting a Tor network');
  const socksPath = path.join(directory, 'client', 'socks');
  assertSocketPath(path.join(directory, 'client', 'control'));
  const [tor, gencert] = await Promise.all([findProgram('tor'), findProgram('tor-gencert')]);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await using stack = new AsyncDisposableStack();
  onProgress(0, 100, 'a namespace');
  const namespace = stack.use(await openNamespace({ signal }));
  const network = new Network({ ...options, tor, namespace });
  using limit = starting(signal);
  try {
    onProgress(5, 100, 'the authority');
    await network.makeAuthority(gencert);
    onProgress(20, 100, 'relays');
    await network.startServers(limit.signal);
    onProgress(40, 100, 'a client');
    await network.startClient(limit.signal, (percent, what) => onProgress(40 + Math.floor(percent * 0.6), 100, what));
  } catch (error) {
    assertNotAborted(signal, 'Starting a Tor network');
    throw error;
  }
  const owned = stack.move();
  return {
    socks: { kind: 'unix', path: socksPath },
    control: { kind: 'unix', path: path.join(directory, 'client', 'control') },
    namespace,
    clientTorrc: network.joinLines,
    restartClient: async () => {
      await network.stop('client');
      using again = starting(signal);
      await network.startClient(again.signal, () => {});
    },
    startBridge: async (transport) => {
      using added = starting(signal);
      return await network.startBridge(transport, added.signal);
    },
    stopRelays: async () => {
      for (const name of network.relays) await network.stop(name);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The time that a tor, or all of them at first, has until it is connected. */
function starting(signal: AbortSignal): Deadline {
  return deadline(START_MILLIS, 'Starting the private Tor network', signal);
}

interface NetworkOptions extends PrivateTorNetworkOptions {
  /** The program. */
  readonly tor: string;
  readonly namespace: NetworkNamespace;
}

class Network {
  readonly relays: readonly string[] = Array.from({ length: RELAYS }, (_, index) => `relay${index + 1}`);
  readonly #options: NetworkOptions;
  readonly #running = new Map<string, InnerProcess>();
  readonly #tails = new Map<string, string[]>();
  #authorityLine = '';

  constructor(options: NetworkOptions) {
    this.#options = options;
  }

  get joinLines(): readonly string[] {
    return [
      'TestingTorNetwork 1',
      'AssumeReachable 1',
      'PathsNeededToBuildCircuits 0.67',
      // KIST waits for the kernel's idea of a slow link; there is none here.
      'Schedulers Vanilla',
      this.#authorityLine,
    ];
  }

  /** Its identity has to be known before anybody's torrc can be written. */
  async makeAuthority(gencert: string): Promise<void> {
    const keys = this.#path('authority', 'keys');
    await mkdir(keys, { recursive: true, mode: 0o700 });
    await mkdir(this.#path('client'), { recursive: true, mode: 0o700 });
    await writeFile(this.#path('resolv.conf'), '');
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
    this.#authorityLine = `DirAuthority authority orport=${FIRST_PORT} no-v2 v3ident=${identity} ${address} ${fingerprint}`;
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
    ]);
    for (const [index, name] of this.relays.entries()) {
      const lines = this.#serverLines(name, FIRST_PORT + 10 * (index + 1));
      await this.#writeTorrc(name, [...this.joinLines, ...lines, 'DirCache 0']);
    }
    for (const name of ['authority', ...this.relays]) this.#start(name);
    await this.#untilRunning(1 + RELAYS, signal);
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
      ...this.#limitLines(),
    ]);
    await this.#untilConnected('client', signal, onBootstrap);
  }

  async startBridge(transport: 'plain' | 'obfs4', signal: AbortSignal): Promise<string> {
    const name = `bridge${transport}`;
    const port = BRIDGE_PORTS[transport];
    const obfuscated = [
      `ServerTransportPlugin obfs4 exec ${transport === 'obfs4' ? await findProgram('obfs4proxy') : ''}`,
      `ServerTransportListenAddr obfs4 127.0.0.1:${port + 1}`,
      'ExtORPort auto',
    ];
    const lines = [...this.joinLines, ...this.#serverLines(name, port), 'BridgeRelay 1', 'PublishServerDescriptor 0'];
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
    const ended = once(child, 'close');
    const pid = await this.#innerPid(name);
    await this.#options.namespace.run(['kill', '-TERM', pid]);
    await ended;
  }

  #path(...parts: readonly string[]): string {
    return path.join(this.#options.directory, ...parts);
  }

  async #writeTorrc(name: string, lines: readonly string[]): Promise<void> {
    await mkdir(this.#path(name), { recursive: true, mode: 0o700 });
    await writeFile(this.#path(name, 'torrc'), `${lines.join('\n')}\n`);
  }

  #commonLines(name: string): string[] {
    return [
      `DataDirectory ${this.#path(name)}`,
      `PidFile ${this.#path(name, 'pid')}`,
      `Nickname ${name}`,
      'ShutdownWaitLength 0',
      'Log notice stdout',
    ];
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

  /** Inside, processes have other ids than outside. */
  async #innerPid(name: string): Promise<string> {
    return (await readFile(this.#path(name, 'pid'), 'utf8')).trim();
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

function failed(what: string, words: string): RelaymintError {
  return new RelaymintError('TOR_BOOTSTRAP_FAILED', `${what}: ${words.trim() || 'tor said nothing'}.`, {
    remedy: 'Check that the machine has free memory and processor time, then try again.',
  });
}
