/**
 * The bytes of the `content` service, version 1. Little-endian; cid = length u8 | binary CID.
 *
 *   params            version u8 | name text (u16 length) | referrer text (u16 length), absent where nobody embeds it
 *   visitor request   id u32 | cid
 *   host    answer    id u32 | status u8 | length u32 | block      in the order of the requests; length 0 unless status is 0
 *
 * A request for the block of `statementCid(nonce)`, which nobody can have, asks for a statement of what the stream has delivered so far.
 */
import { createHash } from 'node:crypto';
import { CID } from 'multiformats/cid';
import * as raw from 'multiformats/codecs/raw';
import * as Digest from 'multiformats/hashes/digest';
import { Reader, Writer, concatBytes, utf8 } from '../../core/codec.ts';
import { MAX_NAME_BYTES } from '../../core/limits.ts';
import { parseName } from '../../core/name.ts';
import { NONCE_BYTES } from '../statement/index.ts';
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

const SHA2_256 = 0x12;
/** The first half of the digest: 16 bytes that no content can be made to have. */
const STATEMENT_MARK = createHash('sha256').update(utf8('relaymint:statement-request:v1')).digest().subarray(0, 16);

/**
 * Asks for a statement under that nonce, in the request of a block: a host that knows nothing of statements has no such block, says so, and
 * goes on.
 */
export function statementCid(nonce: Uint8Array): CID {
  return CID.createV1(raw.code, Digest.create(SHA2_256, concatBytes(STATEMENT_MARK, nonce)));
}

/** The nonce if a statement is asked for, undefined if a block is. */
export function statementNonce({ code, multihash }: CID): Uint8Array | undefined {
  const { digest } = multihash;
  const isAsked =
    code === raw.code && multihash.code === SHA2_256 && digest.length === STATEMENT_MARK.length + NONCE_BYTES;
  if (!isAsked || !STATEMENT_MARK.equals(digest.subarray(0, STATEMENT_MARK.length))) return undefined;
  return digest.slice(STATEMENT_MARK.length);
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
