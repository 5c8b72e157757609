/**
 * What was granted to the circuits that we pay for on a link and was not sent yet, and whose turn it is when money is short. Of
 * several payers whose circuits wait, the one that was promised least goes first: many circuits of one do not take the others' turns.
 */
import { LEAST_GRANT } from '../../core/limits.ts';
import type { Sponsor } from '../meter/index.ts';
import type { Leg } from './leg.ts';

/** undefined: our own circuits. */
type Payer = Sponsor | undefined;

export class Promises {
  /** At the circuits' prices, as a numerator. */
  total = 0n;
  readonly #byPayer = new Map<Payer, bigint>();
  /** Legs that wait for money before they are granted more. */
  readonly #waiting = new Set<Leg>();
  /** Of those that we pay for: how many each payer has, and the least that it will owe for a byte. */
  readonly #waitingOf = new Map<Payer, { count: number; price: bigint }>();

  /** How many wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** How many of them wait for what this link may owe, and not for their own payer to pay. */
  get rivals(): number {
    let total = 0;
    for (const [payer, { count, price }] of this.#waitingOf) if (canTake(payer, price)) total += count;
    return total;
  }

  /** `bytes` are promised to the leg; if negative, they came, or will not come. */
  add({ sponsor, price }: Leg, bytes: number): void {
    const value = BigInt(bytes) * price;
    this.total += value;
    const promised = (this.#byPayer.get(sponsor) ?? 0n) + value;
    if (promised === 0n) this.#byPayer.delete(sponsor);
    else this.#byPayer.set(sponsor, promised);
  }

  await(leg: Leg): void {
    if (this.#waiting.has(leg)) return;
    this.#waiting.add(leg);
    if (!leg.pays) return;
    const known = this.#waitingOf.get(leg.sponsor);
    if (known === undefined) {
      this.#waitingOf.set(leg.sponsor, { count: 1, price: leg.sponsorPrice });
      return;
    }
    known.count += 1;
    if (leg.sponsorPrice < known.price) known.price = leg.sponsorPrice;
  }

  /** It waits no longer. */
  leave(leg: Leg): void {
    if (!this.#waiting.delete(leg) || !leg.pays) return;
    const known = this.#waitingOf.get(leg.sponsor);
    if (known === undefined) return;
    known.count -= 1;
    if (known.count === 0) this.#waitingOf.delete(leg.sponsor);
  }

  /** Those that wait, in the order of their turns: legs that can send nothing come before those with something left. */
  inTurn(): readonly Leg[] {
    return Array.from(this.#waiting).sort((a, b) => Number(hasSome(a)) - Number(hasSome(b)));
  }

  /** Another payer that waits was promised less than half of what the payer of `leg` was. */
  goesAfter({ sponsor, price }: Leg): boolean {
    const own = this.#byPayer.get(sponsor) ?? 0n;
    const one = price * BigInt(LEAST_GRANT);
    for (const [payer, known] of this.#waitingOf) {
      if (payer !== sponsor && canTake(payer, known.price) && 2n * (this.#byPayer.get(payer) ?? 0n) + one < own)
        return true;
    }
    return false;
  }

  clear(): void {
    this.#waiting.clear();
    this.#waitingOf.clear();
  }
}

/** Its own window is not used up: otherwise a turn is of no use to it. */
function canTake(payer: Payer, price: bigint): boolean {
  return payer === undefined || payer.room >= price * BigInt(LEAST_GRANT);
}

function hasSome(leg: Leg): boolean {
  return leg.granted >= LEAST_GRANT;
}
