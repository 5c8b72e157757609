/** What a host takes of updates, keeps and tells, whatever others send it and however it ends. */
import { cp } from 'node:fs/promises';
import path from 'node:path';
import { Duplex } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { Writer } from '../../../core/codec.ts';
import {
  ENTRY_AHEAD_MILLIS,
  MAX_ENTRY_BYTES,
  MAX_ENTRY_CONTENT_BYTES,
  MAX_FEED_BYTES_PER_NAME,
  MAX_FEED_WAITS,
  MAX_PAGE_BYTES,
  MAX_UPDATES_KEPT,
  UPDATES_AT_ONCE,
} from '../../../core/limits.ts';
import { silentLog } from '../../../core/ports.ts';
import { openDatabase } from '../../../platform/disk/level.ts';
import {
  createFeedServices,
  encodeWriteParams,
  openFeedStore,
  type FeedStore,
  type SignedEntry,
} from '../../../sites/feed/index.ts';
import { encodePageWanted } from '../../../sites/feed/protocol.ts';
import { encodeContentParams } from '../../../sites/serve/index.ts';
import { Cleanup, rawBlock, temporaryFolder, temporaryStore, wallet } from '../kit.ts';
import { FeedWorld, NAME, OWNER, bring, readerOf, signal, writerTo, type FeedHost } from './updates-kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const LIVE = { name: NAME, topic: '' } as const;
const NOW = { topic: '', waits: false } as const;

async function kept(feeds: FeedStore): Promise<readonly number[]> {
  return (await feeds.after(LIVE, 0)).map(({ signed }) => signed.entry.sequence);
}

async function setUp(): Promise<{ readonly world: FeedWorld; readonly host: FeedHost }> {
  const world = new FeedWorld(cleanup);
  return { world, host: await world.host() };
}

