/** Statements that a gateway was given and has not handed to the owners yet. */
import { randomInt } from 'node:crypto';
import path from 'node:path';
import {
  MAX_STATEMENTS_KEPT,
  MAX_STATEMENTS_OF_NAME,
  STATEMENT_DELAY_LEAST_MILLIS,
  STATEMENT_DELAY_MOST_MILLIS,
  STATEMENT_KEPT_MILLIS,
} from '../../core/limits.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { unixMillis, type UnixMillis } from '../../core/units.ts';
import { replaceFile } from '../../platform/disk/atomic-file.ts';
import { makeFolder } from '../../platform/disk/folder.ts';
import { joined, readLines } from '../../platform/disk/line-file.ts';
import { MAX_STATEMENT_LINE, lineOf, statementOf } from './lines.ts';
import { streamOf, type SignedStatement } from './statement.ts';

export interface OutboxOptions {
  /** Where they outlive the process. Absent: they do not. */
  readonly file?: string;
  /** Draws how long one waits, milliseconds. */
  readonly delay?: () => number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Disposing it writes what is kept. */
export interface Outbox extends AsyncDisposable {
  /** In the room of an earlier one of the same stream. */
  keep(statement: SignedStatement): void;
  /** Those that have waited long enough, in random order. */
  due(): readonly SignedStatement[];
  /** They are handed over, or nobody will ever take them. What was stated since on the same stream stays. */
  drop(statements: readonly SignedStatement[]): void;
  readonly size: number;
  /** Writes them, if there is a file and they are others than it has. @throws RelaymintError STORAGE_FAILED, STORAGE_FULL. */
  write(): Promise<void>;
}

export async function openOutbox(options: OutboxOptions): Promise<Outbox> {
  const outbox = new Kept(options);
  await outbox.read();
  return outbox;
}

interface Waiting {
  readonly statement: SignedStatement;
  /** When it is handed over at the earliest, and when it was given. */
  readonly due: UnixMillis;
  readonly since: UnixMillis;
}

class Kept implements Outbox {
  readonly #options: OutboxOptions;
  /** Oldest first. */
  readonly #waiting = new Map<string, Waiting>();
  readonly #ofName = new Map<string, number>();
  #isWritten = true;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#waiting.size;
  }

  keep(statement: SignedStatement): void {
    const now = this.#options.clock.now();
    const delay = this.#options.delay ?? usualDelay;
    this.#add({ statement, since: now, due: unixMillis(now + delay()) });
  }

  due(): readonly SignedStatement[] {
    const now = this.#options.clock.now();
    for (const [key, { since }] of this.#waiting) if (since + STATEMENT_KEPT_MILLIS <= now) this.#remove(key);
    const due = Array.from(this.#waiting.values()).filter((one) => one.due <= now);
    return shuffled(due.map(({ statement }) => statement));
  }

  drop(statements: readonly SignedStatement[]): void {
    for (const statement of statements) {
      const key = streamOf(statement);
      if (this.#waiting.get(key)?.statement.bytes === statement.bytes) this.#remove(key);
    }
  }

  async write(): Promise<void> {
    const { file } = this.#options;
    if (file === undefined || this.#isWritten) return;
    this.#isWritten = true;
    const lines = Array.from(
      this.#waiting.values(),
      ({ due, since, statement }) => `${due} ${since} ${lineOf(statement)}`,
    );
    try {
      await makeFolder(path.dirname(file));
      await replaceFile(file, Buffer.from(joined(lines)));
    } catch (error) {
      this.#isWritten = false;
      throw error;
    }
  }

  /** What is spoiled is left out: it proves nothing any more. */
  async read(): Promise<void> {
    const { file, clock } = this.#options;
    if (file === undefined) return;
    const now = clock.now();
    for (const line of await readLines(file, MAX_STATEMENTS_KEPT * MAX_STATEMENT_LINE)) {
      const [due, since, ...rest] = line.split(' ');
      const statement = rest.length === 1 ? statementOf(rest[0] ?? '') : undefined;
      if (statement === undefined || !isTime(due) || !isTime(since)) continue;
      // A clock that was set back keeps nothing for longer than it would have been.
      const given = Math.min(Number(since), now);
      const wait = Math.min(Number(due) - given, STATEMENT_DELAY_MOST_MILLIS);
      this.#add({ statement, since: unixMillis(given), due: unixMillis(given + Math.max(0, wait)) });
    }
    this.#isWritten = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.write().catch((error: unknown) => {
      this.#options.log.warn({ err: error }, 'statements of delivery could not be kept for the next start');
    });
  }

  #add(waiting: Waiting): void {
    const { statement } = waiting;
    const key = streamOf(statement);
    const before = this.#waiting.get(key);
    if (before !== undefined && before.statement.bytes >= statement.bytes) return;
    // A visit that lasts does not put off its statement for ever.
    const { due, since } = before ?? waiting;
    if (before !== undefined) this.#remove(key);
    const { name } = statement;
    if ((this.#ofName.get(name) ?? 0) >= MAX_STATEMENTS_OF_NAME) this.#removeOldest(name);
    if (this.#waiting.size >= MAX_STATEMENTS_KEPT) this.#removeOldest();
    this.#waiting.set(key, { statement, due, since });
    this.#ofName.set(name, (this.#ofName.get(name) ?? 0) + 1);
    this.#isWritten = false;
  }

  #removeOldest(name?: string): void {
    for (const [key, { statement }] of this.#waiting) {
      if (name !== undefined && statement.name !== name) continue;
      this.#remove(key);
      return;
    }
  }

  #remove(key: string): void {
    const name = this.#waiting.get(key)?.statement.name;
    if (name === undefined) return;
    this.#waiting.delete(key);
    const left = (this.#ofName.get(name) ?? 0) - 1;
    if (left > 0) this.#ofName.set(name, left);
    else this.#ofName.delete(name);
    this.#isWritten = false;
  }
}

function usualDelay(): number {
  return randomInt(STATEMENT_DELAY_LEAST_MILLIS, STATEMENT_DELAY_MOST_MILLIS);
}

function isTime(text: string | undefined): text is string {
  return text !== undefined && /^\d{1,15}$/.test(text);
}

function shuffled<T>(items: readonly T[]): readonly T[] {
  const all = [...items];
  for (let last = all.length - 1; last > 0; last -= 1) {
    const drawn = randomInt(last + 1);
    const [one, other] = [all[last], all[drawn]];
    if (one === undefined || other === undefined) continue;
    all[last] = other;
    all[drawn] = one;
  }
  return all;
}
