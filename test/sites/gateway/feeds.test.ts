/** What pages get of a name's updates: JSON once, or events as they come and as they end. */
import type { IncomingMessage } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { MAX_ENTRY_CONTENT_BYTES, MAX_FEED_WATCHERS_PER_CLIENT } from '../../../core/limits.ts';
import { unixMillis } from '../../../core/units.ts';
import { FeedWorld, NAME, bring, type FeedHost } from '../feed/updates-kit.ts';
import { FORUM, TOPIC, Town } from '../feed/kit.ts';
import { Cleanup } from '../kit.ts';
import { declare, letEmbed, startFront, type Front, type FrontOptions } from './kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const ADDRESS = '/.well-known/relaymint/updates';
const HOST = 'ferry-route.localhost';
const DOMAIN = 'web.example';
const EVENTS = { accept: 'text/event-stream' };

interface Stage {
  readonly world: FeedWorld;
  readonly host: FeedHost;
  readonly front: Front;
}

async function setUp(options: FrontOptions = {}): Promise<Stage> {
  const world = new FeedWorld(cleanup);
  const host = await world.host();
  const front = await startFront(cleanup, { feeds: world.source([host]), ...options });
  await front.publish(NAME, { 'index.html': '<!doctype html><title>ferry</title>' });
  return { world, host, front };
}

/** Events as they come: `next` resolves with the whole text of the next one, without comments. */
function eventsOf(response: IncomingMessage): { readonly next: () => Promise<string> } {
  cleanup.add(() => response.destroy());
  const chunks = response.setEncoding('utf8')[Symbol.asyncIterator]() as AsyncIterator<string>;
  let text = '';
  const next = async (): Promise<string> => {
    for (;;) {
      const end = text.indexOf('\n\n');
      if (end >= 0) {
        const event = text.slice(0, end);
        text = text.slice(end + 2);
        if (!event.startsWith(':')) return event;
        continue;
      }
      const { value, done } = await chunks.next();
      if (done === true) throw new Error('the events ended');
      text += value;
    }
  };
  return { next };
}

