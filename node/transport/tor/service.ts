/**
 * Onion services over tor's control port: put up, taken down, and put up again when tor comes back. Tor forgets them
 * together with the control connection that made them, so none outlives us.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { RelaymintError, isRelaymintError, messageOf } from '../../../core/errors.ts';
import type { Log } from '../../../core/ports.ts';
import { abortError, beforeAbort, deadline } from '../abort.ts';
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
/** Looking whether a socket of this machine answers costs nothing. */
const LAST_RETRY_MILLIS = 1_000;

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
  /** Descriptors that somebody waits for. */
  readonly #uploads = new Set<Upload>();
  readonly #closing = new AbortController();
  #control: TorControl | undefined;
  /** Services that tor took over the present control connection; they end with it. */
  readonly #up = new Set<string>();
  #restoring: Promise<void> | undefined;
  /** One change at a time: DEL_ONION and ADD_ONION of one key must not cross. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: OnionServicesOptions) {
    this.#options = options;
  }

  async publish(
    key: OnionKey,
    port: number,
    target: Endpoint,
    options: OnionServiceOptions,
    signal: AbortSignal,
  ): Promise<void> {
    const { onion } = key;
    const either = AbortSignal.any([signal, this.#closing.signal]);
    using limit = deadline(PUBLISH_MILLIS, `Publishing ${onion}.onion`, either);
    const upload = new Upload(onion);
    this.#uploads.add(upload);
    try {
      const control = await this.#inTurn(() => this.#serve(key, port, target, options, limit.signal), limit.signal);
      await this.#uploaded(control, upload, limit.signal).catch(async (error: unknown) => {
        await this.withdraw(onion, port);
        throw error;
      });
    } finally {
      this.#uploads.delete(upload);
    }
  }

  async #serve(
    key: OnionKey,
    port: number,
    target: Endpoint,
    options: OnionServiceOptions,
    signal: AbortSignal,
  ): Promise<TorControl> {
    const control = await this.#connected(signal);
    const service: Service = this.#services.get(key.onion) ?? { key, options, targets: new Map() };
    if (service.targets.has(port)) throw taken(key.onion, `port ${port} of it is served already`);
    service.targets.set(port, target);
    this.#services.set(key.onion, service);
    try {
      await this.#put(control, service, signal);
    } catch (error) {
      await this.#drop(service, port);
      throw error;
    }
    return control;
  }

  async withdraw(onion: string, port: number): Promise<void> {
    // Whoever disposes this takes everything down.
    if (this.#closing.signal.aborted) return;
    await this.#inTurn(async () => {
      const service = this.#services.get(onion);
      if (service?.targets.has(port) === true) await this.#drop(service, port);
    }, this.#closing.signal);
  }

  async #drop(service: Service, port: number): Promise<void> {
    const { onion } = service.key;
    service.targets.delete(port);
    if (service.targets.size === 0) this.#services.delete(onion);
    const control = this.#control;
    // Without a control connection tor has taken everything down by itself.
    if (control === undefined) return;
    using limit = deadline(CONTROL_MILLIS, `Taking ${onion}.onion down`, this.#closing.signal);
    try {
      if (service.targets.size > 0) await this.#put(control, service, limit.signal);
      else if (this.#up.has(onion)) await this.#remove(control, onion, limit.signal);
    } catch (error) {
      this.#options.log.debug({ onion, error: messageOf(error) }, 'an onion service was gone before it was removed');
    }
  }

  allow(access: OnionAccess, signal: AbortSignal): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#access.has(access.onion) && this.#control !== undefined) return;
      const control = await this.#connected(signal);
      await tellAccess(control, access, signal);
      this.#access.set(access.onion, access);
    }, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await Promise.all([this.#turn.catch(() => {}), this.#restoring]);
    const control = this.#control;
    this.#control = undefined;
    if (control === undefined) return;
    using limit = deadline(CONTROL_MILLIS, 'Taking the onion services down');
    for (const onion of this.#up) await this.#remove(control, onion, limit.signal).catch(() => {});
    this.#services.clear();
    await control.close();
  }

  /** Whoever gives up does not wait for the turns before. */
  #inTurn<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const turn = this.#turn.then(() => {
      if (signal.aborted) throw abortError(signal, "Waiting for tor's control port");
      return work();
    });
    this.#turn = turn.catch(() => {});
    return beforeAbort(turn, signal);
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
    this.#up.clear();
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
    this.#restoring ??= this.#restore().finally(() => {
      this.#restoring = undefined;
    });
  }

  /** Until tor has every service again, or nobody wants any. */
  async #restore(): Promise<void> {
    const signal = this.#closing.signal;
    for (let pause = FIRST_RETRY_MILLIS; !signal.aborted; pause = Math.min(2 * pause, LAST_RETRY_MILLIS)) {
      try {
        await wait(pause, undefined, { signal });
        await this.#inTurn(() => this.#restoreAll(signal), signal);
        return;
      } catch (error) {
        if (!signal.aborted) this.#options.log.debug({ error: messageOf(error) }, 'tor is not back yet');
      }
    }
  }

  async #restoreAll(signal: AbortSignal): Promise<void> {
    if (this.#services.size === 0 && this.#access.size === 0) return;
    using limit = deadline(CONTROL_MILLIS, 'Giving tor the onion services again', signal);
    const control = await this.#connected(limit.signal);
    try {
      for (const access of this.#access.values()) await tellAccess(control, access, limit.signal);
      for (const service of this.#services.values()) {
        const { onion } = service.key;
        if (this.#up.has(onion)) continue;
        await this.#put(control, service, limit.signal);
        this.#options.log.info({ onion }, 'tor has the onion service again and publishes it');
      }
    } catch (error) {
      // Give the connection up as well: the next attempt starts from nothing.
      this.#control = undefined;
      await control.close();
      throw error;
    }
  }

  /** Has tor serve it as it is now. Visitors find it once its descriptors are uploaded. */
  async #put(control: TorControl, service: Service, signal: AbortSignal): Promise<void> {
    const { onion } = service.key;
    if (this.#up.has(onion)) await this.#remove(control, onion, signal);
    await control.command(addOnion(service), { signal }).catch((error: unknown) => {
      throw isRelaymintError(error, 'TOR_CONTROL_FAILED') && /collision/i.test(error.message)
        ? taken(onion, 'tor serves it already, perhaps for another program', error)
        : error;
    });
    this.#up.add(onion);
  }

  /** @throws RelaymintError TIMEOUT with tor's state, TOR_NOT_RUNNING, ABORTED. */
  async #uploaded(control: TorControl, upload: Upload, signal: AbortSignal): Promise<void> {
    const outcome = await Promise.race([
      upload.done.then(() => 'uploaded' as const),
      control.closed.then((cause) => gone(upload.onion, cause)),
      aborted(signal),
    ]);
    if (outcome === 'aborted') throw await this.#tooLate(control, upload, signal);
    if (outcome !== 'uploaded') throw outcome;
  }

  async #tooLate(control: TorControl, { onion, failed }: Upload, signal: AbortSignal): Promise<RelaymintError> {
    const error = abortError(signal, `Publishing ${onion}.onion`);
    if (error.code !== 'TIMEOUT') return error;
    using limit = deadline(CONTROL_MILLIS, 'Asking tor for its state', this.#closing.signal);
    const phase = await control.getInfo('status/bootstrap-phase', { signal: limit.signal }).catch(() => '');
    const summary = /SUMMARY="([^"]*)"/.exec(phase)?.[1] ?? 'unknown';
    const said = failed === undefined ? '' : ` The last directory answered ${failed}.`;
    return new RelaymintError('TIMEOUT', `No directory of Tor took ${onion}.onion. Tor's state: ${summary}.${said}`, {
      remedy: 'See whether tor is connected with: relaymint tor status.',
      cause: error,
    });
  }

  async #remove(control: TorControl, onion: string, signal: AbortSignal): Promise<void> {
    await control.command(`DEL_ONION ${onion}`, { signal });
    this.#up.delete(onion);
  }

  /** `HS_DESC ACTION ADDRESS AUTH DIRECTORY [DESCRIPTOR] ..`, with `REASON=` when something failed. */
  #onDescriptor(line: string): void {
    const [action = '', onion = '', , directory = '', descriptor = ''] = line.replace(/^HS_DESC /, '').split(' ');
    const reason = /\bREASON=(\S+)/.exec(line)?.[1];
    for (const upload of this.#uploads) {
      if (upload.onion === onion) upload.onEvent(action, directory, descriptor, reason);
    }
  }
}

/**
 * Watches one service's descriptors on their way to the directories. Tor publishes two, of this period and of the next, at
 * different moments; visitors ask for either, as their clocks say. The service can be found once some directory has each.
 */
class Upload {
  readonly onion: string;
  readonly done: Promise<void>;
  /** What a directory said last that did not take one. */
  failed: string | undefined;
  readonly #asked = new Map<string, string[]>();
  readonly #taken = new Map<string, number>();
  readonly #held = new Set<string>();
  #finish: () => void = () => {};

  constructor(onion: string) {
    this.onion = onion;
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
    `ED25519-V3:${base64(key.expanded)}`,
    `Flags=${flags.join(',')}`,
    ...(maxStreams === undefined ? [] : [`MaxStreams=${maxStreams}`]),
    ...ports,
    ...clients.map((client) => `ClientAuthV3=${clientKeyText(client)}`),
  ].join(' ');
}

async function tellAccess(control: TorControl, { onion, privateKey }: OnionAccess, signal: AbortSignal): Promise<void> {
  await control.command(`ONION_CLIENT_AUTH_ADD ${onion} x25519:${base64(privateKey)}`, {
    signal,
  });
}

/** Of a secret, without a copy of its bytes. */
function base64({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString('base64');
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
