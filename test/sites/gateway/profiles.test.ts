/** What pages and programs are told of profiles at a gateway, who pays for it, and how much of it there is. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PROFILES_AT_ONCE_PER_PAGE } from '../../../core/limits.ts';
import { RelaymintError } from '../../../core/errors.ts';
import { unixMillis } from '../../../core/units.ts';
import { createNameResolver } from '../../../sites/name/index.ts';
import {
  PROFILE_PATH,
  createProfiles,
  profileJson,
  profileJsonSchema,
  type Profile,
  type Profiles,
} from '../../../sites/profile/index.ts';
import { createContentSource } from '../../../sites/serve/index.ts';
import { Cleanup, startHost } from '../kit.ts';
import { NAME, NOW, OTHER, boundBy, recordOf, signedFor } from '../profile/kit.ts';
import { startFront, type Answer, type AskOptions, type Front } from './kit.ts';

const cleanup = new Cleanup();
const { signal } = new AbortController();
afterEach(() => cleanup.run());

const AT = `/.relaymint/profile/${NAME}`;
const PAGE = 'forum-web3.localhost';

let front: Front;
let profiles: Profiles;
/** What was asked of hosts: which name, and in whose page. */
let opened: string[];
let isStopped: boolean;
let isKept: boolean;

beforeEach(async () => {
  [opened, isStopped, isKept] = [[], false, true];
  const host = await startHost(cleanup);
  front = await startFront(cleanup, { host, profiles: { of: (...asked) => profiles.of(...asked) } });
  const source = createContentSource({ route: () => Promise.resolve(host.route) });
  cleanup.add(() => source.close());
  profiles = createProfiles({
    resolver: createNameResolver({ ledger: front.ledger, cacheMillis: 0 }),
    content: {
      open: (site, options) => {
        opened.push(`${site.name} for ${site.referrer ?? 'itself'}`);
        return source.open(site, options);
      },
    },
    requireShown: ({ name }) => {
      if (isStopped) throw new RelaymintError('BUDGET_STOPPED', `${name} was stopped.`);
    },
    keeps: () => isKept,
    clock: { now: () => unixMillis(NOW) },
  });
});

async function publish(change: Partial<Profile> = {}, name: string = NAME): Promise<Profile> {
  const { profile, encoded } = await signedFor(recordOf({ name }), change);
  await front.publish(name, { 'index.html': name, [PROFILE_PATH]: encoded });
  return profile;
}

function ask(path: string = AT, asked: AskOptions = { host: PAGE }): Promise<Answer> {
  return front.get(path, asked);
}

function code({ status, text }: Answer): string {
  return `${status} ${(JSON.parse(text) as { error: { code: string } }).error.code}`;
}

/** A script of that page asks. */
function from(page: string, site: string): Readonly<Record<string, string>> {
  return {
    origin: `http://${page}:${front.port}`,
    'sec-fetch-site': site,
    'sec-fetch-mode': 'cors',
    'sec-fetch-dest': 'empty',
  };
}

