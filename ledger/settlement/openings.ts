/** Returns to payers that close their channels what they staked for their windows, less what they left unpaid. */
import type { ChannelId, LedgerAddress } from '../../core/ids.ts';
import { RETURN_FEE_PARTS, RETURNS_PER_TRANSACTION } from '../../core/limits.ts';
import type { Log } from '../../core/ports.ts';
import { amount, formatCredits, U64_MAX } from '../../core/units.ts';
import type { Amount, UnixMillis } from '../../core/units.ts';
import type { BookStore } from '../accounting/index.ts';
import type { ChannelState, LedgerReader, LedgerWallet, OpeningReturn, SettleFees } from '../contract.ts';

/** The till is checked at least this often in a challenge period. */
const ENDING_PARTS = 4n;

export interface OpeningsOptions {
  readonly store: Pick<BookStore, 'arrearsOf' | 'advancedTo' | 'users' | 'update'>;
  readonly wallet: Pick<LedgerWallet, 'address' | 'returnOpenings' | 'returnFee'>;
  readonly reader: Pick<LedgerReader, 'till'>;
  readonly log: Log;
}

/** What a transaction costs, lamports, what the bank's price of one is, and how long payers wait. */
export interface ReturnTerms extends Pick<SettleFees, 'fee'> {
  readonly unitsPerLamport: bigint;
  readonly challengeSeconds: bigint;
  readonly now: UnixMillis;
}

/** What a payer left unpaid, and what was burned for its circuits and has not come back. */
export function debtOf(payer: LedgerAddress, store: Pick<BookStore, 'arrearsOf' | 'advancedTo'>): Amount {
  return amount(store.arrearsOf(payer) + store.advancedTo(payer));
}

/** How much of its opening payment a payer gets back: all of it if it owes nothing. */
export function returnableOf({ opening }: Pick<ChannelState, 'opening'>, debt: Amount): Amount {
  return amount(opening > debt ? opening - debt : 0n);
}

export class Openings {
  readonly #options: OpeningsOptions;
  /** What is still held where something was returned: a look at the ledger that is older than that shows more. */
  readonly #held = new Map<ChannelId, bigint>();

  constructor(options: OpeningsOptions) {
    this.#options = options;
  }

  /**
   * Returns what can be, of all channels of the till that hold an opening payment and whose payers asked to close them. Where
   * their payers do not pay for that (see `returnFee`), it waits for company that does, or until it costs a small part of what
   * these channels earned. A failed transaction does not stop the others.
   * @throws what `LedgerWallet.returnOpenings` threw first, and what `LedgerReader.till` throws.
   */
  async giveBack(closing: readonly ChannelState[], terms: ReturnTerms): Promise<void> {
    const { reader, wallet } = this.#options;
    const ids = new Set(closing.map(({ id }) => id));
    for (const id of Array.from(this.#held.keys())) if (!ids.has(id)) this.#held.delete(id);
    const due = this.#due(closing, terms);
    let present: ReadonlyMap<ChannelId, ChannelState> | undefined;
    let failed: unknown;
    for (let from = 0; from < due.length; from += RETURNS_PER_TRANSACTION) {
      const batch = due.slice(from, from + RETURNS_PER_TRANSACTION);
      if (!this.#isWorth(batch, terms)) continue;
      // A look is of what is final: since then one of them may have been closed, or returned to just before we died.
      present ??= new Map((await reader.till(wallet.address))?.channels.map((channel) => [channel.id, channel]));
      const found = batch.flatMap(({ channel }) => present?.get(channel.id) ?? []);
      const returns = this.#due(found, terms);
      if (returns.length === 0 || !this.#isWorth(returns, terms)) continue;
      try {
        await this.#send(returns);
      } catch (error) {
        failed ??= error;
      }
    }
    if (failed !== undefined) throw failed;
  }

  /** What is to be returned now, of these channels. */
  #due(channels: readonly ChannelState[], { now, challengeSeconds }: ReturnTerms): OpeningReturn[] {
    const { store } = this.#options;
    const due: OpeningReturn[] = [];
    for (const channel of channels) {
      if (channel.opening > (this.#held.get(channel.id) ?? U64_MAX)) continue;
      // While a link still pays for it, or what was granted onward may still come, nobody knows what will be left unpaid.
      if (store.users.isLive(channel.id) || store.users.isPromised(channel.payer)) continue;
      if (store.advancedTo(channel.payer) > 0n && !isEnding(channel, now, challengeSeconds)) continue;
      const returned = returnableOf(channel, debtOf(channel.payer, store));
      // A part once, then the rest or nothing: otherwise what comes back in small parts would cost a transaction for each.
      if (this.#held.has(channel.id) && returned < channel.opening) continue;
      if (returned > 0n) due.push({ channel, returned });
    }
    return due;
  }

  #isWorth(returns: readonly OpeningReturn[], { fee, unitsPerLamport }: ReturnTerms): boolean {
    const { wallet } = this.#options;
    const fees = returns.reduce((sum, one) => sum + wallet.returnFee(one, unitsPerLamport), 0n);
    const brought = returns.reduce((sum, { channel }) => sum + channel.settled, 0n);
    return (fee.first - fees) * unitsPerLamport * RETURN_FEE_PARTS <= brought;
  }

  async #send(returns: readonly OpeningReturn[]): Promise<void> {
    const { store, wallet, log } = this.#options;
    await wallet.returnOpenings(returns);
    for (const { channel, returned } of returns) {
      const [opening, deposit] = [amount(channel.opening - returned), amount(channel.deposit + returned)];
      this.#held.set(channel.id, opening);
      // At once: should it be closed before the next look, the books must not take for kept what was returned.
      store.update({ ...channel, opening, deposit });
    }
    const credits = returns.reduce((sum, { returned }) => sum + returned, 0n);
    log.info(
      { channels: returns.length, credits: formatCredits(amount(credits)) },
      'returned opening payments to payers that close their channels',
    );
  }
}

/** The last part of the challenge period, in which what was advanced for a payer is not waited for any longer. */
function isEnding({ closeAt }: Pick<ChannelState, 'closeAt'>, now: UnixMillis, challengeSeconds: bigint): boolean {
  if (closeAt === undefined) return false;
  return BigInt(now) * ENDING_PARTS >= (closeAt * ENDING_PARTS - challengeSeconds) * 1000n;
}
