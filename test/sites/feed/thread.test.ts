/** What a thread comes to, whatever order its entries come in. */
import { assert, property, shuffledSubarray } from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { foldThread, type EntryKind, type Post, type SignedEntry } from '../../../sites/feed/index.ts';
import { unixMillis } from '../../../core/units.ts';
import { SEED_TITLE, TEST_SEED } from '../../chance.ts';
import { Cleanup } from '../kit.ts';
import { FORUM, Town, textOf } from './kit.ts';

const town = new Town(new Cleanup());
const base = town.clock.now();
let entries: readonly SignedEntry[];

function said(kind: EntryKind, author: string, number: number, about?: number, words?: string): Promise<SignedEntry> {
  const target = about === undefined ? undefined : { author: 'alice.sso', sequence: about };
  return town.entry({ kind, author, sequence: number, created: unixMillis(base + number), target }, words);
}

beforeAll(async () => {
  entries = await Promise.all([
    said('post', 'alice.sso', 1, undefined, 'one'),
    said('edit', 'alice.sso', 11, 1, 'one, better'),
    said('edit', 'alice.sso', 12, 1, 'one, best'),
    // Two of one number: everybody has to choose the same.
    said('edit', 'alice.sso', 12, 1, 'one, worst'),
    said('post', 'alice.sso', 2, undefined, 'two'),
    said('remove', 'alice.sso', 13, 2),
    said('edit', 'alice.sso', 14, 2, 'two, again'),
    said('post', 'alice.sso', 3, undefined, 'three'),
    said('hide', FORUM, 21, 3),
    said('show', FORUM, 20, 3),
    said('post', 'alice.sso', 4, undefined, 'four'),
    said('hide', FORUM, 22, 4),
    said('show', FORUM, 23, 4),
    said('post', 'bob.sso', 5, 1, 'an answer'),
    said('post', 'bob.sso', 5, 1, 'another of the same number'),
    said('remove', 'alice.sso', 15, 99),
  ]);
});

describe('a thread', () => {
  it('has the newest words of authors and owner; what is removed stays so', () => {
    const posts = foldThread(entries);
    expect(posts.map(({ author, sequence, state }) => `${author} ${sequence} ${state}`)).toEqual([
      'alice.sso 1 shown',
      'alice.sso 2 removed',
      'alice.sso 3 hidden',
      'alice.sso 4 shown',
      'bob.sso 5 shown',
    ]);
    expect(posts.filter(({ state }) => state !== 'shown').every(({ content }) => content === undefined)).toBe(true);
    expect(textOf(posts[3]?.content)).toBe('four');
  });

  it(`is the same in every order, and with entries twice (${SEED_TITLE})`, () => {
    const whole: readonly Post[] = foldThread(entries);
    assert(
      property(
        shuffledSubarray([...entries, ...entries], { minLength: 2 * entries.length }),
        (order) => JSON.stringify(foldThread(order)) === JSON.stringify(whole),
      ),
      { seed: TEST_SEED, numRuns: 300 },
    );
    expect(whole).toHaveLength(5);
  });
});
