/** Looks at the channel of a payer that says that it burned or deposited more. One look at a time and link, and a pause after each. */
import type { TokenBucket } from '../../core/rate.ts';
import type { EarningAccount } from '../../ledger/accounting/index.ts';
import type { MeteringOptions } from './contract.ts';

/** Time between two look-ups of a channel whose payer says that it burned more, milliseconds. */
const LOOK_PAUSE_MILLIS = 1000;

export class Looks {
  readonly #account: EarningAccount;
  readonly #options: Pick<MeteringOptions, 'book' | 'reader'>;
  readonly #bucket: TokenBucket;
  /** The channel is being looked up, or was a moment ago. */
  #looking = false;
  /** The payer has asked for another look since. */
  #wanted = false;
  #closed = false;

  /** `bucket`: the looks that all links of a node share. */
  constructor(account: EarningAccount, options: Pick<MeteringOptions, 'book' | 'reader'>, bucket: TokenBucket) {
    this.#account = account;
    this.#options = options;
    this.#bucket = bucket;
  }

  again(): void {
    // A newer link carries its channel: one channel on many links would use up the looks that all payers share.
    if (this.#account.closed) return;
    if (this.#looking) {
      this.#wanted = true;
      return;
    }
    this.#looking = true;
    void this.#look().finally(() => {
      setTimeout(() => {
        this.#looking = false;
        if (!this.#wanted || this.#closed) return;
        this.#wanted = false;
        this.again();
      }, LOOK_PAUSE_MILLIS).unref();
    });
  }

  /** The link is gone. */
  close(): void {
    this.#closed = true;
  }

  async #look(): Promise<void> {
    const { id, till, slot } = this.#account.channel;
    const { book, reader } = this.#options;
    if (!this.#bucket.take()) {
      this.#wanted = true;
      return;
    }
    try {
      const channel = await reader.channel(till, slot);
      if (channel?.id === id && !this.#closed) book.update(channel);
    } catch {
      // Of a ledger that cannot be read now the settlement learns the same, with its next look at the till.
    }
  }
}
