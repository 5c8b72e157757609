/**
 * Onion services over tor's control port: put up, taken down, and put up again when tor comes back. Tor forgets them
 * together with the control connection that made them, so none outlives us.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { RelaymintError, isRelaymintError, messageOf } from '../../../core/errors.ts';
import type { Log } from '../../../core/ports.ts';
import { abortError, deadline } from '../abort.ts';
import { formatEndpoint, type Endpoint } from '../endpoint.ts';
import { connectControl, type TorAuth, type TorControl } from './control.ts';
import { clientKeyText, type OnionKey } from './key.ts';

export interface OnionServicesOptions {
  readonly control: Endpoint;
  readonly auth?: TorAuth;
  readonly log: Log;
}

export interface OnionServiceOptions {
  /** Public client keys (x25519, 32 bytes each). With any, only their holders can read how to reach the service. */
  readonly clients?: readonly Uint8Array[];
  /** Streams that one visitor may have open at once. Default: any number. */
  readonly maxStreams?: number;
}

/** A client key of ours for somebody's private service. */
export interface OnionAccess {
  /** The service: 56 characters. */
  readonly onion: string;
  /** x25519, 32 bytes. A secret. */
  readonly privateKey: Uint8Array;
}

/** Every onion service of one transport, over one control connection. */
export interface OnionServices extends AsyncDisposable {
  /**
   * Serves `port` of the key's address from `target` on this machine, and resolves once others can find it. More ports of
   * one key make one service, which is published anew with all of them.
   * @throws RelaymintError TOR_NOT_RUNNING, TOR_CONTROL_FAILED, CONNECTION_REFUSED (served already), TIMEOUT, ABORTED.
   */
  publish(
    key: OnionKey,
    port: number,
    target: Endpoint,
    options: OnionServiceOptions,
    signal: AbortSignal,
  ): Promise<void>;
  /** Takes `port` down, and with the last port the service. Connections through it stay. Never throws. */
  withdraw(onion: string, port: number): Promise<void>;
  /** Lets tor into a private service. @throws RelaymintError as `publish`. */
  allow(access: OnionAccess, signal: AbortSignal): Promise<void>;
}

/** From ADD_ONION until directories hold the descriptors: a few seconds, if tor is connected. Milliseconds. */
const PUBLISH_MILLIS = 90_000;
const CONTROL_MILLIS = 10_000;
/** Descriptors of one service: of the present period and of its neighbour. */
const DESCRIPTORS = 2;
/** Waits between the attempts to reach a tor that went away, milliseconds: double each time, up to the last. */
const FIRST_RETRY_MILLIS = 250;
const LAST_RETRY_MILLIS = 15_000;

interface Service {
  readonly key: OnionKey;
  readonly options: OnionServiceOptions;
  readonly targets: Map<number, Endpoint>;
}

export function createOnionServices(options: OnionServicesOptions): OnionServices {
  return new ControlledServices(options);
}

