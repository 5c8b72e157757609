/**
 * All that wallets sign for one message. Each contains the whole text, and with it the address and the nonce. Layouts:
 *
 *   raw               text
 *   offchain-legacy   0xff "solana offchain" | version 0 | format u8 | length u16 LE | text
 *   offchain-v0       0xff "solana offchain" | version 0 | application 32 (zero) | format u8 | signers u8 (1) | signer 32 | length u16 LE | text
 *   offchain-v1       0xff "solana offchain" | version 1 | signers u8 (1) | signer 32 | text; firmwares of before the final text: length u16 LE | text
 *   memo-transaction  a legacy transaction message, below
 *
 * Format 1 is UTF-8, which by its rules every text with line ends is; Ledger's firmwares call it 0, ASCII, as well.
 */
import { createHash } from 'node:crypto';
import { Writer, concatBytes, utf8 } from '../../core/codec.ts';
import { ledgerAddress, ledgerAddressBytes, type LedgerAddress } from '../../core/ids.ts';
import { SIGNATURE_BYTES } from '../../ledger/receipt/index.ts';
import { checkChallenge } from './challenge.ts';
import type { Challenge, SignedBytes } from './contract.ts';
import { textOf } from './message.ts';
import { refusal } from './refusal.ts';

const SIGNING_DOMAIN: Uint8Array = concatBytes(Uint8Array.of(0xff), utf8('solana offchain'));
const NO_APPLICATION: Uint8Array = new Uint8Array(32);
const FORMATS: readonly number[] = [0, 1];
const MEMO_PROGRAM: Uint8Array = ledgerAddressBytes(ledgerAddress('MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr'));
const NO_BLOCK: Uint8Array = utf8('relaymint:sign-in:v1');

/**
 * The exact text that the wallet of that address signs.
 * @throws RelaymintError SIGN_IN_REFUSED when the challenge is none, or the address is not written as wallets write it
 */
export function messageOf(challenge: Challenge, address: string): string {
  checkChallenge(challenge);
  return textOf(challenge, checkedAddress(address));
}

/** All bytes whose signature by that address signs in. A closed set: no other are ever accepted. @throws RelaymintError SIGN_IN_REFUSED, as `messageOf` */
export function formsOf(challenge: Challenge, address: string): readonly SignedBytes[] {
  return formsOfText(messageOf(challenge, address), checkedAddress(address));
}

/** The same of any text of ours that a wallet is asked to sign, which names what it is for. */
export function formsOfText(message: string, address: LedgerAddress): readonly SignedBytes[] {
  const text = utf8(message);
  const signer = ledgerAddressBytes(address);
  const one = Uint8Array.of(1);
  const length = u16(text.length);
  const version = (number: number): Uint8Array => concatBytes(SIGNING_DOMAIN, Uint8Array.of(number));
  return [
    { form: 'raw', bytes: text },
    ...FORMATS.map((format): SignedBytes => ({
      form: 'offchain-legacy',
      bytes: concatBytes(version(0), Uint8Array.of(format), length, text),
    })),
    ...FORMATS.map((format): SignedBytes => ({
      form: 'offchain-v0',
      bytes: concatBytes(version(0), NO_APPLICATION, Uint8Array.of(format), one, signer, length, text),
    })),
    { form: 'offchain-v1', bytes: concatBytes(version(1), one, signer, text) },
    { form: 'offchain-v1', bytes: concatBytes(version(1), one, signer, length, text) },
    { form: 'memo-transaction', bytes: memoMessage(signer, text) },
  ];
}

/**
 * For wallets that sign transactions only: an unsigned legacy transaction as `solana:signTransaction` takes it, one place for a signature
 * in front. Its signature (bytes 1 .. 64 of what comes back) signs in. @throws RelaymintError SIGN_IN_REFUSED, as `messageOf`
 */
export function memoTransaction(challenge: Challenge, address: string): Uint8Array {
  return memoTransactionOf(messageOf(challenge, address), checkedAddress(address));
}

export function memoTransactionOf(message: string, address: LedgerAddress): Uint8Array {
  const memo = memoMessage(ledgerAddressBytes(address), utf8(message));
  return concatBytes(Uint8Array.of(1), new Uint8Array(SIGNATURE_BYTES), memo);
}

/**
 * Signatures 1, of them read-only 0, read-only without signature 1 | accounts 2: signer, memo program | blockhash | instructions 1: program 1,
 * accounts 1: signer, data: text. Lengths are compact. No ledger takes it, ever: the blockhash is a hash of the text, with the nonce in it, so
 * it names no block, and what would need none begins with another instruction.
 */
function memoMessage(signer: Uint8Array, text: Uint8Array): Uint8Array {
  const blockhash = createHash('sha256').update(NO_BLOCK).update(text).digest();
  return concatBytes(
    Uint8Array.of(1, 0, 1, 2),
    signer,
    MEMO_PROGRAM,
    blockhash,
    Uint8Array.of(1, 1, 1, 0),
    compact(text.length),
    text,
  );
}

/** base58 has one text for 32 bytes, and `ledgerAddress` reads no other. @throws RelaymintError SIGN_IN_REFUSED */
export function checkedAddress(text: string): LedgerAddress {
  try {
    return ledgerAddress(text);
  } catch (cause) {
    throw refusal('address', 'That is not the address of a wallet.', { cause });
  }
}

function u16(value: number): Uint8Array {
  return new Writer(2).u16(value).finish();
}

/** Seven bits in each byte, the lowest first; texts here need two bytes at most. */
function compact(length: number): Uint8Array {
  return length < 0x80 ? Uint8Array.of(length) : Uint8Array.of((length & 0x7f) | 0x80, length >> 7);
}
