/** Who wants more than is due: hosts that pad, keep waiting or ask too much, and strangers that use up what others may say. */
import { afterEach, describe, expect, it } from 'vitest';
import { RelaymintError } from '../../../core/errors.ts';
import {
  MAX_ATTRIBUTED_NAMES,
  MAX_ENTRY_CONTENT_BYTES,
  MAX_FEED_VIEWS,
  MAX_THREAD_BYTES,
  UPDATES_AT_ONCE,
} from '../../../core/limits.ts';
import type { PaidStream } from '../../../sites/blocks/index.ts';
import { FeedReader, type FeedWanted } from '../../../sites/feed/index.ts';
import { encodePage, encodeRefusal, readPageWanted, type PageWanted } from '../../../sites/feed/protocol.ts';
import type { ContentRoute } from '../../../sites/serve/index.ts';
import { ByteReader } from '../../../sites/wire/index.ts';
import { Cleanup, socketPair } from '../kit.ts';
import { FORUM, FeedHost, TOPIC, Town } from './kit.ts';

const cleanup = new Cleanup();
const { signal } = new AbortController();
afterEach(() => cleanup.run());

const WANTED: FeedWanted = { name: FORUM, topic: TOPIC };

/** A host that answers each question with these bytes. */
function answering(answer: (wanted: PageWanted) => Uint8Array): FeedHost {
  return new FeedHost(cleanup, {
    feed: (stream) => {
      const reader = new ByteReader(stream);
      const talk = async (): Promise<void> => {
        for (;;) {
          const wanted = await readPageWanted(reader);
          if (wanted === undefined) return;
          stream.write(answer(wanted));
        }
      };
      talk().catch(() => stream.destroy());
      stream.on('error', () => undefined);
    },
  });
}

/** The same host, whose routes are changed. */
function rerouted(
  host: FeedHost,
  change: (route: ContentRoute) => Partial<ContentRoute>,
): Pick<FeedHost, 'id' | 'route'> {
  return {
    id: host.id,
    get route() {
      return { ...host.route, ...change(host.route) };
    },
  };
}

async function honest(town: Town): Promise<FeedHost> {
  const host = await town.host();
  await host.bring(await town.entry({ author: 'alice.sso' }, 'honest words'));
  return host;
}

