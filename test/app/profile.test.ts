/** A profile over its life: made, read by others, changed, bound to wallets, and left behind by whoever gives the name away. */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { signerOf, type RunningNode } from '../../app/node/index.ts';
import {
  publishProfile,
  type ProfilePublished,
  type ProfileSettings,
  type ProfileStep,
} from '../../app/roles/own-profile.ts';
import { readProfile } from '../../app/roles/profile.ts';
import { Author } from '../../app/roles/authoring.ts';
import { readThread, type ReadThread } from '../../app/roles/thread.ts';
import { publish, rollback } from '../../app/roles/publisher.ts';
import { createTestnet, type Testnet } from '../../app/testnet/index.ts';
import { NAME_CACHE_MILLIS } from '../../core/limits.ts';
import { amount } from '../../core/units.ts';
import { parseManifestFile } from '../../sites/manifest/index.ts';
import { profileJson, signConsent, type ProfileJson, type WalletConsent } from '../../sites/profile/index.ts';
import { Cleanup, temporaryFolder, writeTree } from '../sites/kit.ts';
import { publisherRole } from './publisher.ts';
import { visit } from './visitor.ts';

const cleanup = new Cleanup();
const { signal } = new AbortController();
let testnet: Testnet;
beforeAll(async () => {
  testnet = await createTestnet({ relays: 1 });
});
afterAll(async () => {
  await testnet[Symbol.asyncDispose]();
  await cleanup.run();
});

let name: string;
let names = 0;
beforeEach(() => {
  names += 1;
  name = `ann${names}.sso`;
});

async function as<T>(who: string, work: (node: RunningNode) => Promise<T>): Promise<T> {
  await using opened = await testnet.open(publisherRole, who);
  return await work(opened.node);
}

const silent = { onImport: () => {}, onUpload: () => {}, onRegistration: () => {} };
const delivery = { hosts: [], replicas: 1, relays: 0, royaltyBps: 2_000, years: 1, signal, ...silent };

function step(
  said: ProfileStep,
  who = 'ann',
  { replace = false, ...more }: Partial<ProfileSettings> = {},
): Promise<ProfilePublished> {
  return as(who, (node) => publishProfile(node, { ...delivery, name, step: said, replace, ...more }));
}

function create(words: Partial<ProfileJson> & { displayName: string }, who?: string): Promise<ProfilePublished> {
  return step({ kind: 'create', words: words as never }, who);
}

/** As somebody who has nothing to do with it reads it. */
async function read(): Promise<ProfileJson> {
  const found = await as('reader', (node) => readProfile(node, { name, relays: 0, signal }));
  return profileJson(found.profile);
}

async function consentOf(who: string): Promise<WalletConsent> {
  return await as(who, async ({ ledger, keys }) => {
    const record = await ledger.name(name);
    if (record === undefined) throw new Error(`${name} is not registered`);
    const { owner, registeredAt: tenure } = record;
    return await signConsent({ name, owner, tenure, created: await ledger.now() }, signerOf(keys.walletKey));
  });
}

async function walletOf(who: string): Promise<string> {
  return await as(who, ({ wallet }) => Promise.resolve(wallet.address));
}

/** What the gateway shows, once it asks again what the name points to. */
async function shown(at: string = '/'): Promise<string> {
  testnet.clock.advance(NAME_CACHE_MILLIS);
  return String((await visit(testnet.url, name, at)).body);
}

async function folderOf(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await temporaryFolder(cleanup);
  await writeTree(folder, files);
  return folder;
}

