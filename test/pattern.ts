/** Bytes that tests send through streams, and what must arrive of them. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';

const BLOCK = randomBytes(1 << 20);

/** Writes `length` bytes of a repeating random block and ends. */
export async function sendPattern(stream: Duplex, length: number, chunk = 65_536): Promise<void> {
  let sent = 0;
  while (sent < length) {
    const at = sent % BLOCK.length;
    const piece = BLOCK.subarray(at, Math.min(at + chunk, BLOCK.length, at + length - sent));
    sent += piece.length;
    if (!stream.write(piece)) await once(stream, 'drain');
  }
  stream.end();
}

export function patternHash(length: number): string {
  const hash = createHash('sha256');
  for (let sent = 0; sent < length; sent += BLOCK.length)
    hash.update(BLOCK.subarray(0, Math.min(BLOCK.length, length - sent)));
  return hash.digest('hex');
}

/** Reads to the end. Not `for await`: that destroys the stream, its writing half included. @throws what the stream fails with. */
export async function hashOf(stream: Duplex): Promise<string> {
  const hash = createHash('sha256');
  stream.on('data', (chunk: Buffer) => hash.update(chunk));
  await once(stream, 'end');
  return hash.digest('hex');
}

/** `source` sends as many bytes as its params (u32) say. */
export function serveSource(stream: Duplex, params: Buffer): void {
  void sendPattern(stream, params.readUInt32LE(0)).catch(() => {});
  stream.resume();
}

/** `sink` answers with the hash of what it got. */
export function serveSink(stream: Duplex): void {
  void hashOf(stream)
    .then((hash) => stream.end(hash))
    .catch(() => {});
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value, 0);
  return bytes;
}
