/** See `contract.ts`. After Tor's guard specification: a sample drawn once, kept in order, left only when it must be. */
import { backoff, type Backoff } from '../../../core/backoff.ts';
import type { NodeId } from '../../../core/ids.ts';
import {
  GUARD_LIFE_LEAST_MILLIS,
  GUARD_LIFE_MOST_MILLIS,
  GUARD_RETRY_FIRST_MILLIS,
  GUARD_RETRY_LAST_MILLIS,
  GUARD_UNLISTED_LEAST_MILLIS,
  GUARD_UNLISTED_MILLIS,
  LEAST_GUARDS,
  LOSSES_APART_MILLIS,
  MAX_GIVEN_UP_GUARDS,
  MAX_GUARDS,
  MAX_HOST_FAILURES,
  MAX_HOSTS_FAILURES,
  OPERATORS_PER_GIVEN_UP,
  PATH_GIVE_UP_SHARE,
  PATH_WARN_SHARE,
  SAMPLED_GUARDS,
} from '../../../core/limits.ts';
import { forwardOnly, silentLog, systemClock, type Clock, type Log } from '../../../core/ports.ts';
import type { PricePerMiB } from '../../../core/units.ts';
import type { SignedOffer } from '../../offer/index.ts';
import { areOneOperator } from '../operators.ts';
import { secureRandom } from '../path.ts';
import {
  RELAY_SERVICE,
  marketPrice,
  priced,
  shuffledByPrice,
  type KnownOffers,
  type Priced,
} from '../../circuit/index.ts';
import type { Counts, GuardOptions, GuardView, Guards } from './contract.ts';
import { CircuitCounts, failingShare } from './counts.ts';
import { decodeGuards, encodeGuards, type FiledGuard, type GuardOwner } from './format.ts';

/** When a guard that was not reached is tried again. */
const RETRIES: Backoff = { first: GUARD_RETRY_FIRST_MILLIS, last: GUARD_RETRY_LAST_MILLIS };
/** The first ones of the order: the others are tried once these could not be reached for `PATIENCE_MILLIS`. */
const PRIMARY = 3;
/** A node that cannot reach its first guards for less than this may be offline: it tries no other relay meanwhile, milliseconds. */
const PATIENCE_MILLIS = 10 * 60_000;
/** Counts are written down at most this often, milliseconds; guards at once. */
const SAVE_MILLIS = 60_000;
/** Counts of hosts start again from zero after this, milliseconds. */
const HOST_MEMORY_MILLIS = 24 * 60 * 60_000;
/** With fewer operators of relays no relay is set aside and no guard is given up: one that fails is on every path. */
const LEAST_OPERATORS = 4;

interface Guard {
  readonly node: NodeId;
  readonly sampledAt: number;
  expiresAt: number;
  listedAt: number;
  confirmedAt?: number | undefined;
  droppedAt?: number | undefined;
  readonly counts: CircuitCounts;
  /** Since when it was not reached, and when it is tried again. */
  away?: { readonly since: number; readonly failures: number; readonly until: number } | undefined;
  lostAt: number;
  warned: boolean;
}

/** Kept in memory: for as long as the process lives. */
export function createGuards(options: Omit<GuardOptions, 'store'>): Guards {
  return new SampledGuards(options, []);
}

/** Reads what was kept. @throws RelaymintError INVALID_ENCODING (damaged), VERSION_UNSUPPORTED, STORAGE_FAILED, INVALID_CONFIG (somebody else's). */
export async function openGuards(options: GuardOptions): Promise<Guards> {
  const content = await options.store?.read();
  const filed = content === undefined ? [] : decodeGuards(content, options.store?.name ?? '', ownerOf(options));
  return new SampledGuards(options, filed);
}

function ownerOf({ nodeId, wallet }: GuardOptions): GuardOwner {
  return { node: nodeId, wallet };
}

