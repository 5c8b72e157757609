/** Updates and threads from end to end: said by the node of who has a name, kept by hosts, shown by a gateway, and refused where they lie. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Author, type Said, type Saying } from '../../app/roles/authoring.ts';
import { readThread } from '../../app/roles/thread.ts';
import { publish } from '../../app/roles/publisher.ts';
import { site as siteRole, type Role, type SiteValues } from '../../app/roles/index.ts';
import type { RunningNode } from '../../app/node/index.ts';
import { createTestnet, type Testnet } from '../../app/testnet/index.ts';
import { parseManifestFile } from '../../sites/manifest/index.ts';
import { Cleanup, temporaryFolder } from '../sites/kit.ts';
import { visit } from './visitor.ts';

const cleanup = new Cleanup();
const { signal } = new AbortController();
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
