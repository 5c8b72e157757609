/**
 * The newest receipts of one payee in a file that may be given to anybody: they are only worth something to its till.
 * A watchtower settles from it while the payee is away.
 *
 *   magic "RLMRECPT"  8     version u8 = 1
 *   program 32              payee's wallet 32       written at u64, milliseconds since 1970
 *   count u16, then for each: slot u16 | generation u32 | delegate 32 | receipt 111
 *   SHA-256 of all before it  32: half a copy is no receipt file
 *
 * Little-endian. The receipts' signatures are not verified here.
 */
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { equalBytes, Reader, utf8, Writer } from '../../core/codec.ts';
import { isRelaymintError, RelaymintError } from '../../core/errors.ts';
import { KEY_BYTES, ledgerAddress, ledgerAddressBytes } from '../../core/ids.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import { MAX_ACCOUNTS } from '../../core/limits.ts';
import { amount, unixMillis } from '../../core/units.ts';
import type { UnixMillis } from '../../core/units.ts';
import { decodeSignedReceipt, SIGNED_RECEIPT_BYTES } from '../receipt/index.ts';
import type { SignedReceipt } from '../receipt/index.ts';

const MAGIC = utf8('RLMRECPT');
const VERSION = 1;
const HEADER_BYTES = MAGIC.length + 1 + 2 * KEY_BYTES + 8 + 2;
const ITEM_BYTES = 2 + 4 + KEY_BYTES + SIGNED_RECEIPT_BYTES;
const DIGEST_BYTES = 32;
/** As many channels as books hold. */
export const MAX_RECEIPT_FILE_BYTES: number = HEADER_BYTES + MAX_ACCOUNTS * ITEM_BYTES + DIGEST_BYTES;

/** A receipt and where it is settled. */
export interface FiledReceipt {
  readonly slot: number;
  readonly generation: number;
  readonly delegate: LedgerAddress;
  readonly receipt: SignedReceipt;
}

export interface ReceiptFile {
  readonly program: LedgerAddress;
  /** Owner of the till. */
  readonly payee: LedgerAddress;
  readonly writtenAt: UnixMillis;
  readonly receipts: readonly FiledReceipt[];
}

/** @throws RangeError for more receipts than books hold. */
export function encodeReceiptFile(file: ReceiptFile): Uint8Array {
  const { program, payee, writtenAt, receipts } = file;
  if (receipts.length > MAX_ACCOUNTS) throw new RangeError(`a receipt file holds at most ${MAX_ACCOUNTS} receipts`);
  const writer = new Writer(HEADER_BYTES + receipts.length * ITEM_BYTES + DIGEST_BYTES)
    .bytes(MAGIC)
    .u8(VERSION)
    .bytes(ledgerAddressBytes(program))
    .bytes(ledgerAddressBytes(payee))
    .u64(amount(writtenAt))
    .u16(receipts.length);
  for (const { slot, generation, delegate, receipt } of receipts) {
    writer.u16(slot).u32(generation).bytes(ledgerAddressBytes(delegate)).bytes(receipt.bytes);
  }
  return writer.bytes(digestOf(writer.finish())).finish();
}

/** @throws RelaymintError INVALID_ENCODING, RECEIPT_INVALID, LIMIT_EXCEEDED; VERSION_UNSUPPORTED for that of a later release. */
export function decodeReceiptFile(encoded: Uint8Array): ReceiptFile {
  if (encoded.length > MAX_RECEIPT_FILE_BYTES) throw tooLong(encoded.length);
  const reader = new Reader(encoded, 'receipt file');
  if (!equalBytes(reader.bytes(Math.min(MAGIC.length, reader.remaining)), MAGIC)) throw malformed('it is none');
  const version = reader.u8();
  if (version !== VERSION) {
    throw new RelaymintError('VERSION_UNSUPPORTED', `The receipt file has version ${version}, not ${VERSION}.`, {
      remedy: 'Use the version of Relaymint that wrote it, or a later one.',
      details: { version },
    });
  }
  const body = encoded.subarray(0, Math.max(encoded.length - DIGEST_BYTES, 0));
  if (!equalBytes(encoded.subarray(body.length), digestOf(body))) throw malformed('it is cut off or damaged');
  const program = ledgerAddress(reader.bytes(KEY_BYTES));
  const payee = ledgerAddress(reader.bytes(KEY_BYTES));
  const writtenAt = millis(reader.u64());
  const count = reader.u16();
  if (reader.remaining !== count * ITEM_BYTES + DIGEST_BYTES) throw malformed(`it does not hold ${count} receipts`);
  const receipts = Array.from({ length: count }, () => ({
    slot: reader.u16(),
    generation: reader.u32(),
    delegate: ledgerAddress(reader.bytes(KEY_BYTES)),
    receipt: decodeSignedReceipt(reader.bytes(SIGNED_RECEIPT_BYTES)),
  }));
  return { program, payee, writtenAt, receipts };
}

/** @throws RelaymintError FILE_NOT_FOUND when it cannot be read, and as `decodeReceiptFile`, naming the file. */
export async function readReceiptFile(file: string): Promise<ReceiptFile> {
  let encoded: Uint8Array;
  try {
    const { size } = await stat(file);
    if (size > MAX_RECEIPT_FILE_BYTES) throw tooLong(size);
    encoded = await readFile(file);
  } catch (cause) {
    if (isRelaymintError(cause)) throw inFile(file, cause);
    throw new RelaymintError('FILE_NOT_FOUND', `The receipt file ${file} cannot be read.`, {
      remedy: 'Check the path and its permissions; a node writes it with --export-receipts.',
      cause,
    });
  }
  try {
    return decodeReceiptFile(encoded);
  } catch (error) {
    throw isRelaymintError(error) ? inFile(file, error) : error;
  }
}

function inFile(file: string, cause: RelaymintError): RelaymintError {
  return new RelaymintError(cause.code, `${file}: ${cause.message}`, { cause, details: cause.details });
}

function tooLong(length: number): RelaymintError {
  return new RelaymintError('LIMIT_EXCEEDED', `A receipt file has at most ${MAX_RECEIPT_FILE_BYTES} bytes.`, {
    remedy: 'Check that it is one.',
    details: { length },
  });
}

function digestOf(body: Uint8Array): Uint8Array {
  return Uint8Array.from(createHash('sha256').update(body).digest());
}

function millis(value: bigint): UnixMillis {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed('its time is not plausible');
  return unixMillis(Number(value));
}

function malformed(detail: string): RelaymintError {
  return new RelaymintError('INVALID_ENCODING', `Malformed receipt file: ${detail}.`, {
    remedy: 'Copy it again from the node that writes it (--export-receipts).',
  });
}
