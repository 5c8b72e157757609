/** A gateway and hosts that lie, lag, repeat themselves, or never end. */
import { afterEach, describe, expect, it } from 'vitest';
import { foldThread, type Entry, type FeedView, type SignedEntry } from '../../../sites/feed/index.ts';
import { encodePage, readPageWanted, type Page, type PageWanted } from '../../../sites/feed/protocol.ts';
import { ByteReader } from '../../../sites/wire/index.ts';
import { Cleanup, wallet } from '../kit.ts';
import { FORUM, FeedHost, TOPIC, Town, textOf } from './kit.ts';

const cleanup = new Cleanup();
const { signal } = new AbortController();
afterEach(() => cleanup.run());

/** A host that answers each question as it likes. */
function lying(answer: (wanted: PageWanted, asked: number) => Page): FeedHost {
  return new FeedHost(cleanup, {
    feed: (stream) => {
      const reader = new ByteReader(stream);
      const talk = async (): Promise<void> => {
        for (let asked = 0; ; asked += 1) {
          const wanted = await readPageWanted(reader);
          if (wanted === undefined) return;
          stream.write(encodePage(answer(wanted, asked)));
        }
      };
      talk().catch(() => stream.destroy());
      stream.on('error', () => undefined);
    },
  });
}

function pageOf(entries: readonly SignedEntry[], more = false, first = 1): Page {
  return { entries: entries.map((signed, index) => ({ arrival: first + index, signed })), more };
}

function shownOf(view: FeedView): readonly string[] {
  return foldThread(view.entries()).map(({ content, state }) => textOf(content) ?? state);
}

async function opened(town: Town, hosts: readonly FeedHost[], bad: string[] = []): Promise<FeedView> {
  const view = town.source(hosts, bad).open({ name: FORUM, topic: TOPIC });
  cleanup.add(() => view[Symbol.dispose]());
  await view.complete(signal);
  return view;
}

async function honest(town: Town, words: string): Promise<FeedHost> {
  const host = await town.host();
  await host.bring(await town.entry({ author: 'alice.sso' }, words));
  return host;
}

describe('a gateway leaves a host', () => {
  it.each<[string, (town: Town) => Promise<(wanted: PageWanted) => Page>, RegExp]>([
    [
      'that sends posts of another thread',
      async (town) => {
        const other = await town.entry({ author: 'bob.sso', topic: '/elsewhere' }, 'elsewhere');
        return () => pageOf([other]);
      },
      /another topic/,
    ],
    [
      'that sends the same page for ever',
      async (town) => {
        const post = await town.entry({ author: 'bob.sso' }, 'again');
        return () => pageOf([post], true);
      },
      /asked for before/,
    ],
    ['that promises more and has nothing', () => Promise.resolve(() => pageOf([], true)), /a page of 0 entries/],
    ['that is asked to wait and does not', () => Promise.resolve(() => pageOf([])), /long before its time/],
    [
      'that sends what is no entry',
      async (town) => {
        const post = await town.entry({ author: 'bob.sso' }, 'hello');
        return () => pageOf([{ ...post, encoded: post.encoded.slice(1) }]);
      },
      /entry that is none/,
    ],
  ])('%s', async (_what, answers, why) => {
    const town = new Town(cleanup);
    const good = await honest(town, 'honest words');
    const bad: string[] = [];
    const answer = await answers(town);
    const view = await opened(town, [lying(answer), good], bad);
    await expect.poll(() => bad).toEqual([expect.stringMatching(why)]);
    await expect.poll(() => shownOf(view)).toContain('honest words');
  });

  it('that never ends, and is not kept from showing what honest ones have', async () => {
    const town = new Town(cleanup);
    const good = await honest(town, 'honest words');
    town.ledger.register('spam.sso', new Uint8Array(), wallet(9).address);
    const spam = await Promise.all(
      Array.from({ length: 4_200 }, (_, count) => town.entry({ author: 'spam.sso' }, `spam ${count}`)),
    );
    const endless = lying(({ from }) => {
      const at = from === 'newest' ? 0 : from;
      return pageOf(spam.slice(at, at + 64), at + 64 < spam.length, at + 1);
    });
    const bad: string[] = [];
    const view = await opened(town, [endless, good], bad);
    expect(bad).toEqual([expect.stringMatching(/more than a thread may have/)]);
    expect(shownOf(view)).toEqual(['honest words']);
  });
});

describe('a gateway never shows', () => {
  it.each<[string, Partial<Entry> & Pick<Entry, 'author'>, number]>([
    ['a post that another wallet signed', { author: 'bob.sso' }, 2],
    ['a post of a name that nobody has', { author: 'nobody.sso' }, 9],
  ])('%s, whatever a host tells', async (_what, change, seed) => {
    const town = new Town(cleanup);
    const forged = await town.entry(change, 'forged', seed);
    const good = await town.entry({ author: 'alice.sso' }, 'honest words');
    const host = lying(({ waits }) => (waits ? pageOf([forged], false, 9) : pageOf([forged, good])));
    expect(shownOf(await opened(town, [host]))).toEqual(['honest words']);
  });

  it('what was said in a name before it changed hands, while it is followed too', async () => {
    const town = new Town(cleanup);
    const view = await opened(town, [await honest(town, 'words of the first')]);
    expect(shownOf(view)).toEqual(['words of the first']);
    town.ledger.register('alice.sso', new Uint8Array(), wallet(8).address);
    town.clock.advance(6_000);
    await view.complete(signal);
    expect(shownOf(view)).toEqual([]);
    expect(view.author('alice.sso')?.owner).toBe(wallet(8).address);
  });

  it('again what it has seen removed, at a host that missed that, when nobody followed it meanwhile', async () => {
    const town = new Town(cleanup);
    const [first, second] = [await town.host(), await town.host()];
    const post = await town.entry({ author: 'alice.sso' }, 'regretted');
    const other = await town.entry({ author: 'alice.sso' }, 'unwanted');
    const target = { author: 'alice.sso', sequence: post.entry.sequence };
    for (const host of [first, second]) for (const each of [post, other]) await host.bring(each);
    await first.bring(await town.entry({ author: 'alice.sso', kind: 'remove', target }));
    const unwanted = { author: 'alice.sso', sequence: other.entry.sequence };
    await first.bring(await town.entry({ author: FORUM, kind: 'hide', target: unwanted }), 'update');
    const hosts = [first, second];
    const source = town.source(hosts);
    const seen = source.open({ name: FORUM, topic: TOPIC });
    await seen.complete(signal);
    expect(shownOf(seen)).toEqual([]);
    seen[Symbol.dispose]();
    // As after the first host is gone.
    hosts.shift();
    const again = source.open({ name: FORUM, topic: TOPIC, referrer: 'news.web3' });
    cleanup.add(() => again[Symbol.dispose]());
    await again.complete(signal);
    expect(shownOf(again)).toEqual(['removed', 'hidden']);
  });

  it('an older edit after a newer one, in whichever order hosts tell them', async () => {
    const town = new Town(cleanup);
    const post = await town.entry({ author: 'alice.sso' }, 'one');
    const target = { author: 'alice.sso', sequence: post.entry.sequence };
    const older = await town.entry({ author: 'alice.sso', kind: 'edit', target }, 'two');
    const newer = await town.entry({ author: 'alice.sso', kind: 'edit', target }, 'three');
    const host = lying(({ waits }) => (waits ? pageOf([older], false, 9) : pageOf([post, newer, older])));
    expect(shownOf(await opened(town, [host]))).toEqual(['three']);
  });
});
