/**
 * The bytes of the `content` service, version 1. Little-endian; cid = length u8 | binary CID.
 *
 *   params            version u8 | name text (u16 length) | referrer text (u16 length), absent where nobody embeds it
 *   visitor request   id u32 | cid
 *   host    answer    id u32 | status u8 | length u32 | block      in the order of the requests; length 0 unless status is 0
 */
import type { CID } from 'multiformats/cid';
import { Reader, Writer, concatBytes } from '../../core/codec.ts';
import { MAX_NAME_BYTES } from '../../core/limits.ts';
import { parseName } from '../../core/name.ts';
import {
  CONTENT_VERSION,
  checkBlockLength,
  checkVersion,
  encodeCid,
  readCid,
  violation,
  type ByteReader,
} from '../wire/index.ts';

/** id u32 | status u8 | length u32 */
const ANSWER_HEADER_BYTES = 9;

export const STATUS_OK = 0;
export const STATUS_NOT_FOUND = 1;
export const STATUS_REFUSED = 2;
export type Status = typeof STATUS_OK | typeof STATUS_NOT_FOUND | typeof STATUS_REFUSED;

/** What a content stream is for. */
export interface ContentWanted {
  readonly name: string;
  /** The name whose page embeds it: the embedded content's terms may give it a share of the royalty. Another name than `name`. */
  readonly referrer?: string | undefined;
}

export function encodeContentParams({ name, referrer }: ContentWanted): Uint8Array {
  const writer = new Writer(5 + 2 * MAX_NAME_BYTES).u8(CONTENT_VERSION).string16(name);
  return (referrer === undefined ? writer : writer.string16(referrer)).finish();
}

/** @throws RelaymintError INVALID_ENCODING, VERSION_UNSUPPORTED, NAME_INVALID. */
export function decodeContentParams(params: Uint8Array): ContentWanted {
  const reader = new Reader(params, 'content stream parameters');
  checkVersion(reader.u8());
  const { name } = parseName(reader.string16(MAX_NAME_BYTES));
  if (reader.remaining === 0) return { name };
  const referrer = parseName(reader.string16(MAX_NAME_BYTES)).name;
  reader.end();
  if (referrer === name) throw violation(`${name} is said to be embedded by itself`);
  return { name, referrer };
}

export interface BlockRequest {
  readonly id: number;
  readonly cid: CID;
}

export function encodeRequest(id: number, cid: CID): Uint8Array {
  return concatBytes(new Writer(4).u32(id).finish(), encodeCid(cid));
}

/** undefined at a clean end. @throws RelaymintError INVALID_ENCODING, CONTENT_REFUSED, STREAM_RESET. */
export async function readRequest(reader: ByteReader): Promise<BlockRequest | undefined> {
  const head = await reader.takeOrEnd(4);
  if (head === undefined) return undefined;
  const id = new Reader(head, 'block request').u32();
  return { id, cid: await readCid(reader) };
}

export interface AnswerHeader {
  readonly id: number;
  readonly status: Status;
  readonly length: number;
}

export function encodeAnswerHeader(id: number, status: Status, length: number): Uint8Array {
  return new Writer(ANSWER_HEADER_BYTES).u32(id).u8(status).u32(length).finish();
}

/** @throws RelaymintError INVALID_ENCODING, PROTOCOL_VIOLATION, LIMIT_EXCEEDED, STREAM_RESET. */
export async function readAnswerHeader(reader: ByteReader): Promise<AnswerHeader | undefined> {
  const bytes = await reader.takeOrEnd(ANSWER_HEADER_BYTES);
  if (bytes === undefined) return undefined;
  const header = new Reader(bytes, 'block answer');
  const id = header.u32();
  const status = header.u8();
  const length = header.u32();
  if (status !== STATUS_OK && status !== STATUS_NOT_FOUND && status !== STATUS_REFUSED) {
    throw violation(`the host answered with the unknown status ${status}`);
  }
  checkBlockLength(length);
  if (status !== STATUS_OK && length !== 0) throw violation('a refusal that carries bytes');
  return { id, status, length };
}
