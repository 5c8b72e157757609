/** What an issuer keeps, when the process ends in the middle, and when the disk fails. */
import { cp, rm } from 'node:fs/promises';
import path from 'node:path';
import { ClassicLevel } from 'classic-level';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../core/ports.ts';
import { unixMillis } from '../../../core/units.ts';
import { openLevelStore } from '../../../sites/sso/index.ts';
import {
  Browser,
  Gate,
  MovedClock,
  ask,
  call,
  forCode,
  openPlace,
  redeem,
  register,
  signIn,
  startIssuer,
  userinfo,
  wallet,
  withStore,
  type Place,
} from './kit.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

let place: Place;
let clock: MovedClock;

beforeEach(async () => {
  place = await openPlace();
  clock = new MovedClock();
});
afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

function records(): string {
  return path.join(place.directory, 'records');
}

describe('S26: the store', () => {
  it('S26 gives a key to one of twenty, and to none after a restart, until its time', async () => {
    const until = unixMillis(clock.now() + MINUTE);
    {
      await using store = await openLevelStore(records(), { clock, log: silentLog });
      const got = await Promise.all(Array.from({ length: 20 }, () => store.claim('c:x', until)));
      expect(got.filter(Boolean)).toHaveLength(1);
    }
    await using store = await openLevelStore(records(), { clock, log: silentLog });
    expect(await store.claim('c:x', until)).toBe(false);
    clock.ahead = 2 * MINUTE;
    expect(await store.claim('c:x', unixMillis(clock.now() + MINUTE))).toBe(true);
  });

  it('forgets what is over, by itself and in lists', async () => {
    await using store = await openLevelStore(records(), { clock, log: silentLog });
    await store.put('k:1', 'short', unixMillis(clock.now() + MINUTE));
    await store.put('k:2', 'long', unixMillis(clock.now() + 3 * MINUTE));
    expect(await store.keys('k:', 10)).toStrictEqual(['k:1', 'k:2']);
    clock.ahead = 2 * MINUTE;
    expect(await store.get('k:1')).toBeUndefined();
    expect(await store.keys('k:', 10)).toStrictEqual(['k:2']);
  });

  it('belongs to one process, and says so', async () => {
    await using _store = await openLevelStore(records(), { clock, log: silentLog });
    await expect(openLevelStore(records(), { clock, log: silentLog })).rejects.toMatchObject({ code: 'FILE_IN_USE' });
  });

  it('tells what the disk did, whether it read or wrote', async () => {
    const store = await openLevelStore(records(), { clock, log: silentLog });
    await store.put('k:1', 'text', unixMillis(clock.now() + MINUTE));
    await store[Symbol.asyncDispose]();
    const until = unixMillis(clock.now() + MINUTE);
    for (const tried of [
      () => store.get('k:1'),
      () => store.put('k:1', '', until),
      () => store.claim('k:3', until),
      () => store.delete('k:1'),
      () => store.keys('k:', 1),
    ]) {
      await expect(tried()).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
    }
  });

  it('a record that is none is told as damage', async () => {
    const db = new ClassicLevel(records());
    await db.put('k:1', 'x');
    await db.close();
    await using store = await openLevelStore(records(), { clock, log: silentLog });
    await expect(store.get('k:1')).rejects.toMatchObject({ code: 'INVALID_ENCODING' });
  });
});

describe('what is used up', () => {
  it('is remembered for as long as it could be used again, and not for ever', async () => {
    await using issuer = await startIssuer({ place, clock });
    const client = await register(issuer);
    const asked = await ask(client);
    const tokens = await redeem(client, await signIn(new Browser(), asked, wallet()), asked);
    const params = { grant_type: 'refresh_token', refresh_token: tokens.refresh_token ?? '' };
    expect((await call(issuer, client, '/token', params)).status).toBe(200);
    expect(await issuer.store.keys('c:', 10)).toHaveLength(2);
    clock.ahead = 30 * DAY;
    expect(await issuer.store.keys('c:RefreshToken:', 10)).toHaveLength(1);
    clock.ahead = 32 * DAY;
    expect(await issuer.store.keys('c:', 10)).toStrictEqual([]);
    expect(await issuer.store.keys('r:RefreshToken:', 10)).toStrictEqual([]);
  });

  it('a request that is very long is not kept to begin again', async () => {
    await using issuer = await startIssuer({ place, clock });
    const client = await register(issuer);
    const browser = new Browser({ Accept: 'text/html' });
    const { url } = await browser.follow((await ask(client, { login_hint: 'x'.repeat(3_000) })).url);
    browser.forget();
    const over = await browser.get(url);
    expect(over.status).toBe(400);
    expect(over.text).toContain('Go back to the site');
    expect(await issuer.store.keys('x:', 10)).toStrictEqual([]);
  });
});

describe('S26: an issuer that is killed', () => {
  it('S26 keeps what was allowed, and tokens stay good', async () => {
    const first = await startIssuer({ place, clock });
    const client = await register(first);
    const asked = await ask(client);
    const tokens = await redeem(client, await signIn(new Browser(), asked, wallet()), asked);
    await first[Symbol.asyncDispose]();
    await using second = await startIssuer({ place, clock });
    expect((await userinfo(second, tokens.access_token)).status).toBe(200);
    const fresh = await call(second, client, '/token', {
      grant_type: 'refresh_token',
      refresh_token: tokens.refresh_token ?? '',
    });
    expect(fresh.status).toBe(200);
  });

  it('S26 between taking a code and answering, gives nothing for it afterwards', async () => {
    const gate = new Gate();
    await using copied = await openPlace();
    await using first = await startIssuer({
      place,
      clock,
      through: (store) =>
        withStore(store, {
          put: async (key, value, until) => {
            if (key.startsWith('r:AccessToken:')) await gate.pass();
            await store.put(key, value, until);
          },
        }),
    });
    const client = await register(first);
    const asked = await ask(client);
    const at = await signIn(new Browser(), asked, wallet());
    const answer = call(first, client, '/token', forCode(at, asked));
    await gate.reached;
    // What is on the disk at that moment is what a process finds that begins after a kill.
    await cp(place.directory, copied.directory, { recursive: true });
    await rm(path.join(copied.directory, 'records', 'LOCK'));
    gate.open();
    expect((await answer).status).toBe(200);
    await first[Symbol.asyncDispose]();
    await using second = await startIssuer({ place: { ...copied, port: place.port }, clock });
    const later = await call(second, client, '/token', forCode(at, asked));
    expect(later.body['error']).toBe('invalid_grant');
  });
});
