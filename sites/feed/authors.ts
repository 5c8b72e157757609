/** Whose names those are that say something: asked of the ledger seldom, however much is brought that nobody signed who may. */
import { isRelaymintError, RelaymintError } from '../../core/errors.ts';
import {
  ENTRY_QUESTIONS_AT_ONCE,
  ENTRY_QUESTION_REST_MILLIS,
  MAX_CACHED_NAMES,
  NAME_CACHE_MILLIS,
} from '../../core/limits.ts';
import type { Clock } from '../../core/ports.ts';
import { Questions } from '../../core/questions.ts';
import type { LedgerReader, NameRecord } from '../../ledger/contract.ts';
import type { SignedEntry } from './contract.ts';
import { checkEntry } from './entry.ts';

/**
 * Who signed as the ledger named the owner last, or is about to say something in that owner's name, waits for no stranger: to use that up one
 * has to have many names.
 */
const PROVEN = 'proven';
const STRANGERS = 'strangers';
/** Of a name that has just been asked for, milliseconds: what does not fit is a forgery, and no new owner's. */
const JUST_ASKED_MILLIS = 1_000;

export class Authors {
  readonly #ledger: Pick<LedgerReader, 'name'>;
  readonly #clock: Clock;
  readonly #questions: Questions<NameRecord | undefined>;

  constructor(ledger: Pick<LedgerReader, 'name'>, clock: Clock) {
    this.#ledger = ledger;
    this.#clock = clock;
    this.#questions = new Questions({
      atOnce: ENTRY_QUESTIONS_AT_ONCE,
      restMillis: ENTRY_QUESTION_REST_MILLIS,
      kept: MAX_CACHED_NAMES,
      now: () => clock.now(),
      lanes: [PROVEN, STRANGERS],
    });
  }

  /**
   * The record by which its author may say it, a few seconds old at most.
   * @throws RelaymintError ENTRY_INVALID, ENTRY_STALE, as `checkEntry`; LIMIT_EXCEEDED (strangers ask too much now); what the ledger throws.
   */
  async check(signed: SignedEntry): Promise<NameRecord | undefined> {
    const { author } = signed.entry;
    const last = this.#questions.known(author, Number.POSITIVE_INFINITY);
    const isProven = last !== undefined && this.#isGood(signed, last.answer);
    const isFresh = this.#questions.known(author, isProven ? NAME_CACHE_MILLIS : JUST_ASKED_MILLIS) !== undefined;
    const record = isFresh ? last?.answer : await this.#ask(author, isProven ? PROVEN : STRANGERS);
    checkEntry(signed, record, this.#clock.now());
    return record;
  }

  /** The record of a name in which somebody says something who may. @throws RelaymintError LIMIT_EXCEEDED; what the ledger throws. */
  async nameOf(name: string): Promise<NameRecord | undefined> {
    const known = this.#questions.known(name, NAME_CACHE_MILLIS);
    return known === undefined ? await this.#ask(name, PROVEN) : known.answer;
  }

  async #ask(name: string, lane: string): Promise<NameRecord | undefined> {
    const asked = this.#questions.ask(name, () => this.#ledger.name(name), lane);
    if (asked !== undefined) return await asked;
    throw new RelaymintError('LIMIT_EXCEEDED', `Too many names are looked up here now, and so ${name} is not.`, {
      remedy: 'Wait a little, and bring it again.',
    });
  }

  #isGood(signed: SignedEntry, record: NameRecord | undefined): boolean {
    try {
      checkEntry(signed, record, this.#clock.now());
      return true;
    } catch (error) {
      if (isRelaymintError(error, 'ENTRY_INVALID', 'ENTRY_STALE')) return false;
      throw error;
    }
  }
}
