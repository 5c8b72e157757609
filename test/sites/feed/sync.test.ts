/** Hosts that read what other hosts of a name were told: nothing is lost with one of them, and none gains by lying. */
import { afterEach, describe, expect, it } from 'vitest';
import { MAX_POST_AGE_MILLIS, SYNC_AGAIN_MILLIS, SYNC_HOST_MILLIS } from '../../../core/limits.ts';
import { foldThread, type Entry, type SignedEntry } from '../../../sites/feed/index.ts';
import { encodePage, readPageWanted, type PageWanted } from '../../../sites/feed/protocol.ts';
import { ByteReader } from '../../../sites/wire/index.ts';
import { Cleanup } from '../kit.ts';
import { FORUM, FeedHost, TOPIC, Town, textOf } from './kit.ts';

const cleanup = new Cleanup();
const { signal } = new AbortController();
afterEach(() => cleanup.run());

const THREAD = { name: FORUM, topic: TOPIC };

interface Three {
  readonly town: Town;
  readonly hosts: readonly [FeedHost, FeedHost, FeedHost];
  /** Those that are there. */
  readonly up: Set<FeedHost>;
}

/** Each reads the two others. */
async function three(): Promise<Three> {
  const town = new Town(cleanup);
  const hosts = [await town.host(), await town.host(), await town.host()] as const;
  const up = new Set<FeedHost>(hosts);
  for (const host of hosts) {
    const sync = host.reads(() => hosts.filter((other) => other !== host && up.has(other)), town);
    await sync.note(THREAD);
  }
  return { town, hosts, up };
}

async function rounds({ hosts }: { readonly hosts: readonly FeedHost[] }): Promise<void> {
  for (const host of hosts) await host.sync?.round(signal);
}

/** What a visitor of this host reads. */
async function shown(host: FeedHost): Promise<readonly (string | undefined)[]> {
  return foldThread(await host.told()).map(({ state, content }) => textOf(content) ?? state);
}

/** A host that answers as it likes, and how often it was asked. */
function lying(answer: (wanted: PageWanted) => Uint8Array): FeedHost & { asked: number } {
  const host = new FeedHost(cleanup, {
    feed: (stream) => {
      const reader = new ByteReader(stream);
      const talk = async (): Promise<void> => {
        for (;;) {
          const wanted = await readPageWanted(reader);
          if (wanted === undefined) return;
          counted.asked += 1;
          stream.write(answer(wanted));
        }
      };
      stream.on('error', () => undefined);
      talk().catch(() => stream.destroy());
    },
  });
  const counted = Object.assign(host, { asked: 0 });
  return counted;
}

function pageOf(entries: readonly SignedEntry[], from: PageWanted['from'], more = false): Uint8Array {
  const after = from === 'newest' ? 0 : from;
  return encodePage({ entries: entries.map((signed, at) => ({ arrival: after + at + 1, signed })), more });
}

