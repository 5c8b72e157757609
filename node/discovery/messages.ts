/**
 * The question and the answer.
 * OFFERS_WANTED: count u8 (1 .. 64) | the last node id of the page before, 32 bytes, or nothing.
 * OFFERS: more u8 (0 or 1) | count u8 | offers, each length u16 and bytes.
 */
import { Reader, Writer } from '../../core/codec.ts';
import { RelaymintError } from '../../core/errors.ts';
import { KEY_BYTES, nodeId, nodeIdBytes, type NodeId } from '../../core/ids.ts';
import { MAX_FRAME_PAYLOAD, MAX_OFFERS_PER_ANSWER, MAX_OFFER_BYTES } from '../../core/limits.ts';
import type { SignedOffer } from '../offer/index.ts';

export interface Question {
  readonly count: number;
  readonly after: NodeId | undefined;
}

export interface Answer {
  readonly more: boolean;
  /** Not verified. Views of the frame. */
  readonly offers: readonly Uint8Array[];
}

export function encodeQuestion({ count, after }: Question): Uint8Array {
  const out = new Writer(1 + KEY_BYTES).u8(count);
  if (after !== undefined) out.bytes(nodeIdBytes(after));
  return out.finish();
}

/** @throws RelaymintError INVALID_ENCODING. */
export function decodeQuestion(payload: Uint8Array): Question {
  const input = new Reader(payload, 'question for offers');
  const count = input.u8();
  const after = input.remaining === 0 ? undefined : nodeId(input.bytes(KEY_BYTES));
  input.end();
  return { count: Math.min(count, MAX_OFFERS_PER_ANSWER), after };
}

/** As many of `offers` as fit a frame; `more` when some did not or when the caller has others. */
export function encodeAnswer(offers: readonly SignedOffer[], more: boolean): Uint8Array {
  let length = 2;
  let fitting = 0;
  for (const { encoded } of offers) {
    if (length + 2 + encoded.length > MAX_FRAME_PAYLOAD) break;
    length += 2 + encoded.length;
    fitting += 1;
  }
  const out = new Writer(length).u8(more || fitting < offers.length ? 1 : 0).u8(fitting);
  for (const { encoded } of offers.slice(0, fitting)) out.bytes16(encoded);
  return out.finish();
}

/** @throws RelaymintError INVALID_ENCODING. */
export function decodeAnswer(payload: Uint8Array): Answer {
  const input = new Reader(payload, 'answer with offers');
  const more = input.u8();
  const count = input.u8();
  if (more > 1 || count > MAX_OFFERS_PER_ANSWER) {
    throw new RelaymintError('INVALID_ENCODING', `Malformed answer with offers: ${count} offers, more = ${more}.`);
  }
  const offers: Uint8Array[] = [];
  for (let i = 0; i < count; i += 1) offers.push(input.bytes16(MAX_OFFER_BYTES));
  input.end();
  return { more: more === 1, offers };
}