describe('updates at a gateway', () => {
  it('are JSON once: the newest, or none', async () => {
    const { world, host, front } = await setUp();
    expect((await front.get(ADDRESS, { host: HOST })).text).toBe(JSON.stringify({ name: NAME, update: null }));
    await bring(host, await world.update(7, { words: Uint8Array.of(0xff, 0) }));
    const answer = await front.get(ADDRESS, { host: HOST });
    expect(answer.headers).toMatchObject({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
    expect(JSON.parse(answer.text)).toMatchObject({ name: NAME, update: { sequence: 7, base64: '/wA=' } });
  });

  it('are events: how long to wait before asking again, each update with its number, and its end', async () => {
    const { world, host, front } = await setUp();
    const response = await front.open(ADDRESS, { host: HOST, headers: EVENTS });
    expect(response.headers['content-type']).toContain('text/event-stream');
    const { next } = eventsOf(response);
    expect(await next()).toBe('retry: 2000');
    // A page that came back shows something that counts no more.
    expect(await next()).toBe('event: stale\ndata: {}');
    await bring(host, await world.update(7, { life: 1_000, words: 'line\nand line' }));
    const lines = (await next()).split('\n');
    expect(lines.slice(0, 2)).toEqual(['event: update', 'id: 7']);
    expect(lines.length).toBe(3);
    expect(JSON.parse(lines[2]?.slice('data: '.length) ?? '')).toMatchObject({ sequence: 7, text: 'line\nand line' });
    world.clock.advance(1_000);
    expect(await next()).toBe('event: stale\ndata: {}');
    await bring(host, await world.update(8));
    expect(await next()).toContain('id: 8');
  });

  it('are nothing but a head for HEAD', async () => {
    const { front } = await setUp();
    const answer = await front.get(ADDRESS, { host: HOST, method: 'HEAD', headers: EVENTS });
    expect([answer.status, answer.headers['content-type'], answer.text]).toEqual([200, 'text/event-stream', '']);
  });

  it('come to a page that reads slowly as the newest, with nothing in between', async () => {
    const { world, host, front } = await setUp();
    const words = new Uint8Array(MAX_ENTRY_CONTENT_BYTES).fill(97);
    await bring(host, await world.update(1));
    const slow = await front.open(ADDRESS, { host: HOST, headers: EVENTS });
    const other = eventsOf(await front.open(ADDRESS, { host: HOST, headers: EVENTS }));
    await other.next();
    // More than sockets hold, while another page is told each.
    for (let number = 2; number <= 240; number += 1) {
      await host.feeds.add(await world.update(number, { words }));
      if (number % 40 !== 0) continue;
      while (!(await other.next()).includes(`id: ${number}\n`));
    }
    const { next } = eventsOf(slow);
    const seen: string[] = [];
    while (!seen.at(-1)?.includes('id: 240\n')) seen.push(await next());
    expect(seen.length).toBeLessThan(240);
  });

  it('are told to pages of other names that the owner lets, and to no others', async () => {
    const { world, host, front } = await setUp();
    await bring(host, await world.update(1));
    await front.publish('news.web3', { 'index.html': 'news' });
    const from = (page: string): Readonly<Record<string, string>> => ({
      ...EVENTS,
      origin: `http://${page}.localhost:${front.port}`,
      'sec-fetch-site': 'cross-site',
      'sec-fetch-mode': 'cors',
      'sec-fetch-dest': 'empty',
    });
    const ask = (page: string): Promise<IncomingMessage> => front.open(ADDRESS, { host: HOST, headers: from(page) });
    const before = await ask('news-web3');
    before.resume();
    expect(before.statusCode).toBe(403);
    await letEmbed(front, NAME, ['news.web3']);
    const stranger = await ask('other-web3');
    stranger.resume();
    expect(stranger.statusCode).toBe(403);
    const allowed = await ask('news-web3');
    expect(allowed.headers['access-control-allow-origin']).toBe(`http://news-web3.localhost:${front.port}`);
    const { next } = eventsOf(allowed);
    await next();
    expect(await next()).toContain('id: 1');
    expect(host.shares.at(-1)).toEqual([{ name: NAME, referrer: 'news.web3', share: 10_000 }]);
  });

  it('are not all taken by one client: the next one is told to come again, others are served, and who leaves makes room', async () => {
    const { front } = await setUp({ domain: DOMAIN });
    const ask = (address: string): Promise<IncomingMessage> =>
      front.open(ADDRESS, {
        host: `ferry-route.${DOMAIN}`,
        headers: { ...EVENTS, 'X-Forwarded-For': `203.0.113.9, ${address}` },
      });
    const all: IncomingMessage[] = [];
    // Of one network.
    for (let number = 0; number < MAX_FEED_WATCHERS_PER_CLIENT; number += 1)
      all.push(await ask(`2001:db8:1:2::${number.toString(16)}`));
    cleanup.add(() => all.forEach((response) => response.destroy()));
    expect(new Set(all.map(({ statusCode }) => statusCode))).toEqual(new Set([200]));
    const beyond = await ask('2001:db8:1:2:ffff::1');
    beyond.resume();
    expect(beyond.statusCode).toBe(503);
    expect(Number(beyond.headers['retry-after'])).toBeGreaterThan(0);
    const other = await ask('2001:db8:1:3::1');
    cleanup.add(() => other.destroy());
    expect(other.statusCode).toBe(200);
    all.pop()?.destroy();
    const again = async (): Promise<number | undefined> => {
      const response = await ask('2001:db8:1:2::ffff');
      cleanup.add(() => response.destroy());
      return response.statusCode;
    };
    await expect.poll(again).toBe(200);
  });
});

describe('posts at a gateway', () => {
  it('come again when they are changed, whatever number the owner used before', async () => {
    const town = new Town(cleanup);
    const host = await town.host();
    const front = await startFront(cleanup, { feeds: town.source([host]) });
    await front.publish(FORUM, { 'index.html': '<!doctype html><title>forum</title>' });
    await declare(front, FORUM, { comments: 'anybody' });
    const post = await town.entry({ author: 'alice.sso' }, 'first words');
    await host.bring(post);
    const target = { author: 'alice.sso', sequence: post.entry.sequence };
    // The owner's clock is a minute ahead.
    const ahead = unixMillis(town.clock.now() + 60_000);
    const shown = { author: FORUM, kind: 'show', target, sequence: ahead, created: ahead } as const;
    await host.bring(await town.entry(shown), 'update');
    const address = `/.well-known/relaymint/posts?path=${TOPIC}`;
    const { next } = eventsOf(await front.open(address, { host: 'forum-web3.localhost', headers: EVENTS }));
    await next();
    expect(await next()).toContain('first words');
    await host.bring(await town.entry({ author: 'alice.sso', kind: 'edit', target }, 'other words'));
    const event = await next();
    expect(event).toContain('other words');
    expect(event).not.toContain('mark');
  });
});
