/** The ways to hosts by name: through a tor that a setting names, through one that is found, and through an I2P router. */
import { EventEmitter, once } from 'node:events';
import { silentLog, type Log } from '../../../core/ports.ts';
import {
  createDetectedTor,
  createI2pTransport,
  createTorTransport,
  type HostDialer,
} from '../../../node/transport/index.ts';
import { GREETING, hostDialerCompliance, type HostDialerUnderTest } from '../../compliance/host-dialer.ts';
import { SamBridge, type Answer } from './sam-bridge.ts';
import { GRANTED, Proxy, type Script } from './tor/proxy.ts';

const TOR_HOSTS = { host: 'news.example', deadHost: 'dead.example', silentHost: 'silent.example' } as const;
const I2P_HOSTS = { host: 'news.i2p', deadHost: 'dead.i2p', silentHost: 'silent.i2p' } as const;
/** SOCKS: nobody listens on that port. */
const REFUSED = Buffer.from('05050001000000000000', 'hex');

/** What a test of one network needs to be taken down, last first. */
let down: (() => PromiseLike<void>)[] = [];
async function teardown(): Promise<void> {
  for (const each of down.toReversed()) await each();
  down = [];
}

/** The network's program at one port, by whichever of its starts. */
class Program<T extends { start(port?: number): Promise<{ readonly port: number }>; stop(): Promise<void> }> {
  readonly runs: T[] = [];
  readonly #make: () => T;
  #port = 0;

  constructor(make: () => T) {
    this.#make = make;
  }

  async start(): Promise<void> {
    const run = this.#make();
    this.runs.push(run);
    this.#port = (await run.start(this.#port)).port;
  }

  async stop(): Promise<void> {
    for (const run of this.runs) await run.stop();
  }

  get endpoint(): { readonly kind: 'tcp'; readonly host: string; readonly port: number } {
    return { kind: 'tcp', host: '127.0.0.1', port: this.#port };
  }
}

function hostIn(request: Buffer): string {
  return request.subarray(5, 5 + (request[4] ?? 0)).toString();
}

function socksScript(request: Buffer): Script {
  const host = hostIn(request);
  if (host === TOR_HOSTS.silentHost) return { reply: 'silence' };
  return host === TOR_HOSTS.host ? { reply: GRANTED, first: GREETING } : { reply: REFUSED };
}

async function overSocks(
  make: (socks: Program<Proxy>['endpoint']) => HostDialer & AsyncDisposable,
  awayCode: 'TOR_NOT_RUNNING',
): Promise<HostDialerUnderTest> {
  const program = new Program(() => new Proxy(socksScript));
  await program.start();
  down.push(() => program.stop());
  const dialer = make(program.endpoint);
  down.push(() => dialer[Symbol.asyncDispose]());
  return {
    dialer,
    ...TOR_HOSTS,
    deadCode: 'CONNECTION_REFUSED',
    awayCode,
    foreignHosts: [
      ['', 'ADDRESS_UNSUPPORTED'],
      ['news.i2p', 'ADDRESS_UNSUPPORTED'],
      ['NEWS.I2P.', 'ADDRESS_UNSUPPORTED'],
      ['localhost', 'POLICY_REFUSED'],
      ['127.0.0.1', 'POLICY_REFUSED'],
      ['[::1]', 'POLICY_REFUSED'],
      ['192.168.1.1', 'POLICY_REFUSED'],
      ['nobody.onion', 'INVALID_ARGUMENT'],
    ],
    asked: () =>
      program.runs.flatMap((run) => run.asked.map(({ user, request }) => ({ host: hostIn(request), path: user }))),
    sockets: () => counted(program.runs.flatMap((run) => run.sockets)),
    stop: () => program.stop(),
    start: () => program.start(),
  };
}

function counted(sockets: readonly { readonly destroyed: boolean }[]): ReturnType<HostDialerUnderTest['sockets']> {
  return { taken: sockets.length, open: sockets.filter(({ destroyed }) => !destroyed).length };
}

function samAnswer(to: string): Answer {
  if (to === I2P_HOSTS.silentHost) return 'silence';
  return to === I2P_HOSTS.host ? { first: GREETING } : 'nobody';
}

hostDialerCompliance('tor', {
  setup: () => overSocks((socks) => createTorTransport({ socks, log: silentLog }), 'TOR_NOT_RUNNING'),
  teardown,
});

hostDialerCompliance('a tor that is found', {
  setup: () =>
    overSocks(
      (socks) =>
        createDetectedTor({
          places: [{ socks, control: socks }],
          create: (found) => createTorTransport({ socks: found.socks, log: silentLog }),
        }),
      'TOR_NOT_RUNNING',
    ),
  teardown,
});

hostDialerCompliance('I2P', {
  maxPaths: 16,
  setup: async () => {
    const program = new Program(() => new SamBridge(samAnswer));
    await program.start();
    down.push(() => program.stop());
    const events = new EventEmitter();
    const log: Log = { ...silentLog, warn: (_fields, message) => void events.emit(message) };
    const dialer = createI2pTransport({ sam: program.endpoint, log });
    down.push(() => dialer[Symbol.asyncDispose]());
    return {
      dialer,
      ...I2P_HOSTS,
      deadCode: 'I2P_UNREACHABLE',
      awayCode: 'I2P_NOT_RUNNING',
      foreignHosts: ['', '.i2p', 'news.example', 'nobody.onion', '127.0.0.1', 'i2p'].map(
        (host) => [host, 'ADDRESS_UNSUPPORTED'] as const,
      ),
      asked: () => program.runs.flatMap((run) => run.asked.map(({ from, to }) => ({ host: to, path: from }))),
      sockets: () => counted(program.runs.flatMap((run) => run.taken)),
      stop: async () => {
        const sessions = program.runs.at(-1)?.sessions ?? 0;
        const lost = sessions === 0 ? undefined : once(events, 'the I2P session was lost');
        await program.stop();
        await lost;
      },
      start: () => program.start(),
    };
  },
  teardown,
});
