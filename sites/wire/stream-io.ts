/** Exact reads and waiting writes over a duplex stream: what a fixed-layout protocol needs, with back-pressure both ways. */
import type { Duplex, Writable } from 'node:stream';
import { RelaymintError } from '../../core/errors.ts';

/** Takes an exact number of bytes at a time. The stream is read only as fast as it is taken from. */
export class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #onBytes: () => void;
  #current: Uint8Array = new Uint8Array(0);

  /** `onBytes` is called whenever something arrives. What it throws, reading throws. */
  constructor(stream: Duplex, onBytes: () => void = () => {}) {
    // The other direction may still have something to say after this one ended.
    this.#chunks = stream.iterator({ destroyOnReturn: false });
    this.#onBytes = onBytes;
  }

  /**
   * The caller has checked `length` against a limit. The result may be a view of what arrived.
   * @throws RelaymintError STREAM_RESET when the stream ends or breaks before.
   */
  async take(length: number): Promise<Uint8Array> {
    const bytes = await this.takeOrEnd(length);
    if (bytes === undefined) throw cut();
    return bytes;
  }

  /** Like `take`; undefined when the stream ended exactly before. */
  async takeOrEnd(length: number): Promise<Uint8Array | undefined> {
    if (this.#current.length === 0 && length > 0 && !(await this.#more())) return undefined;
    if (this.#current.length >= length) return this.#cut(length);
    const whole = Buffer.allocUnsafe(length);
    let filled = 0;
    for (;;) {
      const part = this.#cut(Math.min(length - filled, this.#current.length));
      whole.set(part, filled);
      filled += part.length;
      if (filled === length) return whole;
      if (!(await this.#more())) throw cut();
    }
  }

  #cut(length: number): Uint8Array {
    const part = this.#current.subarray(0, length);
    this.#current = this.#current.subarray(length);
    return part;
  }

  async #more(): Promise<boolean> {
    for (;;) {
      let next: IteratorResult<Uint8Array>;
      try {
        next = await this.#chunks.next();
      } catch (cause) {
        throw cause instanceof RelaymintError ? cause : cut(cause);
      }
      if (next.done === true) return false;
      this.#onBytes();
      if (next.value.length === 0) continue;
      this.#current = next.value;
      return true;
    }
  }
}

/** Writes, and waits while the stream's buffer is full. @throws RelaymintError STREAM_RESET when the stream closes. */
export async function writeAll(stream: Writable, ...parts: readonly Uint8Array[]): Promise<void> {
  if (stream.destroyed || stream.writableEnded) throw cut(stream.errored);
  let roomy = true;
  stream.cork();
  for (const part of parts) roomy = stream.write(part);
  stream.uncork();
  if (roomy || !stream.writableNeedDrain) return;
  await new Promise<void>((done, fail) => {
    const onDrain = (): void => {
      stream.off('close', onClose);
      done();
    };
    const onClose = (): void => {
      stream.off('drain', onDrain);
      fail(stream.errored instanceof RelaymintError ? stream.errored : cut(stream.errored));
    };
    stream.once('drain', onDrain);
    stream.once('close', onClose);
  });
}

/** Destroys the stream when `touch` is not called for `millis`. */
export class IdleTimer {
  readonly #timer: NodeJS.Timeout;

  constructor(stream: Duplex, millis: number, who: string) {
    this.#timer = setTimeout(() => {
      stream.destroy(
        new RelaymintError('TIMEOUT', `The ${who} sent nothing for ${Math.round(millis / 1000)} seconds.`, {
          remedy: 'Try again.',
        }),
      );
    }, millis);
    this.#timer.unref();
    stream.once('close', () => clearTimeout(this.#timer));
  }

  touch(): void {
    this.#timer.refresh();
  }
}

function cut(cause?: unknown): RelaymintError {
  return new RelaymintError('STREAM_RESET', 'The stream broke off in the middle of a message.', {
    remedy: 'Try again.',
    ...(cause !== undefined && cause !== null && { cause }),
  });
}
