/**
 * Payments that strangers sign and this wallet pays the fee of, as the scheme `exact` of x402 wants them. Which transactions are payments is
 * for `@x402/svm` to say; what is asked of the chain, and what is sent, goes by this ledger's own connection.
 */
import {
  MINT_SIZE,
  MintLayout,
  TOKEN_PROGRAM_ID,
  createAssociatedTokenAccountIdempotentInstruction,
  getAssociatedTokenAddressSync,
} from '@solana/spl-token';
import { VersionedTransaction } from '@solana/web3.js';
import type { Keypair, TransactionInstruction } from '@solana/web3.js';
import type { ExactSvmScheme } from '@x402/svm/exact/facilitator';
import bs58 from 'bs58';
import { z } from 'zod';
import { equalBytes } from '../../core/codec.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import { ledgerAddress } from '../../core/ids.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import type {
  CheckedPayment,
  LedgerCashier,
  PaymentTerms,
  PreparedTransaction,
  SubmissionStatus,
  TransactionResult,
} from '../contract.ts';
import { walletAddress } from './keys.ts';
import type { SolanaReader } from './reader.ts';
import { toKey } from './states.ts';
import type { Submitter } from './submitter.ts';
import { MAX_PACKET_BYTES } from './transaction-size.ts';

const DEVNET = 'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1';
const PUBLIC_CLUSTERS: readonly string[] = [
  'solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp',
  DEVNET,
  'solana:4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z',
];
/** Who pays, and who pays the fee. */
const SIGNATURES = 2;
/** A transfer with a memo takes 20,000; wallets that add checks of their own take a few times that. */
const MAX_UNITS = 200_000;
/** With the units above, 2,000 lamports at most: less than half of one signature's fee. Clients bid 1. */
const MAX_MICROLAMPORTS_PER_UNIT = 10_000;
const MAX_BASE64 = Math.ceil(MAX_PACKET_BYTES / 3) * 4;
/** How long a blockhash lasts: nothing signed by now lives longer. */
const BLOCKS_AHEAD = 150n;

/** Errors of a transaction whose fee nobody pays: the one who pays it is this side. */
const FEE_LACKS: readonly string[] = ['"AccountNotFound"', '"InsufficientFundsForFee"'];
const simulated = z.object({ value: z.object({ err: z.unknown() }) });

export interface CashierParts {
  readonly ledger: SolanaReader;
  readonly submitter: Submitter;
  readonly key: Keypair;
  readonly run: (instructions: readonly TransactionInstruction[]) => Promise<TransactionResult>;
}

export class SolanaCashier implements LedgerCashier {
  readonly feePayer: LedgerAddress;
  readonly #parts: CashierParts;
  #network: Promise<string> | undefined;

  constructor(parts: CashierParts) {
    this.#parts = parts;
    this.feePayer = walletAddress(parts.key);
  }

  network(): Promise<string> {
    this.#network ??= this.#askNetwork();
    return this.#network;
  }

  async ready(mint: LedgerAddress, payTo: LedgerAddress): Promise<number> {
    const { ledger, key, run } = this.#parts;
    const [asset, owner] = [toKey(mint), toKey(payTo)];
    // A wallet that is no point of the curve is some program's: it may be paid too.
    const account = getAssociatedTokenAddressSync(asset, owner, true);
    const [info, existing] = await ledger.accounts([asset, account]);
    if (info === undefined || !info.owner.equals(TOKEN_PROGRAM_ID) || info.data.length !== MINT_SIZE) {
      throw new RelaymintError('INVALID_CONFIG', `${mint} is no token that can be taken here.`, {
        remedy:
          'Name the mint of a token of the usual token program on this cluster. Token-2022 is not taken: its fees and hooks may keep back a part.',
      });
    }
    if (existing === undefined) {
      await run([createAssociatedTokenAccountIdempotentInstruction(key.publicKey, account, owner, asset)]);
    }
    return MintLayout.decode(info.data).decimals;
  }

  async check(transaction: string, terms: PaymentTerms): Promise<CheckedPayment> {
    const decoded = decode(transaction);
    requireFeeOnly(decoded);
    const network = await this.network();
    const { feePayer } = this;
    const requirements = {
      scheme: 'exact',
      network: network as `${string}:${string}`,
      asset: terms.mint,
      amount: terms.amount.toString(),
      payTo: terms.payTo,
      maxTimeoutSeconds: 60,
      extra: { feePayer, memo: terms.memo },
    };
    // That of the fee's payer: the same for the same payment, whenever it is signed.
    const { signature } = this.#signed(decoded, 0n);
    const { scheme, unanswered } = await this.#openScheme(signature);
    const { isValid, invalidReason, payer } = await scheme.verify(
      { x402Version: 2, accepted: requirements, payload: { transaction } },
      requirements,
    );
    if (unanswered.error !== undefined) throw unanswered.error;
    if (!isValid || payer === undefined) throw invalid(invalidReason ?? 'it could not be verified');
    const height = await this.#parts.ledger.rpc.ask((connection) => connection.getBlockHeight());
    return {
      payer: ledgerAddress(payer),
      transaction: this.#signed(decoded, BigInt(height) + BLOCKS_AHEAD),
    };
  }

