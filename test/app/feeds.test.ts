/** Updates and threads from end to end: said by the node of who has a name, kept by hosts, shown by a gateway, and refused where they lie. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Author, type Said, type Saying } from '../../app/roles/authoring.ts';
import { sayLines, updateHistory, watchUpdates, type LineNews } from '../../app/roles/live-updates.ts';
import { readThread } from '../../app/roles/thread.ts';
import { publish } from '../../app/roles/publisher.ts';
import { site as siteRole, type Role, type SiteValues } from '../../app/roles/index.ts';
import type { RunningNode } from '../../app/node/index.ts';
import { createTestnet, type Testnet } from '../../app/testnet/index.ts';
import { MAX_ENTRY_CONTENT_BYTES } from '../../core/limits.ts';
import { parseManifestFile } from '../../sites/manifest/index.ts';
import { Cleanup, temporaryFolder } from '../sites/kit.ts';
import { visit } from './visitor.ts';

const cleanup = new Cleanup();
const { signal } = new AbortController();
const FERRY = 'ferry.route';
const role: Role<SiteValues> = {
  ...siteRole,
  summary: '',
  description: '',
  example: '',
  start: () => Promise.resolve({ describe: () => '', [Symbol.asyncDispose]: () => Promise.resolve() }),
};

let testnet: Testnet;

type Who = 'owner' | 'alice' | 'reader';

/** A node of theirs, with the same data folder each time, run for one thing as a command does. */
async function as<T>(who: Who, work: (node: RunningNode) => Promise<T>): Promise<T> {
  await using opened = await testnet.open(role, who);
  return await work(opened.node);
}

async function published(who: Who, name: string, manifest: object | undefined): Promise<void> {
  const folder = path.join(await temporaryFolder(cleanup), 'site');
  await mkdir(folder);
  await writeFile(path.join(folder, 'index.html'), `<!doctype html><title>${name}</title>`);
  const terms = manifest && parseManifestFile(JSON.stringify(manifest), { file: 'manifest.json', name });
  const where = { hosts: [], replicas: 1, relays: 0, signal };
  const silent = { onImport: () => {}, onUpload: () => {}, onRegistration: () => {} };
  const settings = { directory: folder, name, terms, royaltyBps: 2_000, years: 1 };
  await as(who, (node) => publish(node, { ...settings, ...where, ...silent }));
}

beforeAll(async () => {
  testnet = await createTestnet();
  await published('owner', 'ferry.route', undefined);
  await published('owner', 'forum.web3', { creator: 'The town', comments: 'anybody' });
  await published('alice', 'alice.sso', undefined);
});
afterAll(async () => {
  await testnet[Symbol.asyncDispose]();
  await cleanup.run();
});

function says(who: Who, name: string, author: string, saying: Saying): Promise<Said> {
  return as(who, async (node) => {
    await using mouth = await Author.open(node, { name, author, hosts: [], relays: 0, signal });
    return await mouth.say(saying);
  });
}

function text(words: string): Pick<Saying, 'mediaType' | 'content'> {
  return { mediaType: 'text/plain', content: Buffer.from(words) };
}

async function shown(name: string, address: string): Promise<unknown> {
  return JSON.parse(String((await visit(testnet.url, name, address)).body));
}

describe('updates', () => {
  it('the newest is shown, and follows as it comes', async () => {
    const update = (words: string): Promise<Said> =>
      says('owner', 'ferry.route', 'ferry.route', { kind: 'update', topic: '', lifeMillis: 60_000, ...text(words) });
    const first = await update('at the pier');
    expect(first.hosts).toEqual([testnet.hosts[0]?.node.keys.identity.nodeId]);
    const address = '/.well-known/relaymint/updates';
    const now = async (): Promise<unknown> => await shown('ferry.route', address);
    expect(await now()).toMatchObject({
      name: 'ferry.route',
      update: { sequence: first.sequence, text: 'at the pier' },
    });
    const second = await update('on the river');
    await expect
      .poll(now, { timeout: 10_000 })
      .toMatchObject({ update: { sequence: second.sequence, text: 'on the river' } });
  });
});

