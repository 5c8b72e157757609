/**
 * The bytes of the services `feed`, `update` and `post`, version 1. Little-endian.
 *
 *   feed    params            as of `content`: version u8 | name text | referrer text, absent where nobody embeds it
 *           visitor request   topic text | from u8 (0 after, 1 newest) | after u64 | waits u8
 *           host    page      1 u8 | more u8 | count u16 | (arrival u64 | length u32 | entry) ..
 *           host    refused   2 u8 | code text | message text          then the stream ends
 *   update, params            version u8
 *   post    author  entry     length u32 | entry
 *           host    taken     1 u8 | arrival u64                       and the next entry may come
 *           host    refused   2 u8 | code text | message text          the stream stays open
 */
import { Reader, Writer, concatBytes } from '../../core/codec.ts';
import { isRelaymintError } from '../../core/errors.ts';
import { MAX_ENTRY_BYTES, MAX_PAGE_BYTES, MAX_PAGE_ENTRIES, MAX_TOPIC_BYTES } from '../../core/limits.ts';
import {
  CONTENT_VERSION,
  MAX_TEXT_BYTES,
  checkVersion,
  encodeText,
  readText,
  violation,
  type ByteReader,
} from '../wire/index.ts';
import type { Arrived, SignedEntry } from './contract.ts';
import { decodeEntry, isTopic } from './entry.ts';

const SAY_PAGE = 1;
const SAY_TAKEN = 1;
const SAY_REFUSED = 2;
const FROM_AFTER = 0;
const FROM_NEWEST = 1;

export interface PageWanted {
  readonly topic: string;
  /** Those that came after that number; `newest`: only the last one. */
  readonly from: number | 'newest';
  /** The host answers when there is something, or after a while with nothing. */
  readonly waits: boolean;
}

export interface Page {
  readonly entries: readonly Arrived[];
  /** There were more than fit. */
  readonly more: boolean;
}

export interface Refusal {
  readonly code: string;
  readonly message: string;
}

export function encodePageWanted({ topic, from, waits }: PageWanted): Uint8Array {
  const after = from === 'newest' ? 0 : from;
  return new Writer(12 + MAX_TOPIC_BYTES)
    .string16(topic)
    .u8(from === 'newest' ? FROM_NEWEST : FROM_AFTER)
    .u64(BigInt(after))
    .u8(waits ? 1 : 0)
    .finish();
}

/** undefined at a clean end. @throws RelaymintError INVALID_ENCODING, PROTOCOL_VIOLATION, STREAM_RESET. */
export async function readPageWanted(reader: ByteReader): Promise<PageWanted | undefined> {
  const head = await reader.takeOrEnd(2);
  if (head === undefined) return undefined;
  const length = new Reader(head, 'topic').u16();
  if (length > MAX_TOPIC_BYTES) throw violation(`a topic of ${length} bytes`);
  const body = new Writer(2 + length).u16(length).bytes(await reader.take(length));
  const topic = new Reader(body.finish(), 'topic').string16(MAX_TOPIC_BYTES);
  if (!isTopic(topic)) throw violation('a topic that is none');
  const rest = new Reader((await reader.take(10)).slice(), 'request for entries');
  const from = rest.u8();
  const after = rest.u64();
  const waits = rest.u8();
  if (from > FROM_NEWEST || waits > 1 || after > BigInt(Number.MAX_SAFE_INTEGER))
    throw violation('a request for entries that is none');
  return { topic, from: from === FROM_NEWEST ? 'newest' : Number(after), waits: waits === 1 };
}

export function encodePage({ entries, more }: Page): Uint8Array {
  const head = new Writer(4)
    .u8(SAY_PAGE)
    .u8(more ? 1 : 0)
    .u16(entries.length);
  const parts = entries.flatMap(({ arrival, signed: { encoded } }) => [
    new Writer(12).u64(BigInt(arrival)).u32(encoded.length).finish(),
    encoded,
  ]);
  return concatBytes(head.finish(), ...parts);
}

/** @throws RelaymintError INVALID_ENCODING, PROTOCOL_VIOLATION, STREAM_RESET. */
export async function readPage(reader: ByteReader): Promise<Page | Refusal> {
  const type = (await reader.take(1))[0];
  if (type === SAY_REFUSED) return await readRefusal(reader);
  if (type !== SAY_PAGE) throw violation(`the unknown answer ${type}`);
  const head = new Reader((await reader.take(3)).slice(), 'page of entries');
  const more = head.u8();
  const count = head.u16();
  if (more > 1 || count > MAX_PAGE_ENTRIES || (more === 1 && count === 0))
    throw violation(`a page of ${count} entries`);
  const entries: Arrived[] = [];
  let size = 0;
  while (entries.length < count) {
    const each = new Reader((await reader.take(12)).slice(), 'entry');
    const arrival = Number(each.u64());
    const length = each.u32();
    size += length;
    if (length > MAX_ENTRY_BYTES || (entries.length > 0 && size > MAX_PAGE_BYTES))
      throw violation(`an entry of ${length} bytes`);
    if (!Number.isSafeInteger(arrival) || arrival <= (entries.at(-1)?.arrival ?? 0))
      throw violation('entries in another order than they came');
    entries.push({ arrival, signed: received((await reader.take(length)).slice()) });
  }
  return { entries, more: more === 1 };
}

/** A host that keeps what is malformed is none to ask again. */
function received(encoded: Uint8Array): SignedEntry {
  try {
    return decodeEntry(encoded);
  } catch (error) {
    if (isRelaymintError(error, 'ENTRY_INVALID')) throw violation('an entry that is none');
    throw error;
  }
}

export function encodeWriteParams(): Uint8Array {
  return Uint8Array.of(CONTENT_VERSION);
}

export function decodeWriteParams(params: Uint8Array): void {
  const reader = new Reader(params, 'parameters of a stream for entries');
  checkVersion(reader.u8());
  reader.end();
}

export function encodeEntryHead(length: number): Uint8Array {
  return new Writer(4).u32(length).finish();
}

/** undefined at a clean end. @throws RelaymintError PROTOCOL_VIOLATION, STREAM_RESET. */
export async function readEntryBytes(reader: ByteReader): Promise<Uint8Array | undefined> {
  const head = await reader.takeOrEnd(4);
  if (head === undefined) return undefined;
  const length = new Reader(head, 'entry').u32();
  if (length > MAX_ENTRY_BYTES) throw violation(`an entry of ${length} bytes`);
  return (await reader.take(length)).slice();
}

export function encodeTaken(arrival: number): Uint8Array {
  return new Writer(9).u8(SAY_TAKEN).u64(BigInt(arrival)).finish();
}

export function encodeRefusal({ code, message }: Refusal): Uint8Array {
  return concatBytes(Uint8Array.of(SAY_REFUSED), encodeText(code), encodeText(message));
}

/** @throws RelaymintError INVALID_ENCODING, PROTOCOL_VIOLATION, STREAM_RESET. */
export async function readTaken(reader: ByteReader): Promise<{ readonly arrival: bigint } | Refusal> {
  const type = (await reader.take(1))[0];
  if (type === SAY_TAKEN) return { arrival: new Reader(await reader.take(8), 'entry taken').u64() };
  if (type !== SAY_REFUSED) throw violation(`the unknown answer ${type}`);
  return await readRefusal(reader);
}

async function readRefusal(reader: ByteReader): Promise<Refusal> {
  const code = await readText(reader, MAX_TEXT_BYTES);
  return { code, message: await readText(reader, MAX_TEXT_BYTES) };
}
