/** Wallets that sign, and challenges for them. What is signed is put together here a second time: by hand, or by Solana's own libraries. */
import { Buffer } from 'node:buffer';
import { createHash, randomBytes } from 'node:crypto';
import {
  address as kitAddress,
  compileOffchainMessageV0Envelope,
  compileOffchainMessageV1Envelope,
  offchainMessageApplicationDomain,
  offchainMessageContentUtf8Of1232BytesMax,
} from '@solana/kit';
import { PublicKey, TransactionInstruction, TransactionMessage } from '@solana/web3.js';
import bs58 from 'bs58';
import type { LedgerAddress } from '../../../core/ids.ts';
import { ledgerAddressBytes } from '../../../core/ids.ts';
import { isRelaymintError } from '../../../core/errors.ts';
import { unixMillis, type UnixMillis } from '../../../core/units.ts';
import { delegateFromSeed, type Signer } from '../../../ledger/receipt/index.ts';
import { createChallenge, verifySignIn } from '../../../sites/siws/index.ts';
import type { Challenge, ChallengeOptions, SignInAnswer, SignedForm } from '../../../sites/siws/index.ts';
import { HeldClock } from '../../clock.ts';

export const ISSUED: UnixMillis = unixMillis(Date.UTC(2026, 10, 29, 2, 30, 0));
export const SOON: UnixMillis = unixMillis(ISSUED + 60_000);
export const FORMS: readonly SignedForm[] = [
  'raw',
  'offchain-legacy',
  'offchain-v0',
  'offchain-v1',
  'memo-transaction',
];

const MEMO = 'MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr';
const NO_APPLICATION: string = '1'.repeat(32);
const DOMAIN: Buffer = Buffer.from('ff736f6c616e61206f6666636861696e', 'hex');
/** Of the format in the preamble of version 0. */
const FORMAT_AT = 49;

export function wallet(seed: Uint8Array = randomBytes(32)): Signer {
  return delegateFromSeed(seed);
}

export function challengeWith(options: Partial<ChallengeOptions> = {}): Challenge {
  return createChallenge({
    issuer: new URL('http://localhost:8500'),
    client: 'http://demo-web3.localhost:8402',
    chainId: 'localnet',
    requestId: 'V1StGXR8_Z5jdHi6B-myT',
    clock: new HeldClock(ISSUED),
    ...options,
  });
}

export interface MemoOptions {
  /** base58. Default: the hash of the text, as wallets get it. */
  readonly blockhash?: string;
  readonly more?: readonly TransactionInstruction[];
}

/** What a wallet signs of a transaction with the text as its memo, put together by @solana/web3.js. */
export function memoOf(text: string, signer: LedgerAddress, { blockhash, more = [] }: MemoOptions = {}): Uint8Array {
  const payerKey = new PublicKey(signer);
  const hash = createHash('sha256').update(`relaymint:sign-in:v1${text}`).digest();
  const memo = new TransactionInstruction({
    programId: new PublicKey(MEMO),
    keys: [{ pubkey: payerKey, isSigner: true, isWritable: false }],
    data: Buffer.from(text),
  });
  const message = new TransactionMessage({
    payerKey,
    recentBlockhash: blockhash ?? bs58.encode(hash),
    instructions: [memo, ...more],
  }).compileToLegacyMessage();
  return Uint8Array.from(message.serialize());
}

/** That text in one form, put together by Solana's libraries where they can. Several where wallets differ. */
export function wrapped(form: SignedForm, text: string, signer: LedgerAddress): readonly Uint8Array[] {
  return WRAPS[form](text, signer);
}

const WRAPS: Readonly<Record<SignedForm, (text: string, signer: LedgerAddress) => readonly Uint8Array[]>> = {
  raw: (text) => [Buffer.from(text)],
  'offchain-legacy': (text) =>
    [0, 1].map((format) => Buffer.concat([DOMAIN, Buffer.from([0, format]), length(text), Buffer.from(text)])),
  'offchain-v0': (text, signer) => {
    const ours = offchainV0(text, [signer]);
    // Firmwares of Ledger call a text with line ends ASCII.
    return [ours, ours.with(FORMAT_AT, 0)];
  },
  'offchain-v1': (text, signer) => [
    offchainV1(text, [signer]),
    Buffer.concat([DOMAIN, Buffer.from([1, 1]), ledgerAddressBytes(signer), length(text), Buffer.from(text)]),
  ],
  'memo-transaction': (text, signer) => [memoOf(text, signer)],
};

/** By @solana/kit. */
export function offchainV0(
  text: string,
  signers: readonly LedgerAddress[],
  domain: string = NO_APPLICATION,
): Uint8Array {
  const { content } = compileOffchainMessageV0Envelope({
    version: 0,
    applicationDomain: offchainMessageApplicationDomain(domain),
    content: offchainMessageContentUtf8Of1232BytesMax(text),
    requiredSignatories: signers.map((signer) => ({ address: kitAddress(signer) })),
  });
  return Uint8Array.from(content);
}

export function offchainV1(text: string, signers: readonly LedgerAddress[]): Uint8Array {
  const requiredSignatories = signers.map((signer) => ({ address: kitAddress(signer) }));
  return Uint8Array.from(compileOffchainMessageV1Envelope({ version: 1, content: text, requiredSignatories }).content);
}

function length(text: string): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(Buffer.byteLength(text));
  return bytes;
}

/** Whether that answer signs in. @throws what is no refusal */
export function isLetIn(challenge: Challenge, answer: SignInAnswer, now: UnixMillis): boolean {
  try {
    verifySignIn(challenge, answer, now);
    return true;
  } catch (error) {
    if (isRelaymintError(error, 'SIGN_IN_REFUSED')) return false;
    throw error;
  }
}

export function flipped(bytes: Uint8Array, at: number, bit: number): Uint8Array {
  return bytes.with(at, (bytes[at] ?? 0) ^ (1 << bit));
}

export function describeFlip(form: SignedForm, at: number, bit: number): string {
  return `${form}: bit ${bit} of byte ${at}`;
}

/** The one bit that makes of the format that some firmwares write the one that others do. */
export const OTHER_FORMAT: readonly string[] = [
  describeFlip('offchain-legacy', 17, 0),
  describeFlip('offchain-v0', FORMAT_AT, 0),
];
