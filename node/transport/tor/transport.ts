/** Links over Tor, and connections to hosts through it. Addresses are `/onion3/ADDRESS:PORT`. */
import { chmod, rm } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { RelaymintError, isRelaymintError } from '../../../core/errors.ts';
import type { Log } from '../../../core/ports.ts';
import { assertNotAborted, deadline } from '../../../core/abort.ts';
import { makeFolder } from '../../../platform/disk/folder.ts';
import { onionMultiaddr, parseAddress, unsupported } from '../address.ts';
import type { HostDialer, ListenOptions, Listener, Transport } from '../contract.ts';
import { assertSocketPath, formatEndpoint, type Endpoint } from '../endpoint.ts';
import { halfClosing } from '../halfclose.ts';
import { isOnion, readOnion } from './address.ts';
import { isTarget, type OnionAccess, type OnionServiceOptions } from './commands.ts';
import type { TorAuth } from './control.ts';
import { circuitFailed } from './errors.ts';
import type { OnionKey } from './key.ts';
import { bareHost, isOwnNetwork } from './reach.ts';
import { createOnionServices, type OnionServices } from './service.ts';
import { createSocksDialer, isCarried, type SocksDialer } from './socks.ts';
import { onionOfTorrcService, type TorrcService } from './torrc-service.ts';
import { hasErrno } from '../../../platform/errno.ts';

export interface TorTransportOptions {
  /** Tor's SOCKS port. */
  readonly socks: Endpoint;
  /** Tor's control port: needed to listen with `keys`, and for `clientAuth`. */
  readonly control?: Endpoint;
  /** Default: whatever tor offers without a password. */
  readonly auth?: TorAuth;
  /** Keys whose `/onion3/ADDRESS:PORT` may be listened on. The caller disposes them, after the transport. */
  readonly keys?: readonly OnionKey[];
  /** Services that the torrc makes. */
  readonly services?: readonly TorrcService[];
  /**
   * Folder (made with mode 0700) for the unix sockets where tor, reached over a unix control socket, hands visitors over.
   * Otherwise, and when its path has spaces or other characters that tor does not take, they come to a port of 127.0.0.1.
   */
  readonly targetDir?: string;
  /** For every service of `keys`: who may read how to reach it, and how many streams a visitor may have. */
  readonly service?: OnionServiceOptions;
  /** Our keys for private services of others. */
  readonly clientAuth?: readonly OnionAccess[];
  readonly log: Log;
  /** Time for one dial, milliseconds. Default 120 000, as long as tor itself tries. */
  readonly dialMillis?: number;
}

/** Dispose it to take its onion services down. Connections that were handed out stay. */
export interface TorTransport extends Transport, HostDialer, AsyncDisposable {}

/** Characters of an address in the name of its socket, whose path has no room for all 56. */
const TARGET_NAME_CHARACTERS = 16;
const FORMS = '/onion3/ADDRESS:PORT with an address of version 3';
/** A first circuit to an onion service is six relays long, and tor itself tries for two minutes. */
const DIAL_MILLIS = 120_000;

export function createTorTransport(options: TorTransportOptions): TorTransport {
  return new OnionTransport(options);
}

class OnionTransport implements TorTransport {
  readonly name = 'tor';
  readonly handshakeMillis = DIAL_MILLIS;
  readonly #options: TorTransportOptions;
  readonly #socks: SocksDialer;
  readonly #services: OnionServices | undefined;
  /** Doors by address: open ones, and closed ones through which connections still go. */
  readonly #doors = new Map<string, Door>();

  constructor(options: TorTransportOptions) {
    this.#options = options;
    this.#socks = createSocksDialer(options.socks);
    const { control, auth, log } = options;
    this.#services =
      control === undefined
        ? undefined
        : createOnionServices({ control, log, ...(auth === undefined ? {} : { auth }) });
  }

  canDial(address: string): boolean {
    const destination = parseAddress(address);
    return destination?.kind === 'onion' && isOnion(destination.onion);
  }