describe('a profile at a gateway', () => {
  it('is JSON for whoever asks, and the same until it changes', async () => {
    const profile = await publish({ about: 'At sea.', wallets: await boundBy(recordOf(), OTHER) });
    for (const host of [PAGE, 'ann-sso.localhost', 'localhost']) {
      const { status, headers, text } = await ask(AT, { host });
      expect([host, status, profileJsonSchema.parse(JSON.parse(text))]).toEqual([host, 200, profileJson(profile)]);
      expect(headers).toMatchObject({
        'content-type': 'application/json; charset=utf-8',
        'access-control-allow-origin': '*',
        'cache-control': 'private, max-age=5',
        'x-content-type-options': 'nosniff',
      });
      const again = await ask(AT, { host, headers: { 'if-none-match': String(headers.etag) } });
      expect([again.status, again.text]).toEqual([304, '']);
      const head = await ask(AT, { host, method: 'HEAD' });
      expect([head.status, head.text]).toEqual([200, '']);
    }
    const { headers } = await ask();
    await publish({ sequence: unixMillis(NOW + 1) });
    expect((await ask(AT, { host: PAGE, headers: { 'if-none-match': String(headers.etag) } })).status).toBe(200);
  });

  it('is not told where there is none, or none that is good: as JSON too', async () => {
    await front.publish('bare.sso', { 'index.html': 'No profile.' });
    await publish();
    const to = (name: string): Promise<string> => ask(`/.relaymint/profile/${name}`).then(code);
    expect(await to('bare.sso')).toBe('404 CONTENT_NOT_FOUND');
    expect(await to('nobody.sso')).toBe('404 NAME_UNKNOWN');
    expect(await to('forum.web3')).toBe('404 NAME_INVALID');
    expect(await to('')).toBe('404 NAME_INVALID');
    expect(await to('%00')).toBe('404 NAME_INVALID');
    const record = front.ledger.records.get(NAME);
    if (record !== undefined) front.ledger.records.set(NAME, { ...record, owner: OTHER.address });
    const { headers, ...refused } = await ask();
    expect(code({ headers, ...refused })).toBe('502 PROFILE_INVALID');
    expect(headers).toMatchObject({ 'access-control-allow-origin': '*', 'cache-control': 'no-store' });
  });

  it('does not go back to what it was', async () => {
    await publish({ sequence: unixMillis(NOW + 1) });
    expect((await ask()).status).toBe(200);
    await publish();
    expect(code(await ask())).toBe('502 PROFILE_STALE');
  });

  it('is paid by the page that asks, wherever it asks', async () => {
    await publish();
    await ask(AT, { host: 'localhost' });
    await ask(AT, { host: 'ann-sso.localhost' });
    await ask();
    await ask(AT, { host: PAGE, headers: from('evil-web3.localhost', 'cross-site') });
    await ask(AT, { host: 'ann-sso.localhost', headers: from('news-web3.localhost', 'cross-site') });
    // Each page learns only what it asked itself.
    expect(opened).toEqual([
      `${NAME} for itself`,
      `${NAME} for forum.web3`,
      `${NAME} for evil.web3`,
      `${NAME} for news.web3`,
    ]);
  });

  it('is not fetched for a page that would not pay', async () => {
    await publish();
    const elsewhere = { ...from(PAGE, 'cross-site'), origin: 'https://evil.example' };
    for (const host of ['localhost', PAGE, 'ann-sso.localhost'])
      expect((await ask(AT, { host, headers: elsewhere })).status).toBe(403);
    // Nor by way of the gateway's own host name, where a name's page is nobody.
    for (const site of ['same-site', 'cross-site'])
      expect((await ask(AT, { host: 'localhost', headers: from(PAGE, site) })).text).not.toContain('displayName');
    expect(opened).toEqual([]);
  });

  it('is told to a page so many times, and to another page all the same', async () => {
    await publish();
    const names = Array.from({ length: PROFILES_AT_ONCE_PER_PAGE }, (_, at) => `nobody${at}.sso`);
    for (const name of names) expect((await ask(`/.relaymint/profile/${name}`)).status).toBe(404);
    const { questions } = front.ledger;
    const { headers, ...refused } = await ask();
    expect(code({ headers, ...refused })).toBe('429 LIMIT_EXCEEDED');
    expect(Number(headers['retry-after'])).toBeGreaterThan(0);
    expect(front.ledger.questions).toBe(questions);
    expect((await ask(AT, { host: 'news-web3.localhost' })).status).toBe(200);
  });
});

describe('what is known of a profile', () => {
  it('is shown again where that robs nobody, and never of a site that was stopped', async () => {
    await publish();
    for (let times = 0; times < 2; times += 1) await profiles.of(NAME, { signal });
    expect(opened).toHaveLength(1);
    isKept = false;
    await profiles.of(NAME, { signal });
    expect(opened).toHaveLength(2);
    [isKept, isStopped] = [true, true];
    await expect(profiles.of(NAME, { signal })).rejects.toMatchObject({ code: 'BUDGET_STOPPED' });
  });

  it('is also that it is bad: it is not fetched again and again', async () => {
    await front.publish(NAME, { [PROFILE_PATH]: 'nonsense' });
    for (let times = 0; times < 2; times += 1)
      await expect(profiles.of(NAME, { signal })).rejects.toMatchObject({ code: 'PROFILE_INVALID' });
    expect(opened).toHaveLength(1);
  });
});
