/** What a gateway shows of updates, whichever hosts it meets: never an older one than was seen, nothing that is forged, and no end of pages. */
import type { Duplex } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { RelaymintError } from '../../../core/errors.ts';
import { MAX_ENTRY_CONTENT_BYTES, MAX_PAGE_ENTRIES, NAME_CACHE_MILLIS } from '../../../core/limits.ts';
import type { SignedEntry } from '../../../sites/feed/index.ts';
import { encodePage, readPageWanted, type PageWanted } from '../../../sites/feed/protocol.ts';
import { ByteReader, writeAll } from '../../../sites/wire/index.ts';
import { Cleanup, rawBlock, wallet } from '../kit.ts';
import { FeedWorld, NAME, bring, numbers, signal, until, type Reached } from './updates-kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const WANTED = { name: NAME, topic: '' } as const;

const setUp = (): FeedWorld => new FeedWorld(cleanup);

/** A host that answers each question with what it is told to, and how often it was asked. */
function scripted(
  world: FeedWorld,
  answer: (wanted: PageWanted, asked: number) => Uint8Array | undefined,
): { readonly host: Reached; readonly asked: () => number } {
  let asked = 0;
  const host = world.lying(async (stream: Duplex) => {
    const reader = new ByteReader(stream);
    for (;;) {
      const wanted = await readPageWanted(reader);
      if (wanted === undefined) return;
      asked += 1;
      const bytes = answer(wanted, asked);
      if (bytes === undefined) return;
      await writeAll(stream, bytes);
    }
  });
  return { host, asked: () => asked };
}

function page(...entries: readonly SignedEntry[]): Uint8Array {
  return encodePage({ entries: entries.map((signed, index) => ({ arrival: index + 1, signed })), more: false });
}

