/** A host that is to leave: what it keeps that no other host says it keeps, and when it may go. */
import { equalBytes } from '../../core/codec.ts';
import type { NodeId } from '../../core/ids.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { bytes, type Bytes, type UnixMillis } from '../../core/units.ts';
import type { LedgerReader } from '../../ledger/contract.ts';
import type { BlockStore } from '../../sites/blocks/index.ts';
import type { OfferBook } from '../../node/discovery/index.ts';
import { isLeaving, keepersOf } from './keepers.ts';

/** A name whose content only this host keeps, as far as it knows. */
export interface LeftName {
  readonly name: string;
  readonly bytes: Bytes;
}

export interface DrainingOptions {
  readonly store: Pick<BlockStore, 'pins'>;
  readonly ledger: Pick<LedgerReader, 'name'>;
  readonly book: OfferBook;
  readonly self: NodeId;
  /** When it goes, whatever is left. */
  readonly until: UnixMillis;
  readonly clock: Clock;
  readonly log: Log;
}

/** How long nothing has to be left, milliseconds: gateways hear of the other hosts in a round of questions or two. */
const QUIET_MILLIS = 5 * 60_000;

export class Draining {
  readonly #options: DrainingOptions;
  #left: readonly LeftName[] = [];
  #emptyAt: UnixMillis | undefined;
  #said = '';
  #finish: (left: readonly LeftName[]) => void = () => {};
  /** Resolves with what is left when it may go. */
  readonly finished: Promise<readonly LeftName[]>;

  constructor(options: DrainingOptions) {
    this.#options = options;
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  /** As of the last look, by name. */
  get left(): readonly LeftName[] {
    return this.#left;
  }

  /** Looks what is left. Call it every minute or so. */
  async look(): Promise<void> {
    const { store, clock, until, log } = this.#options;
    const names = new Set(store.pins().map((pin) => pin.name));
    const left: LeftName[] = [];
    for (const name of names) {
      const size = await this.#sizeLeft(name);
      if (size !== undefined) left.push({ name, bytes: size });
    }
    this.#left = left.sort((a, b) => (a.name < b.name ? -1 : 1));
    const now = clock.now();
    if (left.length > 0) this.#emptyAt = undefined;
    else this.#emptyAt ??= now;
    const said = left.map(({ name }) => name).join(' ');
    if (said !== this.#said) {
      log.info(
        { left: left.length, names: left.slice(0, MOST_SAID).map(({ name }) => name) },
        'what no other host keeps',
      );
      this.#said = said;
    }
    const isQuiet = this.#emptyAt !== undefined && now - this.#emptyAt >= QUIET_MILLIS;
    if (isQuiet || now >= until) this.#finish(this.#left);
  }

  /** undefined: others have it, or nobody needs it. */
  async #sizeLeft(name: string): Promise<Bytes | undefined> {
    const { store, ledger, book, self, log } = this.#options;
    if (keepersOf(book, name).some((host) => host !== self && !isLeaving(book, host))) return undefined;
    const pins = store.pins(name);
    try {
      const record = await ledger.name(name);
      if (record === undefined || record.status === 'expired') return undefined;
      return pins.find((pin) => equalBytes(pin.root.bytes, record.root))?.bytes;
    } catch (error) {
      log.debug({ err: error, name }, 'it is not known whether a name still points here');
      return bytes(Math.max(...pins.map((pin) => pin.bytes)));
    }
  }
}

/** Names in a line of the log. */
const MOST_SAID = 100;