describe('a stream of updates', () => {
  it('is said line by line, without what is none, and watched without a gateway', async () => {
    const { length: long } = ' '.repeat(MAX_ENTRY_CONTENT_BYTES + 1);
    const input = new PassThrough();
    const give = (json: string): void => void input.write(json);
    const news: LineNews[] = [];
    let told = (): void => {};
    const heard = async (count: number): Promise<void> => {
      while (news.length < count) await new Promise<void>((resolve) => (told = resolve));
    };
    await using reader = await testnet.open(role, 'reader');
    await as('owner', async (node) => {
      await using author = await Author.open(node, { name: FERRY, author: FERRY, hosts: [], relays: 0, signal });
      const saying = sayLines(author, input, {
        mediaType: 'application/geo+json',
        lifeMillis: 60_000,
        signal,
        onNews: (one) => {
          news.push(one);
          told();
        },
      });
      // A line comes in pieces.
      give('{"at":');
      await new Promise(setImmediate);
      give('1}\n');
      await heard(1);
      await using watching = await watchUpdates(reader.node, FERRY, 1);
      await watching.view.complete(signal);
      const shown = (): string => Buffer.from(watching.view.entries()[0]?.entry.content ?? []).toString();
      expect(shown()).toBe('{"at":1}');
      give(`no json\n\n${'1'.repeat(long)}\n{"at":2}\n`);
      await heard(4);
      await expect.poll(shown, { timeout: 10_000 }).toBe('{"at":2}');
      expect(news.map(({ event }) => event)).toEqual(['update', 'skipped', 'skipped', 'update']);
      expect(news.slice(1, 3)).toMatchObject([{ line: 2 }, { line: 4 }]);
      // More than a host takes at once: the newest is brought, and none of them is an error.
      give(Array.from({ length: 60 }, (_, index) => `{"at":${index + 3}}`).join('\n'));
      await new Promise(setImmediate);
      input.end();
      const done = await saying;
      expect(done.skipped).toBe(2);
      expect(done.updates + done.replaced).toBe(62);
      expect(done.replaced).toBeGreaterThan(40);
      await expect.poll(shown, { timeout: 10_000 }).toBe('{"at":62}');
    });
    const history = await updateHistory(reader.node, { name: FERRY, host: undefined, relays: 0, signal });
    expect(history.updates[0]).toMatchObject({ bytes: '{"at":62}'.length, state: 'counts' });
    expect(history.updates.length).toBeGreaterThan(2);
  });

  it('goes on when the host let go of its stream', async () => {
    await as('owner', async (node) => {
      await using author = await Author.open(node, { name: FERRY, author: FERRY, hosts: [], relays: 0, signal });
      const say = (words: string): Promise<Said> =>
        author.say({ kind: 'update', topic: '', lifeMillis: 60_000, ...text(words) });
      await say('before');
      const [host] = testnet.hosts;
      // As it ends one on which nothing came for a while.
      for (const link of host?.node.links.links() ?? []) await link.close();
      expect(await say('after')).toMatchObject({ hosts: [host?.node.keys.identity.nodeId] });
    });
  });
});

describe('a thread', () => {
  it('has the posts of profiles, as their authors and the owner of the name leave them', async () => {
    const topic = '/talk';
    const address = '/.well-known/relaymint/posts?path=/talk';
    const posted = await says('alice', 'forum.web3', 'alice.sso', { kind: 'post', topic, ...text('hello') });
    const now = async (): Promise<unknown> => await shown('forum.web3', address);
    expect(await now()).toMatchObject({
      name: 'forum.web3',
      path: '/talk',
      posts: [{ author: { name: 'alice.sso' }, sequence: posted.sequence, state: 'shown', text: 'hello' }],
    });
    const target = { author: 'alice.sso', sequence: posted.sequence };
    await says('alice', 'forum.web3', 'alice.sso', { kind: 'edit', topic, target, ...text('hello, all') });
    await expect.poll(now, { timeout: 10_000 }).toMatchObject({ posts: [{ state: 'shown', text: 'hello, all' }] });
    await says('owner', 'forum.web3', 'forum.web3', { kind: 'hide', topic, target });
    await expect.poll(now, { timeout: 10_000 }).toMatchObject({ posts: [{ state: 'hidden' }] });
    await says('owner', 'forum.web3', 'forum.web3', { kind: 'show', topic, target });
    await expect.poll(now, { timeout: 10_000 }).toMatchObject({ posts: [{ state: 'shown', text: 'hello, all' }] });
    const read = await as('reader', (node) => readThread(node, { name: 'forum.web3', topic, relays: 0, signal }));
    expect(read).toMatchObject({ open: true, posts: [{ author: { name: 'alice.sso' }, text: 'hello, all' }] });
    await says('alice', 'forum.web3', 'alice.sso', { kind: 'remove', topic, target });
    await expect.poll(now, { timeout: 10_000 }).toMatchObject({ posts: [{ state: 'removed' }] });
  });
});
