/** Whether the last hop of a pool's circuits is there, as far as those say who stood before it. */
import type { RelaymintError } from '../../core/errors.ts';
import type { LedgerAddress } from '../../core/ids.ts';

/** One alone may say so because the next path would suit it better. */
const WITNESSES = 2;
/** So many failures in a row are enough where nobody else can be asked. */
const FAILURES = 4;

export class Reach {
  /** Wallets of the relays that did not reach it. */
  readonly #witnesses = new Set<LedgerAddress>();
  #failures = 0;
  #away: RelaymintError | undefined;

  /** The last failure, once it is taken to be away: relays of two wallets, or this node itself, did not reach it since it was there. */
  get away(): RelaymintError | undefined {
    return this.#away;
  }

  /** `witness`: the wallet of the relay before it; undefined when this node dialled it itself. */
  failed(witness: LedgerAddress | undefined, error: RelaymintError): void {
    this.#failures += 1;
    if (witness !== undefined && this.#witnesses.size < WITNESSES) this.#witnesses.add(witness);
    if (witness === undefined || this.#witnesses.size >= WITNESSES || this.#failures >= FAILURES) this.#away = error;
  }

  /** A circuit to it stands. */
  stood(): void {
    this.#witnesses.clear();
    this.#failures = 0;
    this.#away = undefined;
  }
}