  async dial(address: string, { signal }: { readonly signal: AbortSignal }): Promise<Duplex> {
    const { onion, port } = destinationOf(address);
    return halfClosing(await this.#connect(`${onion}.onion`, port, `link ${onion}:${port}`, signal));
  }

  reachesHost(host: string): boolean {
    const name = bareHost(host).toLowerCase().replace(/\.$/, '');
    if (!isCarried(name) || name.endsWith('.i2p') || isOwnNetwork(name)) return false;
    return !name.endsWith('.onion') || isOnion(serviceOf(name));
  }

  async dialHost(
    host: string,
    port: number,
    { isolation, signal }: { readonly isolation: string; readonly signal: AbortSignal },
  ): Promise<Duplex> {
    const name = bareHost(host).toLowerCase().replace(/\.$/, '');
    if (isOwnNetwork(name)) {
      throw new RelaymintError('POLICY_REFUSED', `${host} is not reached through Tor.`, {
        remedy: 'A Tor exit cannot reach this machine or its network: use a public name, or an onion address.',
      });
    }
    if (name.endsWith('.onion')) readOnion(serviceOf(name));
    else if (!this.reachesHost(name)) throw unsupported(host, 'a public name or number, or as ADDRESS.onion');
    return this.#connect(name, port, `host ${isolation}`, signal);
  }

  async listen(
    address: string,
    onConnection: (connection: Duplex) => void,
    { signal = new AbortController().signal }: ListenOptions = {},
  ): Promise<Listener> {
    const { onion, port } = destinationOf(address);
    assertNotAborted(signal, `Listening on ${address}`);
    const canonical = onionMultiaddr(onion, port);
    const known = this.#doors.get(canonical);
    if (known?.open === true) {
      throw refusal(canonical, 'this node already listens on it', 'Close the other listener first.', 'ADDRESS_IN_USE');
    }
    if (known !== undefined) {
      await known.reopen(onConnection);
      return this.#listener(known);
    }
    const key = this.#options.keys?.find((ours) => ours.onion === onion);
    const door = new Door(canonical, onConnection);
    this.#doors.set(canonical, door);
    try {
      if (key === undefined) await this.#listenForTorrc(door, onion, port);
      else await this.#publish(door, key, port, signal);
    } catch (error) {
      this.#doors.delete(canonical);
      await door.close();
      throw error;
    }
    return this.#listener(door);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The services first, so that no door waits for tor any more.
    const services = this.#services?.[Symbol.asyncDispose]();
    await Promise.all([services, ...[...this.#doors.values()].map((door) => door.close())]);
    this.#doors.clear();
  }

  async #connect(host: string, port: number, isolation: string, signal: AbortSignal): Promise<Socket> {
    const { dialMillis = DIAL_MILLIS, clientAuth = [] } = this.#options;
    using limit = deadline(dialMillis, `Connecting to ${host} port ${port} through Tor`, signal);

    const access = host.endsWith('.onion') ? clientAuth.find(({ onion }) => onion === onionIn(host)) : undefined;
    if (access !== undefined) await this.#withControl(access.onion).allow(access, limit.signal);
    try {
      return await this.#socks.connect(host, port, { isolation, signal: limit.signal });
    } catch (error) {
      if (!isRelaymintError(error, 'TIMEOUT') || signal.aborted) throw error;
      throw circuitFailed(host, port, dialMillis, error);
    }
  }

  async #publish(door: Door, key: OnionKey, port: number, signal: AbortSignal): Promise<void> {
    const services = this.#withControl(key.onion);
    const target = await door.bind(await this.#freshTarget(key.onion, port));
    const { service = {} } = this.#options;
    await services.publish(key, port, target, service, signal);
    door.onEmpty = async () => {
      this.#doors.delete(door.address);
      await services.withdraw(key.onion, port);
    };
  }

  async #listenForTorrc(door: Door, onion: string, port: number): Promise<void> {
    for (const service of this.#options.services ?? []) {
      if (service.port !== port || (await onionOfTorrcService(service)) !== onion) continue;
      await door.bind(service.local);
      door.onEmpty = async () => {
        this.#doors.delete(door.address);
      };
      return;
    }
    throw refusal(
      door.address,
      'its key is not ours',
      'Listen on the address of an onion key of ours or of a torrc service.',
    );
  }

  async #freshTarget(onion: string, port: number): Promise<Endpoint> {
    const { targetDir, control } = this.#options;
    const anyPort: Endpoint = { kind: 'tcp', host: '127.0.0.1', port: 0 };
    if (targetDir === undefined || control?.kind !== 'unix') return anyPort;
    const socket = path.resolve(targetDir, `${onion.slice(0, TARGET_NAME_CHARACTERS)}-${port}`);
    if (!isTarget({ kind: 'unix', path: socket })) return anyPort;
    await makeFolder(targetDir);
    await chmod(targetDir, 0o700);
    assertSocketPath(socket);
    // A process that was killed leaves its own behind.
    await rm(socket, { force: true });
    return { kind: 'unix', path: socket };
  }

  #withControl(onion: string): OnionServices {
    if (this.#services !== undefined) return this.#services;
    throw new RelaymintError('INVALID_CONFIG', `${onion}.onion needs tor's control port, and the settings name none.`, {
      remedy:
        'Name it: --tor-control 9051, with ControlPort 9051 and CookieAuthentication 1 in the torrc (one that is only found is given no key). Or use: relaymint tor start.',
    });
  }

  #listener(door: Door): Listener {
    return { addresses: [door.address], close: () => door.close() };
  }
}

