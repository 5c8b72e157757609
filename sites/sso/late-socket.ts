/**
 * A stream that opens its connection itself, as the libraries of servers want their sockets: made at once, connected later. What opens the
 * connection is handed in, so that it leaves the process by the way that everything leaves by.
 */
import { Duplex } from 'node:stream';

/** Opens a connection; rejects when `signal` ends. */
export type StoreConnect = (
  target: { readonly host: string; readonly port: number },
  options: { readonly signal: AbortSignal },
) => Promise<Duplex>;

export class LateSocket extends Duplex {
  connecting: boolean = true;
  readonly #open: () => Promise<Duplex>;
  #inner: Duplex | undefined;

  constructor(open: () => Promise<Duplex>) {
    super({ allowHalfOpen: false });
    this.#open = open;
  }

  /** It does so by itself: the libraries call this first. */
  connect(): this {
    return this;
  }

  /** Whoever opens the connection sees to these. */
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  setTimeout(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }

  /** What is written until it is done waits in the stream. */
  override _construct(done: (error?: Error) => void): void {
    const begin = async (): Promise<void> => done(await this.#begin());
    void begin();
  }

  /** @returns why there is no connection. */
  async #begin(): Promise<Error | undefined> {
    let inner: Duplex;
    try {
      inner = await this.#open();
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
    this.#inner = inner;
    this.connecting = false;
    inner.on('data', (chunk: Uint8Array) => {
      if (!this.push(chunk)) inner.pause();
    });
    inner.once('end', () => this.push(null));
    inner.once('error', (error) => this.destroy(error));
    inner.once('close', () => this.destroy());
    process.nextTick(() => this.emit('connect'));
    return undefined;
  }

  override _read(): void {
    this.#inner?.resume();
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#inner?.write(chunk, done);
  }

  override _final(done: () => void): void {
    this.#inner?.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#inner?.destroy();
    done(error);
  }
}
