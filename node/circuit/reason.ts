/** Why a circuit or a stream ended: the byte on the wire, its word, and the error that the application sees. */
import { Reader, Writer, utf8 } from '../../core/codec.ts';
import { RelaymintError } from '../../core/errors.ts';
import { printable } from '../../core/printable.ts';
import type { ErrorCode } from '../../core/errors.ts';

/** DESTROY's first byte. Never renumbered. */
export const DestroyReason = {
  FINISHED: 0,
  REFUSED: 1,
  PRICE: 2,
  UNPAID: 3,
  TAMPERED: 4,
  PROTOCOL: 5,
  RESOURCE: 6,
  UNREACHABLE: 7,
  TIMEOUT: 8,
  LINK_LOST: 9,
  SHUTDOWN: 10,
  SETUP: 11,
} as const;
export type DestroyReason = (typeof DestroyReason)[keyof typeof DestroyReason];

const WORDS = Object.keys(DestroyReason);
const REMEDIES: readonly string[] = [
  'Build another circuit.',
  'Choose a node that offers the service.',
  'Fetch the current offers and pay the price they state.',
  'Check the channel to the first hop: its deposit, and that receipts are signed.',
  'Build another circuit without the nodes of this one.',
  'The nodes may run different versions; build another circuit.',
  'The node is busy: try another, or later.',
  'Choose another node: the next one did not answer or could not be paid.',
  'Build another circuit: a hop no longer answers.',
  'Build another circuit: a connection between two hops was lost.',
  'Build another circuit: a hop is stopping.',
  'Choose another path: the hop opens no further channel for this payer yet.',
];

/** Why a circuit ended, as DESTROY carries it. */
export interface Ending {
  readonly reason: DestroyReason;
  /** For people; at most 100 bytes of UTF-8 travel. */
  readonly text: string;
}

const MAX_TEXT_BYTES = 100;

export function ending(reason: DestroyReason, text: string): Ending {
  return { reason, text };
}

/** The word of a reason: 'TAMPERED'. */
export function reasonWord(reason: DestroyReason): string {
  return WORDS[reason] ?? 'PROTOCOL';
}

/** reason u8 | text */
export function encodeEnding(value: Ending): Uint8Array {
  return new Writer(1 + MAX_TEXT_BYTES).u8(value.reason).bytes(shortened(value.text)).finish();
}

/** An unknown reason is read as PROTOCOL. @throws RelaymintError INVALID_ENCODING when empty or too long. */
export function decodeEnding(payload: Uint8Array): Ending {
  const reader = new Reader(payload, 'DESTROY');
  const byte = reader.u8();
  const text = readText(reader, 'DESTROY');
  return { reason: byte < WORDS.length ? (byte as DestroyReason) : DestroyReason.PROTOCOL, text };
}

/** The error of a circuit that ended this way. */
export function endingError(value: Ending): RelaymintError {
  const code: ErrorCode = value.reason === DestroyReason.TAMPERED ? 'CIRCUIT_TAMPERED' : 'CIRCUIT_DESTROYED';
  const word = reasonWord(value.reason);
  return new RelaymintError(
    code,
    `The circuit was destroyed (${word}): ${value.text === '' ? 'no details' : value.text}.`,
    {
      remedy: REMEDIES[value.reason] ?? 'Build another circuit.',
      details: { reason: word, text: value.text },
    },
  );
}

/** END's first byte. FINISHED closes one direction; all others end the stream. Never renumbered. */
export const EndReason = { FINISHED: 0, ABORTED: 1, REFUSED: 2, PRICE: 3, LIMIT: 4, FAILED: 5 } as const;
export type EndReason = (typeof EndReason)[keyof typeof EndReason];
const END_WORDS = Object.keys(EndReason);

/** reason u8 | text */
export function encodeEnd(reason: EndReason, text: string): Uint8Array {
  return new Writer(1 + MAX_TEXT_BYTES).u8(reason).bytes(shortened(text)).finish();
}

/** @throws RelaymintError INVALID_ENCODING. */
export function decodeEnd(data: Uint8Array): { readonly reason: number; readonly text: string } {
  const reader = new Reader(data, 'END');
  return { reason: reader.u8(), text: readText(reader, 'END') };
}

/** The error of a stream that the other end ended: STREAM_REFUSED before it was connected, STREAM_RESET after. */
export function endError(reason: number, text: string, connected: boolean): RelaymintError {
  const word = END_WORDS[reason] ?? 'FAILED';
  return new RelaymintError(
    connected ? 'STREAM_RESET' : 'STREAM_REFUSED',
    `The other end ${connected ? 'ended' : 'refused'} the stream (${word})${text === '' ? '' : `: ${text}`}.`,
    {
      remedy: connected ? 'Open it again.' : 'Ask a node that offers this service, at its price.',
      details: { reason: word },
    },
  );
}

function readText(reader: Reader, what: string): string {
  if (reader.remaining > MAX_TEXT_BYTES) {
    throw new RelaymintError('INVALID_ENCODING', `Malformed ${what}: a text of ${reader.remaining} bytes.`);
  }
  // Peers' text ends up in logs and terminals: no control characters.
  return printable(Buffer.from(reader.rest()).toString('utf8'));
}

function shortened(text: string): Uint8Array {
  const raw = utf8(text);
  if (raw.length <= MAX_TEXT_BYTES) return raw;
  let end = MAX_TEXT_BYTES;
  while (((raw[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return raw.subarray(0, end);
}
