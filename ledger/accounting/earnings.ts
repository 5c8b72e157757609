/** What names earned on one account and no receipt has paid for yet. One addition per frame while the same names get the same shares. */
import { earnersKey, earnersOf, isSameAttribution, type Attribution, type Earners } from '../../core/attribution.ts';
import { MAX_UNPAID_REFERRALS } from '../../core/limits.ts';
import { ALL_BPS, type PricePerMiB } from '../../core/units.ts';

const NO_PRICE = 0n as PricePerMiB;
const WHOLE = BigInt(ALL_BPS);

export class Earnings {
  /** By `earnersKey`: numerators (bytes x price) x basis points, so that no share of a frame is rounded. */
  readonly #earned = new Map<string, bigint>();
  /** Those of its keys that have a referrer. */
  readonly #referrals = new Set<string>();
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
    for (const [key, earned] of this.#earned) {
      const numerator = (earned * part) / (whole * WHOLE);
      if (numerator === 0n) continue;
      this.#spare -= numerator * WHOLE;
      taken.set(key, numerator);
      const left = earned - numerator * WHOLE;
      if (left > 0n) this.#earned.set(key, left);
      else this.#remove(key);
    }
    return taken;
  }

  /** Drops it: nobody pays for it any more. */
  drop(): void {
    this.#run = 0;
    this.#spare = 0n;
    this.#earned.clear();
    this.#referrals.clear();
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
    for (const share of this.#shares) {
      const earned = numerator * BigInt(share.share);
      if (earned === 0n) continue;
      this.#more(this.#roomFor(share, earned), earned);
    }
  }

  /**
   * The referrer is the visitor's word. One that invents many pushes out those that brought least, often only what rounding left of
   * them, and their part is the name's.
   */
  #roomFor(share: Earners, earned: bigint): string {
    const key = earnersKey(share);
    if (share.referrer === undefined || this.#referrals.has(key)) return key;
    if (this.#referrals.size >= MAX_UNPAID_REFERRALS) {
      const [least, brought] = this.#least();
      if (brought >= earned) return share.name;
      this.#remove(least);
      this.#more(earnersOf(least).name, brought);
    }
    this.#referrals.add(key);
    return key;
  }

  #least(): readonly [key: string, brought: bigint] {
    let least: readonly [string, bigint] | undefined;
    for (const key of this.#referrals) {
      const brought = this.#earned.get(key) ?? 0n;
      if (least === undefined || brought < least[1]) least = [key, brought];
    }
    return least ?? ['', 0n];
  }

  #more(key: string, earned: bigint): void {
    this.#earned.set(key, (this.#earned.get(key) ?? 0n) + earned);
  }

  #remove(key: string): void {
    this.#earned.delete(key);
    this.#referrals.delete(key);
  }
}
