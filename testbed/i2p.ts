/**
 * A whole I2P network on this machine, real in every part: a few routers of the installed i2pd, one of them with SAM. It
 * lives in a network namespace; what it is used by is a unix socket that leads to SAM. More routers with SAM may join it, from
 * other processes as well.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cp, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { RelaymintError } from '../core/errors.ts';
import type { Log } from '../core/ports.ts';
import { assertSocketPath, type Endpoint } from '../node/transport/index.ts';
import { findProgram } from '../platform/program.ts';
import { endInner, enterNamespace, openNamespace, type InnerProcess, type NetworkNamespace } from './namespace.ts';
import { assertNotAborted, deadline, elapsed, type Deadline } from '../core/abort.ts';

export interface PrivateI2pNetworkOptions {
  /** Keys, logs and the socket go here; made 0700. */
  readonly directory: string;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** For people: `done` of `total` steps, and what happens. */
  readonly onProgress?: (done: number, total: number, what: string) => void;
}

export interface PrivateI2pNetwork extends AsyncDisposable {
  /** SAM of one router. */
  readonly sam: Endpoint;
  readonly namespace: NetworkNamespace;
  /** Ends the router with SAM and starts it again: sessions are lost, the endpoint stays. */
  restartRouter(): Promise<void>;
}

/** The routers that know everybody, without one for applications. */
export interface I2pRouters extends AsyncDisposable {
  /** For one more router. */
  invite(): I2pInvitation;
}

/** What a router needs to join: plain data, for other processes of this user as well. It is good as long as the others run. */
export interface I2pInvitation {
  /** Of the network's namespace. */
  readonly enter: readonly string[];
  /** The folder with the others' router infos. */
  readonly known: string;
  /** Its number, which nobody else has. */
  readonly router: number;
}

const ROUTERS: readonly number[] = [1, 2, 3, 4, 5];
const SAM_PORT = 7656;
const FIRST_PORT = 4200;
const START_MILLIS = 120_000;
const TAIL_LINES = 8;

/** Reserved for tests of networks (RFC 2544), and the only reserved range that i2pd takes connections from. */
const addressOf = (router: number): string => `198.18.0.${router}`;
/** On the loopback device all addresses of a network are there at once: those of routers that come later too. */
const ADDRESSES = '198.18.0.1/24';

/**
 * Copies connections of a unix socket to SAM, which listens on TCP alone. It runs inside, where SAM is. SAM ends both
 * directions of a stream together, and so does this.
 */
const FORWARD = `
  const net = require('net');
  const [, socket, host, port] = process.argv;
  net.createServer({ allowHalfOpen: true }, (near) => {
    const far = net.connect({ port: Number(port), host, noDelay: true, allowHalfOpen: true });
    for (const [from, to] of [[near, far], [far, near]]) {
      from.pipe(to);
      from.on('error', () => to.destroy()).on('close', () => to.destroySoon());
    }
  }).listen(socket, () => console.log('ready'));
`;

/** Ends when SAM greets. */
const WATCH_SAM = `
  const net = require('net');
  const [, host, port] = process.argv;
  const look = () => {
    const socket = net.connect(Number(port), host, () => socket.write('HELLO VERSION\\n'));
    socket.on('data', () => process.exit(0)).on('error', () => setTimeout(look, 100));
  };
  look();
`;

/**
 * Resolves when SAM answers; a first session may take some seconds more to build its tunnels. Nothing outlives us, and no
 * packet leaves.
 * @throws RelaymintError PROGRAM_MISSING, POLICY_REFUSED (no namespace), I2P_FAILED with the router's own words, ABORTED.
 */