  land(transaction: PreparedTransaction, signal?: AbortSignal): Promise<SubmissionStatus> {
    return this.#parts.submitter.land(transaction, signal);
  }

  async #askNetwork(): Promise<string> {
    try {
      const id = `solana:${await this.#parts.ledger.chain()}`;
      return PUBLIC_CLUSTERS.includes(id) ? id : DEVNET;
    } catch (error) {
      this.#network = undefined;
      throw error;
    }
  }

  /**
   * Its own way of settling is not used: that sends before anything could be written down, and remembers what it sent only as long as the
   * process lives. So it gets no way to send.
   */
  async #openScheme(signature: string): Promise<{
    readonly scheme: ExactSvmScheme;
    /** Why the ledger could not be asked: the scheme takes that for a failed payment. */
    readonly unanswered: { readonly error?: RelaymintError };
  }> {
    const { ExactSvmScheme: Scheme } = await import('@x402/svm/exact/facilitator');
    const { feePayer } = this;
    const unanswered: { error?: RelaymintError } = {};
    const refuse = (): Promise<never> => Promise.reject(new TypeError('payments are not settled this way'));
    type Signer = ConstructorParameters<typeof Scheme>[0];
    const signer: Signer = {
      getAddresses: () => [feePayer as string as ReturnType<Signer['getAddresses']>[number]],
      simulateTransaction: async (transaction) => {
        try {
          await this.#simulate(transaction, signature);
        } catch (error) {
          if (isRelaymintError(error)) unanswered.error = error;
          throw error;
        }
      },
      signTransaction: refuse,
      sendTransaction: refuse,
      confirmTransaction: refuse,
    };
    const scheme = new Scheme(signer, undefined, {
      maxRequiredSignatures: SIGNATURES,
      maxComputeUnits: MAX_UNITS,
      maxPriorityFeeMicroLamports: MAX_MICROLAMPORTS_PER_UNIT,
    });
    return { scheme, unanswered };
  }

  /** What the chain has carried out already counts. @throws Error with what the chain said when it would fail. */
  async #simulate(transaction: string, signature: string): Promise<void> {
    const config = { encoding: 'base64', commitment: 'confirmed', sigVerify: false };
    const { value } = await this.#parts.ledger.rpc.call('simulateTransaction', [transaction, config], simulated);
    if (value.err === null || value.err === undefined) return;
    if (await this.#parts.submitter.isDone(signature)) return;
    const failure = JSON.stringify(value.err);
    if (!FEE_LACKS.includes(failure)) throw new Error(failure);
    throw new RelaymintError('INSUFFICIENT_FUNDS', 'The wallet cannot pay the fees of what visitors pay.', {
      remedy: `Send SOL to ${this.feePayer}.`,
    });
  }

  #signed(transaction: VersionedTransaction, lastValidBlockHeight: bigint): PreparedTransaction {
    const { key } = this.#parts;
    transaction.sign([key]);
    const [signature = new Uint8Array()] = transaction.signatures;
    return { signature: bs58.encode(signature), wire: transaction.serialize(), lastValidBlockHeight };
  }
}

/** Only what has one form: two texts must not be one transaction. */
function decode(text: string): VersionedTransaction {
  if (text.length > MAX_BASE64) throw invalid('it is too long for a transaction');
  const wire = Buffer.from(text, 'base64');
  try {
    const transaction = VersionedTransaction.deserialize(wire);
    if (equalBytes(transaction.serialize(), wire) && wire.toString('base64') === text) return transaction;
  } catch (cause) {
    throw invalid('it is no transaction', cause);
  }
  throw invalid('it is no transaction');
}

/**
 * Whoever pays the fee signs, and an instruction that has its account could spend from it: programs that wallets may add instructions of
 * pay rent with any signer. Accounts from look-up tables come after those of the transaction, and cannot be signers.
 */
function requireFeeOnly({ message }: VersionedTransaction): void {
  const touches = message.compiledInstructions.some(
    ({ programIdIndex, accountKeyIndexes }) => programIdIndex === 0 || accountKeyIndexes.includes(0),
  );
  if (touches) throw invalid('an instruction has the account of who pays the fee');
}

function invalid(reason: string, cause?: unknown): RelaymintError {
  return new RelaymintError('PAYMENT_INVALID', `The payment is not good: ${reason}.`, {
    remedy: 'Ask again without a payment, and pay what the answer says.',
    cause,
    details: { reason },
  });
}
