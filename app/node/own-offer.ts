/** The node's own offer: signed when it is announced, when it gets old, when others know a newer one, and when the names it keeps change. */
import type { Clock } from '../../core/ports.ts';
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
 * Renewals because of names at once, and how long each takes to be allowed again, milliseconds. Half of what a link takes
 * (OFFER_RENEWALS_AT_ONCE, OFFER_RENEWAL_REST_MILLIS), so that none is lost.
 */
const NAME_RENEWALS_AT_ONCE = 4;
const NAME_RENEWAL_REST_MILLIS = 30_000;

export class OwnOffer {
  readonly #options: OwnOfferOptions;
  readonly #sequence = new OfferSequence();
  #announced = false;
  #kept: (() => readonly string[]) | undefined;
  #room: (() => Bytes | undefined) | undefined;
  /** The names of the last offer, and its room. */
  #said = '';
  #saidRoom: Bytes | undefined;
  /** When each of the last renewals because of names was, the oldest first. */
  readonly #renewals: number[] = [];
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
    const now = performance.now();
    const oldest = this.#renewals[0];
    const rest = oldest === undefined ? 0 : oldest + NAME_RENEWALS_AT_ONCE * NAME_RENEWAL_REST_MILLIS - now;
    if (this.#renewals.length >= NAME_RENEWALS_AT_ONCE && rest > 0) {
      this.#waiting = setTimeout(() => {
        this.#waiting = undefined;
        this.#namesChanged();
      }, rest).unref();
      return;
    }
    if (this.#renewals.length >= NAME_RENEWALS_AT_ONCE) this.#renewals.shift();
    this.#renewals.push(now);
    this.renew();
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
