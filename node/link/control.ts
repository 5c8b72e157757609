/** The payloads of the link's own control frames. */
import { Reader, Writer, utf8 } from '../../core/codec.ts';
import { RelaymintError, type ErrorCode } from '../../core/errors.ts';
import { shortId, type NodeId } from '../../core/ids.ts';
import { MAX_GOODBYE_BYTES, MAX_OFFER_BYTES } from '../../core/limits.ts';

/** Versions of the frame protocol that this node speaks. */
const MIN_VERSION = 2;
const MAX_VERSION = 2;

/** Position = code on the wire; never reordered. Anything else travels as INTERNAL. */
const GOODBYE_CODES: readonly (ErrorCode | 'OK' | 'DUPLICATE')[] = [
  'OK',
  'DUPLICATE',
  'PROTOCOL_VIOLATION',
  'FRAME_TOO_LONG',
  'FRAME_RATE_EXCEEDED',
  'VERSION_UNSUPPORTED',
  'INVALID_ENCODING',
  'LIMIT_EXCEEDED',
  'TIMEOUT',
  'CLOSED',
  'METER_DISAGREEMENT',
  'WINDOW_EXHAUSTED',
  'RECEIPT_INVALID',
  'RECEIPT_NOT_NEWER',
  'CHANNEL_UNKNOWN',
  'CHANNEL_CLOSING',
  'DEPOSIT_EXHAUSTED',
  'PRICE_TOO_LOW',
  'INTERNAL',
  'GRANT_EXCEEDED',
];
const INTERNAL = GOODBYE_CODES.indexOf('INTERNAL');

/** version low u16 | version high u16 | own signed offer, length u16 (0: none). */
export function encodeHello(offer: Uint8Array | undefined): Uint8Array {
  const own = offer ?? new Uint8Array(0);
  return new Writer(6 + own.length).u16(MIN_VERSION).u16(MAX_VERSION).bytes16(own).finish();
}

/** @returns the encoded offer, if there is one. @throws RelaymintError VERSION_UNSUPPORTED, INVALID_ENCODING. */
export function decodeHello(payload: Uint8Array): Uint8Array | undefined {
  const input = new Reader(payload, 'hello');
  const low = input.u16();
  const high = input.u16();
  if (low > MAX_VERSION || high < MIN_VERSION) {
    throw new RelaymintError(
      'VERSION_UNSUPPORTED',
      `One node speaks link versions ${low} to ${high}, the other ${MIN_VERSION} to ${MAX_VERSION}.`,
      { remedy: 'Update the older node.' },
    );
  }
  // The rest belongs to the version that both speak; a later version may append to it.
  const offer = input.bytes16(MAX_OFFER_BYTES);
  if (high === MAX_VERSION) input.end();
  return offer.length === 0 ? undefined : offer;
}

/** The reason for ending a link, as sent to the other end. */
export type Farewell = 'duplicate' | RelaymintError | undefined;

/** code u8 | text, length u16, at most MAX_GOODBYE_BYTES. An error without a code here is not sent, and neither is its text. */
export function encodeGoodbye(reason: Farewell): Uint8Array {
  const code = reason === undefined ? 'OK' : reason === 'duplicate' ? 'DUPLICATE' : reason.code;
  const index = GOODBYE_CODES.indexOf(code);
  const told = !(reason instanceof RelaymintError) ? '' : index === -1 ? 'it failed.' : reason.message;
  const text = utf8(told.slice(0, MAX_GOODBYE_BYTES));
  const fitted = new TextDecoder().decode(text.subarray(0, MAX_GOODBYE_BYTES)).replace(/\ufffd+$/, '');
  return new Writer(3 + MAX_GOODBYE_BYTES)
    .u8(index === -1 ? INTERNAL : index)
    .string16(fitted)
    .finish();
}

/** @throws RelaymintError INVALID_ENCODING. */
export function decodeGoodbye(payload: Uint8Array, peer: NodeId): Farewell {
  const input = new Reader(payload, 'goodbye');
  const code = GOODBYE_CODES[input.u8()] ?? 'INTERNAL';
  // The peer wrote this text: it must not contain terminal control characters.
  const text = input.string16(MAX_GOODBYE_BYTES).replace(/\p{C}/gu, ' ');
  input.end();
  if (code === 'OK') return undefined;
  if (code === 'DUPLICATE') return 'duplicate';
  return new RelaymintError(code, `Node ${shortId(peer)} closed the link: ${text}`, {
    details: { closedByPeer: true },
  });
}