class SampledGuards implements Guards {
  readonly #options: GuardOptions;
  readonly #clock: Clock;
  /** State of this process only: which guards are away, and until when. */
  readonly #forward: () => number;
  readonly #log: Log;
  readonly #random: () => number;
  /** In the order in which they were drawn. */
  #guards: Guard[];
  #givenUp: ReadonlySet<NodeId> = new Set();
  /** Wallets behind the relays that are offered. */
  #operators = 0;
  /** By guard and host: failures that were counted. */
  #hostFailures = new Map<string, number>();
  #hostsSince: number;
  /** A guard that was drawn or given up is not on disk yet. */
  #unsaved = false;
  #savedAt: number;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: GuardOptions, filed: readonly FiledGuard[]) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#forward = forwardOnly(this.#clock);
    this.#log = options.log ?? silentLog;
    this.#random = options.random ?? secureRandom;
    const now = this.#clock.now();
    this.#hostsSince = now;
    this.#savedAt = now;
    this.#guards = filed.map(revived);
    this.#judgeRelays();
  }

  get givenUp(): ReadonlySet<NodeId> {
    return this.#givenUp;
  }

  order(offers: KnownOffers, most: PricePerMiB): readonly NodeId[] {
    const now = this.#clock.now();
    const relays = priced(offers.find(RELAY_SERVICE), RELAY_SERVICE).filter(
      ({ offer }) => offer.nodeId !== this.#options.nodeId,
    );
    this.#operators = new Set(relays.map(({ offer }) => offer.wallet)).size;
    const offered = new Set(relays.map(({ offer }) => offer.nodeId));
    for (const guard of this.#guards) if (offered.has(guard.node)) guard.listedAt = now;
    const cheap = relays.filter(({ price }) => price <= most);
    const listed = new Map(cheap.map(({ offer }) => [offer.nodeId, offer]));
    // Valid offers show that the clock is right to a day. Without any it may be at its beginning, or years ahead.
    if (relays.length > 0) {
      // Whatever the clock said when they were drawn, none is kept longer than that.
      for (const guard of this.#guards) guard.expiresAt = Math.min(guard.expiresAt, now + GUARD_LIFE_MOST_MILLIS);
      this.#forget(({ expiresAt, listedAt }) => expiresAt <= now || listedAt + GUARD_UNLISTED_MILLIS <= now);
    }
    const usable = (): Guard[] =>
      this.#guards.filter(({ node, droppedAt }) => droppedAt === undefined && listed.has(node));
    let found = usable();
    const wanted = this.#guards.length === 0 ? SAMPLED_GUARDS : LEAST_GUARDS;
    const have = apart(found.flatMap(({ node }) => listed.get(node) ?? []));
    if (have.length < wanted) {
      const drawn = shuffledByPrice(cheap, marketPrice(offers, RELAY_SERVICE), this.#random);
      const { dials = (): boolean => true } = this.#options;
      const [near, far] = [drawn.filter(({ offer }) => dials(offer)), drawn.filter(({ offer }) => !dials(offer))];
      this.#sample([...near, ...far], have, wanted);
      found = usable();
      // Too few operators are known: several of one are better than one that is down.
      if (found.length < LEAST_GUARDS) this.#fill([...near, ...far], LEAST_GUARDS - found.length);
      found = usable();
    }
    // If there is no other, a guard whose circuits fail is better than none.
    if (found.length === 0) found = this.#guards.filter(({ node }) => listed.has(node));
    return inTurn(ranked(found), this.#forward()).map(({ node }) => node);
  }

  async saved(): Promise<void> {
    if (this.#unsaved) await this.#save();
  }

  unreachable(node: NodeId): void {
    const guard = this.#find(node);
    if (guard === undefined) return;
    const now = this.#forward();
    const { since = now, failures: before = 0 } = guard.away ?? {};
    const failures = before + 1;
    guard.away = { since, failures, until: now + backoff(failures, RETRIES) };
  }

  stood(relays: readonly NodeId[]): void {
    const guard = this.#find(relays[0]);
    if (guard === undefined) return;
    const now = this.#clock.now();
    if (this.#guards.every(({ away, droppedAt }) => away !== undefined || droppedAt !== undefined)) {
      // This node was offline: that says nothing about any of them.
      for (const one of this.#guards) one.away = undefined;
    }
    guard.away = undefined;
    guard.counts.count(false, 1, now);
    for (const relay of relays.slice(1)) guard.counts.countRelay(relay, false, 1);
    if (guard.confirmedAt === undefined) {
      guard.confirmedAt = now;
      this.#unsaved = true;
    }
    this.#saveSoon(now);
  }

  refused(relays: readonly NodeId[], hop: number, weight: number): void {
    const guard = this.#find(relays[0]);
    if (guard === undefined || hop < 1) return;
    const now = this.#clock.now();
    // It answered.
    guard.away = undefined;
    guard.counts.count(true, weight, now);
    // What the guard itself says about the next relay counts only against the guard, because it can say it about any relay.
    if (hop > 1) {
      for (const [place, relay] of relays.slice(0, hop + 1).entries()) {
        if (place > 0) guard.counts.countRelay(relay, place >= hop - 1, weight);
      }
    }
    this.#judgeRelays();
    this.#judge(guard);
    this.#saveSoon(now);
  }

  lost(relays: readonly NodeId[], lastHop: NodeId): void {
    const guard = this.#find(relays[0]);
    if (guard === undefined) return;
    const now = this.#clock.now();
    const lostAt = this.#forward();
    const apart = lostAt - guard.lostAt;
    guard.lostAt = lostAt;
    if (apart < LOSSES_APART_MILLIS || !this.#countsAt(lastHop, guard.node, now)) return;
    guard.counts.count(true, 1, now);
    this.#judge(guard);
    this.#saveSoon(now);
  }

  view(): readonly GuardView[] {
    const now = this.#forward();
    return ranked(this.#guards).map(({ node, droppedAt, confirmedAt, away, sampledAt, counts }) => ({
      node,
      state:
        droppedAt !== undefined
          ? 'dropped'
          : away !== undefined && away.until > now
            ? 'waiting'
            : confirmedAt === undefined
              ? 'sampled'
              : 'used',
      since: sampledAt,
      tried: Math.round(counts.tried),
      failed: Math.round(counts.failed),
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#save().catch((error: unknown) => this.#notSaved(error));
  }

  // --- the sample -------------------------------------------------------------------------------------------------------------

  #find(node: NodeId | undefined): Guard | undefined {
    return this.#guards.find((guard) => guard.node === node);
  }

  /** Draws until `wanted` operators are among the usable ones, or no relay is left. */
  #sample(order: readonly Priced[], have: SignedOffer[], wanted: number): void {
    for (const { offer } of order) {
      if (have.length >= wanted) return;
      if (this.#find(offer.nodeId) !== undefined || this.#givenUp.has(offer.nodeId)) continue;
      if (have.some((other) => areOneOperator(other, offer))) continue;
      if (!this.#draw(offer)) return;
      have.push(offer);
    }
  }

  /** Draws this many more, whatever their operators. */
  #fill(order: readonly Priced[], count: number): void {
    const others = order.filter(({ offer: { nodeId } }) => !this.#find(nodeId) && !this.#givenUp.has(nodeId));
    for (const { offer } of others.slice(0, count)) if (!this.#draw(offer)) return;
  }

  #draw({ nodeId }: SignedOffer): boolean {
    const now = this.#clock.now();
    if (this.#guards.length >= MAX_GUARDS) {
      const oldest = this.#guards.reduce((a, b) => (b.listedAt < a.listedAt ? b : a));
      if (oldest.listedAt + GUARD_UNLISTED_LEAST_MILLIS > now) return false;
      this.#forget((guard) => guard === oldest);
    }
    const life = GUARD_LIFE_LEAST_MILLIS + this.#random() * (GUARD_LIFE_MOST_MILLIS - GUARD_LIFE_LEAST_MILLIS);
    const expiresAt = Math.floor(now + life);
    const none = { tried: 0, failed: 0 };
    this.#guards.push(
      revived({ node: nodeId, sampledAt: now, expiresAt, listedAt: now, fadedAt: now, relays: [], ...none }),
    );
    this.#unsaved = true;
    return true;
  }

  #forget(isGone: (guard: Guard) => boolean): void {
    const kept = this.#guards.filter((guard) => !isGone(guard));
    if (kept.length === this.#guards.length) return;
    this.#guards = kept;
    this.#unsaved = true;
  }

  // --- judgement --------------------------------------------------------------------------------------------------------------

  #judge(guard: Guard): void {
    const counts = guard.counts.without(this.#givenUp);
    const share = failingShare(counts);
    const told = { tried: Math.round(counts.tried), failed: Math.round(counts.failed) };
    if (share > PATH_GIVE_UP_SHARE && guard.droppedAt === undefined && this.#mayDrop(guard)) {
      guard.droppedAt = this.#clock.now();
      this.#unsaved = true;
      this.#judgeRelays();
      this.#log.warn(
        { blamed: [guard.node], ...told },
        'most circuits through this guard fail, whatever the next hop; the next guard replaces it',
      );
    } else if (share > PATH_WARN_SHARE && !guard.warned) {
      guard.warned = true;
      this.#log.warn(
        { guard: guard.node, ...told },
        'many circuits through this guard fail; it is replaced if that goes on',
      );
    }
  }

  /** Paths through few relays share most of them: one that fails makes all guards look alike. */
  #mayDrop(guard: Guard): boolean {
    if (this.#operators < LEAST_OPERATORS) return false;
    const dropped = this.#guards.filter(({ droppedAt }) => droppedAt !== undefined).length;
    return dropped < MAX_GIVEN_UP_GUARDS && this.#guards.some((one) => one !== guard && one.droppedAt === undefined);
  }

  /** Guards that were given up, and the few relays at which most circuits fail as seen through the current guards. */
  #judgeRelays(): void {
    const sums = new Map<NodeId, Counts>();
    const dropped: NodeId[] = [];
    for (const { node, droppedAt, counts } of this.#guards) {
      if (droppedAt !== undefined) {
        dropped.push(node);
        continue;
      }
      for (const [relay, { tried, failed }] of counts.relays) {
        const sum = sums.get(relay) ?? { tried: 0, failed: 0 };
        sums.set(relay, { tried: sum.tried + tried, failed: sum.failed + failed });
      }
    }
    const most =
      this.#operators < LEAST_OPERATORS ? 0 : Math.max(1, Math.floor(this.#operators / OPERATORS_PER_GIVEN_UP));
    const worst = Array.from(sums, ([node, counts]) => ({ node, counts, share: failingShare(counts) }))
      .filter(({ share }) => share > PATH_GIVE_UP_SHARE)
      .sort((a, b) => b.share - a.share)
      .slice(0, most);
    for (const { node, counts } of worst) {
      if (this.#givenUp.has(node)) continue;
      const told = { tried: Math.round(counts.tried), failed: Math.round(counts.failed) };
      this.#log.warn(
        { blamed: [node], ...told },
        'most circuits through this relay fail; others are used while there are enough',
      );
    }
    this.#givenUp = new Set([...dropped, ...worst.map(({ node }) => node)]);
  }

  #countsAt(host: NodeId, guard: NodeId, now: number): boolean {
    if (Math.abs(now - this.#hostsSince) > HOST_MEMORY_MILLIS) {
      this.#hostFailures = new Map();
      this.#hostsSince = now;
    }
    // Per host, and for all together: an attacker that fails circuits on purpose can run as many hosts as it likes.
    const [one, all] = [`${guard} ${host}`, guard];
    const [ofOne, ofAll] = [this.#hostFailures.get(one) ?? 0, this.#hostFailures.get(all) ?? 0];
    if (ofOne >= MAX_HOST_FAILURES || ofAll >= MAX_HOSTS_FAILURES) return false;
    this.#hostFailures.set(one, ofOne + 1).set(all, ofAll + 1);
    return true;
  }

  // --- the disk ---------------------------------------------------------------------------------------------------------------

  #saveSoon(now: number): void {
    if (!this.#unsaved && Math.abs(now - this.#savedAt) < SAVE_MILLIS) return;
    this.#save().catch((error: unknown) => this.#notSaved(error));
  }

  /** One write after the other; each writes the state when it begins. */
  #save(): Promise<void> {
    this.#savedAt = this.#clock.now();
    this.#writing = this.#writing.catch(() => {}).then(() => this.#write());
    return this.#writing;
  }

  async #write(): Promise<void> {
    const { store } = this.#options;
    // A node that builds no circuits has no guards, and no file.
    if (store === undefined || (this.#guards.length === 0 && !this.#unsaved)) return;
    this.#unsaved = false;
    try {
      await store.write(encodeGuards(this.#guards.map(filed), ownerOf(this.#options)));
    } catch (error) {
      this.#unsaved = true;
      throw error;
    }
  }

  #notSaved(error: unknown): void {
    this.#log.warn({ err: error }, 'the guards could not be saved');
  }
}

/** One of each operator. */
function apart(offers: readonly SignedOffer[]): SignedOffer[] {
  const found: SignedOffer[] = [];
  for (const offer of offers) if (!found.some((other) => areOneOperator(other, offer))) found.push(offer);
  return found;
}

/** Those through which circuits were built, in the order of their first circuit; then the others as they were drawn. */
function ranked(guards: readonly Guard[]): Guard[] {
  return [
    ...guards
      .filter(({ confirmedAt }) => confirmedAt !== undefined)
      .sort((a, b) => Number(a.confirmedAt) - Number(b.confirmedAt)),
    ...guards.filter(({ confirmedAt }) => confirmedAt === undefined),
  ];
}

/** Those that cannot be reached for now come later; if no first one can be reached, this node may be offline. */
function inTurn(ranks: readonly Guard[], now: number): readonly Guard[] {
  const waits = ({ away }: Guard): boolean => away !== undefined && away.until > now;
  const primary = ranks.slice(0, PRIMARY);
  const reached = primary.filter((guard) => !waits(guard));
  if (reached.length > 0) return unique([...reached, ...ranks]);
  if (primary.some(({ away }) => away === undefined || now - away.since < PATIENCE_MILLIS)) return ranks;
  return unique([...ranks.filter((guard) => !waits(guard)), ...ranks]);
}

function unique(guards: readonly Guard[]): readonly Guard[] {
  const once = new Set(guards);
  return [...once];
}

function revived(guard: FiledGuard): Guard {
  const { node, sampledAt, listedAt, confirmedAt, droppedAt, tried, failed, fadedAt, relays } = guard;
  return {
    node,
    sampledAt,
    expiresAt: guard.expiresAt,
    listedAt,
    confirmedAt,
    droppedAt,
    counts: new CircuitCounts(
      { tried, failed },
      relays.map((relay) => [relay.node, { tried: relay.tried, failed: relay.failed }] as const),
      fadedAt,
    ),
    lostAt: Number.NEGATIVE_INFINITY,
    warned: false,
  };
}

function filed({ node, sampledAt, expiresAt, listedAt, confirmedAt, droppedAt, counts }: Guard): FiledGuard {
  return {
    node,
    sampledAt,
    expiresAt,
    listedAt,
    ...(confirmedAt === undefined ? {} : { confirmedAt }),
    ...(droppedAt === undefined ? {} : { droppedAt }),
    tried: counts.tried,
    failed: counts.failed,
    fadedAt: counts.fadedAt,
    relays: Array.from(counts.relays, ([relay, { tried, failed }]) => ({ node: relay, tried, failed })),
  };
}
