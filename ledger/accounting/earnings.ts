/** What names earned on one account and no receipt has paid for yet. One addition per frame while the same names get the same shares. */
import { isSameAttribution, type Attribution } from '../../core/attribution.ts';
import { ALL_BPS, type PricePerMiB } from '../../core/units.ts';

const NO_PRICE = 0n as PricePerMiB;
const WHOLE = BigInt(ALL_BPS);

export class Earnings {
  /** By name: numerators (bytes x price) x basis points, so that no share of a frame is rounded. */
  readonly #earned = new Map<string, bigint>();
  #shares: Attribution | undefined;
  #price: PricePerMiB = NO_PRICE;
  /** Bytes for the current names at the current price. */
  #run = 0;
  /**
   * A numerator x basis points: receipts paid it for names, and it is less than a whole numerator for each of them. It is paid out with what
   * comes next.
   */
  #spare = 0n;

  add(shares: Attribution, frameBytes: number, price: PricePerMiB): void {
    if (shares !== this.#shares || price !== this.#price) this.#turn(shares, price);
    this.#run += frameBytes;
  }

  /**
   * What names get of a receipt that pays `paid` of `due`, both numerators: the same part of what each earned. All that names got is
   * never more than all that was paid; the rest, fractions of a numerator too, stays for the next receipt.
   */
  take(paid: bigint, due: bigint): ReadonlyMap<string, bigint> {
    this.#fold();
    let all = 0n;
    for (const earned of this.#earned.values()) all += earned;
    const taken = new Map<string, bigint>();
    if (all === 0n) return taken;
    const owed = due * WHOLE + this.#spare;
    const whole = owed > all ? owed : all;
    const payable = paid * WHOLE + this.#spare;
    const part = payable < whole ? payable : whole;
    this.#spare = (all * part) / whole;
    for (const [name, earned] of this.#earned) {
      const numerator = (earned * part) / (whole * WHOLE);
      if (numerator === 0n) continue;
      this.#spare -= numerator * WHOLE;
      taken.set(name, numerator);
      const left = earned - numerator * WHOLE;
      if (left > 0n) this.#earned.set(name, left);
      else this.#earned.delete(name);
    }
    return taken;
  }

  /** Drops it: nobody pays for it any more. */
  drop(): void {
    this.#run = 0;
    this.#spare = 0n;
    this.#earned.clear();
  }

  /** Streams for the same names take turns: they hold equal lists, each its own. */
  #turn(shares: Attribution, price: PricePerMiB): void {
    const isSame = this.#shares !== undefined && price === this.#price && isSameAttribution(shares, this.#shares);
    if (!isSame) this.#fold();
    this.#shares = shares;
    this.#price = price;
  }

  #fold(): void {
    if (this.#run === 0 || this.#shares === undefined) return;
    const numerator = BigInt(this.#run) * this.#price;
    this.#run = 0;
    for (const { name, share } of this.#shares) {
      const earned = numerator * BigInt(share);
      if (earned > 0n) this.#earned.set(name, (this.#earned.get(name) ?? 0n) + earned);
    }
  }
}
