/**
 * Half-close for networks that end both directions of a stream as soon as one side closes, as Tor and I2P do.
 * Each direction is records: u16 big-endian length, then that many bytes. A record of length 0 ends the direction.
 *
 * Where the network buffers without limit, as I2P's router does, both ends also count:
 * no more than a window is under way, and a record of length 65535 with a u32 gives back that many bytes of it.
 */
import { Duplex } from 'node:stream';
import { RelaymintError } from '../../core/errors.ts';
import { abortError, onAbort } from '../../core/abort.ts';

/** The longest record of data, bytes. */
const MAX_RECORD_BYTES = 65_534;
/** The length that means "this much was read": a u32 big-endian follows. */
const GRANT = 65_535;
const GRANT_BYTES = 6;
/** The listener's first byte, where the dialer waits for one. */
const GREETING = 1;
/** The network's own ending is awaited this long once both directions have ended, milliseconds. */
const LINGER_MILLIS = 10_000;

export interface HalfCloseOptions {
  /** Sends the byte that `greeted` waits for at the other end. */
  readonly greet?: boolean;
  /** Bytes that may be under way each way, the same at both ends. Default: what the network itself allows. */
  readonly window?: number;
}

/**
 * `connection` with directions that end one by one; the other end wraps its own. Owns `connection` from here on.
 * When the network ends before both directions have, what is left is destroyed with ECONNRESET.
 */
export function halfClosing(connection: Duplex, options: HalfCloseOptions = {}): Duplex {
  return new HalfClosing(connection, options);
}

/**
 * The dialer's side of `halfClosing(.., { greet: true })`: resolves once the listener has greeted, which proves that it is there.
 * Destroys `connection` when it fails.
 * @throws RelaymintError CONNECTION_REFUSED (ended before it greeted, or another greeting), TIMEOUT, ABORTED.
 */
export function greeted(connection: Duplex, signal: AbortSignal, window?: number): Promise<Duplex> {
  return byFirstByte(connection, signal, (first) => {
    if (first !== GREETING) throw refused('What answers there speaks something else');
    return halfClosing(connection, window === undefined ? {} : { window });
  });
}

/**
 * A connection to a listener of ours that somebody else's onion service may lead to as well: its visitors send records, while peers
 * that dialled us directly begin with the byte `plain`. A first record shorter than 256 times `plain` is told apart from it.
 * Destroys `connection` when it fails.
 * @throws RelaymintError CONNECTION_REFUSED (ended before its first byte), TIMEOUT, ABORTED.
 */
export function plainOrHalfClosing(connection: Duplex, plain: number, signal: AbortSignal): Promise<Duplex> {
  return byFirstByte(connection, signal, (first) => {
    connection.unshift(Buffer.of(first));
    return first === plain ? connection : halfClosing(connection);
  });
}

/**
 * The connection itself, once its first byte is there.
 * Destroys `connection` when it fails.
 * @throws RelaymintError CONNECTION_REFUSED (ended before its first byte), TIMEOUT, ABORTED.
 */
export function spoken(connection: Duplex, signal: AbortSignal): Promise<Duplex> {
  return byFirstByte(connection, signal, (first) => {
    connection.unshift(Buffer.of(first));
    return connection;
  });
}

/** Resolves with what `decide` returns for the first byte; it is called before anything else happens to `connection`. */
function byFirstByte(connection: Duplex, signal: AbortSignal, decide: (first: number) => Duplex): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    let tie: Disposable | undefined = undefined;
    const stop = (): void => {
      connection.off('readable', onReadable).off('end', onEnd).off('close', onEnd).off('error', onError);
      // Errors that come after this may have no one to hear them.
      connection.on('error', () => {});
      tie?.[Symbol.dispose]();
    };
    const fail = (error: unknown): void => {
      stop();
      connection.destroy();
      reject(error);
    };
    const onReadable = (): void => {
      const first = connection.read(1) as Buffer | null;
      if (first === null) return;
      stop();
      try {
        resolve(decide(first[0] as number));
      } catch (error) {
        fail(error);
      }
    };
    const onEnd = (): void => fail(refused('The connection ended before anybody said anything'));
    const onError = (cause: Error): void => fail(refused('The connection broke before anybody said anything', cause));
    const giveUp = (): void => fail(abortError(signal, 'Waiting for the other side'));
    tie = onAbort(signal, giveUp);
    if (signal.aborted) return;
    connection.on('readable', onReadable).on('end', onEnd).on('close', onEnd).on('error', onError);
    if (connection.destroyed) onEnd();
  });
}

