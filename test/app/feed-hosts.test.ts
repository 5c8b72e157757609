/** Who follows a name's updates when a host of it goes: another one goes on, and nothing older is shown. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Author } from '../../app/roles/authoring.ts';
import { site as siteRole, type Role, type SiteValues } from '../../app/roles/index.ts';
import { watchUpdates } from '../../app/roles/live-updates.ts';
import { createTestnet, type Testnet } from '../../app/testnet/index.ts';
import { Cleanup, temporaryFolder } from '../sites/kit.ts';

const cleanup = new Cleanup();
const { signal } = new AbortController();
const NAME = 'ferry.web3';
const role: Role<SiteValues> = {
  ...siteRole,
  summary: '',
  description: '',
  example: '',
  start: () => Promise.resolve({ describe: () => '', [Symbol.asyncDispose]: () => Promise.resolve() }),
};

let testnet: Testnet;

beforeAll(async () => {
  testnet = await createTestnet({ hosts: 2 });
  const folder = path.join(await temporaryFolder(cleanup), 'site');
  await mkdir(folder);
  await writeFile(path.join(folder, 'index.html'), '<!doctype html><title>ferry</title>');
  await testnet.publish(folder, NAME, { replicas: '2' });
});
afterAll(async () => {
  await testnet[Symbol.asyncDispose]();
  await cleanup.run();
});

it('a second host takes over where the first one ends, for two who follow', async () => {
  // The wallet that published it.
  const owner = await testnet.open(role, 'site-1');
  await using author = await Author.open(owner.node, { name: NAME, author: NAME, hosts: [], relays: 0, signal });
  const say = (words: string): ReturnType<Author['say']> =>
    author.say({
      kind: 'update',
      topic: '',
      lifeMillis: 600_000,
      mediaType: 'text/plain',
      content: Buffer.from(words),
    });
  expect((await say('one')).hosts.length).toBe(2);
  const readers = [await testnet.open(role, 'reader-1'), await testnet.open(role, 'reader-2')];
  const shown: string[][] = [[], []];
  for (const [index, { node }] of readers.entries()) {
    const watching = await watchUpdates(node, NAME, 1);
    cleanup.add(() => watching[Symbol.asyncDispose]());
    const { view } = watching;
    await view.complete(signal);
    const look = (): void => {
      const text = Buffer.from(view.entries()[0]?.entry.content ?? []).toString();
      if (shown[index]?.at(-1) !== text) shown[index]?.push(text);
    };
    view.onChange(look);
    look();
  }
  await say('two');
  await expect.poll(() => shown.map((all) => all.at(-1)), { timeout: 10_000 }).toEqual(['two', 'two']);
  await testnet.hosts[0]?.[Symbol.asyncDispose]();
  const after = await say('three');
  expect(after.hosts).toEqual([testnet.hosts[1]?.node.keys.identity.nodeId]);
  await expect.poll(() => shown.map((all) => all.at(-1)), { timeout: 20_000 }).toEqual(['three', 'three']);
  expect(shown).toEqual([
    ['one', 'two', 'three'],
    ['one', 'two', 'three'],
  ]);
});
