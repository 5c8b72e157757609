/** The meters of a node's links: one book, one provider of channels, one LinkMeter for each link. */
import { backoff, type Backoff } from '../../core/backoff.ts';
import type { ChannelId, LedgerAddress, NodeId } from '../../core/ids.ts';
import { MAX_CHANNEL_LOOKUPS_PER_SECOND } from '../../core/limits.ts';
import { silentLog, type Log } from '../../core/ports.ts';
import type { Amount } from '../../core/units.ts';
import type { ChannelState } from '../../ledger/contract.ts';
import type { Link } from '../link/contract.ts';
import { TokenBucket } from '../../core/rate.ts';
import type { ContentCount, LinkMeter, Metering, MeteringOptions } from './contract.ts';
import { ContentCounts } from './content-counts.ts';
import { MeteredLink } from './metered.ts';
import { Sponsors } from './sponsor.ts';

/** How long an account rests before it is paid, milliseconds. */
const IDLE_MILLIS = 250;

/** When a top-up that failed is tried again, milliseconds. */
const TOP_UP_RETRIES: Backoff = { first: 1_000, last: 60_000 };

/** What becomes of a channel that runs low. */
interface TopUps {
  /** In a row. */
  failures: number;
  /** One is under way, or follows after a pause. */
  busy: boolean;
  retry: NodeJS.Timeout | undefined;
}

/** Takes over `book.onLow` and `book.onOutgrown`. */
export function createMetering(options: MeteringOptions): Metering {
  return new LedgerMetering(options);
}

class LedgerMetering implements Metering {
  readonly #options: MeteringOptions;
  readonly #meters = new Set<MeteredLink>();
  readonly #sponsors: Sponsors;
  readonly #lookups = new TokenBucket(MAX_CHANNEL_LOOKUPS_PER_SECOND, () => performance.now());
  /** What can wait, or be left out, leaves the other half to newcomers. */
  readonly #content = new ContentCounts();
  readonly #looks = new TokenBucket(MAX_CHANNEL_LOOKUPS_PER_SECOND / 2, () => performance.now());
  /** Transactions for channels that we pay from. */
  readonly #burning = new Set<Promise<void>>();
  readonly #topUps = new Map<ChannelId, TopUps>();
  #closed = false;

  constructor(options: MeteringOptions) {
    this.#options = options;
    const { book, channels } = options;
    this.#sponsors = new Sponsors(book);
    const log = options.log ?? silentLog;
    book.onLow = (channel, left) => this.#topUp(channel, left, log);
    book.onOutgrown = (channel, paid) => {
      if (channels.widen === undefined) return;
      this.#burn(channels.widen(channel, paid), (error) => {
        const details = { channel: channel.id, window: String(channel.opening), err: error };
        log.info(details, 'the window of a channel could not be widened: receipts stay as frequent as they are');
      });
    };
  }

  /** Tried until it is done: a channel whose deposit leaves no window for a circuit pays nothing, and so would never ask again. */
  #topUp(channel: ChannelState, left: Amount, log: Log): void {
    const { book, channels } = this.#options;
    const { id } = channel;
    const state = this.#topUps.get(id) ?? { failures: 0, busy: false, retry: undefined };
    if (channels.topUp === undefined || state.busy || this.#closed) return;
    state.busy = true;
    this.#topUps.set(id, state);
    const done = channels.topUp(channel, left).then((shown) => {
      this.#topUps.delete(id);
      return shown;
    });
    this.#burn(done, (error) => {
      state.failures += 1;
      const details = { channel: id, left: String(left), err: error };
      log[state.failures === 1 ? 'warn' : 'debug'](details, 'a channel could not be topped up; it is tried again');
      if (this.#closed) return;
      const again = (): void => {
        state.busy = false;
        book.lowAgain(id);
        if (!state.busy) this.#topUps.delete(id);
      };
      state.retry = setTimeout(again, backoff(state.failures, TOP_UP_RETRIES)).unref();
    });
  }

  #burn(transaction: Promise<ChannelState | undefined>, failed: (error: unknown) => void): void {
    const work = this.#burned(transaction)
      .catch(failed)
      .finally(() => this.#burning.delete(work));
    this.#burning.add(work);
  }

  /** Waits for it, gives the book the channel's new state, and asks the payee to look. */
  async #burned(transaction: Promise<ChannelState | undefined>): Promise<void> {
    const channel = await transaction;
    if (channel === undefined) return;
    this.#options.book.update(channel);
    for (const meter of this.#meters) meter.burned(channel.id);
  }

  attach(link: Link): LinkMeter {
    const shared = { sponsors: this.#sponsors, lookups: this.#lookups, looks: this.#looks, content: this.#content };
    const meter = new MeteredLink(link, this.#options, shared, this.#options.idleMillis ?? IDLE_MILLIS);
    if (this.#closed) {
      meter.close();
      return meter;
    }
    this.#meters.add(meter);
    void link.closed.then(() => this.#detach(meter));
    return meter;
  }

  #detach(meter: MeteredLink): void {
    meter.close();
    this.#meters.delete(meter);
  }

  expect(peerWallet: LedgerAddress): void {
    if (this.#looks.take()) this.#options.channels.expect?.(peerWallet);
  }

  walletOf(peer: NodeId): LedgerAddress | undefined {
    for (const meter of this.#meters) {
      const wallet = meter.peer === peer ? meter.peerWallet : undefined;
      if (wallet !== undefined) return wallet;
    }
    return undefined;
  }

  content(): readonly ContentCount[] {
    return this.#content.list();
  }

  get kept(): bigint {
    return this.#sponsors.kept;
  }

  flush(): void {
    for (const meter of this.#meters) meter.flush();
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const { retry } of this.#topUps.values()) clearTimeout(retry);
    this.flush();
    for (const meter of this.#meters) meter.close();
    this.#meters.clear();
    await Promise.all(this.#burning);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