describe('a host', () => {
  it('keeps the newest update and tells it, and each one as it comes', async () => {
    const { world, host } = await setUp();
    await bring(host, await world.update(1), await world.update(2));
    using reader = await readerOf(host);
    const { entries } = await reader.page({ ...NOW, from: 'newest' }, { signal });
    expect(entries.map(({ signed }) => signed.entry.sequence)).toEqual([2]);
    const next = reader.page({ topic: '', from: entries[0]?.arrival ?? 0, waits: true }, { signal });
    await bring(host, await world.update(3));
    expect((await next).entries.map(({ signed }) => signed.entry.sequence)).toEqual([3]);
    expect(host.shares).toEqual([[{ name: NAME, share: 10_000 }], [{ name: NAME, share: 10_000 }]]);
  });

  it('takes no number twice and none that is lower, and the very same update again for nothing new', async () => {
    const { world, host } = await setUp();
    using writer = await writerTo(host);
    const second = await world.update(2);
    await writer.bring(second, { signal });
    for (const stale of [await world.update(2, { words: 'elsewhere' }), await world.update(1)])
      await expect(writer.bring(stale, { signal })).rejects.toMatchObject({ code: 'ENTRY_STALE' });
    // An answer that was lost: who brings it again hears that it is there.
    await writer.bring(second, { signal });
    expect(await kept(host.feeds)).toEqual([2]);
  });

  it('refuses what is over, what is of the future, what others signed, and what is of a name that it does not keep', async () => {
    const { world, host } = await setUp();
    world.ledger.register('other.route', new Uint8Array(0));
    using writer = await writerTo(host);
    const refused: readonly (readonly [SignedEntry, string])[] = [
      [await world.update(1, { ago: 60_000, life: 60_000 }), 'ENTRY_STALE'],
      [await world.update(1, { ago: -ENTRY_AHEAD_MILLIS - 1 }), 'ENTRY_INVALID'],
      [await world.update(1, { key: wallet(9) }), 'ENTRY_INVALID'],
      [await world.update(1, { name: 'other.route' }), 'CONTENT_REFUSED'],
    ];
    for (const [entry, code] of refused) await expect(writer.bring(entry, { signal })).rejects.toMatchObject({ code });
    // The stream stands, and nothing of these stays.
    await writer.bring(await world.update(1), { signal });
    expect(await kept(host.feeds)).toEqual([1]);
  });

  it('whose clock jumps ahead takes what is made then, and what was made before no more', async () => {
    const { world, host } = await setUp();
    const before = await world.update(1);
    world.clock.advance(3_600_000);
    using writer = await writerTo(host);
    await expect(writer.bring(before, { signal })).rejects.toMatchObject({ code: 'ENTRY_STALE' });
    await writer.bring(await world.update(2), { signal });
    expect(await kept(host.feeds)).toEqual([2]);
  });

  it('obeys the new owner of a name at once, whatever number the former one used last', async () => {
    const { world, host } = await setUp();
    const { clock } = world;
    // As far ahead as a number may be.
    await bring(host, await world.update(clock.now() + ENTRY_AHEAD_MILLIS, { ago: -ENTRY_AHEAD_MILLIS, life: 7e7 }));
    world.ledger.register(NAME, rawBlock(NAME).cid.bytes, wallet(2).address);
    using writer = await writerTo(host);
    clock.advance(2 * ENTRY_AHEAD_MILLIS);
    await expect(writer.bring(await world.update(clock.now()), { signal })).rejects.toMatchObject({
      code: 'ENTRY_INVALID',
    });
    await writer.bring(await world.update(clock.now(), { key: wallet(2), words: 'mine now' }), { signal });
    expect((await host.feeds.newest(LIVE))?.signed.entry.sequence).toBe(clock.now());
  });

  it('takes so many at once, and the next ones when there was time for them', async () => {
    const { world, host } = await setUp();
    using writer = await writerTo(host);
    let taken = 0;
    const failures: unknown[] = [];
    for (let number = 1; number <= UPDATES_AT_ONCE + 5; number += 1) {
      await writer.bring(await world.update(number), { signal }).then(
        () => (taken += 1),
        (error: unknown) => failures.push(error),
      );
    }
    expect(taken).toBeGreaterThanOrEqual(UPDATES_AT_ONCE);
    expect(failures.length).toBeGreaterThan(0);
    expect(failures).toEqual(failures.map(() => expect.objectContaining({ code: 'LIMIT_EXCEEDED' }) as unknown));
  });

  it('leaves who floods it with what nobody signed, and the owner is heard all the same', async () => {
    const { world, host } = await setUp();
    const forged = await world.update(5, { key: wallet(9) });
    using flood = await writerTo(host);
    let last: unknown;
    let brought = 0;
    for (; brought < 100; brought += 1) {
      last = await flood.bring(forged, { signal }).catch((error: unknown) => error);
      if (!(last instanceof Error && 'code' in last && last.code === 'ENTRY_INVALID')) break;
    }
    expect(last).toMatchObject({ code: 'STREAM_RESET' });
    expect(brought).toBeLessThan(50);
    await bring(host, await world.update(6));
    expect(await kept(host.feeds)).toEqual([6]);
  });

  it('reads nothing that is larger than an entry may be', async () => {
    const { host } = await setUp();
    const stream = await host.route.openStream('update', encodeWriteParams());
    const ended = new Promise((resolve) => stream.once('end', resolve));
    stream.write(new Writer(4).u32(MAX_ENTRY_BYTES + 1).finish());
    stream.resume();
    await ended;
    expect(await kept(host.feeds)).toEqual([]);
  });

  it('keeps a bounded history: the newest ones', async () => {
    const { world, host } = await setUp();
    for (let number = 1; number <= MAX_UPDATES_KEPT + 3; number += 1) await host.feeds.add(await world.update(number));
    const all = Array.from({ length: MAX_UPDATES_KEPT }, (_, index) => index + 4);
    expect(await kept(host.feeds)).toEqual(all);
  });

  it('takes updates of a name whose room is full of posts', async () => {
    const world = new FeedWorld(cleanup);
    const directory = await temporaryFolder(cleanup);
    const database = await openDatabase(directory);
    const topic = Buffer.from('/talk').toString('base64url');
    const post = new Uint8Array(MAX_ENTRY_BYTES);
    // Each record has a checksum, which counts for nothing.
    const count = 1 + Math.ceil(MAX_FEED_BYTES_PER_NAME / post.length);
    const key = (index: number): string => `${NAME} ${topic}/${String(index).padStart(14, '0')}`;
    await database.batch(Array.from({ length: count }, (_, at) => ({ type: 'put', key: key(at + 1), value: post })));
    await database.close();
    const host = await world.host({ directory });
    await bring(host, await world.update(1));
    expect(await kept(host.feeds)).toEqual([1]);
  });
});

