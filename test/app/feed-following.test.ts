/** Three hosts of a name in one process: what is said at one of them is read at each, and is not lost with it. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Author, type Said, type Saying } from '../../app/roles/authoring.ts';
import { openHost, type HostValues, type RunningHost } from '../../app/roles/hosting.ts';
import { host as hostRole, site as siteRole, type Role, type SiteValues } from '../../app/roles/index.ts';
import { updateHistory } from '../../app/roles/live-updates.ts';
import { publish } from '../../app/roles/publisher.ts';
import type { RunningNode } from '../../app/node/index.ts';
import { createTestnet, type Testnet, type TestnetNode } from '../../app/testnet/index.ts';
import type { NodeId } from '../../core/ids.ts';
import { parseManifestFile } from '../../sites/manifest/index.ts';
import { FeedReader, foldThread, type Post } from '../../sites/feed/index.ts';
import { encodeContentParams } from '../../sites/serve/index.ts';
import { CONTENT_SERVICE, FEED_SERVICE } from '../../sites/blocks/index.ts';
import { poolTo } from '../../app/roles/host-circuit.ts';
import { Cleanup, temporaryFolder } from '../sites/kit.ts';

const cleanup = new Cleanup();
const { signal } = new AbortController();
const FORUM = 'forum.web3';
const TALK = '/talk';
const role: Role<SiteValues> = {
  ...siteRole,
  summary: '',
  description: '',
  example: '',
  start: () => Promise.resolve({ describe: () => '', [Symbol.asyncDispose]: () => Promise.resolve() }),
};

interface Host {
  readonly id: NodeId;
  readonly hosting: RunningHost;
  readonly node: TestnetNode;
}

let testnet: Testnet;
let hosts: readonly [Host, Host, Host];

type Who = 'owner' | 'alice' | 'reader';

/** A node of theirs, with the same data folder each time, run for one thing as a command does. */
async function as<T>(who: Who, work: (node: RunningNode) => Promise<T>): Promise<T> {
  await using opened = await testnet.open(role, who);
  return await work(opened.node);
}

async function open(label: string): Promise<Host> {
  let hosting: RunningHost | undefined;
  const handed: Role<HostValues> = {
    ...hostRole,
    start: async (node, own) => {
      const running = (hosting = await openHost(node, own));
      return { describe: () => '', [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() };
    },
  };
  const node = await testnet.open(handed, label);
  if (hosting === undefined) throw new Error('the host did not start');
  return { id: node.node.keys.identity.nodeId, hosting, node };
}

async function published(who: Who, name: string, manifest: object | undefined): Promise<void> {
  const folder = path.join(await temporaryFolder(cleanup), 'site');
  await mkdir(folder);
  await writeFile(path.join(folder, 'index.html'), `<!doctype html><title>${name}</title>`);
  const terms = manifest && parseManifestFile(JSON.stringify(manifest), { file: 'manifest.json', name });
  const where = { hosts: hosts.map(({ id }) => id), replicas: 3, relays: 0, signal };
  const silent = { onImport: () => {}, onUpload: () => {}, onRegistration: () => {} };
  const settings = { directory: folder, name, terms, royaltyBps: 2_000, years: 1, ...where, ...silent };
  await as(who, (node) => publish(node, settings));
}

beforeAll(async () => {
  testnet = await createTestnet({ relays: 1, hosts: 0 });
  hosts = [await open('host-a'), await open('host-b'), await open('host-c')];
  await published('owner', FORUM, { creator: 'The town', comments: 'anybody' });
  await published('alice', 'alice.sso', undefined);
  // Else they hear of one another's names within minutes.
  for (const { node } of hosts) await node.node.discovery.refresh();
});
afterAll(async () => {
  await testnet[Symbol.asyncDispose]();
  await cleanup.run();
});

/** At this host alone. */
function say(who: Who, author: string, { id }: Host, saying: Saying): Promise<Said> {
  return as(who, async (node) => {
    await using mouth = await Author.open(node, { name: FORUM, author, hosts: [id], relays: 0, signal });
    return await mouth.say(saying);
  });
}

/** What a visitor reads at this host alone. */
function told({ id }: Host): Promise<readonly Post[]> {
  return as('reader', async (node) => {
    await using stack = new AsyncDisposableStack();
    const pool = poolTo(node, id, CONTENT_SERVICE);
    stack.defer(() => pool.close());
    await pool.buildTunnels(0, { signal });
    const circuit = await pool.circuit({ signal });
    const params = encodeContentParams({ name: FORUM });
    const reader = stack.use(new FeedReader(await circuit.openStream(FEED_SERVICE, params, { signal })));
    const page = await reader.page({ topic: TALK, from: 0, waits: false }, { signal });
    return foldThread(page.entries.map(({ signed }) => signed));
  });
}

function words(text: string): Pick<Saying, 'mediaType' | 'content' | 'topic'> {
  return { topic: TALK, mediaType: 'text/plain', content: Buffer.from(text) };
}

async function shown(host: Host): Promise<readonly string[]> {
  return (await told(host)).map(({ state, content }) => (content ? Buffer.from(content).toString() : state));
}

describe('three hosts of a name', () => {
  it('tell what one of them was brought, and what takes it back, also when that one is gone', async () => {
    const [a, b, c] = hosts;
    const kept = await say('alice', 'alice.sso', a, { kind: 'post', ...words('to stay') });
    const removed = await say('alice', 'alice.sso', a, { kind: 'post', ...words('to go') });
    const hidden = await say('alice', 'alice.sso', a, { kind: 'post', ...words('to be hidden') });
    expect(await shown(b)).toEqual([]);
    await b.hosting.follow();
    expect(await shown(b)).toEqual(['to stay', 'to go', 'to be hidden']);
    const [author, target] = ['alice.sso', (sequence: number) => ({ author: 'alice.sso', sequence })];
    await say('alice', author, a, { kind: 'remove', topic: TALK, target: target(removed.sequence) });
    await say('owner', FORUM, a, { kind: 'hide', topic: TALK, target: target(hidden.sequence) });
    await b.hosting.follow();
    expect(await shown(b)).toEqual(['to stay']);
    await a.node[Symbol.asyncDispose]();
    expect(await shown(c)).toEqual([]);
    await c.hosting.follow();
    expect(await told(c)).toMatchObject([{ author, sequence: kept.sequence, state: 'shown' }]);
  });

  it('tell the newest update, wherever it was brought', async () => {
    const [, b, c] = hosts;
    const update = { kind: 'update', lifeMillis: 600_000, ...words('now'), topic: '' } as const;
    const { sequence } = await say('owner', FORUM, b, update);
    const history = (): ReturnType<typeof updateHistory> =>
      as('reader', (node) => updateHistory(node, { name: FORUM, host: c.id, relays: 0, signal }));
    expect((await history()).updates).toEqual([]);
    await c.hosting.follow();
    expect((await history()).updates).toMatchObject([{ sequence, state: 'counts' }]);
  });
});
