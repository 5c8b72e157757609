/**
 * The bytes of the `content` and `publish` services, version 1. Little-endian; cid = length u8 | binary CID.
 *
 * content   params    version u8 | name text (u16 length)
 *   visitor request   id u32 | cid
 *   host    answer    id u32 | status u8 | length u32 | block      in the order of the requests; length 0 unless status is 0
 *
 * publish   params    version u8
 *   host    hello     version u8 | nonce 32
 *   pub.    claim     name text | wallet 32 | signature 64 over: "relaymint:publish:v1" | host node id 32 | nonce 32 | name
 *   pub.    have      1 u8 | count u16 | cid ...
 *   pub.    block     2 u8 | cid | length u32 | bytes
 *   pub.    commit    3 u8 | cid
 *   host    welcome   1 u8 | quota left u64
 *   host    have      2 u8 | count u16 | bitmap, first cid in the lowest bit
 *   host    done      3 u8 | blocks u32 | bytes u64
 *   host    refused   4 u8 | code text | message text                then the stream ends
 */
import type { CID } from 'multiformats/cid';
import { Reader, Writer, concatBytes, utf8 } from '../../core/codec.ts';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_BLOCK_BYTES, MAX_CID_BYTES, MAX_HAVE_BATCH, MAX_NAME_BYTES } from '../../core/limits.ts';
import { parseName } from '../../core/name.ts';
import { decodeCid } from '../blocks/index.ts';
import type { ByteReader } from './stream-io.ts';

export const CONTENT_VERSION = 1;
export const NONCE_BYTES = 32;
export const WALLET_BYTES = 32;
export const SIGNATURE_BYTES = 64;
const MAX_TEXT_BYTES = 300;
const PUBLISH_DOMAIN = 'relaymint:publish:v1';
/** id u32 | status u8 | length u32 */
const ANSWER_HEADER_BYTES = 9;

export const STATUS_OK = 0;
export const STATUS_NOT_FOUND = 1;
export const STATUS_REFUSED = 2;
export type Status = typeof STATUS_OK | typeof STATUS_NOT_FOUND | typeof STATUS_REFUSED;

export const PUT_HAVE = 1;
export const PUT_BLOCK = 2;
export const PUT_COMMIT = 3;
export const SAY_WELCOME = 1;
export const SAY_HAVE = 2;
export const SAY_DONE = 3;
export const SAY_REFUSED = 4;

// --- content ------------------------------------------------------------------------------------------------------------

export function encodeContentParams(name: string): Uint8Array {
  return new Writer(3 + MAX_NAME_BYTES).u8(CONTENT_VERSION).string16(name).finish();
}

/** @throws RelaymintError INVALID_ENCODING, VERSION_UNSUPPORTED, NAME_INVALID. */
export function decodeContentParams(params: Uint8Array): string {
  const reader = new Reader(params, 'content stream parameters');
  checkVersion(reader.u8());
  const name = reader.string16(MAX_NAME_BYTES);
  reader.end();
  return parseName(name).name;
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
  if (status !== STATUS_OK && length !== 0) throw violation('a refusal carries bytes');
  return { id, status, length };
}

// --- publish ------------------------------------------------------------------------------------------------------------

export function encodePublishParams(): Uint8Array {
  return Uint8Array.of(CONTENT_VERSION);
}

export function decodePublishParams(params: Uint8Array): void {
  const reader = new Reader(params, 'publish stream parameters');
  checkVersion(reader.u8());
  reader.end();
}

export function encodeHello(nonce: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(CONTENT_VERSION), nonce);
}

export async function readHello(reader: ByteReader): Promise<Uint8Array> {
  const bytes = await reader.take(1 + NONCE_BYTES);
  checkVersion(bytes[0] ?? 0);
  return bytes.slice(1);
}

/** What the publisher's wallet signs. */
export function publishClaim(host: Uint8Array, nonce: Uint8Array, name: string): Uint8Array {
  return concatBytes(utf8(PUBLISH_DOMAIN), host, nonce, utf8(name));
}

export interface Claim {
  readonly name: string;
  readonly wallet: Uint8Array;
  readonly signature: Uint8Array;
}

export function encodeClaim(claim: Claim): Uint8Array {
  return concatBytes(encodeText(claim.name), claim.wallet, claim.signature);
}

/** @throws RelaymintError INVALID_ENCODING, NAME_INVALID, STREAM_RESET. */
export async function readClaim(reader: ByteReader): Promise<Claim> {
  const { name } = parseName(await readText(reader, MAX_NAME_BYTES));
  const wallet = (await reader.take(WALLET_BYTES)).slice();
  return { name, wallet, signature: (await reader.take(SIGNATURE_BYTES)).slice() };
}

export type PublishRequest =
  | { readonly kind: 'have'; readonly cids: readonly CID[] }
  | { readonly kind: 'block'; readonly cid: CID; readonly block: Uint8Array }
  | { readonly kind: 'commit'; readonly root: CID };

export function encodeHave(cids: readonly CID[]): Uint8Array {
  return concatBytes(new Writer(3).u8(PUT_HAVE).u16(cids.length).finish(), ...cids.map(encodeCid));
}

/** The head of a block; the bytes follow it as they are. */
export function encodeBlockHead(cid: CID, length: number): Uint8Array {
  return concatBytes(Uint8Array.of(PUT_BLOCK), encodeCid(cid), new Writer(4).u32(length).finish());
}

export function encodeCommit(root: CID): Uint8Array {
  return concatBytes(Uint8Array.of(PUT_COMMIT), encodeCid(root));
}

