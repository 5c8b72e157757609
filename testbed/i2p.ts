/**
 * A whole I2P network on this machine, real in every part: a few routers of the installed i2pd, one of them with SAM. It
 * lives in a network namespace; what it is used by is a unix socket that leads to SAM.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { copyFile, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { RelaymintError } from '../core/errors.ts';
import type { Log } from '../core/ports.ts';
import { assertSocketPath, findProgram, type Endpoint } from '../node/transport/index.ts';
import { openNamespace, type InnerProcess, type NetworkNamespace } from './namespace.ts';
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

const ROUTERS = 6;
/** The router that applications use; it must not be one of the floodfills. */
const SAM_ROUTER = 1;
const SAM_PORT = 7656;
const FIRST_PORT = 4200;
const START_MILLIS = 120_000;
const TAIL_LINES = 8;

/** Reserved for tests of networks (RFC 2544), and the only reserved range that i2pd takes connections from. */
const addressOf = (router: number): string => `198.18.0.${router}`;

/**
 * Copies connections of a unix socket to SAM, which listens on TCP alone. It runs inside, where SAM is. SAM ends both
 * directions of a stream together, and so does this.
 */
const FORWARD = `
  const net = require('net');
  const [, socket, port] = process.argv;
  net.createServer({ allowHalfOpen: true }, (near) => {
    const far = net.connect({ port: Number(port), host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    for (const [from, to] of [[near, far], [far, near]]) {
      from.pipe(to);
      from.on('error', () => to.destroy()).on('close', () => to.destroySoon());
    }
  }).listen(socket, () => console.log('ready'));
`;

/** Ends when SAM greets. */
const WATCH_SAM = `
  const net = require('net');
  const [, port] = process.argv;
  const look = () => {
    const socket = net.connect(Number(port), '127.0.0.1', () => socket.write('HELLO VERSION\\n'));
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
  const { directory, signal, onProgress = () => {} } = options;
  assertNotAborted(signal, 'Starting an I2P network');
  const samPath = path.join(directory, 'sam');
  assertSocketPath(samPath);
  const i2pd = await findProgram('i2pd');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await using stack = new AsyncDisposableStack();
  const routers = Array.from({ length: ROUTERS }, (_, index) => index + 1);
  const namespace = stack.use(
    await openNamespace({ addresses: routers.map((router) => `${addressOf(router)}/32`), signal }),
  );
  const network = new Network({ i2pd, directory, namespace, log: options.log });
  using limit = starting(signal);
  const steps = 2 * ROUTERS + 1;
  for (const router of routers) {
    onProgress(router - 1, steps, `keys of router ${router}`);
    await network.makeRouter(router, limit.signal);
  }
  await network.introduce(routers);
  for (const router of routers) {
    onProgress(ROUTERS + router - 1, steps, `router ${router}`);
    network.start(router);
  }
  onProgress(steps - 1, steps, 'SAM');
  await network.untilSam(limit.signal);
  await network.forward(samPath);
  onProgress(steps, steps, 'SAM');
  const owned = stack.move();
  return {
    sam: { kind: 'unix', path: samPath },
    namespace,
    restartRouter: async () => {
      await network.stop(SAM_ROUTER);
      network.start(SAM_ROUTER);
      using again = starting(signal);
      await network.untilSam(again.signal);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The time that a router, or all of them at first, has until SAM answers. */
function starting(signal: AbortSignal): Deadline {
  return deadline(START_MILLIS, 'Starting the private I2P network', signal);
}

interface NetworkOptions {
  readonly i2pd: string;
  readonly directory: string;
  readonly namespace: NetworkNamespace;
  readonly log: Log;
}

interface Running {
  readonly child: InnerProcess;
  readonly tail: string[];
}

class Network {
  readonly #options: NetworkOptions;
  readonly #running = new Map<number, Running>();

  constructor(options: NetworkOptions) {
    this.#options = options;
  }

  /** Lets a router make its keys and its router info, and ends it. */
  async makeRouter(router: number, signal: AbortSignal): Promise<void> {
    const directory = this.#path(router);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await writeFile(path.join(directory, 'i2pd.conf'), configuration(router));
    await writeFile(path.join(directory, 'tunnels.conf'), '');
    this.start(router);
    const made = ['router.info', 'pid'].map((name) => path.join(directory, name));
    const isMade = async (): Promise<boolean> => (await Promise.all(made.map(isFile))).every(Boolean);
    await this.#until(router, 'made no router info', isMade, signal);
    await this.stop(router);
  }

  /** Everybody knows everybody: nobody has to ask a server on the internet. */
  async introduce(routers: readonly number[]): Promise<void> {
    for (const known of routers) {
      const info = path.join(this.#path(known), 'router.info');
      // A router info begins with its identity: 384 bytes of keys and a certificate with its length.
      const content = await readFile(info);
      const hash = hashOf(content.subarray(0, 387 + content.readUInt16BE(385)));
      for (const router of routers) {
        if (router === known) continue;
        const folder = path.join(this.#path(router), 'netDb', `r${hash[0]}`);
        await mkdir(folder, { recursive: true });
        await copyFile(info, path.join(folder, `routerInfo-${hash}.dat`));
      }
    }
  }

  start(router: number): void {
    const { namespace, i2pd, log } = this.#options;
    const directory = this.#path(router);
    const files = [`--conf=${path.join(directory, 'i2pd.conf')}`, `--tunconf=${path.join(directory, 'tunnels.conf')}`];
    const pidfile = `--pidfile=${path.join(directory, 'pid')}`;
    const child = namespace.start([i2pd, `--datadir=${directory}`, ...files, pidfile]);
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
    const ended = once(running.child, 'close');
    const pid = await readFile(path.join(this.#path(router), 'pid'), 'utf8');
    await this.#options.namespace.run(['kill', '-KILL', pid.trim()]);
    await rm(path.join(this.#path(router), 'pid'), { force: true });
    await ended;
  }

  async untilSam(signal: AbortSignal): Promise<void> {
    const watcher = this.#options.namespace.start([process.execPath, '-e', WATCH_SAM, String(SAM_PORT)]);
    const ended = once(watcher, 'close');
    await this.#until(SAM_ROUTER, 'did not open SAM', async () => watcher.exitCode === 0, signal);
    await ended;
  }

  async forward(socket: string): Promise<void> {
    const forwarder = this.#options.namespace.start([process.execPath, '-e', FORWARD, socket, String(SAM_PORT)]);
    await once(forwarder.stdout, 'data');
  }

  #path(router: number): string {
    return path.join(this.#options.directory, `router${router}`);
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

function configuration(router: number): string {
  const withSam = router === SAM_ROUTER;
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
    'address=127.0.0.1',
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

async function isFile(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined))?.isFile() === true;
}
