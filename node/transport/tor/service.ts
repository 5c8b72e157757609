/**
 * Onion services over tor's control port: added, removed, and added again when tor comes back. Tor forgets them
 * with the control connection that made them, so none outlives us.
 */
import { backoff, type Backoff } from '../../../core/backoff.ts';
import { RelaymintError, isRelaymintError } from '../../../core/errors.ts';
import type { Log } from '../../../core/ports.ts';
import { deadline, elapsed, orAborted, type Deadline } from '../../../core/abort.ts';
import { formatEndpoint, type Endpoint } from '../endpoint.ts';
import {
  addOnion,
  deleteOnion,
  taken,
  tellAccess,
  type OnionAccess,
  type OnionServiceOptions,
  type Service,
} from './commands.ts';
import { connectControl, type TorAuth, type TorControl } from './control.ts';
import type { OnionKey } from './key.ts';
import { Upload } from './upload.ts';

export interface OnionServicesOptions {
  readonly control: Endpoint;
  readonly auth?: TorAuth;
  readonly log: Log;
}

/** Every onion service of one transport, over one control connection. */
export interface OnionServices extends AsyncDisposable {
  /**
   * Serves `port` of the key's address from `target` on this machine, and resolves once others can find it. More ports of
   * one key make one service, which is published anew with all of them.
   * @throws RelaymintError TOR_NOT_RUNNING, TOR_CONTROL_FAILED, CONNECTION_REFUSED (served already), TIMEOUT, ABORTED,
   *   CLOSED.
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
/** For tor's answer to commands, which it gives at once. */
const CONTROL_MILLIS = 10_000;
/** The same when we leave: without an answer the services end with the connection. */
const FAREWELL_MILLIS = 2_000;
/**
 * Pauses between the attempts to reach a tor that went away. Asking a socket of this machine costs nothing, and each pause is one
 * in which nobody reaches us.
 */
const RETRIES: Backoff = { first: 250, last: 1_000 };

/** One control connection, and what tor has taken over it; it forgets that with the connection. */
interface Session {
  readonly control: TorControl;
  /** Services, by onion. */
  readonly added: Set<string>;
  /** Services of others that tor has a key for, by onion. */
  readonly allowed: Set<string>;
}

export function createOnionServices(options: OnionServicesOptions): OnionServices {
  return new ControlledServices(options);
}

class ControlledServices implements OnionServices {
  readonly #options: OnionServicesOptions;
  readonly #services = new Map<string, Service>();
  readonly #access = new Map<string, OnionAccess>();
  /** Of services whose descriptors are on their way, by onion. */
  readonly #uploads = new Map<string, Upload>();
  readonly #closing = new AbortController();
  #session: Session | undefined;
  #restoring = false;
  /** One change at a time: DEL_ONION and ADD_ONION of one key must not cross. Never rejects. */
  #turn: Promise<void> = Promise.resolve();

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
    using limit = this.#limit(PUBLISH_MILLIS, `Publishing ${onion}.onion`, signal);
    const { control, upload } = await this.#inTurn(limit.signal, () =>
      this.#addPort({ key, options, targets: new Map() }, port, target, limit.signal),
    );
    try {
      await this.#untilFound(control, onion, upload, limit.signal);
    } catch (error) {
      const withdrawn = this.withdraw(onion, port);
      // A caller that has given up is told at once.
      if (!signal.aborted) await withdrawn;
      throw error;
    }
  }

  async withdraw(onion: string, port: number): Promise<void> {
    const work = this.#inTurn(this.#closing.signal, async () => {
      const service = this.#services.get(onion);
      if (service?.targets.delete(port) !== true) return;
      if (service.targets.size === 0) {
        this.#services.delete(onion);
        this.#uploads.delete(onion);
      }
      // Without a control connection tor has taken everything down by itself.
      if (this.#session?.added.has(onion) === true) await this.#replace(this.#session, service);
    });
    // Closing removes everything.
    await work.catch(() => {});
  }

  allow(access: OnionAccess, signal: AbortSignal): Promise<void> {
    return this.#inTurn(signal, async () => {
      if (this.#session?.allowed.has(access.onion) === true) return;
      const session = await this.#connected(signal);
      using limit = this.#limit(CONTROL_MILLIS, `Tor's answer about ${access.onion}.onion`, signal);
      await tellAccess(session.control, access, limit.signal);
      session.allowed.add(access.onion);
      this.#access.set(access.onion, access);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new RelaymintError('CLOSED', 'The Tor transport is closed.'));
    await this.#turn;
    this.#services.clear();
    const session = this.#session;
    this.#session = undefined;
    if (session === undefined) return;
    using limit = deadline(FAREWELL_MILLIS, 'Taking onion services down');
    const { control, added } = session;
    await Promise.allSettled([...added].map((onion) => deleteOnion(control, onion, limit.signal)));
    await control.close();
  }

  /** Ends with its time limit, with the caller's signal, and with us. */
  #limit(millis: number, what: string, signal?: AbortSignal): Deadline {
    return deadline(millis, what, signal, this.#closing.signal);
  }

  /** Does `work` after what came before. @throws CLOSED, TIMEOUT, ABORTED when a signal ends before its turn has come. */
  async #inTurn<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const before = this.#turn;
    let finish = (): void => {};
    this.#turn = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const what = 'A change of onion services';
    try {
      await orAborted(orAborted(before, this.#closing.signal, what), signal, what);
      return await work();
    } finally {
      void before.then(finish);
    }
  }

  async #connected(signal: AbortSignal): Promise<Session> {
    if (this.#session !== undefined) return this.#session;
    const { control: endpoint, auth } = this.#options;
    using limit = this.#limit(CONTROL_MILLIS, `Tor's control port at ${formatEndpoint(endpoint)}`, signal);
    const control = await connectControl({
      endpoint,
      signal: limit.signal,
      ...(auth === undefined ? {} : { auth }),
    });
    try {
      await control.onEvent('HS_DESC', (line) => this.#onDescriptor(line), limit);
    } catch (error) {
      await control.close();
      throw error;
    }
    const session: Session = { control, added: new Set(), allowed: new Set() };
    this.#session = session;
    void this.#watch(session);
    return session;
  }

  /** Adds a service, or adds it again with one more port. `wanted` counts if there is none of its key. */
  async #addPort(
    wanted: Service,
    port: number,
    target: Endpoint,
    signal: AbortSignal,
  ): Promise<{ readonly control: TorControl; readonly upload: Upload }> {
    const { onion } = wanted.key;
    const session = await this.#connected(signal);
    using limit = deadline(CONTROL_MILLIS, `Tor's answer about ${onion}.onion`, signal);
    const known = this.#services.get(onion);
    const service = known ?? wanted;
    if (service.targets.has(port)) throw taken(onion, `port ${port} of it is served already`);
    service.targets.set(port, target);
    try {
      if (known !== undefined) await deleteOnion(session.control, onion, limit.signal);
      const upload = await this.#add(session, service, limit.signal);
      this.#services.set(onion, service);
      return { control: session.control, upload };
    } catch (error) {
      service.targets.delete(port);
      // A service of another program is not ours to remove.
      if (known !== undefined || !isRelaymintError(error, 'CONNECTION_REFUSED')) await this.#replace(session, service);
      throw error;
    }
  }

  /** Removes a service, and adds it again with the ports that are left, if any. Never throws. */
  async #replace(session: Session, service: Service): Promise<void> {
    const { onion } = service.key;
    using limit = this.#limit(CONTROL_MILLIS, `Tor's answer about ${onion}.onion`);
    try {
      await deleteOnion(session.control, onion, limit.signal);
      session.added.delete(onion);
      if (service.targets.size > 0) await this.#add(session, service, limit.signal);
    } catch (error) {
      this.#options.log.debug({ onion, err: error }, 'an onion service could not be taken down or put up again');
    }
  }

  /** @returns its descriptors on their way. Callers that wait for earlier ones of the service hear of these. */
  async #add(session: Session, service: Service, signal: AbortSignal): Promise<Upload> {
    const { onion } = service.key;
    const earlier = this.#uploads.get(onion);
    const upload = new Upload();
    if (earlier !== undefined) void upload.done.then(earlier.finish);
    this.#uploads.set(onion, upload);
    try {
      await addOnion(session.control, service, signal);
    } catch (error) {
      this.#forget(onion, upload);
      throw error;
    }
    session.added.add(onion);
    return upload;
  }

  #forget(onion: string, upload: Upload): void {
    if (this.#uploads.get(onion) === upload) this.#uploads.delete(onion);
  }

  /** @throws RelaymintError TOR_NOT_RUNNING when tor goes away, TIMEOUT with what tor says, ABORTED, CLOSED. */
  async #untilFound(control: TorControl, onion: string, upload: Upload, signal: AbortSignal): Promise<void> {
    const lost = control.closed.then((cause): never => {
      throw gone(onion, cause);
    });
    try {
      await orAborted(Promise.race([upload.done, lost]), signal, `Publishing ${onion}.onion`);
    } catch (error) {
      throw isRelaymintError(error, 'TIMEOUT') ? await this.#tooLate(control, onion, upload, error) : error;
    } finally {
      this.#forget(onion, upload);
    }
  }

  async #tooLate(
    control: TorControl,
    onion: string,
    { failed }: Upload,
    cause: RelaymintError,
  ): Promise<RelaymintError> {
    using limit = this.#limit(CONTROL_MILLIS, "Tor's answer about its state");
    const phase = await control.getInfo('status/bootstrap-phase', limit).catch(() => '');
    const summary = /SUMMARY="([^"]*)"/.exec(phase)?.[1] ?? 'unknown';
    const said = failed === undefined ? '' : ` The last directory answered ${failed}.`;
    return new RelaymintError('TIMEOUT', `No directory of Tor took ${onion}.onion. Tor's state: ${summary}.${said}`, {
      remedy: 'Check that tor is connected with: relaymint tor status.',
      cause,
    });
  }

  async #watch(session: Session): Promise<void> {
    const why = await session.control.closed;
    if (this.#session !== session) return;
    this.#session = undefined;
    if (this.#closing.signal.aborted) return;
    if (this.#services.size > 0) {
      const onions = [...this.#services.keys()];
      this.#options.log.warn(
        { onions, err: why },
        'tor is gone, and the onion services with it; they come back with tor',
      );
    }
    await this.#restore();
  }

  /** Until tor has all that we want, by one loop however often it goes away meanwhile. Never throws. */
  async #restore(): Promise<void> {
    if (this.#restoring) return;
    this.#restoring = true;
    const { signal } = this.#closing;
    for (let failures = 1; !this.#isRestored(); failures += 1) {
      if (!(await elapsed(backoff(failures, RETRIES), signal))) break;
      try {
        await this.#inTurn(signal, () => this.#restoreAll(signal));
      } catch (error) {
        if (signal.aborted) break;
        this.#options.log.debug({ err: error }, 'tor is not back yet');
      }
    }
    this.#restoring = false;
  }

  #isRestored(): boolean {
    const has = (told: keyof Omit<Session, 'control'>, onion: string): boolean =>
      this.#session?.[told].has(onion) === true;
    return (
      [...this.#services.keys()].every((onion) => has('added', onion)) &&
      [...this.#access.keys()].every((onion) => has('allowed', onion))
    );
  }

  /** Tells tor what it does not know. @throws what the last refusal said; a connection that failed is given up. */
  async #restoreAll(signal: AbortSignal): Promise<void> {
    if (this.#isRestored()) return;
    const session = await this.#connected(signal);
    const { control, added, allowed } = session;
    using limit = deadline(CONTROL_MILLIS, "Tor's answer to the onion services", signal);
    const tell = [
      ...[...this.#access.values()].map((access) => async () => {
        if (allowed.has(access.onion)) return;
        await tellAccess(control, access, limit.signal);
        allowed.add(access.onion);
      }),
      ...[...this.#services.values()].map((service) => async () => {
        if (added.has(service.key.onion)) return;
        const upload = await this.#add(session, service, limit.signal);
        void this.#followAgain(control, service.key.onion, upload);
      }),
    ];
    let refused: RelaymintError | undefined;
    for (const one of tell) {
      try {
        await one();
      } catch (error) {
        if (isRelaymintError(error, 'TOR_CONTROL_FAILED', 'CONNECTION_REFUSED')) {
          refused = error;
          continue;
        }
        if (this.#session === session) this.#session = undefined;
        await control.close();
        throw error;
      }
    }
    if (refused !== undefined) throw refused;
  }

  /** For the log. Never throws: tor itself goes on trying. */
  async #followAgain(control: TorControl, onion: string, upload: Upload): Promise<void> {
    const { log } = this.#options;
    using limit = this.#limit(PUBLISH_MILLIS, `Publishing ${onion}.onion again`);
    try {
      await this.#untilFound(control, onion, upload, limit.signal);
      log.info({ onion }, 'the onion service is published again');
    } catch (error) {
      if (isRelaymintError(error, 'TIMEOUT'))
        log.warn({ onion, err: error }, 'tor has the service again, and nobody finds it yet');
    }
  }

  /** `HS_DESC ACTION ADDRESS AUTH DIRECTORY [DESCRIPTOR] ..`, with `REASON=` when something failed. */
  #onDescriptor(line: string): void {
    const [action = '', onion = '', , directory = '', descriptor = ''] = line.replace(/^HS_DESC /, '').split(' ');
    const reason = /\bREASON=(\S+)/.exec(line)?.[1];
    this.#uploads.get(onion)?.onEvent(action, directory, descriptor, reason);
  }
}

function gone(onion: string, cause: unknown): RelaymintError {
  return new RelaymintError('TOR_NOT_RUNNING', `Tor went away while ${onion}.onion was being published.`, {
    remedy: 'Start it with: relaymint tor start.',
    cause,
  });
}
