/** The accounts of one node: opens them, remembers them from one link to the next, and keeps them in the books. */
import { elapsed } from '../../core/abort.ts';
import { backoff, type Backoff } from '../../core/backoff.ts';
import { isRelaymintError, RelaymintError } from '../../core/errors.ts';
import type { ChannelId, LedgerAddress } from '../../core/ids.ts';
import { silentLog } from '../../core/ports.ts';
import type { Log } from '../../core/ports.ts';
import type { Amount } from '../../core/units.ts';
import type { ChannelState, LedgerReader } from '../contract.ts';
import type {
  AccountBook,
  BookOptions,
  EarningAccount,
  OpenEarning,
  OpenSpending,
  PairCounts,
  ReceiptSink,
  SpendingAccount,
} from './contract.ts';
import { Earning } from './earning.ts';
import { channelClosing } from './refusal.ts';
import { Spending } from './spending.ts';
import type { BookStore } from './store.ts';
import { windowFor } from './window.ts';

/** How long to wait before the ledger is asked for a deposit again. */
const REFRESHES: Backoff = { first: 500, last: 30_000 };

export function openAccountBook(options: BookOptions): AccountBook {
  return new Book(options);
}

class Book implements AccountBook {
  onLow: (channel: ChannelState, left: Amount) => void = () => {};
  onOutgrown: (channel: ChannelState, paid: Amount) => void = () => {};
  isPromised: (payer: LedgerAddress) => boolean = () => false;
  readonly #store: BookStore;
  readonly #reader: Pick<LedgerReader, 'channel'>;
  readonly #log: Log;
  /** The last account of each channel, live or ended: bounded by the books' own entries. */
  readonly #spending = new Map<ChannelId, Spending>();
  readonly #earning = new Map<ChannelId, Earning>();
  readonly #refreshing = new Map<ChannelId, Promise<void>>();
  readonly #stop = new AbortController();

