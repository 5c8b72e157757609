/**
 * The channels through which this node pays its neighbours: finds or opens them, keeps their deposits filled and closes those
 * that it no longer uses. All that goes into a channel is taken out of the budget first. Our own channels are known from the
 * books; the chain is asked for one slot of them, or for the till of the one whom we are about to pay.
 */
import { LRUCache } from 'lru-cache';
import { RelaymintError, isRelaymintError, type ErrorCode } from '../../core/errors.ts';
import { shortId, type ChannelId, type LedgerAddress, type NodeId } from '../../core/ids.ts';
import { MAX_ACCOUNTS } from '../../core/limits.ts';
import type { Log } from '../../core/ports.ts';
import { addAmounts, amount, formatCredits, type Amount } from '../../core/units.ts';
import type { BookStore } from '../../ledger/accounting/index.ts';
import type { Budget } from '../../ledger/budget/index.ts';
import type { ChannelState, LedgerReader, LedgerWallet, TillState } from '../../ledger/contract.ts';
import type { Signer } from '../../ledger/receipt/index.ts';
import type { ChannelProvider, Sponsor } from '../../node/meter/index.ts';
import { closeChannels, millisLeft, type ClosedChannels } from '../../ledger/channel/index.ts';

export interface ChannelsOptions {
  readonly reader: Pick<LedgerReader, 'bank' | 'till' | 'channel' | 'channels'>;
  readonly wallet: LedgerWallet;
  readonly delegate: Signer;
  readonly store: Pick<BookStore, 'entries' | 'enter'>;
  readonly budget: Pick<Budget, 'reserve'>;
  /** What a new channel holds, and what a top-up adds. */
  readonly deposit: Amount;
  /** The least stake of a new channel, if its till asks less. The window is as wide as the stake. */
  readonly opening: Amount;
  /** The most that is staked for a channel at its opening. */
  readonly maxOpening: Amount;
  /** The same in all, with what is added for wider windows. */
  readonly maxWidened: Amount;
  /** Limit of all stakes for wider windows since the start, if others may make us pay; absent: only `maxWidened` for each. */
  readonly mayWiden?: () => bigint;
  /** The channels that links use now. */
  readonly live: () => ReadonlySet<ChannelId>;
  /** Tells the books what the ledger shows of a channel. */
  readonly update: (channel: ChannelState) => void;
  /** A channel from which nothing was paid for this long is closed, milliseconds; undefined: never. */
  readonly idleMillis: number | undefined;
  /** A clock that only goes forward, milliseconds. Default: performance.now. */
  readonly now?: () => number;
  readonly log: Log;
}

/** How long a payee that was away for the whole challenge period has to return the opening payment of an idle channel: a day. */
const IDLE_GRACE_SECONDS = 86_400n;
/** How long a till's state is reused: from asking what a channel costs to opening it. */
const TILL_MILLIS = 5_000;
/** How long a transaction's cost is used before it is asked for again, and for how long at most while no answer comes. */
const FEE_MILLIS = 30_000;
const FEE_MILLIS_MAX = 86_400_000;
/** Windows that a widened channel holds: twice the least that a window takes, so that it is not topped up at once. */
const DEPOSIT_WINDOWS = 8n;
/** Channels closed in one sweep, each for the fees of two transactions. */
const CLOSED_AT_ONCE = 8;
/** Errors after which certainly nothing was burned: the wallet found them, or the ledger refused. After any other error it is unknown. */
const NOTHING_BURNED: readonly ErrorCode[] = [
  'LIMIT_EXCEEDED',
  'INSUFFICIENT_FUNDS',
  'INVALID_ARGUMENT',
  'CHANNEL_CLOSING',
  'PROGRAM_ERROR',
];