describe('what a host has on disk', () => {
  it('is there when it was killed right after it took it', async () => {
    const world = new FeedWorld(cleanup);
    const directory = await temporaryFolder(cleanup);
    const host = await world.host({ directory });
    await bring(host, await world.update(1), await world.update(2));
    // The files as they are at this moment: what a process that is killed leaves.
    const left = path.join(await temporaryFolder(cleanup), 'left');
    await cp(directory, left, { recursive: true });
    const reopened = await openFeedStore(left, silentLog);
    cleanup.add(() => reopened[Symbol.asyncDispose]());
    expect(await kept(reopened)).toEqual([1, 2]);
    expect(await reopened.add(await world.update(3))).toBe(3);
  });

  it.each(['its words', 'its number', 'all of it'])('is told without a record that is damaged in %s', async (where) => {
    const world = new FeedWorld(cleanup);
    const directory = await temporaryFolder(cleanup);
    const first = await openFeedStore(directory, silentLog);
    for (const number of [1, 2, 3]) await first.add(await world.update(number, { words: 'the words' }));
    await first[Symbol.asyncDispose]();
    const database = await openDatabase(directory);
    for await (const [key, value] of database.iterator()) {
      if (!/\/0*2 /.test(key)) continue;
      const at = where === 'its words' ? Buffer.from(value).indexOf('words') : value.length - 1;
      const changed = where === 'all of it' ? value.slice(0, 9) : Uint8Array.from(value);
      changed[where === 'all of it' ? 0 : at] = (changed[at] ?? 0) ^ 1;
      await database.put(key, changed);
    }
    await database.close();
    const faults: unknown[] = [];
    const log = { ...silentLog, error: (fault: object) => faults.push(fault) };
    const again = await openFeedStore(directory, log);
    cleanup.add(() => again[Symbol.asyncDispose]());
    expect(await kept(again)).toEqual([1, 3]);
    expect(faults).toEqual([expect.objectContaining({ name: NAME })]);
  });
});