function refused(what: string, cause?: unknown): RelaymintError {
  return new RelaymintError('CONNECTION_REFUSED', `${what}.`, {
    remedy: 'Check the address and that the other side is running.',
    cause,
  });
}

type Done = (error?: Error | null) => void;

class HalfClosing extends Duplex {
  readonly #wire: Duplex;
  /** Bytes of the current record that have not come yet. */
  #left = 0;
  /** The first half of a length that was cut in two, or -1. */
  #high = -1;
  /** The other side's end has come. */
  #theirEnd = false;
  /** Our end is on its way, then flushed. */
  #ourEnd: 'open' | 'sent' | 'flushed' = 'open';
  readonly #window: number;
  /** What we may still send. */
  #credit: number;
  /** What waits for credit, and its callback. */
  #waiting: { readonly chunks: { chunk: Buffer }[]; readonly done: Done } | undefined;
  #received = 0;
  /** Of the received bytes: those that were read and given back. */
  #granted = 0;
  /** Bytes of a grant that have come, while one is coming. */
  #grant: number[] | undefined;

  constructor(wire: Duplex, { greet = false, window = Infinity }: HalfCloseOptions) {
    super({ allowHalfOpen: true, readableHighWaterMark: MAX_RECORD_BYTES, writableHighWaterMark: MAX_RECORD_BYTES });
    this.#wire = wire;
    this.#window = window;
    this.#credit = window;
    // An error nobody watches must not end the process; whoever holds the connection sees it close.
    this.on('error', () => {});
    wire.on('error', (error) => this.#lost(error));
    wire.on('close', () => {
      if (!this.#theirEnd || this.#ourEnd !== 'flushed') this.#lost(broken());
    });
    wire.on('end', () => {
      // The other side closes when it has seen both ends: ours may be there before we hear that it was flushed.
      if (!this.#theirEnd || this.#ourEnd === 'open') this.#lost(broken());
    });
    if (greet) wire.write(Buffer.of(GREETING));
    wire.on('data', (chunk: Buffer) => this.#receive(chunk));
    wire.resume();
    if (wire.destroyed) this.#lost(broken());
  }

  override _read(): void {
    this.#wire.resume();
  }

  /** Where bytes are taken out of the buffer; those that never were in it are seen when they come. */
  override read(size?: number): unknown {
    const taken: unknown = super.read(size);
    this.#giveBack();
    return taken;
  }

  override _writev(chunks: { chunk: Buffer }[], done: Done): void {
    const wire = this.#wire;
    let total = 0;
    for (const { chunk } of chunks) total += chunk.length;
    if (total === 0) {
      done();
      return;
    }
    if (total > this.#credit) {
      this.#sendWhatMay(chunks, done);
      return;
    }
    this.#credit -= total;
    const flushed = this.#reporting(done);
    let room = 0;
    wire.cork();
    for (const { chunk } of chunks) {
      for (let at = 0; at < chunk.length;) {
        if (room === 0) {
          room = Math.min(total, MAX_RECORD_BYTES);
          wire.write(Buffer.of(room >> 8, room & 0xff));
        }
        const piece = at === 0 && chunk.length <= room ? chunk : chunk.subarray(at, at + room);
        at += piece.length;
        room -= piece.length;
        total -= piece.length;
        if (total === 0) wire.write(piece, flushed);
        else wire.write(piece);
      }
    }
    wire.uncork();
  }

  /** The first bytes now, as far as credit allows, and the rest when there is more. */
  #sendWhatMay(chunks: { chunk: Buffer }[], done: Done): void {
    const all = Buffer.concat(chunks.map(({ chunk }) => chunk));
    const rest = { chunks: [{ chunk: all.subarray(this.#credit) }], done };
    if (this.#credit === 0) {
      this.#waiting = rest;
      return;
    }
    this._writev([{ chunk: all.subarray(0, this.#credit) }], (error) => {
      if (error !== null && error !== undefined) done(error);
      else if (this.#credit > 0) this._writev(rest.chunks, done);
      else this.#waiting = rest;
    });
  }

  #onGrant(bytes: number): void {
    this.#credit += bytes;
    if (this.#credit > this.#window) {
      this.#lostBy('more was given back than sent');
      return;
    }
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined && !this.destroyed) this._writev(waiting.chunks, waiting.done);
  }

  /** Tells the sender what was read, half a window at a time. */
  #giveBack(): void {
    const read = this.#received - this.readableLength - this.#granted;
    if (this.#theirEnd || read * 2 < this.#window || this.#wire.writableEnded) return;
    this.#granted += read;
    const record = Buffer.alloc(GRANT_BYTES);
    record.writeUInt16BE(GRANT, 0);
    record.writeUInt32BE(read, 2);
    this.#wire.write(record);
  }

  override _final(done: Done): void {
    this.#ourEnd = 'sent';
    const report = this.#reporting(done);
    this.#wire.write(Buffer.of(0, 0), (error) => {
      if (error === null || error === undefined) {
        this.#ourEnd = 'flushed';
        if (this.#theirEnd) this.#close();
      }
      report(error);
    });
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.#theirEnd || this.#ourEnd !== 'flushed') this.#wire.destroy();
    done(error);
  }

  #receive(chunk: Buffer): void {
    let room = true;
    for (let at = 0; at < chunk.length;) {
      if (this.#grant !== undefined) {
        this.#grant.push(chunk[at] as number);
        at += 1;
        if (this.#grant.length < GRANT_BYTES - 2) continue;
        const bytes = Buffer.from(this.#grant).readUInt32BE();
        this.#grant = undefined;
        this.#onGrant(bytes);
      } else if (this.#theirEnd && this.#window === Infinity) {
        this.#lostBy('bytes came after the end');
        return;
      } else if (this.#left > 0) {
        const piece = at === 0 && chunk.length <= this.#left ? chunk : chunk.subarray(at, at + this.#left);
        at += piece.length;
        this.#left -= piece.length;
        this.#received += piece.length;
        room = this.push(piece);
      } else if (this.#high < 0) {
        this.#high = chunk[at] as number;
        at += 1;
      } else {
        this.#left = this.#high * 256 + (chunk[at] as number);
        this.#high = -1;
        at += 1;
        if (this.#left === GRANT) {
          this.#left = 0;
          this.#grant = [];
        } else if (this.#theirEnd) {
          this.#lostBy('bytes came after the end');
          return;
        } else if (this.#left === 0) this.#ended();
        else if (this.#received + this.#left - this.#granted > this.#window) {
          this.#lostBy('more came than the window allows');
          return;
        }
      }
    }
    // With a window, what is under way is bounded, and grants come on the same wire: it is never paused.
    if (!room && !this.#theirEnd && this.#window === Infinity) this.#wire.pause();
    this.#giveBack();
  }

  #lostBy(what: string): void {
    this.#wire.destroy();
    this.destroy(Object.assign(new Error(`${what} (EPROTO)`), { code: 'EPROTO' }));
  }

  #ended(): void {
    this.#theirEnd = true;
    this.push(null);
    if (this.#ourEnd === 'flushed') this.#close();
  }

  /** Both directions have ended: nothing that anybody waits for is under way. */
  #close(): void {
    const wire = this.#wire;
    wire.end();
    const late = setTimeout(() => wire.destroy(), LINGER_MILLIS);
    late.unref();
    wire.once('close', () => clearTimeout(late));
  }

  /** Tells a writer what became of its write, but not that it failed while there is something whole left to read. */
  #reporting(done: Done): Done {
    return (error) => {
      if (error === null || error === undefined) done();
      else this.#afterReading(() => done(error));
    };
  }

  #lost(error: Error): void {
    if (this.#theirEnd && this.#ourEnd === 'flushed') return;
    this.#wire.destroy();
    this.#afterReading(() => this.destroy(error));
  }

  #afterReading(act: () => void): void {
    if (this.#theirEnd && !this.readableEnded && !this.destroyed) this.once('end', act);
    else act();
  }
}

function broken(): NodeJS.ErrnoException {
  return Object.assign(new Error('the other end of this connection is gone (ECONNRESET)'), { code: 'ECONNRESET' });
}