export class Channels implements ChannelProvider {
  readonly #options: ChannelsOptions;
  readonly #now: () => number;
  /** By payee, while one is looked for or opened: concurrent circuits share it. */
  readonly #finding = new Map<LedgerAddress, Promise<ChannelState>>();
  /** By payee, while the close of one is requested. */
  readonly #closingOf = new Map<LedgerAddress, Promise<void>>();
  /** When a channel was last seen to pay, or asked for. */
  readonly #used = new Map<ChannelId, { signed: bigint; at: number }>();
  /** Closed channels that the books still remember. */
  readonly #gone = new Set<ChannelId>();
  readonly #tills = new LRUCache<LedgerAddress, Promise<TillState>>({ max: MAX_ACCOUNTS, ttl: TILL_MILLIS });
  /** What a transaction costs, base units. */
  #fee: { readonly units: bigint; readonly at: number } | undefined;
  #askingFee: Promise<bigint> | undefined;
  #unitsPerLamport: bigint | undefined;
  /** Burned for wider windows since the start. */
  #widened = 0n;
  #closing = false;

  constructor(options: ChannelsOptions) {
    this.#options = options;
    this.#now = options.now ?? ((): number => performance.now());
  }

  known(payee: LedgerAddress): boolean {
    return !this.#closing && this.#ofBooks(payee).length > 0;
  }

