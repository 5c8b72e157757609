/**
 * The channels through which this node pays its neighbours: finds or opens them, keeps their deposits filled and their windows wide,
 * and closes them all in the end. All that goes into a channel is taken out of the budget first. Our own channels are known from
 * the books; the chain is asked for one slot of them, or for the till of the one whom we are about to pay.
 */
import { RelaymintError, isRelaymintError, type ErrorCode } from '../../core/errors.ts';
import { shortId, type ChannelId, type LedgerAddress, type NodeId } from '../../core/ids.ts';
import type { Log } from '../../core/ports.ts';
import { addAmounts, amount, formatCredits, type Amount } from '../../core/units.ts';
import type { BookStore } from '../../ledger/accounting/index.ts';
import type { Budget } from '../../ledger/budget/index.ts';
import type { ChannelState, LedgerReader, LedgerWallet, TillState } from '../../ledger/contract.ts';
import type { Signer } from '../../ledger/receipt/index.ts';
import type { ChannelProvider, Sponsor } from '../../node/meter/index.ts';
import { closeChannels, type ClosedChannels } from '../../ledger/channel/index.ts';
import { IdleChannels } from './idle-channels.ts';
import { OpeningCosts } from './opening-costs.ts';
import { OwnChannels } from './own-channels.ts';

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

/** Windows that a widened channel holds: twice the least that a window takes, so that it is not topped up at once. */
const DEPOSIT_WINDOWS = 8n;
/** Errors after which certainly nothing was burned: the wallet found them, or the ledger refused. After any other error it is unknown. */
const NOTHING_BURNED: readonly ErrorCode[] = [
  'LIMIT_EXCEEDED',
  'INSUFFICIENT_FUNDS',
  'INVALID_ARGUMENT',
  'CHANNEL_CLOSING',
  'PROGRAM_ERROR',
];

export class Channels implements ChannelProvider {
  /** Those that are no longer paid from, which it closes. */
  readonly idle: IdleChannels;
  readonly #options: ChannelsOptions;
  readonly #own: OwnChannels;
  readonly #costs: OpeningCosts;
  /** By payee, while one is looked for or opened: concurrent circuits share it. */
  readonly #finding = new Map<LedgerAddress, Promise<ChannelState>>();
  /** Burned for wider windows since the start. */
  #widened = 0n;
  #closing = false;

  constructor(options: ChannelsOptions) {
    const { reader, wallet, delegate, store, live, update, idleMillis, log, now = () => performance.now() } = options;
    this.#options = options;
    this.#own = new OwnChannels({ store, reader, wallet: wallet.address, delegate: delegate.address });
    this.#costs = new OpeningCosts({ reader, wallet, now });
    const isSought = (payee: LedgerAddress): boolean => this.#finding.has(payee);
    this.idle = new IdleChannels({ own: this.#own, reader, wallet, live, isSought, update, idleMillis, now, log });
  }

  known(payee: LedgerAddress): boolean {
    return !this.#closing && this.#own.for(payee).length > 0;
  }

  async openingCost(payee: LedgerAddress): Promise<Amount> {
    return this.known(payee) ? amount(0n) : this.#costs.of(payee);
  }

  async channelTo(
    payee: LedgerAddress,
    peer: NodeId,
    sponsor?: Pick<Sponsor, 'advance'>,
  ): Promise<{ channel: ChannelState; delegate: Signer }> {
    for (;;) {
      if (this.#closing) throw closing();
      await this.idle.settled(payee);
      const shared = this.#finding.get(payee);
      try {
        const channel = await (shared ?? this.#find(payee, peer, sponsor));
        this.idle.touch(channel.id);
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
    this.#costs.transaction().catch(() => {
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
    this.idle.stop();
    // Channels that are being opened are closed as well.
    await Promise.allSettled(this.#finding.values());
    const { reader, wallet, update: onSeen } = this.#options;
    const ours = Array.from(this.#own.all(), ({ channel }) => channel);
    return closeChannels(await this.#own.onChain(ours), { reader, wallet, signal, onSeen });
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
    const [usable] = (await this.#own.onChain(this.#own.for(payee))).filter((channel) => this.#own.isUsable(channel));
    if (usable !== undefined) return usable;
    const till = await this.#costs.tillOf(payee);
    // Opened by hand, or by us just before we died.
    let channel = till.channels.find((one) => one.payer === wallet.address && this.#own.isUsable(one));
    if (channel === undefined) {
      channel = await this.#open(till, sponsor);
      const { deposit, opening } = channel;
      log.info(
        { payee: shortId(payee), channel: channel.id, deposit: deposit.toString(), opening: opening.toString() },
        'opened a channel',
      );
    }
    this.#own.remember(channel.id);
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
    const advance = await sponsor?.advance(amount(asked + (await this.#costs.transaction())));
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
      this.#costs.forgetTill(owner);
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