/**
 * Where tor hands over the visitors of one address. While connections go through it the service stays, even if nobody listens behind the
 * door: tor would end them all if a visitor came to a service that it no longer knows.
 */
class Door {
  readonly address: string;
  /** Removes the service. Called once nobody listens and no connection is left. */
  onEmpty: () => Promise<void> = async () => {};
  #server: Server | undefined;
  #target: Endpoint | undefined;
  #onConnection: (connection: Duplex) => void;
  readonly #connections = new Set<Socket>();

  constructor(address: string, onConnection: (connection: Duplex) => void) {
    this.address = address;
    this.#onConnection = onConnection;
  }

  /** True from `listen` to `close`. */
  open = true;

  /** Where it listens, with the real port where 0 was asked for. */
  async bind(endpoint: Endpoint): Promise<Endpoint> {
    const server = createServer({ noDelay: true, allowHalfOpen: true });
    server.on('connection', (socket) => this.#accept(socket));
    await bindServer(server, endpoint, this.address);
    this.#server = server;
    this.#target = endpoint.kind === 'unix' ? endpoint : { ...endpoint, port: (server.address() as AddressInfo).port };
    return this.#target;
  }

  async reopen(onConnection: (connection: Duplex) => void): Promise<void> {
    this.open = true;
    this.#onConnection = onConnection;
    try {
      if (this.#target !== undefined) await this.bind(this.#target);
    } catch (error) {
      this.open = false;
      throw error;
    }
  }

  async close(): Promise<void> {
    this.open = false;
    // close() would wait for connections that were handed out, which are not the listener's: 'listening' has ended at once.
    this.#server?.close();
    this.#server?.unref();
    this.#server = undefined;
    await this.#emptied();
  }

  #accept(socket: Socket): void {
    // An error nobody watches must not end the process; whoever holds the connection sees it close.
    socket.on('error', () => {});
    this.#connections.add(socket);
    socket.once('close', () => {
      this.#connections.delete(socket);
      void this.#emptied();
    });
    this.#onConnection(halfClosing(socket));
  }

  async #emptied(): Promise<void> {
    if (this.open || this.#connections.size > 0) return;
    const onEmpty = this.onEmpty;
    this.onEmpty = async () => {};
    await onEmpty();
  }
}

function bindServer(server: Server, endpoint: Endpoint, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (cause: NodeJS.ErrnoException): void => {
      const why = `${formatEndpoint(endpoint)} cannot be listened on (${cause.code ?? cause.message})`;
      const code = hasErrno(cause, 'EADDRINUSE') ? 'ADDRESS_IN_USE' : 'CONNECTION_REFUSED';
      reject(refusal(address, why, 'Stop the program that uses it, or choose another place.', code, cause));
    };
    server.once('error', onError);
    server.listen(
      endpoint.kind === 'unix' ? { path: endpoint.path } : { host: endpoint.host, port: endpoint.port },
      () => {
        server.off('error', onError);
        // After this point only accept() fails (out of file handles): the server goes on when some are free again.
        server.on('error', () => {});
        resolve();
      },
    );
  });
}

function destinationOf(address: string): { readonly onion: string; readonly port: number } {
  const destination = parseAddress(address);
  if (destination?.kind !== 'onion' || !isOnion(destination.onion)) throw unsupported(address, FORMS);
  return destination;
}

function refusal(
  address: string,
  why: string,
  remedy: string,
  code: 'ADDRESS_IN_USE' | 'CONNECTION_REFUSED' = 'CONNECTION_REFUSED',
  cause?: unknown,
): RelaymintError {
  return new RelaymintError(code, `Cannot listen on ${address}: ${why}.`, { remedy, cause });
}

/** The service of a name below it: `www.ADDRESS.onion` is the service ADDRESS. */
function serviceOf(name: string): string {
  return name.split('.').slice(-2).join('.');
}

function onionIn(name: string): string {
  return serviceOf(name).slice(0, -'.onion'.length);
}
