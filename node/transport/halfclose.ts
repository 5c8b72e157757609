/**
 * Half-close for networks that end both directions of a stream as soon as one side closes, as Tor and I2P do.
 * Each direction is records: u16 big-endian length, then that many bytes. A record of length 0 ends the direction.
 */
import { Duplex } from 'node:stream';
import { RelaymintError } from '../../core/errors.ts';
import { abortError } from './abort.ts';

/** What the length of a record can say, bytes. */
const MAX_RECORD_BYTES = 65_535;
/** The listener's first byte, where the dialer waits for one. */
const GREETING = 1;
/** The network's own ending is awaited this long once both directions have ended, milliseconds. */
const LINGER_MILLIS = 10_000;

export interface HalfCloseOptions {
  /** Sends the byte that `greeted` waits for at the other end. */
  readonly greet?: boolean;
}

/**
 * `connection` with directions that end one by one; the other end wraps its own. Owns `connection` from here on.
 * When the network ends before both directions have, what is left is destroyed with ECONNRESET.
 */
export function halfClosing(connection: Duplex, options: HalfCloseOptions = {}): Duplex {
  return new HalfClosing(connection, options.greet === true);
}

/**
 * The dialer's side of `halfClosing(.., { greet: true })`: resolves once the listener has greeted, which proves that it is there.
 * Destroys `connection` when it fails.
 * @throws RelaymintError CONNECTION_REFUSED (ended before it greeted, or another greeting), TIMEOUT, ABORTED.
 */
export function greeted(connection: Duplex, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      connection.off('readable', onReadable).off('end', onEnd).off('close', onEnd).off('error', onError);
      signal.removeEventListener('abort', onAbort);
    };
    const fail = (error: RelaymintError): void => {
      stop();
      // Errors that come after this have no one to hear them.
      connection.on('error', () => {});
      connection.destroy();
      reject(error);
    };
    const onReadable = (): void => {
      const first = connection.read(1) as Buffer | null;
      if (first === null) return;
      if (first[0] !== GREETING) {
        fail(refused('What answers there speaks something else'));
        return;
      }
      stop();
      resolve(halfClosing(connection));
    };
    const onEnd = (): void => fail(refused('The connection ended before anybody answered'));
    const onError = (cause: Error): void => fail(refused('The connection broke before anybody answered', cause));
    const onAbort = (): void => fail(abortError(signal, 'Waiting for the other side'));
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
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
  /** Bytes of the present record that have not come yet. */
  #left = 0;
  /** The first half of a length that was cut in two, or -1. */
  #high = -1;
  /** The other side's end has come. */
  #theirEnd = false;
  /** Our end is on its way, then flushed. */
  #ourEnd: 'open' | 'sent' | 'flushed' = 'open';

  constructor(wire: Duplex, greet: boolean) {
    super({ allowHalfOpen: true, readableHighWaterMark: MAX_RECORD_BYTES, writableHighWaterMark: MAX_RECORD_BYTES });
    this.#wire = wire;
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

  override _writev(chunks: { chunk: Buffer }[], done: Done): void {
    const wire = this.#wire;
    let total = 0;
    for (const { chunk } of chunks) total += chunk.length;
    if (total === 0) {
      done();
      return;
    }
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
      if (this.#theirEnd) {
        this.#wire.destroy();
        this.destroy(Object.assign(new Error('bytes came after the end (EPROTO)'), { code: 'EPROTO' }));
        return;
      }
      if (this.#left > 0) {
        const piece = at === 0 && chunk.length <= this.#left ? chunk : chunk.subarray(at, at + this.#left);
        at += piece.length;
        this.#left -= piece.length;
        room = this.push(piece);
      } else if (this.#high < 0) {
        this.#high = chunk[at] as number;
        at += 1;
      } else {
        this.#left = this.#high * 256 + (chunk[at] as number);
        this.#high = -1;
        at += 1;
        if (this.#left === 0) this.#ended();
      }
    }
    if (!room && !this.#theirEnd) this.#wire.pause();
  }

  #ended(): void {
    this.#theirEnd = true;
    this.push(null);
    if (this.#ourEnd === 'flushed') this.#close();
  }

  /** Both directions have ended: nothing that anybody waits for is under way any more. */
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