class ControlledServices implements OnionServices {
  readonly #options: OnionServicesOptions;
  readonly #services = new Map<string, Service>();
  readonly #access = new Map<string, OnionAccess>();
  /** Services whose descriptor somebody waits for. */
  readonly #uploads = new Map<string, Upload>();
  readonly #closing = new AbortController();
  #control: TorControl | undefined;
  /** One change at a time: DEL_ONION and ADD_ONION of one key must not cross. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: OnionServicesOptions) {
    this.#options = options;
  }

  publish(
    key: OnionKey,
    port: number,
    target: Endpoint,
    options: OnionServiceOptions,
    signal: AbortSignal,
  ): Promise<void> {
    return this.#inTurn(async () => {
      const either = AbortSignal.any([signal, this.#closing.signal]);
      using limit = deadline(PUBLISH_MILLIS, `Publishing ${key.onion}.onion`, either);
      const control = await this.#connected(limit.signal);
      const known = this.#services.get(key.onion);
      const service: Service = known ?? { key, options, targets: new Map() };
      if (service.targets.has(port)) throw taken(key.onion, `port ${port} of it is served already`);
      service.targets.set(port, target);
      try {
        if (known !== undefined) await this.#remove(control, key.onion);
        await this.#add(control, service, limit.signal);
      } catch (error) {
        service.targets.delete(port);
        await this.#remove(control, key.onion).catch(() => {});
        if (known !== undefined) await this.#add(control, service, limit.signal).catch(() => {});
        throw error;
      }
      this.#services.set(key.onion, service);
    });
  }

  withdraw(onion: string, port: number): Promise<void> {
    return this.#inTurn(async () => {
      const service = this.#services.get(onion);
      if (service?.targets.delete(port) !== true) return;
      const control = this.#control;
      if (service.targets.size === 0) this.#services.delete(onion);
      // Without a control connection tor has taken everything down by itself.
      if (control === undefined) return;
      try {
        await this.#remove(control, onion);
        if (service.targets.size > 0) await this.#add(control, service, AbortSignal.timeout(PUBLISH_MILLIS));
      } catch (error) {
        this.#options.log.debug({ onion, error: messageOf(error) }, 'an onion service was gone before it was removed');
      }
    });
  }

  allow(access: OnionAccess, signal: AbortSignal): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#access.has(access.onion) && this.#control !== undefined) return;
      const control = await this.#connected(signal);
      await tellAccess(control, access, signal);
      this.#access.set(access.onion, access);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#turn.catch(() => {});
    const control = this.#control;
    this.#control = undefined;
    if (control === undefined) return;
    for (const onion of this.#services.keys()) await this.#remove(control, onion).catch(() => {});
    this.#services.clear();
    await control.close();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #connected(signal: AbortSignal): Promise<TorControl> {
    if (this.#control !== undefined) return this.#control;
    const closing = this.#closing.signal;
    if (closing.aborted) throw new RelaymintError('CLOSED', 'The Tor transport is closed.');
    using limit = deadline(CONTROL_MILLIS, `Tor's control port at ${formatEndpoint(this.#options.control)}`, signal);
    const { control: endpoint, auth } = this.#options;
    const control = await connectControl({
      endpoint,
      signal: limit.signal,
      ...(auth === undefined ? {} : { auth }),
    });
    try {
      await control.onEvent('HS_DESC', (line) => this.#onDescriptor(line));
    } catch (error) {
      await control.close();
      throw error;
    }
    this.#control = control;
    void this.#watch(control);
    return control;
  }

  async #watch(control: TorControl): Promise<void> {
    const why = await control.closed;
    if (this.#control !== control) return;
    this.#control = undefined;
    if (this.#closing.signal.aborted) return;
    if (this.#services.size > 0) {
      const onions = [...this.#services.keys()];
      this.#options.log.warn(
        { onions, error: why?.message },
        'tor is gone, and the onion services with it; they come back with tor',
      );
    }
    await this.#restore();
  }

  /** Until every service is up again, or nobody wants any. */
  async #restore(): Promise<void> {
    const signal = this.#closing.signal;
    for (let pause = FIRST_RETRY_MILLIS; !signal.aborted; pause = Math.min(2 * pause, LAST_RETRY_MILLIS)) {
      try {
        await wait(pause, undefined, { signal });
        await this.#inTurn(() => this.#restoreAll(signal));
        return;
      } catch (error) {
        if (!signal.aborted) this.#options.log.debug({ error: messageOf(error) }, 'tor is not back yet');
      }
    }
  }

  async #restoreAll(signal: AbortSignal): Promise<void> {
    if (this.#services.size === 0 && this.#access.size === 0) return;
    using limit = deadline(PUBLISH_MILLIS, 'Publishing the onion services again', signal);
    const control = await this.#connected(limit.signal);
    try {
      for (const access of this.#access.values()) await tellAccess(control, access, limit.signal);
      for (const service of this.#services.values()) {
        await this.#remove(control, service.key.onion).catch(() => {});
        await this.#add(control, service, limit.signal);
        this.#options.log.info({ onion: service.key.onion }, 'the onion service is published again');
      }
    } catch (error) {
      // Give the connection up as well: the next attempt starts from nothing.
      this.#control = undefined;
      await control.close();
      throw error;
    }
  }

  async #add(control: TorControl, service: Service, signal: AbortSignal): Promise<void> {
    const { onion } = service.key;
    const upload = new Upload();
    this.#uploads.set(onion, upload);
    try {
      await control.command(addOnion(service), { signal }).catch((error: unknown) => {
        throw isRelaymintError(error, 'TOR_CONTROL_FAILED') && /collision/i.test(error.message)
          ? taken(onion, 'tor serves it already, perhaps for another program', error)
          : error;
      });
      const outcome = await Promise.race([
        upload.done.then(() => 'uploaded' as const),
        control.closed.then((cause) => gone(onion, cause)),
        aborted(signal),
      ]);
      if (outcome === 'aborted') throw await this.#tooLate(control, onion, upload, signal);
      if (outcome !== 'uploaded') throw outcome;
    } finally {
      this.#uploads.delete(onion);
    }
  }

  async #tooLate(control: TorControl, onion: string, { failed }: Upload, signal: AbortSignal): Promise<RelaymintError> {
    const error = abortError(signal, `Publishing ${onion}.onion`);
    if (error.code !== 'TIMEOUT') return error;
    const phase = await control.getInfo('status/bootstrap-phase').catch(() => '');
    const summary = /SUMMARY="([^"]*)"/.exec(phase)?.[1] ?? 'unknown';
    const said = failed === undefined ? '' : ` The last directory answered ${failed}.`;
    return new RelaymintError('TIMEOUT', `No directory of Tor took ${onion}.onion. Tor's state: ${summary}.${said}`, {
      remedy: 'See whether tor is connected with: relaymint tor status.',
      cause: error,
    });
  }

  async #remove(control: TorControl, onion: string): Promise<void> {
    await control.command(`DEL_ONION ${onion}`, { signal: AbortSignal.timeout(CONTROL_MILLIS) });
  }

  /** `HS_DESC ACTION ADDRESS AUTH DIRECTORY [DESCRIPTOR] ..`, with `REASON=` when something failed. */
  #onDescriptor(line: string): void {
    const [action = '', onion = '', , directory = '', descriptor = ''] = line.replace(/^HS_DESC /, '').split(' ');
    const reason = /\bREASON=(\S+)/.exec(line)?.[1];
    this.#uploads.get(onion)?.onEvent(action, directory, descriptor, reason);
  }
}