describe('what was brought to one host of a name', () => {
  it('is read at another one after its next round, and when the first one is gone', async () => {
    const { town, hosts, up } = await three();
    const [first, second, third] = hosts;
    await first.bring(await town.entry({ author: 'alice.sso' }, 'only here'));
    expect(await shown(second)).toEqual([]);
    await second.sync?.round(signal);
    expect(await shown(second)).toEqual(['only here']);
    up.delete(first);
    await third.sync?.round(signal);
    expect(await shown(third)).toEqual(['only here']);
  });

  it('reaches who waits there', async () => {
    const { town, hosts } = await three();
    const [first, second] = hosts;
    const source = town.source([second]);
    using view = source.open(THREAD);
    await view.complete(signal);
    const changed = new Promise<void>((resolve) => view.onChange(resolve));
    await first.bring(await town.entry({ author: 'alice.sso' }, 'news'));
    await second.sync?.round(signal);
    await changed;
    expect(view.entries().map(({ entry }) => textOf(entry.content))).toEqual(['news']);
  });

  it('is put together with what another one was brought, in whatever order it was said', async () => {
    const { town, hosts } = await three();
    const [first, second, third] = hosts;
    const [one, two] = [
      await town.entry({ author: 'alice.sso' }, 'one'),
      await town.entry({ author: 'alice.sso' }, 'two'),
    ];
    await second.bring(two);
    await first.bring(one);
    await rounds({ hosts });
    for (const host of [first, second, third]) expect(await shown(host)).toEqual(['one', 'two']);
  });

  it.each<[string, Pick<Entry, 'author' | 'kind'>, string | undefined, readonly string[], readonly string[]]>([
    ['a removal', { author: 'alice.sso', kind: 'remove' }, undefined, [], ['remove']],
    ['what the owner hides', { author: FORUM, kind: 'hide' }, undefined, [], ['hide']],
    ['an edit', { author: 'alice.sso', kind: 'edit' }, 'other words', ['other words'], ['post', 'edit']],
  ])('and %s, and nothing of before comes back', async (_what, change, words, texts, kinds) => {
    const { town, hosts } = await three();
    const [first] = hosts;
    const post = await town.entry({ author: 'alice.sso' }, 'first words');
    await first.bring(post);
    await rounds({ hosts });
    for (const host of hosts) expect(await shown(host)).toEqual(['first words']);
    const word = await town.entry({ ...change, target: idIn(post.entry) }, words);
    await first.bring(word, change.author === FORUM ? 'update' : 'post');
    // Two of them meet before they hear of it.
    await rounds({ hosts: [hosts[1], hosts[2], hosts[1]] });
    await rounds({ hosts });
    for (const host of hosts) {
      expect(await shown(host)).toEqual(texts);
      expect((await host.told()).map(({ entry }) => entry.kind)).toEqual(kinds);
    }
  });

  it('is hidden where the words never came, and shown there once the owner shows it', async () => {
    const { town, hosts } = await three();
    const [first, second, third] = hosts;
    await third.reads(() => [first], town).note(THREAD);
    const post = await town.entry({ author: 'alice.sso' }, 'inconvenient');
    await first.bring(post);
    await first.bring(await town.entry({ author: FORUM, kind: 'hide', target: idIn(post.entry) }), 'update');
    for (const host of [second, third]) await host.sync?.round(signal);
    // Who brings the words now does not bring them past the owner.
    await second.bring(post);
    expect(await shown(second)).toEqual([]);
    await first.bring(await town.entry({ author: FORUM, kind: 'show', target: idIn(post.entry) }), 'update');
    await second.sync?.round(signal);
    expect(await shown(second)).toEqual(['inconvenient']);
    // The first one told no words while they were hidden: what it has before that word is read once more.
    for (let count = 0; count < 2; count += 1) await third.sync?.round(signal);
    expect(await shown(third)).toEqual(['inconvenient']);
  });

  it('as an update is the newest everywhere', async () => {
    const { town, hosts } = await three();
    const [first, second] = hosts;
    const update = (words: string): Promise<SignedEntry> =>
      town.entry({ author: FORUM, kind: 'update', topic: '', expires: at(town, 600_000) }, words);
    await second.sync?.note({ name: FORUM, topic: '' });
    await first.bring(await update('one'), 'update');
    const newest = await update('two');
    await first.bring(newest, 'update');
    await second.sync?.round(signal);
    // What is over by now is not paid for.
    const found = await second.feeds?.after({ name: FORUM, topic: '' }, 0);
    expect(found?.map(({ signed }) => signed.entry.sequence)).toEqual([newest.entry.sequence]);
    // As long as it is fresh, nobody is asked for a newer one.
    const asked = first.shares.length;
    second.reads(() => [first], town);
    await second.sync?.note({ name: FORUM, topic: '' });
    await second.sync?.round(signal);
    expect(first.shares.length).toBe(asked);
  });
});

