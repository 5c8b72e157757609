/** A thread as long as one may be, at a host and at a gateway. */
import { afterEach, describe, expect, it } from 'vitest';
import { Cleanup, wallet } from '../kit.ts';
import { FORUM, TOPIC, Town } from './kit.ts';

const cleanup = new Cleanup();
const { signal } = new AbortController();
afterEach(() => cleanup.run());

describe('a long thread', () => {
  it('takes 2,000 posts of many authors, tells them fast, and has room again for what replaces hidden ones', async () => {
    const town = new Town(cleanup);
    const host = await town.host();
    const feeds = host.feeds;
    if (feeds === undefined) throw new Error('the host has no store');
    const posts = [];
    for (let count = 0; count < 2_000; count += 1) {
      const author = `author${count % 40}.sso`;
      if (count < 40) town.ledger.register(author, new Uint8Array(), wallet(9).address);
      const post = await town.entry({ author }, `post ${count}`);
      posts.push(post);
      await feeds.add(post);
    }
    const late = await town.entry({ author: 'alice.sso' }, 'one more');
    await expect(feeds.add(late)).rejects.toMatchObject({
      message: expect.stringContaining('The thread about /talk is full.') as string,
    });
    const before = town.ledger.questions;
    const began = performance.now();
    expect(await host.told()).toHaveLength(2_000);
    expect(performance.now() - began).toBeLessThan(10_000);
    // Of each author and the forum once.
    expect(town.ledger.questions - before).toBeLessThanOrEqual(41);
    const [first] = posts;
    const target = { author: String(first?.entry.author), sequence: Number(first?.entry.sequence) };
    await feeds.add(await town.entry({ author: FORUM, kind: 'hide', target }));
    await feeds.add(late);

    const view = town.source([host]).open({ name: FORUM, topic: TOPIC });
    cleanup.add(() => view[Symbol.dispose]());
    await view.complete(signal);
    expect(view.entries().filter(({ entry }) => entry.kind === 'post')).toHaveLength(2_000);
    expect(view.entries()).toBe(view.entries());
  }, 120_000);
});