describe('a profile', () => {
  it('comes with its name, its page, and its wallets to whoever resolves it (I1)', async () => {
    const created = await create({ displayName: 'Ann Lee', about: 'At sea.' });
    const ann = await walletOf('ann');
    expect(created).toMatchObject({ event: 'published', record: 'registered', files: 2, skipped: [] });
    const profile = await read();
    expect(profile).toEqual(created.profile);
    const record = await testnet.gateway.node.ledger.name(name);
    expect(profile).toEqual({
      name,
      displayName: 'Ann Lee',
      about: 'At sea.',
      links: [],
      owner: ann,
      payout: ann,
      wallets: [ann],
      tenure: Number(record?.registeredAt),
      sequence: created.profile.sequence,
    });
    expect(await shown()).toContain('<h1 dir="auto">Ann Lee</h1>');
    expect(JSON.parse(await shown(`/.relaymint/profile/${name}`))).toEqual(profile);
  });

  it('is made once: again it goes on, and nothing else replaces it', async () => {
    const first = await create({ displayName: 'Ann' });
    const again = await create({ displayName: 'Ann' });
    expect(again).toMatchObject({ record: 'unchanged', cid: first.cid, profile: first.profile });
    await expect(create({ displayName: 'Anna' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await read()).toEqual(first.profile);
  });

  it('costs nothing where what it is to say is wrong', async () => {
    await expect(create({ displayName: 'bob.web3' })).rejects.toMatchObject({ code: 'PROFILE_INVALID' });
    expect(await testnet.gateway.node.ledger.name(name)).toBeUndefined();
    await expect(step({ kind: 'edit', words: {} })).rejects.toMatchObject({ code: 'NAME_UNKNOWN' });
  });

  it('changes where it is changed, also without the folder that made it', async () => {
    const links = [{ label: 'Wall', to: 'forum.web3' }];
    const { profile: before } = await create({ displayName: 'Ann', about: 'At sea.', links });
    await as('ann', ({ settings: { dataDir } }) => rm(path.join(dataDir, 'content'), { recursive: true }));
    const { profile: after, record } = await step({ kind: 'edit', words: { about: null, avatar: 'ann.image' } });
    const { about: _about, ...kept } = before;
    expect(record).toBe('updated');
    expect(after).toEqual({ ...kept, avatar: 'ann.image', sequence: after.sequence });
    expect(after.sequence).toBeGreaterThan(before.sequence);
    expect(await read()).toEqual(after);
  });

  it('lists another wallet that said so, until it is listed no more', async () => {
    await create({ displayName: 'Ann' });
    const consent = await consentOf('ann-phone');
    const [own, phone] = [await walletOf('ann'), await walletOf('ann-phone')];
    await step({ kind: 'bind', consent });
    expect((await read()).wallets).toEqual([own, phone]);
    await step({ kind: 'edit', words: { about: 'Two wallets.' } });
    expect((await read()).wallets).toEqual([own, phone]);
    const { profile } = await step({ kind: 'edit', words: { unbind: [consent.wallet] } });
    expect(profile.wallets).toEqual([own]);
    const { name: first } = consent;
    name = `other-${name}`;
    await create({ displayName: 'Ann' });
    await expect(step({ kind: 'bind', consent })).rejects.toThrow(first);
  });

  it('is signed anew after its content was taken back', async () => {
    const first = await create({ displayName: 'Ann' });
    const second = await step({ kind: 'edit', words: { displayName: 'Anna' } });
    await as('ann', (node) => rollback(node, { ...delivery, name }));
    expect(await read()).toEqual(first.profile);
    const { profile: third } = await step({ kind: 'edit', words: {} });
    expect(third).toEqual({ ...first.profile, sequence: third.sequence });
    expect(third.sequence).toBeGreaterThan(second.profile.sequence);
  });
});

describe('a post', () => {
  const FORUM = 'forum.web3';
  const say = (author: string, who: string): Promise<unknown> =>
    as(who, async (node) => {
      await using mouth = await Author.open(node, { name: FORUM, author, hosts: [], relays: 0, signal });
      const content = Buffer.from(`I am ${who}.`);
      return await mouth.say({ kind: 'post', topic: '/talk', mediaType: 'text/plain', content });
    });
  const thread = (profiles: boolean): Promise<ReadThread> =>
    as('reader', (node) => readThread(node, { name: FORUM, topic: '/talk', relays: 0, profiles, signal }));

  it('resolves to the profile of its author, and to whom to pay (I4)', async () => {
    const folder = await folderOf({ 'index.html': 'Forum' });
    const said = JSON.stringify({ creator: 'The town', comments: 'anybody' });
    const terms = parseManifestFile(said, { file: 'manifest.json', name: FORUM });
    await as('forum', (node) => publish(node, { ...delivery, name: FORUM, directory: folder, terms }));
    const [ann, given, bare] = [name, `given-${name}`, `bare-${name}`];
    await create({ displayName: 'Ann' });
    const phone = await walletOf('ann-phone');
    await step({ kind: 'edit', words: { payout: phone as never } });
    await say(ann, 'ann');
    // One whose name was another's, whose profile lies there still; and one who has made none.
    name = given;
    await create({ displayName: 'Ann' });
    const bob = await walletOf('bob');
    await as('ann', ({ wallet }) => wallet.transferName(given, bob as never));
    await say(given, 'bob');
    await as('cleo', (node) =>
      node.wallet.registerName({ name: bare, root: new Uint8Array(), royaltyBps: 0, years: 1, maxPrice: amount(0) }),
    );
    await say(bare, 'cleo');

    const { posts } = await thread(true);
    const authors = posts.map(({ author, text }) => [text, author.name, author.profile]);
    expect(authors).toEqual([
      ['I am ann.', ann, { displayName: 'Ann', payout: phone }],
      ['I am bob.', given, undefined],
      ['I am cleo.', bare, undefined],
    ]);
    // Nobody pays for what was not asked for.
    const plain = await thread(false);
    expect(plain.posts.map(({ author }) => author.profile)).toEqual([undefined, undefined, undefined]);
    expect(plain.posts[0]?.author.owner).toBe(await walletOf('ann'));
  });
});

describe('a page of one’s own', () => {
  it('is shown with the profile, and stays until something else is asked for', async () => {
    const page = await folderOf({ 'index.html': 'My own page.', 'more.html': 'More.' });
    await step({ kind: 'create', words: { displayName: 'Ann' } }, 'ann', { page });
    expect(await shown()).toBe('My own page.');
    expect((await read()).displayName).toBe('Ann');
    const edit = { kind: 'edit', words: { displayName: 'Anna' } } as const;
    await expect(step(edit)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await step(edit, 'ann', { page });
    expect(await shown('/more.html')).toBe('More.');
    await step({ kind: 'edit', words: {} }, 'ann', { replace: true });
    expect(await shown()).toContain('>Anna</h1>');
  });

  it('is not replaced unasked, and brings no profile of its own', async () => {
    const site = await folderOf({ 'index.html': 'Published before there were profiles.' });
    await as('ann', (node) => publish(node, { ...delivery, name, directory: site }));
    await expect(create({ displayName: 'Ann' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const page = await folderOf({ 'index.html': 'Mine', '.well-known/relaymint-profile': 'not mine' });
    const said = { kind: 'create', words: { displayName: 'Ann' } } as const;
    await expect(step(said, 'ann', { page })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await step(said, 'ann', { replace: true });
    expect((await read()).displayName).toBe('Ann');
  });

  it('alone is no profile', async () => {
    const site = await folderOf({ 'index.html': 'A site.' });
    await as('ann', (node) => publish(node, { ...delivery, name, directory: site }));
    await expect(read()).rejects.toMatchObject({ code: 'CONTENT_NOT_FOUND' });
    await expect(step({ kind: 'edit', words: {} }, 'ann', { replace: true })).rejects.toMatchObject({
      code: 'CONTENT_NOT_FOUND',
    });
  });
});

describe('whoever is given the name', () => {
  it('has no profile until one is made, and then none of the wallets of before', async () => {
    await create({ displayName: 'Ann' });
    await step({ kind: 'bind', consent: await consentOf('ann-phone') });
    const bob = await walletOf('bob');
    await as('ann', ({ wallet }) => wallet.transferName(name, bob as never));
    await expect(read()).rejects.toMatchObject({ code: 'PROFILE_INVALID' });
    await expect(step({ kind: 'edit', words: {} }, 'bob')).rejects.toMatchObject({ code: 'PROFILE_INVALID' });
    await expect(step({ kind: 'edit', words: {} }, 'ann')).rejects.toMatchObject({ code: 'NAME_TAKEN' });
    await create({ displayName: 'Bob' }, 'bob');
    expect(await read()).toMatchObject({ displayName: 'Bob', owner: bob, payout: bob, wallets: [bob] });
  });

  it('lets a manager write, and neither be paid nor come in', async () => {
    await create({ displayName: 'Ann' });
    const [owner, manager] = [await walletOf('ann'), await walletOf('manager')];
    await as('ann', ({ wallet }) => wallet.updateName(name, { manager: manager as never }));
    await step({ kind: 'edit', words: { about: 'By my secretary.' } }, 'manager');
    // Each of them has published before, and not what the other did.
    await step({ kind: 'edit', words: { displayName: 'Anna' } });
    await step({ kind: 'edit', words: { avatar: 'ann.image' } }, 'manager');
    expect(await read()).toMatchObject({ displayName: 'Anna', about: 'By my secretary.', owner, payout: owner });
    const payout = step({ kind: 'edit', words: { payout: manager as never } }, 'manager');
    await expect(payout).rejects.toMatchObject({ code: 'PROFILE_INVALID' });
    const consent = await consentOf('manager');
    await expect(step({ kind: 'bind', consent }, 'manager')).rejects.toMatchObject({ code: 'PROFILE_INVALID' });
    expect((await read()).wallets).toEqual([owner]);
  });
});
