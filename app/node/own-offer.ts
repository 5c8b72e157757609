/** The node's own offer: signed when it is announced, when it gets old, when others know a newer one, and when the names it keeps change. */
import { OFFER_RENEWALS_AT_ONCE, OFFER_RENEWAL_REST_MILLIS } from '../../core/limits.ts';
import type { Clock } from '../../core/ports.ts';
import { TokenBucket } from '../../core/rate.ts';
import type { Bytes } from '../../core/units.ts';
import { offerExpiry, OfferSequence, roundedRoom, signOffer, type OfferFields } from '../../node/offer/index.ts';
import type { NodeIdentity } from '../../platform/keys/identity.ts';
import type { LinkManager } from '../../node/link/index.ts';

export interface OwnOfferOptions {
  readonly links: Pick<LinkManager, 'setOffer'>;
  readonly identity: NodeIdentity;
  readonly lifeMillis: number;
  readonly clock: Clock;
  /** What it says now. */
  fields(): Omit<OfferFields, 'sequence' | 'expires' | 'keeps' | 'room'>;
}

/**
 * Renewals because of names at once, and how long each takes to be allowed again, milliseconds: half of what a link takes, so that none is
 * lost. A visitor finds no site that no offer names, and publishers come with several.
 */
const NAME_RENEWALS_AT_ONCE = OFFER_RENEWALS_AT_ONCE / 2;
const NAME_RENEWAL_REST_MILLIS = 2 * OFFER_RENEWAL_REST_MILLIS;

export class OwnOffer {
  readonly #options: OwnOfferOptions;
  readonly #sequence = new OfferSequence();
  #announced = false;
  #kept: (() => readonly string[]) | undefined;
  #room: (() => Bytes | undefined) | undefined;
  /** The names of the last offer, and its room. */
  #said = '';
  #saidRoom: Bytes | undefined;
  readonly #renewals = new TokenBucket(1000 / NAME_RENEWAL_REST_MILLIS, () => performance.now(), NAME_RENEWALS_AT_ONCE);
  #waiting: NodeJS.Timeout | undefined;

  constructor(options: OwnOfferOptions) {
    this.#options = options;
  }

  /** From now on there is an offer, and it is sent. */
  announce(): void {
    this.#announced = true;
    this.renew();
  }

  /** Signs it again and sends it to every peer. A node that sells nothing has no public identity and signs nothing. */
  renew(): void {
    const { links, identity, lifeMillis, clock } = this.#options;
    const told = this.#options.fields();
    if (told.services.length === 0) return;
    const now = clock.now();
    const keeps = this.#kept?.() ?? [];
    const room = this.#room?.();
    this.#said = keeps.join(' ');
    this.#saidRoom = room === undefined ? undefined : roundedRoom(room);
    const [sequence, expires] = [this.#sequence.next(now), offerExpiry(now, lifeMillis)];
    links.setOffer(signOffer({ ...told, keeps, room, sequence, expires }, identity));
  }

  /** Others know an offer of ours with this sequence: the next one goes beyond it, unless it is our current one. */
  heard(sequence: bigint): void {
    if (this.#sequence.isBehind(sequence) && this.#announced) this.renew();
  }

  /**
   * The names that it keeps, in the order in which they are to be said as far as they fit, and how much content it still takes.
   * @returns what to call when they may have changed.
   */
  keeping(names: () => readonly string[], room?: () => Bytes | undefined): () => void {
    this.#kept = names;
    this.#room = room;
    return () => this.#namesChanged();
  }

  /** At once, unless there were many lately: peers would ignore the offer. */
  #namesChanged(): void {
    if (!this.#announced || this.#waiting !== undefined || !this.#hasNews()) return;
    if (this.#renewals.take()) {
      this.renew();
      return;
    }
    this.#waiting = setTimeout(() => {
      this.#waiting = undefined;
      this.#namesChanged();
    }, NAME_RENEWAL_REST_MILLIS).unref();
  }

  /** More room than before waits for the next renewal: who comes in vain is told by less. */
  #hasNews(): boolean {
    if (this.#kept?.().join(' ') !== this.#said) return true;
    const room = this.#room?.();
    return room !== undefined && this.#saidRoom !== undefined && roundedRoom(room) < this.#saidRoom;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#waiting);
  }
}