  constructor(options: BookOptions) {
    this.#store = options.store;
    this.#reader = options.reader;
    this.#log = options.log ?? silentLog;
    this.#store.users = {
      isLive: (id) => this.#spending.get(id)?.closed === false || this.#earning.get(id)?.closed === false,
      isPromised: (payer) => this.isPromised(payer),
      forgotten: (id) => {
        this.#spending.delete(id);
        this.#earning.delete(id);
      },
    };
  }

  openSpending({ peer, channel, delegate, terms }: OpenSpending, sink: ReceiptSink): SpendingAccount {
    this.#ensureUsable(channel);
    if (delegate.address !== channel.delegate) {
      throw new RelaymintError('INVALID_ARGUMENT', `Channel ${channel.id} names ${channel.delegate} as its delegate.`, {
        remedy: 'Use the key that the channel was opened with.',
      });
    }
    const before = this.#spending.get(channel.id);
    before?.close();
    const entry = this.#store.enter('payer', peer, channel);
    const account = new Spending({
      peer,
      channel: entry.channel,
      delegate,
      terms,
      given: entry.latest,
      before,
      exposed: entry.owed,
      sink,
      keep: (receipt) => this.#store.give(receipt),
      expose: (debt) => this.#store.setOwed(channel.id, debt),
      onLow: (low, left) => this.onLow(low, left),
      onOutgrown: (outgrown, paid) => this.onOutgrown(outgrown, paid),
    });
    this.#spending.set(channel.id, account);
    return account;
  }

  lowAgain(id: ChannelId): void {
    this.#spending.get(id)?.lowAgain();
  }

  openEarning({ peer, channel, price, nets = false }: OpenEarning): EarningAccount {
    this.#ensureUsable(channel);
    this.#store.ensureWritable();
    const before = this.#earning.get(channel.id);
    before?.close();
    const entry = this.#store.enter('payee', peer, channel);
    const { payer } = entry.channel;
    const windowAt = (now: ChannelState, paid: bigint, madeGood: bigint): Amount =>
      windowFor(now, { paid, arrears: this.#store.arrearsOf(payer) - madeGood, price });
    const account = new Earning({
      peer,
      channel: entry.channel,
      held: entry.latest,
      before,
      owed: entry.owed,
      windowAt,
      nets,
      hold: (receipt, madeGood, earned, written) => this.#store.hold(receipt, madeGood, earned, written),
      leaveUnpaid: (unpaid) => this.#store.leaveUnpaid(channel.id, unpaid),
      lose: (lost) => this.#store.lose(payer, lost),
      refresh: () => this.#refresh(channel.id),
      flushed: () => this.#store.flushed(),
    });
    this.#earning.set(channel.id, account);
    return account;
  }

  update(channel: ChannelState): void {
    this.#store.update(channel);
    const known = this.#store.entry(channel.id)?.channel;
    if (known === undefined) return;
    this.#spending.get(channel.id)?.update(known);
    this.#earning.get(channel.id)?.update(known);
  }

  forget(channel: ChannelState): void {
    this.#spending.get(channel.id)?.close();
    this.#spending.delete(channel.id);
    const account = this.#earning.get(channel.id);
    if (account?.closed === false) {
      account.close();
      account.onFault(channelClosing(account.peer, channel));
    }
    this.#earning.delete(channel.id);
    this.#store.forget(channel.id);
  }

  advancedTo(payer: LedgerAddress): bigint {
    return this.#store.advancedTo(payer);
  }

  async advance(payer: LedgerAddress, units: Amount): Promise<void> {
    await this.#store.advance(payer, units);
  }

  recoup(payer: LedgerAddress, units: Amount): void {
    this.#store.recoup(payer, units);
  }

  openedFor(id: ChannelId, payer: LedgerAddress, units: Amount): void {
    this.#store.openedFor(id, payer, units);
  }

  peers(): readonly PairCounts[] {
    return Array.from(this.#store.entries(), (entry) => {
      const { role, peer, channel, latest } = entry;
      const account = role === 'payer' ? this.#spending.get(channel.id) : this.#earning.get(channel.id);
      const counts = account?.counts() ?? {
        up: latest?.up ?? channel.settledUp,
        down: latest?.down ?? channel.settledDown,
        due: latest?.amount ?? channel.settled,
        signed: latest?.amount ?? channel.settled,
      };
      return { role, peer, channel, live: account?.closed === false, ...counts };
    });
  }

  async close(): Promise<void> {
    this.#stop.abort();
    for (const account of this.#spending.values()) account.close();
    for (const account of this.#earning.values()) account.close();
    await Promise.all(this.#refreshing.values());
    await this.#store.flushed();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #ensureUsable(channel: ChannelState): void {
    if (this.#stop.signal.aborted) throw new RelaymintError('CLOSED', 'The account book was closed.');
    if (channel.closeAt === undefined) return;
    throw new RelaymintError('CHANNEL_CLOSING', `Channel ${channel.id} is being closed by its payer.`, {
      remedy: 'Open a new channel.',
    });
  }

  #refresh(id: ChannelId): void {
    if (this.#refreshing.has(id) || this.#stop.signal.aborted) return;
    const asking = this.#askForDeposit(id).finally(() => this.#refreshing.delete(id));
    this.#refreshing.set(id, asking);
  }

  /** Asks the ledger until the account has what it waits for, or is closed. */
  async #askForDeposit(id: ChannelId): Promise<void> {
    for (let asked = 1; ; asked += 1) {
      const account = this.#earning.get(id);
      if (account === undefined) return;
      try {
        const channel = await this.#reader.channel(account.channel.till, account.channel.slot);
        if (channel !== undefined && channel.id === id && !this.#stop.signal.aborted) this.update(channel);
      } catch (error) {
        if (isRelaymintError(error, 'CLOSED')) return;
        this.#log.warn({ channel: id, err: error }, 'cannot read a channel from the ledger; trying again');
      }
      if (this.#earning.get(id)?.wantsDeposit !== true) return;
      if (!(await elapsed(backoff(asked, REFRESHES), this.#stop.signal, { unref: true }))) return;
    }
  }
}
