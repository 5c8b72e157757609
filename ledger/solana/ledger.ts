/** One ledger on a Solana cluster: reads it, and opens wallets on it. */
import type { WalletKey } from './keys.ts';
import type { SolanaLedgerOptions } from './options.ts';
import { SolanaReader } from './reader.ts';
import { Submitter } from './submitter.ts';
import { SolanaWallet } from './wallet.ts';

export class SolanaLedger extends SolanaReader {
  readonly #submitter: Submitter;

  /** @throws RelaymintError INVALID_CONFIG for a bad URL. */
  constructor(options: SolanaLedgerOptions) {
    super(options);
    this.#submitter = new Submitter(this.rpc);
  }

  /** A wallet that signs with this key, which stays with it. Nothing is sent. */
  wallet(key: WalletKey): SolanaWallet {
    return new SolanaWallet(this, this.#submitter, key);
  }

  /** Ends what is under way. Later calls, the wallets' too, are refused with CLOSED. */
  close(): void {
    this.rpc.close();
  }
}
