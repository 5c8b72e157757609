/** What the content and publish services share: CIDs, texts, a version, and protocol errors. */
import type { CID } from 'multiformats/cid';
import { Reader, Writer, concatBytes, utf8 } from '../../core/codec.ts';
import { RelaymintError, violation as violationOf } from '../../core/errors.ts';
import { printable } from '../../core/printable.ts';
import { MAX_BLOCK_BYTES, MAX_CID_BYTES } from '../../core/limits.ts';
import { decodeCid } from '../blocks/index.ts';
import type { ByteReader } from './stream-io.ts';

/** Of both services. */
export const CONTENT_VERSION = 1;
export const MAX_TEXT_BYTES = 300;

export function encodeCid(cid: CID): Uint8Array {
  return concatBytes(Uint8Array.of(cid.bytes.length), cid.bytes);
}

export async function readCid(reader: ByteReader): Promise<CID> {
  const length = (await reader.take(1))[0] ?? 0;
  if (length > MAX_CID_BYTES) throw violation(`a CID of ${length} bytes`);
  return decodeCid((await reader.take(length)).slice());
}

/** Cut to what fits, at a character. */
export function encodeText(text: string): Uint8Array {
  let cut = text;
  while (utf8(cut).length > MAX_TEXT_BYTES) cut = cut.slice(0, -1);
  return new Writer(2 + MAX_TEXT_BYTES).string16(cut).finish();
}

/** Without what would command a terminal: a peer wrote it, and it is shown to people as it is. */
export async function readText(reader: ByteReader, max: number): Promise<string> {
  const length = new Reader(await reader.take(2), 'text').u16();
  if (length > max) throw violation(`a text of ${length} bytes`);
  const body = new Writer(2 + length).u16(length).bytes(await reader.take(length));
  return printable(new Reader(body.finish(), 'text').string16(max));
}

export function checkVersion(version: number): void {
  if (version === CONTENT_VERSION) return;
  throw new RelaymintError('VERSION_UNSUPPORTED', `Version ${version} of the content protocol is unknown.`, {
    remedy: 'Use the same release of Relaymint on both ends.',
  });
}

export function checkBlockLength(length: number): void {
  if (length <= MAX_BLOCK_BYTES) return;
  throw new RelaymintError(
    'LIMIT_EXCEEDED',
    `A block of ${length} bytes was announced; ${MAX_BLOCK_BYTES} are allowed.`,
  );
}

export function violation(what: string): RelaymintError {
  return violationOf(`The other end broke the content protocol: ${what}.`, 'Use another peer.');
}
