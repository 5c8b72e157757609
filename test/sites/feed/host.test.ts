/** A host and those who would say in a thread what they may not, or too much of it. */
import { afterEach, describe, expect, it } from 'vitest';
import { MAX_ENTRIES_PER_AUTHOR, MAX_ENTRY_CONTENT_BYTES, MAX_FEED_BYTES_PER_AUTHOR } from '../../../core/limits.ts';
import { unixSeconds } from '../../../core/units.ts';
import { openFeedStore, signEntry, type Entry, type SignedEntry } from '../../../sites/feed/index.ts';
import { silentLog } from '../../../core/ports.ts';
import { Cleanup, temporaryFolder, wallet } from '../kit.ts';
import { FORUM, TOPIC, Town, textOf, type FeedHost } from './kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

async function wordsAt(host: FeedHost): Promise<readonly (string | undefined)[]> {
  return (await host.told()).map(({ entry }) => textOf(entry.content) ?? entry.kind);
}

describe('a host refuses', () => {
  it.each<[string, Partial<Entry> & Pick<Entry, 'author'>, number | undefined, RegExp]>([
    ['a post that another wallet signed', { author: 'alice.sso' }, 3, /neither by the owner of alice\.sso/],
    ['a post of a name that nobody has', { author: 'nobody.sso' }, 5, /nobody has that name/],
    ['a post from before its name was registered', { author: 'late.sso' }, 7, /from before late\.sso/],
  ])('%s', async (_what, change, seed, why) => {
    const town = new Town(cleanup);
    const host = await town.host();
    const late = town.ledger.register('late.sso', new Uint8Array(), wallet(7).address);
    const now = BigInt(Math.floor(town.clock.now() / 1000));
    town.ledger.records.set('late.sso', { ...late, registeredAt: unixSeconds(now + 3_600n) });
    await expect(host.bring(await town.entry(change, 'hello', seed))).rejects.toMatchObject({
      code: 'ENTRY_INVALID',
      message: expect.stringMatching(why) as string,
    });
    expect(await host.told()).toEqual([]);
  });

  it('a name that has lapsed', async () => {
    const town = new Town(cleanup);
    const host = await town.host();
    town.ledger.register('alice.sso', new Uint8Array(), wallet(2).address, 'expired');
    const post = await town.entry({ author: 'alice.sso' }, 'hello');
    await expect(host.bring(post)).rejects.toMatchObject({ code: 'ENTRY_INVALID' });
  });

  it('a thread of a name whose manifest lets nobody post, but not what takes something back', async () => {
    const town = new Town(cleanup);
    const host = await town.host();
    const before = await town.entry({ author: 'alice.sso' }, 'while it was open');
    await host.bring(before);
    await town.keeps(
      host,
      town.ledger.register(FORUM, town.ledger.records.get(FORUM)?.root ?? new Uint8Array()),
      wallet(1),
      'none',
    );
    town.clock.advance(60_000);
    await expect(host.bring(await town.entry({ author: 'alice.sso' }, 'hello'))).rejects.toMatchObject({
      code: 'CONTENT_REFUSED',
    });
    await host.bring(await town.entry({ author: FORUM }, 'the owner may'));
    const target = { author: 'alice.sso', sequence: before.entry.sequence };
    await host.bring(await town.entry({ author: 'alice.sso', kind: 'remove', target }));
    expect(await wordsAt(host)).toEqual(['the owner may']);
  });

  it('older words after newer ones, and all words on what is removed', async () => {
    const town = new Town(cleanup);
    const host = await town.host();
    const post = await town.entry({ author: 'alice.sso' }, 'one');
    const target = { author: 'alice.sso', sequence: post.entry.sequence };
    const older = await town.entry({ author: 'alice.sso', kind: 'edit', target }, 'two');
    const newer = await town.entry({ author: 'alice.sso', kind: 'edit', target }, 'three');
    await host.bring(post);
    await host.bring(newer);
    await expect(host.bring(older)).rejects.toMatchObject({ code: 'ENTRY_STALE' });
    // Who was in a hurry is heard with that.
    await host.bring(await town.entry({ author: 'alice.sso', kind: 'remove', target }));
    for (const old of [post, older, newer])
      await expect(host.feeds?.add(old)).rejects.toMatchObject({ code: 'ENTRY_STALE' });
    const again = await town.entry({ author: 'alice.sso', kind: 'edit', target }, 'four');
    await expect(host.feeds?.add(again)).rejects.toMatchObject({ code: 'ENTRY_INVALID' });
    expect(await wordsAt(host)).toEqual(['remove']);
  });

  it('a post whose removal came first, and one that was made long ago', async () => {
    const town = new Town(cleanup);
    const host = await town.host();
    const post = await town.entry({ author: 'alice.sso' }, 'one');
    const target = { author: 'alice.sso', sequence: post.entry.sequence };
    await host.bring(await town.entry({ author: 'alice.sso', kind: 'remove', target }));
    await expect(host.bring(post)).rejects.toMatchObject({ code: 'ENTRY_STALE' });
    const old = await town.entry({ author: 'bob.sso' }, 'one');
    town.clock.advance(2 * 3_600_000);
    await expect(host.bring(old)).rejects.toMatchObject({ code: 'ENTRY_STALE' });
  });

  it('removals of what never was, one after the other, nor below a name that takes no posts', async () => {
    const town = new Town(cleanup);
    const host = await town.host();
    const ghost = (sequence: number): Promise<SignedEntry> =>
      town.entry({ author: 'alice.sso', kind: 'remove', target: { author: 'alice.sso', sequence } });
    for (let count = 1; count <= 5; count += 1) await host.bring(await ghost(count));
    await expect(host.bring(await ghost(6))).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
    const closed = await town.host('none');
    await expect(closed.bring(await ghost(7))).rejects.toMatchObject({ code: 'CONTENT_REFUSED' });
  });

  it('what an author in a hurry would add, and hears the others', async () => {
    const town = new Town(cleanup);
    const host = await town.host();
    for (let count = 0; count < 5; count += 1) await host.bring(await town.entry({ author: 'alice.sso' }, 'spam'));
    await expect(host.bring(await town.entry({ author: 'alice.sso' }, 'spam'))).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
      message: expect.stringContaining('alice.sso says too much at once.') as string,
    });
    await host.bring(await town.entry({ author: 'bob.sso' }, 'others are heard'));
  });
});

