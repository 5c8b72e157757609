/** Says things in names: signs updates and posts with the node's wallet, and brings them to the hosts that keep the name. */
import type { NodeId } from '../../core/ids.ts';
import { systemClock } from '../../core/ports.ts';
import { unixMillis } from '../../core/units.ts';
import { signEntry, type Entry, type SignedEntry } from '../../sites/feed/index.ts';
import { signerOf, type RunningNode } from '../node/index.ts';
import { EntryLines, type EntryLinesSettings } from './entry-lines.ts';
import { requireOwn } from './own-name.ts';

/** `author` is this wallet's. */
export type AuthorSettings = Omit<EntryLinesSettings, 'usage' | 'most'>;

/** What is said; who says it, where and when is added. */
export type Saying = Pick<Entry, 'kind' | 'topic' | 'mediaType' | 'content' | 'target'> & {
  /** Of updates: how long it counts, milliseconds. */
  readonly lifeMillis?: number | undefined;
};

export interface Said {
  readonly sequence: number;
  /** That keep it. */
  readonly hosts: readonly NodeId[];
}

/** Keeps a stream to each host while it is open. Dispose it. */
export class Author implements AsyncDisposable {
  readonly #node: RunningNode;
  readonly #settings: AuthorSettings;
  readonly #lines: EntryLines;
  #last = 0;

  private constructor(node: RunningNode, settings: AuthorSettings) {
    this.#node = node;
    this.#settings = settings;
    this.#lines = new EntryLines(node, settings);
  }

  /** @throws RelaymintError NAME_UNKNOWN, NAME_EXPIRED, NAME_TAKEN (the author's name is another wallet's). */
  static async open(node: RunningNode, settings: AuthorSettings): Promise<Author> {
    await requireOwn(node, settings.author);
    return new Author(node, settings);
  }

  /**
   * Resolves when at least one host keeps it; those that fail are warned of.
   * @throws RelaymintError NO_ROUTE (no host is known to keep the name), ENTRY_STALE, ENTRY_INVALID, CONTENT_REFUSED, LIMIT_EXCEEDED, ABORTED.
   */
  async say({ lifeMillis, ...saying }: Saying): Promise<Said> {
    const { name, author } = this.#settings;
    const { clock } = this.#node.settings.world ?? { clock: systemClock };
    // Numbers rise, whatever the clock does, and are never ahead of the time at which something was made.
    const sequence = Math.max(clock.now(), this.#last + 1);
    this.#last = sequence;
    const signer = signerOf(this.#node.keys.walletKey);
    let signed: SignedEntry;
    try {
      const created = unixMillis(sequence);
      const expires = lifeMillis === undefined ? undefined : unixMillis(sequence + lifeMillis);
      signed = await signEntry({ ...saying, name, author, sequence, created, expires }, signer);
    } finally {
      signer.close();
    }
    return { sequence, hosts: await this.#lines.bring(signed) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lines[Symbol.asyncDispose]();
  }
}