describe('a host', () => {
  it('is left when it fills pages with padding, which is paid for', async () => {
    const [near, far] = await socketPair(cleanup);
    let cellBytesReceived = 0;
    const paid: PaidStream = Object.assign(near, { dataBytesReceived: 0 });
    Object.defineProperty(paid, 'cellBytesReceived', { get: () => (cellBytesReceived += 1_000_000) });
    using reader = new FeedReader(paid);
    far.write(encodePage({ entries: [], more: false }));
    const page = reader.page({ topic: TOPIC, from: 0, waits: false }, { signal });
    await expect(page).rejects.toMatchObject({ code: 'PROTOCOL_VIOLATION' });
  });

  it('is not waited for when it does not take a stream', async () => {
    const town = new Town(cleanup);
    const bad: string[] = [];
    let opening = 0;
    const mute = rerouted(await town.host(), () => ({
      openStream: () => {
        opening += 1;
        return new Promise(() => undefined);
      },
    }));
    const source = town.source([mute, await honest(town)], bad, { firstAnswerMillis: 50 });
    using view = source.open(WANTED);
    await view.complete(signal);
    expect({ opening, words: view.entries().length, bad }).toEqual({
      opening: 1,
      words: 1,
      bad: [expect.stringMatching(/took longer than 50 ms/)],
    });
  });

  it('is asked for nothing by a site that may spend no more', async () => {
    const town = new Town(cleanup);
    let asked = 0;
    const host = answering(() => {
      asked += 1;
      return encodePage({ entries: [], more: false });
    });
    const poor = rerouted(host, () => ({
      begin: async () => await Promise.reject(new RelaymintError('BUDGET_EXHAUSTED', 'No more.')),
    }));
    using view = town.source([poor]).open(WANTED);
    await expect(view.complete(signal)).rejects.toMatchObject({ code: 'BUDGET_EXHAUSTED' });
    expect(asked).toBe(0);
  });

  it('is come back to more and more slowly when it tells all and lets nobody wait', async () => {
    const town = new Town(cleanup);
    const post = await town.entry({ author: 'alice.sso' }, 'once more');
    let told = 0;
    let fifth = (): void => {};
    const often = new Promise<void>((resolve) => {
      fifth = resolve;
    });
    const host = answering(({ waits }) => {
      if (waits) return encodeRefusal({ code: 'LIMIT_EXCEEDED', message: 'Too many wait.' });
      told += 1;
      if (told === 5) fifth();
      return encodePage({ entries: [{ arrival: 1, signed: post }], more: false });
    });
    const pauses: number[] = [];
    let last = performance.now();
    const slow = rerouted(host, (route) => ({
      openStream: async (service, params, options) => {
        pauses.push(performance.now() - last);
        last = performance.now();
        return await route.openStream(service, params, options);
      },
    }));
    using view = town.source([slow], [], { retry: { first: 20, last: 10_000 } }).open(WANTED);
    await view.complete(signal);
    await often;
    // Each twice as long as the one before: 20, 40, 80, 160 milliseconds at least.
    expect(pauses.at(-1)).toBeGreaterThan(150);
  });

  it('is left when it sends what is known again and again, under new numbers', async () => {
    const town = new Town(cleanup);
    const words = 'x'.repeat(MAX_ENTRY_CONTENT_BYTES);
    const post = await town.entry({ author: 'alice.sso' }, words);
    let pages = 0;
    const host = answering(() => {
      pages += 1;
      return encodePage({ entries: [{ arrival: pages, signed: post }], more: true });
    });
    const bad: string[] = [];
    using view = town.source([host, await honest(town)], bad).open(WANTED);
    await view.complete(signal);
    expect(bad).toEqual([expect.stringMatching(/nothing new/)]);
    // Twice what a thread may have, and a little.
    expect(pages * MAX_ENTRY_CONTENT_BYTES).toBeLessThan(3 * MAX_THREAD_BYTES);
  });

  it('is left when its pages are of more authors than are paid, before the ledger is asked for them', async () => {
    const town = new Town(cleanup);
    const authors = Array.from({ length: MAX_ATTRIBUTED_NAMES + 1 }, (_, index) => `stranger${index}.sso`);
    const entries = await Promise.all(authors.map((author) => town.entry({ author }, 'words', 9)));
    const flood = answering(() =>
      encodePage({ entries: entries.map((signed, index) => ({ arrival: index + 1, signed })), more: false }),
    );
    const bad: string[] = [];
    const good = await honest(town);
    const before = town.ledger.questions;
    using view = town.source([flood, good], bad).open(WANTED);
    await view.complete(signal);
    expect(bad).toEqual([expect.stringMatching(/too many authors/)]);
    // The owner and the author of the honest host's page, and those who look at its page there.
    expect(town.ledger.questions - before).toBeLessThan(MAX_ATTRIBUTED_NAMES);
  });
});

describe('a stranger', () => {
  it('brings nothing by the service that is for owners', async () => {
    const town = new Town(cleanup);
    const host = await town.host();
    const post = await town.entry({ author: 'alice.sso' }, 'for less');
    await expect(host.bring(post, 'update')).rejects.toMatchObject({ code: 'CONTENT_REFUSED' });
    expect(await host.told()).toEqual([]);
  });

  it('who brings again what the owner said keeps nobody from saying more', async () => {
    const town = new Town(cleanup);
    const host = await town.host();
    const post = await town.entry({ author: 'alice.sso' }, 'hello');
    await host.bring(post);
    const target = { author: 'alice.sso', sequence: post.entry.sequence };
    const hidden = await town.entry({ author: FORUM, kind: 'hide', target });
    await host.bring(hidden, 'update');
    for (let times = 0; times < 2 * UPDATES_AT_ONCE; times += 1) await host.bring(hidden, 'update');
    await host.bring(await town.entry({ author: FORUM, kind: 'show', target }), 'update');
    for (let times = 0; times < 10; times += 1) await host.bring(post);
    await host.bring(await town.entry({ author: 'alice.sso' }, 'and more'));
    expect((await host.told()).map(({ entry }) => entry.kind)).toEqual(['post', 'show', 'post']);
  });
});

describe('a site', () => {
  it('that follows threads without end leaves room for others', async () => {
    const town = new Town(cleanup);
    const source = town.source([answering(() => encodePage({ entries: [], more: false }))]);
    const open = (name: string, topic: string): Disposable => source.open({ name, topic });
    const own = Array.from({ length: MAX_FEED_VIEWS / 4 }, (_, index) => open(FORUM, `/${index}`));
    expect(() => open(FORUM, '/more')).toThrow(/as many feeds as it can/);
    using _other = open('other.web3', '/');
    for (const view of own) view[Symbol.dispose]();
    using _again = open(FORUM, '/more');
    expect(own).toHaveLength(MAX_FEED_VIEWS / 4);
  });
});