export async function startI2pNetwork(options: PrivateI2pNetworkOptions): Promise<PrivateI2pNetwork> {
  const { onProgress = () => {} } = options;
  const steps = ROUTERS.length + 1;
  await using stack = new AsyncDisposableStack();
  const servers = stack.use(
    await startI2pRouters({ ...options, onProgress: (done, _total, what) => onProgress(done, steps, what) }),
  );
  onProgress(steps - 1, steps, 'SAM');
  const network = stack.use(await joinI2pNetwork(servers.invite(), options));
  onProgress(steps, steps, 'SAM');
  const owned = stack.move();
  return { ...network, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** The network alone: routers with SAM join it. The rest as `startI2pNetwork`. */
export async function startI2pRouters(options: PrivateI2pNetworkOptions): Promise<I2pRouters> {
  const { directory, log, signal, onProgress = () => {} } = options;
  assertNotAborted(signal, 'Starting an I2P network');
  const i2pd = await findProgram('i2pd');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await using stack = new AsyncDisposableStack();
  const namespace = stack.use(await openNamespace({ addresses: [ADDRESSES], signal }));
  const known = path.join(directory, 'known');
  const routers = new Routers({ i2pd, directory, namespace, log });
  using limit = starting(signal);
  for (const router of ROUTERS) {
    onProgress(router - 1, ROUTERS.length, `keys of router ${router}`);
    // A copy: a router that runs writes its own anew, now and then.
    await file(await routers.makeRouter(router, configuration(router, false), limit.signal), known);
  }
  for (const router of ROUTERS) {
    await routers.introduce(router, known);
    routers.start(router);
  }
  let invited = ROUTERS.length;
  const owned = stack.move();
  return {
    invite: () => ({ enter: namespace.enter, known, router: ++invited }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/**
 * A router with SAM of its own in a network that runs: when it is away, no other SAM is. Disposing it ends the router. The rest as
 * `startI2pNetwork`.
 */
export async function joinI2pNetwork(
  { enter, known, router }: I2pInvitation,
  options: PrivateI2pNetworkOptions,
): Promise<PrivateI2pNetwork> {
  const { directory, log, signal } = options;
  assertNotAborted(signal, 'Joining an I2P network');
  const samPath = path.join(directory, 'sam');
  assertSocketPath(samPath);
  const i2pd = await findProgram('i2pd');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const namespace = enterNamespace(enter);
  await using stack = new AsyncDisposableStack();
  const joined = stack.use(new Routers({ i2pd, directory, namespace, log }));
  using limit = starting(signal);
  await joined.makeRouter(router, configuration(router, true), limit.signal);
  await joined.introduce(router, known);
  joined.start(router);
  await joined.untilSam(router, limit.signal);
  await joined.forward(router, samPath);
  const owned = stack.move();
  return {
    sam: { kind: 'unix', path: samPath },
    namespace,
    restartRouter: async () => {
      await joined.stop(router);
      joined.start(router);
      using again = starting(signal);
      await joined.untilSam(router, again.signal);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The time that a router, or all of them at first, has until SAM answers. */
function starting(signal: AbortSignal): Deadline {
  return deadline(START_MILLIS, 'Starting the private I2P network', signal);
}

interface RoutersOptions {
  readonly i2pd: string;
  readonly directory: string;
  readonly namespace: NetworkNamespace;
  readonly log: Log;
}

interface Running {
  readonly child: InnerProcess;
  readonly tail: string[];
}

/** Routers with their folders in one folder, each known by its number. */
class Routers implements AsyncDisposable {
  readonly #options: RoutersOptions;
  readonly #running = new Map<number, Running>();
  #forwarder: InnerProcess | undefined;

  constructor(options: RoutersOptions) {
    this.#options = options;
  }

  /** Lets a router make its keys and its router info, and ends it. @returns where the router info is. */
  async makeRouter(router: number, configured: string, signal: AbortSignal): Promise<string> {
    const directory = this.#path(router);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await writeFile(path.join(directory, 'i2pd.conf'), configured);
    await writeFile(path.join(directory, 'tunnels.conf'), '');
    const info = path.join(directory, 'router.info');
    do {
      this.start(router);
      await this.#until(router, 'made no router info', () => isWritten(info), signal);
      await this.stop(router);
      // It writes its router info more than once at the start: one that was ended in the middle of that makes it again.
    } while (!(await isWritten(info)));
    return info;
  }

  /** It knows everybody whose router info is in `known`: nobody has to ask a server on the internet. */
  async introduce(router: number, known: string): Promise<void> {
    await cp(known, path.join(this.#path(router), 'netDb'), { recursive: true });
  }

  start(router: number): void {
    const { namespace, i2pd, log } = this.#options;
    const directory = this.#path(router);
    const files = [`--conf=${path.join(directory, 'i2pd.conf')}`, `--tunconf=${path.join(directory, 'tunnels.conf')}`];
    const child = namespace.start([i2pd, `--datadir=${directory}`, ...files]);
    const tail: string[] = [];
    for (const input of [child.stdout, child.stderr]) {
      createInterface({ input }).on('line', (line) => {
        tail.push(line);
        if (tail.length > TAIL_LINES) tail.shift();
        log.debug({ router, line }, 'i2pd says');
      });
    }
    this.#running.set(router, { child, tail });
  }

  /** At once: what a router would do to take leave serves nobody here. */
  async stop(router: number): Promise<void> {
    const running = this.#running.get(router);
    if (running === undefined) return;
    this.#running.delete(router);
    await endInner(running.child, 'SIGKILL');
  }

  async untilSam(router: number, signal: AbortSignal): Promise<void> {
    const watcher = this.#options.namespace.start([
      process.execPath,
      '-e',
      WATCH_SAM,
      addressOf(router),
      String(SAM_PORT),
    ]);
    const ended = once(watcher, 'close');
    try {
      await this.#until(router, 'did not open SAM', async () => watcher.exitCode === 0, signal);
    } catch (error) {
      await endInner(watcher, 'SIGKILL');
      throw error;
    }
    await ended;
  }

  async forward(router: number, socket: string): Promise<void> {
    const place = [addressOf(router), String(SAM_PORT)];
    this.#forwarder = this.#options.namespace.start([process.execPath, '-e', FORWARD, socket, ...place]);
    await once(this.#forwarder.stdout, 'data');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#forwarder !== undefined) await endInner(this.#forwarder, 'SIGKILL');
    await Promise.all(Array.from(this.#running.keys(), (router) => this.stop(router)));
  }

  #path(router: number): string {
    return path.join(this.#options.directory, nameOf(router));
  }

  /** Files and processes inside have no event here: they are looked at. */
  async #until(router: number, what: string, holds: () => Promise<boolean>, signal: AbortSignal): Promise<void> {
    while (!(await holds())) {
      const running = this.#running.get(router);
      if (signal.aborted || running?.child.exitCode !== null) {
        throw new RelaymintError(
          'I2P_FAILED',
          `Router ${router} ${what}: ${running?.tail.join('\n') || 'it said nothing'}.`,
          {
            remedy: 'Check that the machine has free memory and processor time, then try again.',
          },
        );
      }
      await elapsed(20, signal);
    }
  }
}

const nameOf = (router: number): string => `router${router}`;

/** A router that applications use must not be one of the floodfills. */
function configuration(router: number, withSam: boolean): string {
  const off = ['ssu2', 'http', 'httpproxy', 'socksproxy', 'upnp', 'nettime'];
  return [
    'log=stdout',
    'loglevel=warn',
    'ipv4=true',
    'ipv6=false',
    // No router of another network would talk to these.
    'netid=77',
    'reservedrange=false',
    'nat=false',
    `host=${addressOf(router)}`,
    `address4=${addressOf(router)}`,
    `port=${FIRST_PORT + router}`,
    'bandwidth=X',
    'share=100',
    `floodfill=${!withSam}`,
    '[ntcp2]',
    'enabled=true',
    'published=true',
    ...off.flatMap((section) => [`[${section}]`, 'enabled=false']),
    '[sam]',
    `enabled=${withSam}`,
    `address=${addressOf(router)}`,
    `port=${SAM_PORT}`,
    'singlethread=false',
    '[reseed]',
    'verify=false',
    'threshold=0',
    'urls=',
    'yggurls=',
    '[exploratory]',
    'inbound.length=0',
    'inbound.quantity=2',
    'outbound.length=0',
    'outbound.quantity=2',
    '[persist]',
    'profiles=false',
    '',
  ].join('\n');
}

/** SHA-256 as I2P writes it: base64 with "-" and "~". */
function hashOf(identity: Uint8Array): string {
  return createHash('sha256').update(identity).digest('base64').replaceAll('+', '-').replaceAll('/', '~');
}

/** Files a router info where a router looks for it, in `known` for its own folder `netDb`. */
async function file(info: string, known: string): Promise<void> {
  // It begins with the router's identity: 384 bytes of keys and a certificate with its length.
  const content = await readFile(info);
  const hash = hashOf(content.subarray(0, 387 + content.readUInt16BE(385)));
  const folder = path.join(known, `r${hash[0]}`);
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, `routerInfo-${hash}.dat`), content);
}

/** It is there, with something in it. */
async function isWritten(file: string): Promise<boolean> {
  return ((await stat(file).catch(() => undefined))?.size ?? 0) > 0;
}
