/** Wallets that sign, and challenges for them. What is signed is put together here a second time: by hand, or by Solana's own libraries. */
import { Buffer } from 'node:buffer';
import { createHash, randomBytes } from 'node:crypto';
import {
  address as kitAddress,
  compileOffchainMessageV0Envelope,
  compileOffchainMessageV1Envelope,
  offchainMessageApplicationDomain,
  OffchainMessageContentFormat,
} from '@solana/kit';
import { Message, PublicKey, TransactionInstruction, TransactionMessage } from '@solana/web3.js';
import bs58 from 'bs58';
import type { LedgerAddress } from '../../../core/ids.ts';
import { ledgerAddressBytes } from '../../../core/ids.ts';
import { unixMillis, type UnixMillis } from '../../../core/units.ts';
import { delegateFromSeed, type Signer } from '../../../ledger/receipt/index.ts';
import { createChallenge } from '../../../sites/siws/index.ts';
import type { Challenge, ChallengeOptions, SignedForm } from '../../../sites/siws/index.ts';
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
const NO_APPLICATION = '1'.repeat(32);

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
  const message: Message = new TransactionMessage({
    payerKey,
    recentBlockhash: blockhash ?? bs58.encode(hash),
    instructions: [memo, ...more],
  }).compileToLegacyMessage();
  return Uint8Array.from(message.serialize());
}

/** That text in one form, put together by Solana's libraries where they can. Several where wallets differ. */
export function wrapped(form: SignedForm, text: string, signer: LedgerAddress): readonly Uint8Array[] {
  const bytes = Buffer.from(text);
  const requiredSignatories = [{ address: kitAddress(signer) }];
  const length = Buffer.from([bytes.length & 0xff, bytes.length >> 8]);
  const domain = Buffer.from('ff736f6c616e61206f6666636861696e', 'hex');
  switch (form) {
    case 'raw':
      return [bytes];
    case 'offchain-legacy':
      return [0, 1].map((format) => Buffer.concat([domain, Buffer.from([0, format]), length, bytes]));
    case 'offchain-v0': {
      const format = OffchainMessageContentFormat.UTF8_1232_BYTES_MAX;
      const { content } = compileOffchainMessageV0Envelope({
        version: 0,
        applicationDomain: offchainMessageApplicationDomain(NO_APPLICATION),
        content: { format, text } as Parameters<typeof compileOffchainMessageV0Envelope>[0]['content'] & {
          format: typeof format;
        },
        requiredSignatories,
      });
      // Firmwares of Ledger call a text with line ends ASCII.
      const ledger = Uint8Array.from(content);
      ledger[49] = 0;
      return [Uint8Array.from(content), ledger];
    }
    case 'offchain-v1': {
      const { content } = compileOffchainMessageV1Envelope({ version: 1, content: text, requiredSignatories });
      const key = ledgerAddressBytes(signer);
      return [Uint8Array.from(content), Buffer.concat([domain, Buffer.from([1, 1]), key, length, bytes])];
    }
    case 'memo-transaction':
      return [memoOf(text, signer)];
  }
}
