/** Where an owner collects the statements of its hosts. Whoever pays for a circuit may send some; none is believed without its signatures. */
import path from 'node:path';
import { isRelaymintError } from '../../core/errors.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import {
  INBOX_ANSWER_MILLIS,
  INBOX_QUESTIONS_AT_ONCE,
  INBOX_QUESTION_REST_MILLIS,
  MAX_INBOX_ANSWERS,
  MAX_INBOX_STATEMENTS,
  STATEMENT_OLD_MILLIS,
} from '../../core/limits.ts';
import type { Clock } from '../../core/ports.ts';
import { Questions } from '../../core/questions.ts';
import { unixMillis } from '../../core/units.ts';
import { replaceFile } from '../../platform/disk/atomic-file.ts';
import { makeFolder } from '../../platform/disk/folder.ts';
import { appendLines, joined, readLines } from '../../platform/disk/line-file.ts';
import { MAX_STATEMENT_LINE, lineOf, statementIn, statementOf } from './lines.ts';
import { hourOf, streamOf, type SignedStatement } from './statement.ts';

/** It is kept, or was before; it proves nothing to this owner; the sender may come again with it. */
export const TAKEN = 0;
export const REFUSED = 1;
export const LATER = 2;
export type Verdict = typeof TAKEN | typeof REFUSED | typeof LATER;

export interface InboxOptions {
  readonly file: string;
  /** Whether the name is the owner's whose inbox this is. */
  readonly isOurs: (name: string) => Promise<boolean>;
  /** Whether the wallet has a till. Who has none sells nothing, and would sign statements for nothing to fill the inbox. */
  readonly sells: (wallet: LedgerAddress) => Promise<boolean>;
  readonly clock: Clock;
}

export interface Inbox {
  /** @throws RelaymintError STORAGE_FAILED, STORAGE_FULL; then none of them is kept. */
  take(batch: readonly Uint8Array[]): Promise<readonly Verdict[]>;
  readonly size: number;
}

/** The file may hold twice as many as are kept, until it is written anew. */
const MAX_FILE_LINES = 2 * MAX_INBOX_STATEMENTS;

export async function openInbox(options: InboxOptions): Promise<Inbox> {
  const inbox = new Collected(options);
  await inbox.open();
  return inbox;
}

/** The statements in an inbox's file, of a running node too. What is spoiled in it is left out. @throws RelaymintError STORAGE_FAILED. */
export async function readInbox(file: string): Promise<readonly SignedStatement[]> {
  const store = new Store();
  for (const line of await readLines(file, MAX_FILE_LINES * MAX_STATEMENT_LINE)) {
    const statement = statementOf(line);
    if (statement !== undefined) store.add(statement);
  }
  return store.all();
}

/** The last statement of each stream. */
class Store {
  /** Oldest first. */
  readonly #kept = new Map<string, SignedStatement>();
  readonly #ofWallet = new Map<LedgerAddress, number>();

  get size(): number {
    return this.#kept.size;
  }

  all(): readonly SignedStatement[] {
    return Array.from(this.#kept.values());
  }

  has(statement: SignedStatement): boolean {
    return (this.#kept.get(streamOf(statement))?.bytes ?? 0) >= statement.bytes;
  }

  add(statement: SignedStatement): void {
    if (this.has(statement)) return;
    const key = streamOf(statement);
    this.#remove(key);
    if (this.#kept.size >= MAX_INBOX_STATEMENTS) this.#makeRoom();
    this.#kept.set(key, statement);
    this.#ofWallet.set(statement.wallet, (this.#ofWallet.get(statement.wallet) ?? 0) + 1);
  }

  /** Of whoever has the most: a seller that signs many for nothing pushes out its own. */
  #makeRoom(): void {
    const [most] = Array.from(this.#ofWallet).reduce((one, other) => (other[1] > one[1] ? other : one));
    for (const [key, { wallet }] of this.#kept) {
      if (wallet !== most) continue;
      this.#remove(key);
      return;
    }
  }

  #remove(key: string): void {
    const wallet = this.#kept.get(key)?.wallet;
    if (wallet === undefined) return;
    this.#kept.delete(key);
    const left = (this.#ofWallet.get(wallet) ?? 0) - 1;
    if (left > 0) this.#ofWallet.set(wallet, left);
    else this.#ofWallet.delete(wallet);
  }
}

class Collected implements Inbox {
  readonly #options: InboxOptions;
  readonly #store = new Store();
  readonly #questions = new Questions<boolean>({
    atOnce: INBOX_QUESTIONS_AT_ONCE,
    restMillis: INBOX_QUESTION_REST_MILLIS,
    kept: MAX_INBOX_ANSWERS,
    now: () => performance.now(),
  });
  /** Lines of the file. */
  #lines = 0;
  /** One batch is written at a time. */
  #writing: Promise<void> = Promise.resolve();

  constructor(options: InboxOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#store.size;
  }

  async open(): Promise<void> {
    const { file } = this.#options;
    await makeFolder(path.dirname(file));
    for (const statement of await readInbox(file)) this.#store.add(statement);
    // Once at each start: what was replaced, or spoiled, goes.
    await this.#rewrite();
  }

  async take(batch: readonly Uint8Array[]): Promise<readonly Verdict[]> {
    const verdicts: Verdict[] = [];
    const fresh: SignedStatement[] = [];
    for (const encoded of batch) {
      const statement = statementIn(encoded);
      const verdict = statement === undefined ? REFUSED : await this.#judge(statement);
      verdicts.push(verdict);
      if (verdict === TAKEN && statement !== undefined && !this.#store.has(statement)) fresh.push(statement);
    }
    if (fresh.length > 0) await this.#write(fresh);
    return verdicts;
  }

  async #judge(statement: SignedStatement): Promise<Verdict> {
    const { isOurs, sells, clock } = this.#options;
    const { name, wallet, until } = statement;
    const now = clock.now();
    if (until > hourOf(now) + 1 || until < hourOf(unixMillis(Math.max(0, now - STATEMENT_OLD_MILLIS)))) return REFUSED;
    if (this.#store.has(statement)) return TAKEN;
    const ours = await this.#ask(`name ${name}`, () => isOurs(name));
    if (ours !== true) return ours === false ? REFUSED : LATER;
    const known = await this.#ask(`wallet ${wallet}`, () => sells(wallet));
    if (known !== true) return known === false ? REFUSED : LATER;
    return TAKEN;
  }

  /** undefined: the ledger does not answer, or strangers have asked too much of it lately. */
  async #ask(about: string, question: () => Promise<boolean>): Promise<boolean | undefined> {
    const known = this.#questions.known(about, INBOX_ANSWER_MILLIS);
    if (known !== undefined) return known.answer;
    try {
      return await this.#questions.ask(about, question);
    } catch (error) {
      if (!isRelaymintError(error)) throw error;
      return undefined;
    }
  }

  async #write(fresh: readonly SignedStatement[]): Promise<void> {
    const writing = this.#writing.then(() => this.#append(fresh));
    this.#writing = writing.catch(() => undefined);
    await writing;
  }

  /** On disk first: the sender forgets what it was told is taken. */
  async #append(fresh: readonly SignedStatement[]): Promise<void> {
    await appendLines(this.#options.file, fresh.map(lineOf));
    this.#lines += fresh.length;
    for (const statement of fresh) this.#store.add(statement);
    if (this.#lines >= MAX_FILE_LINES) await this.#rewrite();
  }

  async #rewrite(): Promise<void> {
    const all = this.#store.all();
    await replaceFile(this.#options.file, Buffer.from(joined(all.map(lineOf))));
    this.#lines = all.length;
  }
}