/** undefined at a clean end. @throws RelaymintError INVALID_ENCODING, CONTENT_REFUSED, LIMIT_EXCEEDED, PROTOCOL_VIOLATION, STREAM_RESET. */
export async function readPublishRequest(reader: ByteReader): Promise<PublishRequest | undefined> {
  const type = (await reader.takeOrEnd(1))?.[0];
  if (type === undefined) return undefined;
  if (type === PUT_COMMIT) return { kind: 'commit', root: await readCid(reader) };
  if (type === PUT_HAVE) {
    const count = new Reader(await reader.take(2), 'have request').u16();
    if (count > MAX_HAVE_BATCH) throw violation(`a question about ${count} blocks at once`);
    const cids: CID[] = [];
    while (cids.length < count) cids.push(await readCid(reader));
    return { kind: 'have', cids };
  }
  if (type !== PUT_BLOCK) throw violation(`the unknown message ${type}`);
  const cid = await readCid(reader);
  const length = new Reader(await reader.take(4), 'published block').u32();
  checkBlockLength(length);
  return { kind: 'block', cid, block: await reader.take(length) };
}

export type PublishAnswer =
  | { readonly kind: 'welcome'; readonly quotaLeft: bigint }
  | { readonly kind: 'have'; readonly present: readonly boolean[] }
  | { readonly kind: 'done'; readonly blocks: number; readonly bytes: bigint }
  | { readonly kind: 'refused'; readonly code: string; readonly message: string };

export function encodePublishAnswer(answer: PublishAnswer): Uint8Array {
  switch (answer.kind) {
    case 'welcome':
      return new Writer(9).u8(SAY_WELCOME).u64(answer.quotaLeft).finish();
    case 'have': {
      const bitmap = new Uint8Array(Math.ceil(answer.present.length / 8));
      answer.present.forEach((here, i) => {
        if (here) bitmap[i >> 3] = (bitmap[i >> 3] ?? 0) | (1 << (i & 7));
      });
      return concatBytes(new Writer(3).u8(SAY_HAVE).u16(answer.present.length).finish(), bitmap);
    }
    case 'done':
      return new Writer(13).u8(SAY_DONE).u32(answer.blocks).u64(answer.bytes).finish();
    default:
      return concatBytes(Uint8Array.of(SAY_REFUSED), encodeText(answer.code), encodeText(answer.message));
  }
}

/** @throws RelaymintError INVALID_ENCODING, PROTOCOL_VIOLATION, STREAM_RESET. */
export async function readPublishAnswer(reader: ByteReader): Promise<PublishAnswer> {
  const type = (await reader.take(1))[0];
  switch (type) {
    case SAY_WELCOME:
      return { kind: 'welcome', quotaLeft: new Reader(await reader.take(8), 'welcome').u64() };
    case SAY_HAVE: {
      const count = new Reader(await reader.take(2), 'have answer').u16();
      if (count > MAX_HAVE_BATCH) throw violation(`an answer about ${count} blocks at once`);
      const bitmap = (await reader.take(Math.ceil(count / 8))).slice();
      return { kind: 'have', present: Array.from({ length: count }, (_, i) => bit(bitmap, i)) };
    }
    case SAY_DONE: {
      const fields = new Reader(await reader.take(12), 'publish result');
      return { kind: 'done', blocks: fields.u32(), bytes: fields.u64() };
    }
    case SAY_REFUSED:
      return {
        kind: 'refused',
        code: await readText(reader, MAX_TEXT_BYTES),
        message: await readText(reader, MAX_TEXT_BYTES),
      };
    default:
      throw violation(`the unknown answer ${type}`);
  }
}

// --- pieces -------------------------------------------------------------------------------------------------------------

function encodeCid(cid: CID): Uint8Array {
  return concatBytes(Uint8Array.of(cid.bytes.length), cid.bytes);
}

async function readCid(reader: ByteReader): Promise<CID> {
  const length = (await reader.take(1))[0] ?? 0;
  if (length > MAX_CID_BYTES) throw violation(`a CID of ${length} bytes`);
  return decodeCid((await reader.take(length)).slice());
}

/** Cut to what fits, at a character. */
function encodeText(text: string): Uint8Array {
  let cut = text;
  while (utf8(cut).length > MAX_TEXT_BYTES) cut = cut.slice(0, -1);
  return new Writer(2 + MAX_TEXT_BYTES).string16(cut).finish();
}

async function readText(reader: ByteReader, max: number): Promise<string> {
  const length = new Reader(await reader.take(2), 'text').u16();
  if (length > max) throw violation(`a text of ${length} bytes`);
  const body = new Writer(2 + length).u16(length).bytes(await reader.take(length));
  return new Reader(body.finish(), 'text').string16(max);
}

function checkVersion(version: number): void {
  if (version === CONTENT_VERSION) return;
  throw new RelaymintError('VERSION_UNSUPPORTED', `Version ${version} of the content protocol is not known here.`, {
    remedy: 'Use the same release of Relaymint on both ends.',
  });
}

function checkBlockLength(length: number): void {
  if (length <= MAX_BLOCK_BYTES) return;
  throw new RelaymintError(
    'LIMIT_EXCEEDED',
    `A block of ${length} bytes was announced; ${MAX_BLOCK_BYTES} are allowed.`,
  );
}

function bit(bitmap: Uint8Array, index: number): boolean {
  return (((bitmap[index >> 3] ?? 0) >> (index & 7)) & 1) === 1;
}

function violation(what: string): RelaymintError {
  return new RelaymintError('PROTOCOL_VIOLATION', `The other end broke the content protocol: ${what}.`, {
    remedy: 'Use another peer.',
  });
}