  async openingCost(payee: LedgerAddress): Promise<Amount> {
    if (this.known(payee)) return amount(0n);
    const [till, fee] = await Promise.all([this.#tillOf(payee), this.#feeUnits()]);
    return amount(till.opening + fee);
  }

  async channelTo(
    payee: LedgerAddress,
    peer: NodeId,
    sponsor?: Pick<Sponsor, 'advance'>,
  ): Promise<{ channel: ChannelState; delegate: Signer }> {
    for (;;) {
      if (this.#closing) throw closing();
      await this.#closingOf.get(payee);
      const shared = this.#finding.get(payee);
      try {
        const channel = await (shared ?? this.#find(payee, peer, sponsor));
        this.#touch(channel.id);
        return { channel, delegate: this.#options.delegate };
      } catch (error) {
        // Another payer's allowance was too small for it: ours may be large enough.
        if (shared === undefined || !isRelaymintError(error, 'ALLOWANCE_EXHAUSTED')) throw error;
      }
    }
  }

  /**
   * Adds a deposit's worth to a channel that runs low, and resolves with the channel as it is then. The ledger is read first: an
   * earlier top-up may have succeeded although it failed to say so.
   */
  async topUp(channel: ChannelState): Promise<ChannelState> {
    const { wallet, reader, deposit, log } = this.#options;
    const before = await reader.channel(channel.till, channel.slot);
    if (isToppedUp(before, channel)) return before;
    await this.#spend(channel.payee, deposit, () => wallet.topUp(channel, deposit));
    log.info({ channel: channel.id, amount: deposit.toString() }, 'topped up a channel');
    const after = await reader.channel(channel.till, channel.slot).catch(() => undefined);
    return isToppedUp(after, channel) ? after : { ...channel, deposit: addAmounts(channel.deposit, deposit) };
  }

  /** Asks what a transaction costs before the first circuit of others has to wait for the answer. */
  warm(): void {
    this.#feeUnits().catch(() => {
      // It is asked again when it is needed, and whoever needs it is told.
    });
  }

  /** We are about to pay that wallet: looks up what that needs. */
  expect(payee: LedgerAddress): void {
    if (this.known(payee)) return;
    // The caller that opens the channel gets the error.
    this.openingCost(payee).catch(() => {});
  }

  /**
   * Doubles what is staked for a channel, within `maxWidened` and `mayWiden`, and deposits what a window as wide takes.
   */
  async widen(channel: ChannelState, paid: Amount): Promise<ChannelState | undefined> {
    const { wallet, reader, maxWidened, mayWiden, log } = this.#options;
    const opening = least(2n * channel.opening, maxWidened);
    const more = opening - channel.opening;
    if (more <= 0n || this.#widened + more > (mayWiden?.() ?? this.#widened + more)) return undefined;
    const missing = opening * DEPOSIT_WINDOWS - (channel.deposit - paid);
    const deposit = amount(missing > 0n ? missing : 0n);
    // Before anything is awaited, or several channels that are outgrown at the same time would all be within what may be staked.
    this.#widened += more;
    try {
      await this.#spend(channel.payee, amount(deposit + more), () => wallet.topUp(channel, deposit, amount(more)));
    } catch (error) {
      if (isRelaymintError(error, 'BUDGET_EXHAUSTED', ...NOTHING_BURNED)) this.#widened -= more;
      throw error;
    }
    log.info({ channel: channel.id, burned: more.toString() }, 'widened the window of a channel');
    return reader.channel(channel.till, channel.slot);
  }

  /**
   * Closes every channel that this wallet pays: requests it, waits for the challenge period (within which the payee
   * settles what it holds), and takes back what is left.
   */
  async closeAll(signal: AbortSignal): Promise<ClosedChannels> {
    this.#closing = true;
    // Channels that are being opened are closed as well.
    await Promise.allSettled(this.#finding.values());
    const { reader, wallet, update: onSeen } = this.#options;
    return closeChannels(await this.#onChain(this.#ours()), { reader, wallet, signal, onSeen });
  }

  /**
   * Asks to close the channels that have been idle, and closes those whose challenge period is over; a few at a time of both, so that
   * payees which return nothing do not keep others from being closed. One that a link uses stays. Idle time is counted from when
   * this node last paid from a channel or, at the longest, from its start.
   */
  async closeIdle(): Promise<void> {
    const { idleMillis, live, reader, wallet, update: onSeen, log } = this.#options;
    if (idleMillis === undefined || this.#closing) return;
    const used = live();
    const unused = this.#ours().filter(({ id }) => !used.has(id));
    const idle = unused.filter(({ id, closeAt }) => closeAt === undefined && this.#idleFor(id) >= idleMillis);
    const asked = unused.filter(({ closeAt }) => closeAt !== undefined);
    let closes = 0;
    for (const channel of await this.#onChain([...asked, ...idle.slice(0, CLOSED_AT_ONCE)])) {
      if (this.#closing) return;
      if (channel.closeAt === undefined) {
        await this.#requestClose(channel);
        continue;
      }
      onSeen(channel);
      if (closes === CLOSED_AT_ONCE || millisLeft(channel, IDLE_GRACE_SECONDS) > 0) continue;
      closes += 1;
      const { signal } = new AbortController();
      const { closed, returned } = await closeChannels([channel], {
        reader,
        wallet,
        patienceSeconds: 0n,
        graceSeconds: IDLE_GRACE_SECONDS,
        onSeen,
        signal,
      });
      if (closed === 0) continue;
      this.#gone.add(channel.id);
      log.info({ channel: channel.id, returned: returned.toString() }, 'closed an idle channel');
    }
  }

  /** Notes which channels paid something since the last call. Call it regularly: idle time is counted from it. */
  watch(): void {
    const seen = new Set<ChannelId>();
    for (const { role, channel, latest } of this.#options.store.entries()) {
      if (role !== 'payer' || this.#gone.has(channel.id)) continue;
      seen.add(channel.id);
      const signed = latest?.amount ?? channel.settled;
      if (this.#used.get(channel.id)?.signed !== signed) this.#used.set(channel.id, { signed, at: this.#now() });
    }
    for (const id of this.#used.keys()) if (!seen.has(id)) this.#used.delete(id);
  }

  async #requestClose(channel: ChannelState): Promise<void> {
    const { idleMillis = 0, live, reader, wallet, update, log } = this.#options;
    // A circuit may have asked for it meanwhile; later callers wait until it is clear that it is closing.
    if (this.#idleFor(channel.id) < idleMillis || this.#finding.has(channel.payee) || live().has(channel.id)) return;
    const request = async (): Promise<void> => {
      await wallet.requestClose(channel);
      update((await reader.channel(channel.till, channel.slot)) ?? channel);
      log.info({ channel: channel.id }, 'asked to close an idle channel');
    };
    const done = request();
    // Those who wait for it only need to know that it is over.
    this.#closingOf.set(
      channel.payee,
      done.catch(() => {}),
    );
    await done.finally(() => this.#closingOf.delete(channel.payee));
  }

  /** Milliseconds since it was last seen to pay, or asked for; 0 for one that was never looked at. */
  #idleFor(id: ChannelId): number {
    const used = this.#used.get(id);
    return used === undefined ? 0 : this.#now() - used.at;
  }

  #touch(id: ChannelId): void {
    this.#used.set(id, { signed: this.#used.get(id)?.signed ?? -1n, at: this.#now() });
  }

  /** Channels that this wallet pays, as the books remember them. */
  #ours(): ChannelState[] {
    const ours: ChannelState[] = [];
    for (const { role, channel } of this.#options.store.entries()) {
      if (role === 'payer' && channel.payer === this.#options.wallet.address && !this.#gone.has(channel.id)) {
        ours.push(channel);
      }
    }
    return ours;
  }

  /** Those from which this payee can be paid without more being staked. */
  #ofBooks(payee: LedgerAddress): ChannelState[] {
    const { store, wallet } = this.#options;
    const found: ChannelState[] = [];
    for (const { role, channel, latest } of store.entries()) {
      if (role !== 'payer' || channel.payee !== payee || channel.payer !== wallet.address) continue;
      const signed = latest?.amount ?? channel.settled;
      if (this.#isUsable(channel) && signed < channel.deposit && !this.#gone.has(channel.id)) found.push(channel);
    }
    return found;
  }

  #isUsable(channel: ChannelState): boolean {
    return channel.delegate === this.#options.delegate.address && channel.closeAt === undefined;
  }

  /** As the chain shows them now. Those that are over are not asked for again. */
  async #onChain(channels: readonly ChannelState[]): Promise<ChannelState[]> {
    const found = await this.#options.reader.channels(channels);
    return channels.flatMap(({ id }, index) => {
      const now = found[index];
      if (now?.id === id) return [now];
      // If that is wrong, the till itself shows the channel when it is needed.
      this.#gone.add(id);
      return [];
    });
  }

  #find(payee: LedgerAddress, peer: NodeId, sponsor: Pick<Sponsor, 'advance'> | undefined): Promise<ChannelState> {
    const finding = this.#findOrOpen(payee, peer, sponsor).finally(() => this.#finding.delete(payee));
    this.#finding.set(payee, finding);
    return finding;
  }

  async #findOrOpen(
    payee: LedgerAddress,
    peer: NodeId,
    sponsor: Pick<Sponsor, 'advance'> | undefined,
  ): Promise<ChannelState> {
    const { wallet, log, store } = this.#options;
    const [usable] = (await this.#onChain(this.#ofBooks(payee))).filter((channel) => this.#isUsable(channel));
    if (usable !== undefined) return usable;
    const till = await this.#tillOf(payee);
    // Opened by hand, or by us just before we died.
    let channel = till.channels.find((one) => one.payer === wallet.address && this.#isUsable(one));
    if (channel === undefined) {
      channel = await this.#open(till, sponsor);
      const { deposit, opening } = channel;
      log.info(
        { payee: shortId(payee), channel: channel.id, deposit: deposit.toString(), opening: opening.toString() },
        'opened a channel',
      );
    }
    this.#gone.delete(channel.id);
    store.enter('payer', peer, channel);
    return channel;
  }

  async #open(till: TillState, sponsor: Pick<Sponsor, 'advance'> | undefined): Promise<ChannelState> {
    const { owner, opening: asked, minDeposit } = till;
    const { wallet, delegate, deposit, maxOpening } = this.#options;
    // What we stake beyond what the till asks is for our own circuits: it is neither staked nor charged for the circuits of others.
    const own = sponsor === undefined ? least(this.#options.opening, maxOpening) : asked;
    const opening = asked < own ? own : asked;
    if (opening > maxOpening) throw tooDear(owner, { what: 'burns', asked: opening, most: maxOpening });
    if (minDeposit > deposit) throw tooDear(owner, { what: 'deposits', asked: minDeposit, most: deposit });
    const advance = await sponsor?.advance(amount(asked + (await this.#feeUnits())));
    try {
      const channel = await this.#spend(owner, addAmounts(deposit, opening), () =>
        wallet.openChannel(owner, delegate.address, { deposit, opening }),
      );
      advance?.wentInto(channel.id);
      return channel;
    } catch (error) {
      if (isRelaymintError(error, 'BUDGET_EXHAUSTED', ...NOTHING_BURNED)) advance?.giveBack();
      throw error;
    } finally {
      // It may show one more channel, which a retry must see.
      this.#tills.delete(owner);
    }
  }

  /** Takes it out of the budget, and puts it back only if certainly nothing was burned. */
  async #spend<T>(payee: LedgerAddress, value: Amount, burn: () => Promise<T>): Promise<T> {
    const reservation = await this.#options.budget.reserve(payee, value);
    try {
      return await burn();
    } catch (error) {
      if (isRelaymintError(error, ...NOTHING_BURNED)) reservation.release();
      throw error;
    }
  }

  /** @throws RelaymintError CHANNEL_UNKNOWN. */
  #tillOf(payee: LedgerAddress): Promise<TillState> {
    let reading = this.#tills.get(payee);
    if (reading === undefined) {
      reading = this.#readTill(payee);
      this.#tills.set(payee, reading);
      reading.catch(() => this.#tills.delete(payee));
    }
    return reading;
  }

  async #readTill(payee: LedgerAddress): Promise<TillState> {
    const till = await this.#options.reader.till(payee);
    if (till === undefined) throw noTill(payee);
    return till;
  }

  /** What never comes back, besides the stake that a till asks for. The last known figure is used while a new one is requested. */
  #feeUnits(): Promise<bigint> {
    const age = this.#fee === undefined ? Infinity : this.#now() - this.#fee.at;
    if (age >= FEE_MILLIS && this.#askingFee === undefined) {
      this.#askingFee = this.#askFee().finally(() => {
        this.#askingFee = undefined;
      });
      // Those who wait for it get the error.
      this.#askingFee.catch(() => {});
    }
    return this.#fee === undefined || age >= FEE_MILLIS_MAX
      ? (this.#askingFee ?? this.#askFee())
      : Promise.resolve(this.#fee.units);
  }

  async #askFee(): Promise<bigint> {
    const { reader, wallet } = this.#options;
    const { fee, bid } = await wallet.settleFees();
    this.#unitsPerLamport ??= (await reader.bank()).unitsPerLamport;
    const units = (fee.first + bid.first) * this.#unitsPerLamport;
    this.#fee = { units, at: this.#now() };
    return units;
  }
}

/** The ledger shows a larger deposit of that channel than we knew of. */
function isToppedUp(shown: ChannelState | undefined, known: ChannelState): shown is ChannelState {
  return shown?.id === known.id && shown.deposit > known.deposit;
}

function least(a: bigint, b: bigint): Amount {
  return amount(a < b ? a : b);
}

function closing(): RelaymintError {
  return new RelaymintError('CLOSED', 'This node is closing its channels and pays for nothing new.', {
    remedy: 'Start it again to open new ones.',
  });
}

function noTill(payee: LedgerAddress): RelaymintError {
  return new RelaymintError('CHANNEL_UNKNOWN', `The wallet ${payee} has no till: nobody can pay it.`, {
    remedy: 'Use another node.',
  });
}

const OPTIONS = { burns: '--max-opening', deposits: '--deposit' } as const;

function tooDear(
  payee: LedgerAddress,
  { what, asked, most }: { readonly what: keyof typeof OPTIONS; readonly asked: Amount; readonly most: Amount },
): RelaymintError {
  return new RelaymintError(
    'PRICE_TOO_HIGH',
    `The till of ${payee} takes a channel only from a payer that ${what} ${formatCredits(asked)} credits for it; this node allows at most ${formatCredits(most)}.`,
    {
      remedy: `Use another node, or allow more with ${OPTIONS[what]}.`,
      details: { asked: asked.toString(), allowed: most.toString() },
    },
  );
}
