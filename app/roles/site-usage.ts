/** Takes what circuits carry out of the budgets of the sites that they carry it for. */
import { MAX_BLOCK_BYTES } from '../../core/limits.ts';
import { MIB, amount, pricePerMiB, type Amount, type PricePerMiB } from '../../core/units.ts';
import type { Budget } from '../../ledger/budget/index.ts';
import type { Circuit } from '../../node/circuit/index.ts';

/** For whom a block is fetched, and at which prices. */
export interface Fetch {
  /** The site that pays: in whose page it is shown. */
  readonly payer: string;
  /** Whose content it is. */
  readonly name: string;
  /** What each hop of the circuit asks for itself, first hop first; the last one is the host. */
  readonly prices: readonly PricePerMiB[];
}

/** What one site was charged for a block. Base units; frame bytes. */
export interface Charge extends Pick<Fetch, 'payer' | 'name'> {
  readonly bytes: number;
  /** What the first hop is paid for them. */
  readonly cost: Amount;
  /** What of that gets to the host, if each relay keeps what its offer asks. */
  readonly host: Amount;
  /** What all relays are paid, what they pay onward included: the sum over the hops before the host. */
  readonly relayed: Amount;
}

/** What a block may come to on its circuit: itself, and a sixteenth for cells, layers and the request. */
const MAX_BLOCK_FRAMES = (MAX_BLOCK_BYTES / 16) * 17;

/**
 * Sites share circuits: what one carried since it was last looked at is charged to the site whose block has just come, so that every byte
 * is charged to one of them. Charges of a circuit add up to what all of it costs, to the base unit.
 */
export class SiteUsage {
  readonly #budget: Pick<Budget, 'reserveSite'>;
  readonly #told: (charge: Charge) => void;
  /** Bytes of a circuit that were charged. */
  readonly #charged = new WeakMap<Pick<Circuit, 'bytes'>, number>();

  constructor(budget: Pick<Budget, 'reserveSite'>, told: (charge: Charge) => void = () => undefined) {
    this.#budget = budget;
    this.#told = told;
  }

  /** Before a block is asked for; call what it resolves with when the block came or failed. @throws RelaymintError BUDGET_EXHAUSTED, BUDGET_STOPPED. */
  async begin({ payer, name, prices }: Fetch, circuit: Pick<Circuit, 'bytes'>): Promise<() => void> {
    const paid = onwardPrices(prices);
    const [first = NOTHING] = paid;
    const reservation = await this.#budget.reserveSite(payer, costOf(MAX_BLOCK_FRAMES, first));
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      const [from, to] = [this.#charged.get(circuit) ?? 0, circuit.bytes];
      this.#charged.set(circuit, to);
      const between = (price: PricePerMiB): Amount => amount(costOf(to, price) - costOf(from, price));
      const cost = between(first);
      reservation.settle(cost);
      if (to === from) return;
      this.#told({
        payer,
        name,
        bytes: to - from,
        cost,
        host: between(paid.at(-1) ?? NOTHING),
        relayed: amount(paid.slice(0, -1).reduce((sum, price) => sum + between(price), 0n)),
      });
    };
  }
}

const NOTHING = pricePerMiB(0n);

/** What each hop is paid: what it asks itself, and all that it pays onward. */
function onwardPrices(prices: readonly PricePerMiB[]): readonly PricePerMiB[] {
  return prices.map((_, hop) => pricePerMiB(prices.slice(hop).reduce((sum, price) => sum + price, 0n)));
}

/** Rounded up. */
function costOf(frameBytes: number, price: PricePerMiB): Amount {
  const mib = BigInt(MIB);
  return amount((BigInt(frameBytes) * price + mib - 1n) / mib);
}