describe('a gateway', () => {
  it('shows the newest update, and each as it comes, for one stream however many look', async () => {
    const world = setUp();
    const host = await world.host();
    await bring(host, await world.update(1));
    const source = world.source([host]);
    using one = source.open(WANTED);
    using other = source.open(WANTED);
    await one.complete(signal);
    expect([numbers(one), numbers(other)]).toEqual([[1], [1]]);
    await bring(host, await world.update(2));
    await until(other, () => numbers(other)[0] === 2);
    expect(numbers(one)).toEqual([2]);
    expect(host.opened.length).toBe(3);
  });

  it('asks another host when one shows an older update than was seen, and never shows it', async () => {
    const world = setUp();
    const [behind, ahead] = [await world.host(), await world.host()];
    const [first, second] = [await world.update(1), await world.update(2)];
    await bring(behind, first);
    await bring(ahead, first, second);
    const source = world.source([behind, ahead]);
    // Seen elsewhere before: another page had it from the other host.
    ahead.route.isOpen = true;
    behind.route.isOpen = false;
    const before = source.open(WANTED);
    await before.complete(signal);
    expect(numbers(before)).toEqual([2]);
    before[Symbol.dispose]();
    behind.route.isOpen = true;
    using view = source.open({ ...WANTED, referrer: 'news.web3' });
    const shown: number[] = [];
    view.onChange(() => shown.push(...numbers(view)));
    await view.complete(signal);
    expect(numbers(view)).toEqual([2]);
    expect(shown).not.toContain(1);
    expect(behind.opened.length).toBe(2);
  });

  it('keeps what was seen where all hosts are behind, and shows nothing older', async () => {
    const world = setUp();
    const [behind, ahead] = [await world.host(), await world.host()];
    await bring(behind, await world.update(1));
    await bring(ahead, await world.update(2));
    const source = world.source([ahead, behind]);
    using view = source.open(WANTED);
    await view.complete(signal);
    ahead.route.isOpen = false;
    for (const { near } of ahead.opened) near.destroy();
    // The other one takes over: what comes there is shown.
    await bring(behind, await world.update(3));
    await until(view, () => numbers(view)[0] === 3);
    expect(numbers(view)).toEqual([3]);
  });

  it('goes back from a host that is behind to the one that is not, when its own fails', async () => {
    const world = setUp();
    const [behind, ahead] = [await world.host(), await world.host()];
    await bring(behind, await world.update(1));
    await bring(ahead, await world.update(2));
    const source = world.source([ahead, behind]);
    using view = source.open(WANTED);
    await view.complete(signal);
    ahead.route.isOpen = false;
    const asked = behind.opened.length;
    for (const { near } of ahead.opened) near.destroy();
    while (behind.opened.length < asked + 2) await new Promise(setImmediate);
    await bring(ahead, await world.update(4));
    ahead.route.isOpen = true;
    for (const { near } of behind.opened) near.destroy();
    await until(view, () => numbers(view)[0] === 4);
    expect(numbers(view)).toEqual([4]);
  });

  it('asks another host when what it has is over and the host says nothing new', async () => {
    const world = setUp();
    const other = await world.host();
    const mine = await world.update(1, { life: 1_000 });
    let wait = (): void => {};
    const waited = new Promise<void>((resolve) => {
      wait = resolve;
    });
    const quiet = world.lying(async (stream) => {
      const reader = new ByteReader(stream);
      await readPageWanted(reader);
      await writeAll(stream, page(mine));
      await readPageWanted(reader);
      await waited;
      // It has nothing else, and an empty page would come before its time.
      await writeAll(stream, encodePage({ entries: [{ arrival: 2, signed: mine }], more: false }));
    });
    const source = world.source([quiet, other]);
    using view = source.open(WANTED);
    await view.complete(signal);
    expect(numbers(view)).toEqual([1]);
    world.clock.advance(2_000);
    await bring(other, await world.update(2));
    wait();
    await until(view, () => numbers(view)[0] === 2);
    expect(numbers(view)).toEqual([2]);
  });

  it.each([
    [
      'of another name',
      async (world: FeedWorld) => page(await world.update(5, { name: 'other.route' })),
      'PROTOCOL_VIOLATION',
    ],
    [
      'that are malformed',
      () => Uint8Array.of(1, 0, 1, 0, 1, ...new Uint8Array(7), 4, 0, 0, 0, 1, 2, 3, 4),
      'PROTOCOL_VIOLATION',
    ],
    ['that are no answer', () => Uint8Array.of(77), 'PROTOCOL_VIOLATION'],
    ['in pages that are too long', () => Uint8Array.of(1, 0, MAX_PAGE_ENTRIES + 1, 0), 'PROTOCOL_VIOLATION'],
    ['of which more is to come after none', () => Uint8Array.of(1, 1, 0, 0), 'PROTOCOL_VIOLATION'],
  ])('leaves a host that sends updates %s, and blames it', async (_what, make, code) => {
    const world = setUp();
    world.ledger.register('other.route', new Uint8Array(0));
    const [answer, honest] = [await make(world), await world.host()];
    const lying = scripted(world, () => answer);
    await bring(honest, await world.update(1));
    const blamed: unknown[] = [];
    const source = world.source([lying.host, honest], {
      onBadHost: (host, error) => blamed.push([host, error.code]),
    });
    using view = source.open(WANTED);
    await view.complete(signal);
    expect(numbers(view)).toEqual([1]);
    expect(blamed).toEqual([[lying.host.id, code]]);
  });

  it.each([
    ['nothing new, again and again', (signed: SignedEntry, asked: number) => (asked === 1 ? page(signed) : page())],
    [
      'the same again and again',
      (signed: SignedEntry, asked: number) => encodePage({ entries: [{ arrival: 1, signed }], more: asked > 1 }),
    ],
    [
      'the same as ever later ones',
      (signed: SignedEntry, asked: number) => encodePage({ entries: [{ arrival: asked, signed }], more: asked > 1 }),
    ],
  ])('leaves a host that has it pay for %s', async (_what, answer) => {
    const world = setUp();
    const honest = await world.host();
    const first = await world.update(1, { words: new Uint8Array(MAX_ENTRY_CONTENT_BYTES) });
    await bring(honest, await world.update(2));
    const endless = scripted(world, (_wanted, asked) => answer(first, asked));
    const source = world.source([endless.host, honest]);
    using view = source.open(WANTED);
    await until(view, () => numbers(view)[0] === 2);
    expect(endless.asked()).toBeLessThan(500);
  });

  it('does not show what somebody else signed, whichever host has it', async () => {
    const world = setUp();
    const forged = await world.update(9, { key: wallet(9) });
    const lying = scripted(world, () => page(forged));
    const honest = await world.host();
    await bring(honest, await world.update(1));
    const source = world.source([lying.host, honest]);
    using view = source.open(WANTED);
    await view.complete(signal);
    expect(numbers(view)).toEqual([1]);
  });

  it('shows nothing more of a former owner, and then what the new one says', async () => {
    const world = setUp();
    const host = await world.host();
    await bring(host, await world.update(1, { life: 3_600_000 }));
    const source = world.source([host]);
    using view = source.open(WANTED);
    await view.complete(signal);
    expect(numbers(view)).toEqual([1]);
    world.ledger.register(NAME, rawBlock(NAME).cid.bytes, wallet(2).address);
    world.clock.advance(NAME_CACHE_MILLIS);
    await bring(host, await world.update(2, { key: wallet(2), life: 3_600_000 }));
    await until(view, () => numbers(view)[0] === 2);
    world.ledger.register(NAME, rawBlock(NAME).cid.bytes, wallet(3).address);
    // The host tells nothing: nobody has said anything since.
    world.clock.advance(NAME_CACHE_MILLIS);
    await view.complete(signal);
    expect(numbers(view)).toEqual([]);
  });

  it('says when an update counts no more, without anything from the host', async () => {
    const world = setUp();
    const host = await world.host();
    const source = world.source([host]);
    await bring(host, await world.update(1, { life: 300 }));
    using view = source.open(WANTED);
    await view.complete(signal);
    const told = new Promise<void>((resolve) => view.onChange(resolve));
    world.clock.advance(300);
    await told;
    expect(numbers(view)).toEqual([]);
  });

  it('does not hurry when there is no way, or no money', async () => {
    const world = setUp();
    let asked = 0;
    const source = world.source([], {
      route: async () => {
        asked += 1;
        return await Promise.reject(new RelaymintError('PRICE_TOO_HIGH', 'All cost too much.'));
      },
      retry: { first: 60_000, last: 60_000 },
    });
    using view = source.open(WANTED);
    await expect(view.complete(signal)).rejects.toMatchObject({ code: 'PRICE_TOO_HIGH' });
    for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate);
    expect(asked).toBe(1);
  });

  it('ends when the budget of the site is used up, and says so to who comes then', async () => {
    const world = setUp();
    const host = await world.host();
    await bring(host, await world.update(1));
    const route = { ...host.route, begin: () => Promise.reject(new RelaymintError('BUDGET_EXHAUSTED', 'No more.')) };
    const source = world.source([], { route: () => Promise.resolve(route), retry: { first: 60_000, last: 60_000 } });
    using view = source.open(WANTED);
    await expect(view.complete(signal)).rejects.toMatchObject({ code: 'BUDGET_EXHAUSTED' });
    expect(host.opened.length).toBe(2);
  });

  it('follows anew when somebody comes while the last one is leaving', async () => {
    const world = setUp();
    const host = await world.host();
    await bring(host, await world.update(1));
    let stopped = (): void => {};
    // One that is slow to end.
    let release = (): void => {};
    const hold = new Promise<void>((resolve) => {
      release = resolve;
    });
    const source = world.source([], {
      lingerMillis: 0,
      route: async (_site, options) => {
        options.signal.addEventListener('abort', () => stopped(), { once: true });
        await hold;
        return host.route;
      },
    });
    const ending = new Promise<void>((resolve) => {
      stopped = resolve;
    });
    source.open(WANTED)[Symbol.dispose]();
    await ending;
    using view = source.open(WANTED);
    release();
    await view.complete(signal);
    expect(numbers(view)).toEqual([1]);
  });
});