describe('who follows a host', () => {
  it('and reads nothing makes it hold one page, while others are told', async () => {
    const { world, host } = await setUp();
    const words = new Uint8Array(MAX_ENTRY_CONTENT_BYTES);
    for (let number = 1; number <= 10; number += 1) await host.feeds.add(await world.update(number, { words }));
    const slow = await host.route.openStream('feed', encodeContentParams({ name: NAME }));
    const far = host.opened.at(-1)?.far as Duplex;
    const many = Buffer.concat(Array.from({ length: 400 }, () => encodePageWanted({ ...NOW, from: 0 })));
    const full = new Promise<void>((resolve) => {
      const write = far.write.bind(far) as (chunk: Uint8Array) => boolean;
      Object.assign(far, {
        write: (chunk: Uint8Array) => {
          const roomy = write(chunk);
          if (!roomy && far.writableLength > MAX_PAGE_BYTES / 2) resolve();
          return roomy;
        },
      });
    });
    slow.write(many);
    await full;
    using reader = await readerOf(host);
    const page = reader.page({ topic: '', from: 10, waits: true }, { signal });
    await host.feeds.add(await world.update(11));
    expect((await page).entries.map(({ signed }) => signed.entry.sequence)).toEqual([11]);
    expect(far.writableLength).toBeLessThan(2 * MAX_PAGE_BYTES);
  });

  it('hears that too many wait already', async () => {
    const { world, feeds, waiting, ask } = await crowded();
    const all = Array.from({ length: MAX_FEED_WAITS }, () => ask());
    while (waiting.now < MAX_FEED_WAITS) await new Promise(setImmediate);
    const refusal = await ask().answer;
    expect(refusal.toString()).toContain('LIMIT_EXCEEDED');
    for (const { stream } of all) stream.destroy();
    while (waiting.now > 0) await new Promise(setImmediate);
    // Who leaves makes room.
    const again = ask();
    await feeds.add(await world.update(1, { key: OWNER }));
    expect((await again.answer)[0]).toBe(1);
  });

  it('is not kept out by one circuit that takes every place: that one gives up its oldest', async () => {
    const { waiting, ask } = await crowded();
    const [greedy, honest] = [{}, {}];
    const all = Array.from({ length: MAX_FEED_WAITS }, () => ask(greedy));
    while (waiting.now < MAX_FEED_WAITS) await new Promise(setImmediate);
    const mine = ask(honest);
    const first = all.shift();
    expect((await first?.answer)?.toString()).toContain('LIMIT_EXCEEDED');
    // And whoever it is that is greedy gets none of these back.
    expect((await ask(greedy).answer).toString()).toContain('LIMIT_EXCEEDED');
    for (const { stream } of all) stream.destroy();
    while (waiting.now > 1) await new Promise(setImmediate);
    expect(await Promise.race([mine.answer, Promise.resolve('it waits')])).toBe('it waits');
    mine.stream.destroy();
  });
});

interface Asking {
  readonly stream: Duplex;
  readonly answer: Promise<Buffer>;
}

/** A host whose waits are counted, and streams to it, of a circuit each unless one is named. */
async function crowded(): Promise<{
  readonly world: FeedWorld;
  readonly feeds: FeedStore;
  readonly waiting: { readonly now: number };
  readonly ask: (circuit?: object) => Asking;
}> {
  const world = new FeedWorld(cleanup);
  const store = await temporaryStore(cleanup);
  const session = store.begin();
  const { cid, block } = rawBlock(NAME);
  await session.put(cid, block);
  await session.pin(NAME, cid);
  await session.close();
  const feeds = await openFeedStore(await temporaryFolder(cleanup), silentLog);
  cleanup.add(() => feeds[Symbol.asyncDispose]());
  const waiting = { now: 0 };
  const counting: FeedStore = {
    add: (signed) => feeds.add(signed),
    known: (signed) => feeds.known(signed),
    hasTarget: (signed) => feeds.hasTarget(signed),
    after: (topic, arrival) => feeds.after(topic, arrival),
    newest: (topic) => feeds.newest(topic),
    onAdded: (topic, tell) => {
      waiting.now += 1;
      const added = feeds.onAdded(topic, tell);
      return {
        [Symbol.dispose]: () => {
          waiting.now -= 1;
          added[Symbol.dispose]();
        },
      };
    },
    names: () => feeds.names(),
    forget: (name) => feeds.forget(name),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const { read } = createFeedServices({ feeds: counting, store, ledger: world.ledger, clock: world.clock });
  const ask = (circuit?: object): Asking => {
    const wanted = encodePageWanted({ topic: '', from: 0, waits: true });
    let answered = (_answer: Buffer): void => {};
    const answer = new Promise<Buffer>((resolve) => {
      answered = resolve;
    });
    const stream = new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _encoding, done) => {
        answered(chunk);
        done();
      },
    });
    stream.push(wanted);
    read(stream, encodeContentParams({ name: NAME }), circuit);
    return { stream, answer };
  };
  return { world, feeds, waiting, ask };
}