describe('nobody signs', () => {
  it.each<[string, Partial<Entry> & Pick<Entry, 'author' | 'kind'>, RegExp]>([
    ['as a name that is no profile', { author: 'demo.web3', kind: 'post' }, /no profile/],
    ['an edit of the post of another', { author: 'bob.sso', kind: 'edit' }, /another author's post/],
    ['a removal of the post of another', { author: 'bob.sso', kind: 'remove' }, /another author's post/],
    ['as a moderator without the name', { author: 'bob.sso', kind: 'hide' }, /only forum\.web3 may/],
    [
      'with all numbers there are',
      { author: 'bob.sso', kind: 'post', sequence: Number.MAX_SAFE_INTEGER },
      /greater than the time/,
    ],
    ['a page that runs', { author: 'bob.sso', kind: 'post', mediaType: 'text/html' }, /of the type text\/html/],
    ['a picture that runs', { author: 'bob.sso', kind: 'post', mediaType: 'image/svg+xml' }, /svg/],
    ['bytes that are no text', { author: 'bob.sso', kind: 'post', content: Uint8Array.of(0xff) }, /no text/],
    ['a thread that is no path', { author: 'bob.sso', kind: 'post', topic: '/a/../b' }, /no path/],
    ['too long', { author: 'bob.sso', kind: 'post', content: Buffer.alloc(MAX_ENTRY_CONTENT_BYTES + 1, 'a') }, /bytes/],
  ])('%s', async (_what, change, why) => {
    const town = new Town(cleanup);
    const { kind } = change;
    const says = kind === 'post' || kind === 'edit';
    const entry = {
      name: FORUM,
      topic: TOPIC,
      sequence: town.clock.now(),
      created: town.clock.now(),
      ...(kind !== 'post' && { target: { author: 'alice.sso', sequence: 1 } }),
      ...(says && { mediaType: 'text/plain', content: Buffer.from('hello') }),
      ...change,
    };
    await expect(signEntry(entry, wallet(3))).rejects.toMatchObject({
      code: 'ENTRY_INVALID',
      message: expect.stringMatching(why) as string,
    });
  });
});

describe('a name that changes hands', () => {
  it('takes its posts with it: they are neither told nor paid to who has it next', async () => {
    const town = new Town(cleanup);
    const host = await town.host();
    await host.bring(await town.entry({ author: 'alice.sso' }, 'words of the first alice'));
    await host.bring(await town.entry({ author: 'bob.sso' }, 'words of bob'));
    expect(await wordsAt(host)).toEqual(['words of the first alice', 'words of bob']);
    town.ledger.register('alice.sso', new Uint8Array(), wallet(8).address);
    town.clock.advance(60_000);
    host.shares.length = 0;
    expect(await wordsAt(host)).toEqual(['words of bob']);
    expect(host.shares).toEqual([[{ name: 'bob.sso', referrer: FORUM, share: 10_000 }]]);
    // And who has it now is heard.
    await host.bring(await town.entry({ author: 'alice.sso' }, 'words of the second', 8));
    expect(await wordsAt(host)).toEqual(['words of bob', 'words of the second']);
  });

  it('is moderated by who has it now: what the former owner hid is there again', async () => {
    const town = new Town(cleanup);
    const host = await town.host();
    const post = await town.entry({ author: 'alice.sso' }, 'inconvenient');
    await host.bring(post);
    const target = { author: 'alice.sso', sequence: post.entry.sequence };
    await host.bring(await town.entry({ author: FORUM, kind: 'hide', target }), 'update');
    expect(await wordsAt(host)).toEqual(['hide']);
    // Who has it now published the same folder, and lets everybody post.
    const record = town.ledger.register(
      FORUM,
      town.ledger.records.get(FORUM)?.root ?? new Uint8Array(),
      wallet(8).address,
    );
    await town.keeps(host, record, wallet(8));
    town.clock.advance(60_000);
    expect(await wordsAt(host)).toEqual(['inconvenient']);
  });
});

describe('what one has said', () => {
  it('counts for its author by bytes, and what is taken back or hidden for nobody', async () => {
    const town = new Town(cleanup);
    const host = await town.host();
    const [long, short, gone] = await Promise.all([
      town.entry({ author: 'alice.sso' }, 'a'.repeat(3_000)),
      town.entry({ author: 'bob.sso' }, 'b'.repeat(500)),
      town.entry({ author: 'carol.sso' }, 'c'.repeat(9_000)),
    ]);
    for (const each of [long, short, gone]) await host.bring(each);
    const target = { author: 'carol.sso', sequence: gone.entry.sequence };
    const removal = await town.entry({ author: 'carol.sso', kind: 'remove', target });
    await host.bring(removal);
    await host.told('news.web3');
    const all = [long, short, removal].reduce((sum, { encoded }) => sum + encoded.length, 0);
    const first = Math.floor((long.encoded.length * 10_000) / all);
    const both = Math.floor(((long.encoded.length + short.encoded.length) * 10_000) / all);
    expect(host.shares.at(-1)).toEqual([
      { name: 'alice.sso', referrer: 'news.web3', share: first },
      { name: 'bob.sso', referrer: 'news.web3', share: both - first },
    ]);
  });
});

describe('what a host keeps', () => {
  it('is bounded for each author, in a thread and below a name, and for all', async () => {
    const town = new Town(cleanup);
    const feeds = await openFeedStore(await temporaryFolder(cleanup), silentLog);
    cleanup.add(() => feeds[Symbol.asyncDispose]());
    for (let count = 0; count < MAX_ENTRIES_PER_AUTHOR; count += 1)
      await feeds.add(await town.entry({ author: 'alice.sso' }, 'spam'));
    await expect(feeds.add(await town.entry({ author: 'alice.sso' }, 'spam'))).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
      message: expect.stringContaining('100 things in this thread') as string,
    });
    const words = 'a'.repeat(MAX_ENTRY_CONTENT_BYTES);
    const until = Math.floor(MAX_FEED_BYTES_PER_AUTHOR / MAX_ENTRY_CONTENT_BYTES) - 2;
    for (let count = 0; count < until; count += 1)
      await feeds.add(await town.entry({ author: 'bob.sso', topic: `/${count % 4}` }, words));
    await expect(
      (async () => {
        for (;;) await feeds.add(await town.entry({ author: 'bob.sso', topic: '/5' }, words));
      })(),
    ).rejects.toMatchObject({ message: expect.stringContaining('bytes below forum.web3') as string });
    await expect(
      (async () => {
        for (let count = 0; ; count += 1)
          await feeds.add(await town.entry({ author: 'carol.sso', topic: `/carol/${count}` }, 'first'));
      })(),
    ).rejects.toMatchObject({ message: expect.stringContaining('begun 64 threads') as string });
  });

  it('is there again, counts and all, when it is opened once more', async () => {
    const town = new Town(cleanup);
    const folder = await temporaryFolder(cleanup);
    const first = await openFeedStore(folder, silentLog);
    for (let count = 0; count < 63; count += 1)
      await first.add(await town.entry({ author: 'carol.sso', topic: `/${count}` }, 'first'));
    await first.add(await town.entry({ author: 'alice.sso' }, 'kept'));
    await first[Symbol.asyncDispose]();
    const again = await openFeedStore(folder, silentLog);
    cleanup.add(() => again[Symbol.asyncDispose]());
    const kept = await again.after({ name: FORUM, topic: TOPIC }, 0);
    expect(kept.map(({ arrival, signed: { entry } }) => [arrival, textOf(entry.content)])).toEqual([[1, 'kept']]);
    await again.add(await town.entry({ author: 'carol.sso', topic: '/63' }, 'first'));
    await expect(again.add(await town.entry({ author: 'carol.sso', topic: '/64' }, 'first'))).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
    });
  });
});