/**
 * Watches one service's descriptors on their way to the directories. Tor publishes two, of this period and of the next, at
 * different moments; visitors ask for either, as their clocks say. The service can be found once some directory has each.
 */
class Upload {
  readonly done: Promise<void>;
  /** What a directory said last that did not take one. */
  failed: string | undefined;
  readonly #asked = new Map<string, string[]>();
  readonly #taken = new Map<string, number>();
  readonly #held = new Set<string>();
  #finish: () => void = () => {};

  constructor() {
    this.done = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  onEvent(action: string, directory: string, descriptor: string, reason: string | undefined): void {
    const asked = this.#asked.get(directory) ?? [];
    if (action === 'UPLOAD') this.#asked.set(directory, [...asked, descriptor]);
    if (action === 'FAILED') {
      this.failed = reason;
      const others = asked.filter((other) => other !== descriptor);
      this.#asked.set(directory, others);
    }
    if (action !== 'UPLOADED') return;
    // The event does not say which one was taken: once a directory has taken all that it was asked to, it is known.
    const taken = (this.#taken.get(directory) ?? 0) + 1;
    this.#taken.set(directory, taken);
    if (taken < asked.length) return;
    for (const held of asked) this.#held.add(held);
    if (this.#held.size >= DESCRIPTORS) this.#finish();
  }
}

function addOnion({ key, options, targets }: Service): string {
  const { clients = [], maxStreams } = options;
  const flags = ['DiscardPK', ...(clients.length > 0 ? ['V3Auth'] : [])];
  const ports = [...targets].map(([port, target]) => `Port=${port},${formatEndpoint(target)}`);
  return [
    'ADD_ONION',
    `ED25519-V3:${Buffer.from(key.expanded).toString('base64')}`,
    `Flags=${flags.join(',')}`,
    ...(maxStreams === undefined ? [] : [`MaxStreams=${maxStreams}`]),
    ...ports,
    ...clients.map((client) => `ClientAuthV3=${clientKeyText(client)}`),
  ].join(' ');
}

async function tellAccess(control: TorControl, { onion, privateKey }: OnionAccess, signal: AbortSignal): Promise<void> {
  await control.command(`ONION_CLIENT_AUTH_ADD ${onion} x25519:${Buffer.from(privateKey).toString('base64')}`, {
    signal,
  });
}

function taken(onion: string, why: string, cause?: unknown): RelaymintError {
  return new RelaymintError('CONNECTION_REFUSED', `Cannot serve ${onion}.onion: ${why}.`, {
    remedy: 'Stop the program that serves it, or use another key.',
    cause,
  });
}

function gone(onion: string, cause: unknown): RelaymintError {
  return new RelaymintError('TOR_NOT_RUNNING', `Tor went away while ${onion}.onion was being published.`, {
    remedy: 'Start it with: relaymint tor start.',
    cause,
  });
}

function aborted(signal: AbortSignal): Promise<'aborted'> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve('aborted');
    else signal.addEventListener('abort', () => resolve('aborted'), { once: true });
  });
}
