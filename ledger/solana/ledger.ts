/** One ledger on a Solana cluster: reads it, and opens wallets on it. */
import type { TransactionResult } from '../contract.ts';
import type { WalletKey } from './keys.ts';
import type { SolanaLedgerOptions } from './options.ts';
import { Preparer } from './preparer.ts';
import { PriorityFees } from './priority.ts';
import { SolanaReader } from './reader.ts';
import { Submitter } from './submitter.ts';
import { TransactionSize } from './transaction-size.ts';
import { SolanaWallet } from './wallet.ts';

export class SolanaLedger extends SolanaReader {
  readonly #preparer: Preparer;
  /** Gets transactions of any instructions on chain. */
  readonly submitter: Submitter;

  /** @throws RelaymintError INVALID_CONFIG for a bad URL. */
  constructor(options: SolanaLedgerOptions) {
    super(options);
    const fees = new PriorityFees(this.rpc, options.maxPriorityFee);
    this.#preparer = new Preparer(this.rpc, fees, new TransactionSize(this.rpc, options));
    this.submitter = new Submitter(this.rpc, this.#preparer, this.program);
  }

  /** A wallet that signs with this key, which stays with it. Nothing is sent. `onTransaction` is called with each one that it confirms. */
  wallet(key: WalletKey, onTransaction?: (result: TransactionResult) => void): SolanaWallet {
    return new SolanaWallet(this, this.#preparer, this.submitter, key, onTransaction);
  }

  /** Ends what is under way. Later calls, the wallets' too, are refused with CLOSED. */
  close(): void {
    this.rpc.close();
  }
}
