/** What each site cost since this gateway started, and whom that pays: for the visitor's page. In memory alone. */
import { LRUCache } from 'lru-cache';
import { MAX_COST_CONTENTS } from '../../core/limits.ts';
import type { Clock } from '../../core/ports.ts';
import { amount, type Amount, type UnixMillis } from '../../core/units.ts';
import { obeyOrder, type Budget, type SiteOrder, type SiteSpending } from '../../ledger/budget/index.ts';
import type { NameRecord } from '../../ledger/contract.ts';
import { NO_CARRY, royaltyOf } from '../../ledger/royalty.ts';
import type {
  Spending,
  SpendingContent,
  SpendingParties,
  SpendingSite,
  SpendingView,
} from '../../sites/gateway/index.ts';
import type { Charge } from './site-usage.ts';

export interface VisitorCostsOptions {
  readonly budget: Pick<Budget, 'site' | 'sites' | 'stopSite' | 'startSite' | 'limitSite'>;
  /** All that this node was ever to pay for what circuits carried, base units; its growth is what is shown. */
  readonly due: () => bigint;
  /** What the ledger said of a name lately; undefined when it has to be asked. */
  readonly terms: (name: string) => Pick<NameRecord, 'royaltyBps' | 'referrerBps'> | undefined;
  /** Of the bank, basis points; undefined while the ledger has not said. */
  readonly feeBps: () => Promise<number | undefined>;
  readonly clock: Clock;
  /** Milliseconds of a clock that only goes forward. */
  readonly monotonic?: () => number;
}

const STEP_MILLIS = 10_000;
/** Ten minutes. */
const STEPS = 60;
const ALL_BPS = 10_000n;

/** Content of one name in the pages of one site. */
interface Content {
  readonly payer: string;
  readonly name: string;
  bytes: number;
  cached: number;
  cost: bigint;
  host: bigint;
  relayed: bigint;
  terms: Pick<NameRecord, 'royaltyBps' | 'referrerBps'> | undefined;
  lastAt: UnixMillis;
}

type Sums = { -readonly [Party in keyof SpendingParties]: bigint };

export class VisitorCosts implements Spending {
  readonly #options: VisitorCostsOptions;
  readonly #contents: LRUCache<string, Content>;
  readonly #throughput: Throughput;
  readonly #since: UnixMillis;
  readonly #dueThen: bigint;
  #spent = 0n;
  #forgotten = { contents: 0, cost: 0n };

