/** What travels over a path that is measured: bulk data from a source, and 1 KiB messages there and back. Any duplex will do. */
import type { Duplex } from 'node:stream';
import { randomBytes } from 'node:crypto';
import { percentile } from './figures.ts';

/** Bytes of one message of the ping-pong. */
export const MESSAGE_BYTES = 1024;
/** A source writes pieces of this size on every kind of path. */
const BLOCK: Buffer = randomBytes(64 * 1024);
/** Messages before those that count, so that the first round trip's page faults are not anybody's p99. */
const UNCOUNTED_MESSAGES = 50;

/** Answers each request (u64 LE) with that many bytes. */
export function serveSource(stream: Duplex): void {
  const request = Buffer.alloc(8);
  let filled = 0;
  let left = 0;
  const pump = (): void => {
    while (left > 0) {
      const piece = left >= BLOCK.length ? BLOCK : BLOCK.subarray(0, left);
      left -= piece.length;
      if (!stream.write(piece)) return;
    }
  };
  stream.on('drain', pump);
  stream.on('data', (chunk: Buffer) => {
    filled += chunk.copy(request, filled);
    if (filled < request.length) return;
    filled = 0;
    left += Number(request.readBigUInt64LE());
    pump();
  });
}

/** Sends back whatever comes. */
export function serveEcho(stream: Duplex): void {
  stream.on('data', (chunk: Buffer) => {
    if (!stream.write(chunk)) {
      stream.pause();
      stream.once('drain', () => stream.resume());
    }
  });
}

/** Asks a source for `bytes`. @returns milliseconds from the request to the last byte. @throws Error when the path breaks. */
export async function transfer(stream: Duplex, bytes: number): Promise<number> {
  const request = Buffer.alloc(8);
  request.writeBigUInt64LE(BigInt(bytes));
  const began = performance.now();
  let left = bytes;
  await converse(stream, request, (chunk) => {
    left -= chunk.length;
    if (left < 0) throw new Error(`the source sent ${-left} bytes too many`);
    return left === 0;
  });
  return performance.now() - began;
}

/** Sends messages to an echo, one after the other. @returns round trips in microseconds. @throws Error when the path breaks. */
export async function pingPong(stream: Duplex, count: number): Promise<{ readonly p50: number; readonly p99: number }> {
  const message = randomBytes(MESSAGE_BYTES);
  const micros: number[] = [];
  let missing = MESSAGE_BYTES;
  let sentAt = performance.now();
  await converse(stream, message, (chunk) => {
    missing -= chunk.length;
    if (missing > 0) return false;
    const now = performance.now();
    micros.push((now - sentAt) * 1000);
    if (micros.length === UNCOUNTED_MESSAGES + count) return true;
    missing = MESSAGE_BYTES;
    sentAt = now;
    stream.write(message);
    return false;
  });
  const counted = micros.slice(UNCOUNTED_MESSAGES);
  return { p50: percentile(counted, 0.5), p99: percentile(counted, 0.99) };
}

/** Writes `opening`, then hands every chunk to `take` until it says that it was the last. */
function converse(stream: Duplex, opening: Buffer, take: (chunk: Buffer) => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: unknown): void => {
      stream.off('data', onData).off('close', onClose);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onClose = (): void => settle(stream.errored ?? new Error('the path was closed'));
    const onData = (chunk: Buffer): void => {
      try {
        if (take(chunk)) settle();
      } catch (error) {
        settle(error);
      }
    };
    if (stream.destroyed) {
      onClose();
      return;
    }
    stream.on('data', onData).on('close', onClose);
    stream.write(opening);
  });
}
