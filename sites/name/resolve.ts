/** From a name to what the chain says about it, a few seconds fresh, never older than what was already seen. */
import { LRUCache } from 'lru-cache';
import { CID } from 'multiformats/cid';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_CACHED_NAMES, NAME_CACHE_MILLIS } from '../../core/limits.ts';
import { systemClock } from '../../core/ports.ts';
import type { Clock } from '../../core/ports.ts';
import { U64_MAX } from '../../core/units.ts';
import type { LedgerReader, NameRecord } from '../../ledger/contract.ts';
import { parseName } from '../../core/name.ts';

/** A name with its content root decoded. */
export interface ResolvedName {
  readonly name: string;
  readonly root: CID;
  readonly record: NameRecord;
}

export interface NameResolverOptions {
  readonly ledger: Pick<LedgerReader, 'name'>;
  readonly clock?: Clock;
  /** How long an answer is used again, milliseconds. */
  readonly cacheMillis?: number;
}

export interface NameResolver {
  /**
   * A name in its grace period still resolves.
   * @throws RelaymintError NAME_INVALID, NAME_UNKNOWN, NAME_EXPIRED, CONTENT_NOT_FOUND (the record names no content),
   * or whatever the ledger throws (LEDGER_UNREACHABLE).
   */
  resolve(name: string): Promise<ResolvedName>;
  /** The record, a few seconds fresh, never older than what was seen; undefined: nobody has the name. @throws what the ledger throws. */
  record(name: string): Promise<NameRecord | undefined>;
  /** The record, as the ledger said lately; undefined when it has to be asked, or said that there is none. */
  known(name: string): NameRecord | undefined;
  /** Forgets what is cached, not what was seen: the next answer is read from the chain. */
  refresh(name: string): void;
}

interface Seen {
  readonly record: NameRecord | undefined;
  readonly readAt: number;
}

/** A resolver with a bounded cache. Concurrent questions about one name become one question to the ledger. */
export function createNameResolver(options: NameResolverOptions): NameResolver {
  return new CachingResolver(options);
}

class CachingResolver implements NameResolver {
  readonly #ledger: Pick<LedgerReader, 'name'>;
  readonly #clock: Clock;
  readonly #cacheMillis: number;
  readonly #seen = new LRUCache<string, Seen>({ max: MAX_CACHED_NAMES });
  readonly #asking = new Map<string, Promise<NameRecord | undefined>>();

  constructor(options: NameResolverOptions) {
    this.#ledger = options.ledger;
    this.#clock = options.clock ?? systemClock;
    this.#cacheMillis = options.cacheMillis ?? NAME_CACHE_MILLIS;
  }

  async resolve(text: string): Promise<ResolvedName> {
    const { name } = parseName(text);
    const record = await this.record(name);
    if (record === undefined) {
      throw new RelaymintError('NAME_UNKNOWN', `Nobody has registered ${name}.`, {
        remedy: 'Check the spelling, or register it with "relaymint site publish".',
      });
    }
    if (record.status === 'expired') {
      throw new RelaymintError('NAME_EXPIRED', `${name} has expired: nobody renewed it.`, {
        remedy: 'Its last owner, or anybody else, can register it again.',
      });
    }
    return { name, root: rootOfRecord(record), record };
  }

  known(name: string): NameRecord | undefined {
    const record = this.#fresh(name)?.record;
    return record === undefined || record.status === 'expired' ? undefined : record;
  }

  refresh(name: string): void {
    const seen = this.#seen.get(name);
    if (seen !== undefined) this.#seen.set(name, { ...seen, readAt: Number.NEGATIVE_INFINITY });
  }

  async record(name: string): Promise<NameRecord | undefined> {
    const seen = this.#fresh(name);
    if (seen !== undefined) return seen.record;
    let asking = this.#asking.get(name);
    if (asking === undefined) {
      asking = this.#ask(name).finally(() => this.#asking.delete(name));
      this.#asking.set(name, asking);
    }
    return await asking;
  }

  #fresh(name: string): Seen | undefined {
    const seen = this.#seen.get(name);
    if (seen === undefined) return undefined;
    const age = this.#clock.now() - seen.readAt;
    // A clock that was set back says nothing.
    return age >= 0 && age < this.#cacheMillis ? seen : undefined;
  }

  async #ask(name: string): Promise<NameRecord | undefined> {
    const answer = await this.#ledger.name(name);
    const known = this.#seen.get(name)?.record;
    // A lagging or lying ledger node may answer with an old record: keep the newest one seen.
    const record = known !== undefined && isOlder(answer, known) ? known : answer;
    this.#seen.set(name, { record, readAt: this.#clock.now() });
    return record;
  }
}

/** Within one sequence number the term only grows. */
function isOlder(answer: NameRecord | undefined, known: NameRecord): boolean {
  if (answer === undefined || answer.seq < known.seq) return true;
  return answer.seq === known.seq && endOf(answer) < endOf(known);
}

function endOf({ expiresAt }: NameRecord): bigint {
  return expiresAt ?? U64_MAX;
}

/** What a record points to. @throws RelaymintError CONTENT_NOT_FOUND. */
export function rootOfRecord(record: NameRecord): CID {
  if (record.root.length === 0) {
    throw new RelaymintError('CONTENT_NOT_FOUND', `${record.name} is registered but has no content yet.`, {
      remedy: 'Its owner can publish some with "relaymint site publish".',
    });
  }
  try {
    return CID.decode(record.root);
  } catch (cause) {
    throw new RelaymintError('CONTENT_NOT_FOUND', `The record of ${record.name} holds something that is not a CID.`, {
      remedy: 'Its owner has to publish again.',
      cause,
    });
  }
}