  constructor(options: VisitorCostsOptions) {
    this.#options = options;
    this.#since = options.clock.now();
    this.#dueThen = options.due();
    this.#throughput = new Throughput(options.monotonic ?? ((): number => performance.now()));
    this.#contents = new LRUCache({
      max: MAX_COST_CONTENTS,
      dispose: ({ cost }, _key, reason) => {
        if (reason !== 'evict') return;
        this.#forgotten = { contents: this.#forgotten.contents + 1, cost: this.#forgotten.cost + cost };
      },
    });
  }

  /** A site was charged for a block. */
  charge({ payer, name, bytes, cost, host, relayed }: Charge): void {
    const content = this.#content(payer, name);
    content.bytes += bytes;
    content.cost += cost;
    content.host += host;
    content.relayed += relayed;
    content.terms = this.#options.terms(name) ?? content.terms;
    this.#spent += cost;
    this.#throughput.add(bytes);
  }

  /** Something was shown that was kept. */
  cached(payer: string, name: string, bytes: number): void {
    this.#content(payer, name).cached += bytes;
  }

  async view(): Promise<SpendingView> {
    const { budget, clock, due } = this.#options;
    const feeBps = await this.#options.feeBps();
    const budgets = new Map(budget.sites().map((row) => [row.who, row]));
    const bySite = new Map<string, Content[]>();
    for (const content of this.#contents.values()) {
      const same = bySite.get(content.payer);
      if (same === undefined) bySite.set(content.payer, [content]);
      else same.push(content);
    }
    const names = new Set([...bySite.keys(), ...budgets.keys()]);
    const sites = Array.from(names, (site) =>
      siteOf(site, bySite.get(site) ?? [], budgets.get(site) ?? budget.site(site), feeBps ?? 0),
    );
    const upkeep = due() - this.#dueThen - this.#spent;
    return {
      since: this.#since,
      now: clock.now(),
      spent: this.#spent.toString(),
      upkeep: (upkeep < 0n ? 0n : upkeep).toString(),
      feeBps: feeBps ?? null,
      sites: sites.sort(byCost),
      forgotten: { contents: this.#forgotten.contents, cost: this.#forgotten.cost.toString() },
      throughput: { stepMillis: STEP_MILLIS, bytes: this.#throughput.steps() },
    };
  }

  async order(order: SiteOrder): Promise<void> {
    await obeyOrder(this.#options.budget, order);
  }

  #content(payer: string, name: string): Content {
    // Neither has a space in it.
    const key = `${payer} ${name}`;
    let content = this.#contents.get(key);
    const lastAt = this.#options.clock.now();
    if (content === undefined) {
      content = { payer, name, bytes: 0, cached: 0, cost: 0n, host: 0n, relayed: 0n, terms: undefined, lastAt };
      this.#contents.set(key, content);
    }
    content.lastAt = lastAt;
    return content;
  }
}

function siteOf(name: string, contents: readonly Content[], budget: SiteSpending, feeBps: number): SpendingSite {
  const rows = contents.map((content) => ({ content, parties: partiesOf(content, feeBps) }));
  const last = contents.reduce((latest, { lastAt }) => Math.max(latest, lastAt), 0);
  return {
    name,
    bytes: contents.reduce((sum, { bytes }) => sum + bytes, 0),
    cached: contents.reduce((sum, { cached }) => sum + cached, 0),
    cost: contents.reduce((sum, { cost }) => sum + cost, 0n).toString(),
    parties: textOf(rows.reduce((sum, { parties }) => added(sum, parties), NOBODY)),
    contents: rows
      .map(({ content: { name: whose, bytes, cached, cost, terms }, parties }): SpendingContent => ({
        name: whose,
        bytes,
        cached,
        cost: cost.toString(),
        parties: textOf(parties),
        terms: terms === undefined ? null : { royaltyBps: terms.royaltyBps, referrerBps: terms.referrerBps },
      }))
      .sort(byCost),
    budget: {
      limit: budget.limit.toString(),
      hasOwnLimit: budget.hasOwnLimit,
      spent: budget.spent.toString(),
      stopped: budget.isStopped,
      freesAt: budget.freesAt ?? null,
    },
    lastAt: last === 0 ? null : last,
  };
}

const NOBODY: Sums = { relays: 0n, host: 0n, owner: 0n, embedded: 0n, page: 0n, fee: 0n };

/**
 * By the offers of the hops and the terms on the ledger: what the parties will see if they settle what they are paid as it is. The fee is
 * taken from whatever is settled, so that a relay's is a part of what it pays onward too; none is said to keep less than nothing.
 */
function partiesOf({ payer, name, cost, host: said, relayed, terms }: Content, feeBps: number): Sums {
  // Each part was rounded up by itself.
  const host = said < cost ? said : cost;
  const asked = cost - host;
  const fees = (relayed * BigInt(feeBps)) / ALL_BPS;
  const relayFee = fees < asked ? fees : asked;
  const isEmbedded = payer !== name;
  const { royaltyBps = 0, referrerBps = 0 } = terms ?? {};
  const { royalty, referred } = royaltyOf(amount(host), isEmbedded, { feeBps, royaltyBps, referrerBps }, NO_CARRY);
  const afterFee = (host * (ALL_BPS - BigInt(feeBps))) / ALL_BPS;
  return {
    relays: asked - relayFee,
    host: afterFee - royalty,
    owner: isEmbedded ? 0n : royalty,
    embedded: isEmbedded ? royalty - referred : 0n,
    page: referred,
    fee: relayFee + host - afterFee,
  };
}

function added(one: Sums, other: Sums): Sums {
  return {
    relays: one.relays + other.relays,
    host: one.host + other.host,
    owner: one.owner + other.owner,
    embedded: one.embedded + other.embedded,
    page: one.page + other.page,
    fee: one.fee + other.fee,
  };
}

function textOf(sums: Sums): SpendingParties {
  return {
    relays: sums.relays.toString(),
    host: sums.host.toString(),
    owner: sums.owner.toString(),
    embedded: sums.embedded.toString(),
    page: sums.page.toString(),
    fee: sums.fee.toString(),
  };
}

interface Ranked {
  readonly name: string;
  readonly cost: string;
}

function byCost(one: Ranked, other: Ranked): number {
  const more = BigInt(other.cost) - BigInt(one.cost);
  return more > 0n ? 1 : more < 0n ? -1 : one.name < other.name ? -1 : 1;
}

/** Bytes in each of the last steps. */
class Throughput {
  readonly #now: () => number;
  readonly #bytes: number[] = Array.from({ length: STEPS }, () => 0);
  #step: number;

  constructor(now: () => number) {
    this.#now = now;
    this.#step = this.#stepNow();
  }

  add(bytes: number): void {
    this.#goOn();
    this.#bytes[STEPS - 1] = (this.#bytes[STEPS - 1] ?? 0) + bytes;
  }

  steps(): readonly number[] {
    this.#goOn();
    return [...this.#bytes];
  }

  #goOn(): void {
    const step = this.#stepNow();
    const passed = Math.min(STEPS, step - this.#step);
    this.#step = step;
    this.#bytes.splice(0, passed);
    this.#bytes.push(...Array.from({ length: passed }, () => 0));
  }

  #stepNow(): number {
    return Math.floor(this.#now() / STEP_MILLIS);
  }
}

/** What a node's books say that it was ever to pay, base units: accounts that are open, and what those that are over were paid. */
export function dueOf(books: {
  readonly book: { peers(): readonly { readonly role: string; readonly due: Amount }[] };
  readonly store: { closed(role: 'payer'): { readonly signed: bigint } };
}): bigint {
  return books.book
    .peers()
    .reduce((sum, { role, due }) => (role === 'payer' ? sum + due : sum), books.store.closed('payer').signed);
}
