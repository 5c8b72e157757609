/**
 * Closes the channels that this node no longer pays from: asks for it, leaves the payee its challenge period, and takes back what is
 * left. Idle time is counted from when a channel was last seen to pay or was asked for; at the longest, from the node's start.
 */
import type { ChannelId, LedgerAddress } from '../../core/ids.ts';
import type { Log } from '../../core/ports.ts';
import type { ChannelState, LedgerReader, LedgerWallet } from '../../ledger/contract.ts';
import { closeChannels, millisLeft } from '../../ledger/channel/index.ts';
import type { OwnChannels } from './own-channels.ts';

export interface IdleChannelsOptions {
  readonly own: OwnChannels;
  readonly reader: Pick<LedgerReader, 'bank' | 'channel' | 'channels'>;
  readonly wallet: LedgerWallet;
  /** The channels that links use now. */
  readonly live: () => ReadonlySet<ChannelId>;
  /** Is a channel to this payee looked for now? */
  readonly isSought: (payee: LedgerAddress) => boolean;
  /** Tells the books what the ledger shows of a channel. */
  readonly update: (channel: ChannelState) => void;
  /** A channel from which nothing was paid for this long is closed, milliseconds; undefined: never. */
  readonly idleMillis: number | undefined;
  /** A clock that only goes forward, milliseconds. */
  readonly now: () => number;
  readonly log: Log;
}

/** How long a payee that was away for the whole challenge period has to return the opening payment of an idle channel: a day. */
const IDLE_GRACE_SECONDS = 86_400n;
/** Channels closed in one sweep, each for the fees of two transactions. */
const CLOSED_AT_ONCE = 8;

export class IdleChannels {
  readonly #options: IdleChannelsOptions;
  /** By payee, while the close of one is requested. */
  readonly #closingOf = new Map<LedgerAddress, Promise<void>>();
  /** When a channel was last seen to pay, or asked for. */
  readonly #used = new Map<ChannelId, { readonly signed: bigint; readonly at: number }>();
  #stopped = false;

  constructor(options: IdleChannelsOptions) {
    this.#options = options;
  }

  /** It was asked for, and is not idle. */
  touch(id: ChannelId): void {
    this.#used.set(id, { signed: this.#used.get(id)?.signed ?? -1n, at: this.#options.now() });
  }

  /** Notes which channels paid something since the last call. Call it regularly: idle time is counted from it. */
  watch(): void {
    const seen = new Set<ChannelId>();
    for (const { channel, signed } of this.#options.own.all()) {
      seen.add(channel.id);
      if (this.#used.get(channel.id)?.signed !== signed) {
        this.#used.set(channel.id, { signed, at: this.#options.now() });
      }
    }
    for (const id of this.#used.keys()) if (!seen.has(id)) this.#used.delete(id);
  }

  /** Resolves once no close of a channel to this payee is being asked for: whether it can be used is clear then. */
  async settled(payee: LedgerAddress): Promise<void> {
    await this.#closingOf.get(payee);
  }

  /** Nothing more is closed. What is being asked for goes on. */
  stop(): void {
    this.#stopped = true;
  }

  /**
   * Asks to close the channels that have been idle, and closes those whose challenge period is over; a few at a time of both, so that
   * payees which return nothing do not keep others from being closed. One that a link uses stays.
   */
  async sweep(): Promise<void> {
    const { own, idleMillis, live, update } = this.#options;
    if (idleMillis === undefined || this.#stopped) return;
    const used = live();
    const unused = Array.from(own.all(), ({ channel }) => channel).filter(({ id }) => !used.has(id));
    const idle = unused.filter(({ id, closeAt }) => closeAt === undefined && this.#idleFor(id) >= idleMillis);
    const asked = unused.filter(({ closeAt }) => closeAt !== undefined);
    let closes = 0;
    for (const channel of await own.onChain([...asked, ...idle.slice(0, CLOSED_AT_ONCE)])) {
      if (this.#stopped) return;
      if (channel.closeAt === undefined) {
        await this.#requestClose(channel, idleMillis);
        continue;
      }
      update(channel);
      if (closes === CLOSED_AT_ONCE || millisLeft(channel, IDLE_GRACE_SECONDS) > 0) continue;
      closes += 1;
      await this.#close(channel);
    }
  }

  async #close(channel: ChannelState): Promise<void> {
    const { own, reader, wallet, update: onSeen, log } = this.#options;
    const { signal } = new AbortController();
    const { closed, returned } = await closeChannels([channel], {
      reader,
      wallet,
      patienceSeconds: 0n,
      graceSeconds: IDLE_GRACE_SECONDS,
      onSeen,
      signal,
    });
    if (closed === 0) return;
    own.forget(channel.id);
    log.info({ channel: channel.id, returned: returned.toString() }, 'closed an idle channel');
  }

  async #requestClose(channel: ChannelState, idleMillis: number): Promise<void> {
    const { isSought, live, reader, wallet, update, log } = this.#options;
    // A circuit may have asked for it meanwhile; later callers wait until it is clear that it is closing.
    if (this.#idleFor(channel.id) < idleMillis || isSought(channel.payee) || live().has(channel.id)) return;
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
    return used === undefined ? 0 : this.#options.now() - used.at;
  }
}