describe('a host that lies', () => {
  it('and replays old ones changes nothing', async () => {
    const town = new Town(cleanup);
    const host = await town.host();
    const old = await town.entry({ author: 'alice.sso' }, 'long gone');
    const removed = await town.entry({ author: 'bob.sso' }, 'taken back');
    town.clock.advance(MAX_POST_AGE_MILLIS + 1_000);
    const later = await town.entry({ author: 'bob.sso' }, 'a moment ago');
    await host.bring(later);
    await host.bring(await town.entry({ author: 'bob.sso', kind: 'remove', target: idIn(later.entry) }));
    const before = (await host.told()).map(({ entry }) => entry.kind);
    const liar = lying(({ from }) => pageOf([old, removed, later], from));
    const sync = host.reads(() => [liar], town);
    await sync.note(THREAD);
    await sync.round(signal);
    expect(liar.asked).toBe(1);
    expect((await host.told()).map(({ entry }) => entry.kind)).toEqual(before);
  });

  it('and forges is not asked again for an hour, and nothing of it is kept', async () => {
    const town = new Town(cleanup);
    const host = await town.host();
    const forged = await town.entry({ author: 'alice.sso' }, 'never said', 9);
    const elsewhere = await town.entry({ author: 'alice.sso', topic: '/other' }, 'elsewhere');
    const liar = lying(({ from }) => pageOf([forged, elsewhere], from));
    const sync = host.reads(() => [liar], town);
    await sync.note(THREAD);
    await sync.round(signal);
    await sync.round(signal);
    expect(liar.asked).toBe(1);
    expect(await host.told()).toEqual([]);
  });

  it('and tells the same again and again is paid for so much, and then left', async () => {
    const town = new Town(cleanup);
    const host = await town.host();
    const words = await Promise.all(
      Array.from({ length: 4 }, (_, index) => town.entry({ author: 'alice.sso' }, `${index}`.repeat(12_000))),
    );
    const liar = lying(({ from }) => pageOf(words, from, true));
    const sync = host.reads(() => [liar], town);
    await sync.note(THREAD);
    let before = -1;
    let count = 0;
    // Each round stops at its own limit; then nothing is asked any more.
    for (; before !== liar.asked && count < 50; count += 1) {
      before = liar.asked;
      await sync.round(signal);
    }
    expect(count).toBeGreaterThan(2);
    expect(count).toBeLessThan(10);
  });

  it('does not keep the host from reading the honest ones', async () => {
    const { town, hosts } = await three();
    const [first, second] = hosts;
    const forged = await town.entry({ author: 'alice.sso' }, 'never said', 9);
    const liar = lying(({ from }) => pageOf([forged], from));
    await first.bring(await town.entry({ author: 'bob.sso' }, 'said'));
    const sync = second.reads(() => [liar, first], town);
    await sync.note(THREAD);
    await sync.round(signal);
    expect(await shown(second)).toEqual(['said']);
  });
});

describe('a host', () => {
  it('asks others only for what somebody reads or says here', async () => {
    const town = new Town(cleanup);
    const [host, silent] = [await town.host(), lying(({ from }) => pageOf([], from))];
    const sync = host.reads(() => [silent], town);
    await sync.round(signal);
    expect(silent.asked).toBe(0);
    await host.told();
    await sync.round(signal);
    expect(silent.asked).toBe(1);
    town.clock.advance(2 * SYNC_HOST_MILLIS);
    await sync.round(signal);
    expect(silent.asked).toBe(1);
  });

  it('takes from others no faster than from authors, and the rest later', async () => {
    const { town, hosts } = await three();
    const [first, second] = hosts;
    const posts = await Promise.all(
      Array.from({ length: 8 }, (_, index) => town.entry({ author: 'alice.sso' }, `${index}`)),
    );
    for (const post of posts) await first.feeds?.add(post);
    const removal = await town.entry({ author: 'bob.sso', kind: 'remove', target: { author: 'bob.sso', sequence: 1 } });
    await first.bring(removal);
    await second.sync?.round(signal);
    const taken = (await second.told()).map(({ entry }) => entry.kind);
    expect(taken.filter((kind) => kind === 'post')).toHaveLength(5);
    // What takes something back waits for nothing.
    expect(taken).toContain('remove');
    const paid = async (): Promise<readonly string[]> => {
      await second.sync?.round(signal);
      return first.shares.at(-1)?.map(({ name }) => name) ?? [];
    };
    // Not at once: it would be paid for in vain.
    expect(await paid()).toEqual([]);
    town.clock.advance(SYNC_AGAIN_MILLIS);
    expect(await paid()).toEqual(['alice.sso']);
  });
});

function idIn({ author, sequence }: SignedEntry['entry']): { readonly author: string; readonly sequence: number } {
  return { author, sequence };
}

function at(town: Town, millis: number): ReturnType<Town['clock']['now']> {
  return (town.clock.now() + millis) as ReturnType<Town['clock']['now']>;
}
