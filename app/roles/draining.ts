/** A host that is to leave: what it keeps that no other host delivers, and when it may go. */
import { equalBytes } from '../../core/codec.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { bytes, type Bytes, type UnixMillis } from '../../core/units.ts';
import type { LedgerReader } from '../../ledger/contract.ts';
import type { BlockStore } from '../../sites/blocks/index.ts';
import type { CurrentContent, KeptElsewhere } from './kept-elsewhere.ts';
import { manifestNamed } from './site-verify.ts';

/** A name whose content only this host keeps, as far as it knows. */
export interface LeftName {
  readonly name: string;
  readonly bytes: Bytes;
}

export interface DrainingOptions {
  readonly store: Pick<BlockStore, 'pins'>;
  readonly ledger: Pick<LedgerReader, 'name'>;
  readonly elsewhere: Pick<KeptElsewhere, 'of' | 'retain'>;
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

  /** Looks what is left. Call it every minute or so. @throws RelaymintError ABORTED */
  async look(signal: AbortSignal): Promise<void> {
    const { store, elsewhere, clock, until, log } = this.#options;
    const names = new Set(store.pins().map((pin) => pin.name));
    const left: LeftName[] = [];
    const needed: (LeftName & CurrentContent)[] = [];
    for (const name of names) {
      const content = await this.#needed(name);
      if (content !== undefined) (content.blocks.length === 0 ? left : needed).push(content);
    }
    elsewhere.retain(names);
    const kept = await elsewhere.of(needed, signal);
    for (const content of needed) if (!kept.has(content.name)) left.push(content);
    this.#left = left
      .map(({ name, bytes: size }) => ({ name, bytes: size }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    const now = clock.now();
    if (left.length > 0) this.#emptyAt = undefined;
    else this.#emptyAt ??= now;
    const said = left.map(({ name }) => name).join(' ');
    if (said !== this.#said) {
      log.info(
        { left: left.length, names: left.slice(0, MOST_SAID).map(({ name }) => name) },
        'what no other host has shown that it keeps',
      );
      this.#said = said;
    }
    const isQuiet = this.#emptyAt !== undefined && now - this.#emptyAt >= QUIET_MILLIS;
    if (isQuiet || now >= until) this.#finish(this.#left);
  }

  /** undefined: nobody needs it. Without blocks: it is not known what the name points to. */
  async #needed(name: string): Promise<(LeftName & CurrentContent) | undefined> {
    const { store, ledger, log } = this.#options;
    const pins = store.pins(name);
    try {
      const record = await ledger.name(name);
      if (record === undefined || record.status === 'expired') return undefined;
      const pin = pins.find(({ root }) => equalBytes(root.bytes, record.root));
      if (pin === undefined) return undefined;
      const manifest = manifestNamed(record);
      return { name, bytes: pin.bytes, blocks: manifest === undefined ? [pin.root] : [pin.root, manifest] };
    } catch (error) {
      log.debug({ err: error, name }, 'it is not known what a name points to');
      return { name, bytes: bytes(Math.max(...pins.map((pin) => pin.bytes))), blocks: [] };
    }
  }
}

/** Names in a line of the log. */
const MOST_SAID = 100;
