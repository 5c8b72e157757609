/** What every store of an issuer's records has to do. */
import { setTimeout as passed } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Clock } from '../../../core/ports.ts';
import { unixMillis, type UnixMillis } from '../../../core/units.ts';
import type { IssuerStore } from '../../../sites/sso/index.ts';
import { MovedClock } from './kit.ts';

export interface StoreSetup {
  /** On records that are empty at the beginning of each test. `clock`: of the process that opens it. */
  open(clock: Clock): Promise<IssuerStore>;
  /** Several at once. */
  readonly isShared: boolean;
}

const HOUR = 3_600_000;
const ODD = ['a%b', 'a_b', 'a*b', 'a?b', 'a[b]', 'a\\b', "a'b", 'a"b', 'a{b}', 'a b', 'a:b', 'a$1', 'a~'];

export function storeCompliance(setup: () => StoreSetup): void {
  const clock = new MovedClock();
  const inAnHour = (): UnixMillis => unixMillis(clock.now() + HOUR);
  const open = (): Promise<IssuerStore> => setup().open(clock);

  it('gives back what was put, until it is deleted', async () => {
    await using store = await open();
    await store.put('k', 'one', inAnHour());
    await store.put('k', 'two \u{1f511} \n', inAnHour());
    expect(await store.get('k')).toBe('two \u{1f511} \n');
    await store.delete('k');
    await store.delete('k');
    expect([await store.get('k'), await store.keys('', 9)]).toEqual([undefined, []]);
  });

  it('lets one of twenty claim a key', async () => {
    await using store = await open();
    const claims = await Promise.all(Array.from({ length: 20 }, () => store.claim('c', inAnHour())));
    expect(claims.filter(Boolean)).toHaveLength(1);
    expect([await store.claim('c', inAnHour()), await store.get('c')]).toEqual([false, '']);
  });

  it('does not let a key be claimed that was put, and keeps one taken that is put over', async () => {
    await using store = await open();
    await store.put('p', 'v', inAnHour());
    expect([await store.claim('p', inAnHour()), await store.get('p')]).toEqual([false, 'v']);
    expect(await store.claim('c', inAnHour())).toBe(true);
    await store.put('c', 'v', inAnHour());
    expect(await store.claim('c', inAnHour())).toBe(false);
    await store.delete('c');
    expect(await store.claim('c', inAnHour())).toBe(true);
  });

  it('forgets what is over, which one of twenty may claim anew', async () => {
    await using store = await open();
    await store.put('gone', 'v', unixMillis(clock.now() - 1));
    expect([await store.get('gone'), await store.keys('', 9)]).toEqual([undefined, []]);
    expect(await store.claim('soon', unixMillis(clock.now() + 40))).toBe(true);
    await store.put('next', 'v', unixMillis(clock.now() + 40));
    // Time is what this is about: servers count it themselves.
    await passed(80);
    expect([await store.get('next'), await store.keys('', 9)]).toEqual([undefined, []]);
    const claims = await Promise.all(Array.from({ length: 20 }, () => store.claim('soon', inAnHour())));
    expect(claims.filter(Boolean)).toHaveLength(1);
    expect(await store.keys('', 9)).toEqual(['soon']);
  });

  it('lists keys in the order of their bytes, and takes no character of them for another', async () => {
    await using store = await open();
    for (const key of [...ODD, 'b', 'A', 'aXb']) await store.put(key, key, inAnHour());
    const sorted = (keys: readonly string[]): string[] => keys.toSorted((a, b) => (a < b ? -1 : 1));
    expect(await store.keys('a', 99)).toEqual(sorted([...ODD, 'aXb']));
    expect(await store.keys('a', 3)).toEqual(sorted([...ODD, 'aXb']).slice(0, 3));
    for (const key of ODD) {
      expect([await store.keys(key, 9), await store.get(key)]).toEqual([[key], key]);
    }
  });

  it('lists ten thousand, and what lies among them', { timeout: 120_000 }, async () => {
    await using store = await open();
    const keys = Array.from({ length: 10_000 }, (_, at) => `g:${String(at).padStart(5, '0')}`);
    for (let at = 0; at < keys.length; at += 500) {
      await Promise.all(keys.slice(at, at + 500).map((key) => store.put(key, '', inAnHour())));
    }
    expect(await store.keys('g:', 20_000)).toEqual(keys);
    expect(await store.keys('g:', 1_200)).toEqual(keys.slice(0, 1_200));
    expect(await store.keys('g:0999', 99)).toEqual(keys.slice(9_990));
  });

  if (setup().isShared)
    it('lets one of twenty claim a key over two connections', async () => {
      await using one = await open();
      await using other = await open();
      for (let round = 0; round < 10; round += 1) {
        const claims = await Promise.all(
          Array.from({ length: 20 }, (_, at) => (at % 2 === 0 ? one : other).claim(`c:${round}`, inAnHour())),
        );
        expect(claims.filter(Boolean)).toHaveLength(1);
      }
      await one.put('seen', 'by both', inAnHour());
      expect(await other.get('seen')).toBe('by both');
    });

  if (setup().isShared)
    it('holds by one clock for all, though theirs are hours apart', async () => {
      const late = new MovedClock();
      late.ahead = -5 * HOUR;
      const early = new MovedClock();
      early.ahead = 5 * HOUR;
      await using behind = await setup().open(late);
      await using before = await setup().open(early);
      expect(await behind.claim('a', unixMillis(late.now() + HOUR))).toBe(true);
      expect(await before.claim('a', unixMillis(early.now() + HOUR))).toBe(false);
      expect(await before.claim('b', unixMillis(early.now() + HOUR))).toBe(true);
      expect([await behind.claim('b', unixMillis(late.now() + HOUR)), await behind.get('b')]).toEqual([false, '']);
    });
}
