/** The page that is made of a profile, and where in the content of a name a profile lies. */
import { afterEach, describe, expect, it } from 'vitest';
import { MAX_PROFILE_BYTES } from '../../../core/limits.ts';
import { PROFILE_PATH, isProfilePage, profileIn, profilePage } from '../../../sites/profile/index.ts';
import { Cleanup, keepTree, rawBlock, temporaryStore } from '../kit.ts';
import { NAME, OTHER, OWNER, boundBy, profileFor, recordOf, signedFor } from './kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

describe('the page of a profile', () => {
  it('shows all that it says, as text', async () => {
    const record = recordOf();
    const page = profilePage(
      profileFor(record, {
        displayName: `<Ann> & "Bo"`,
        about: `'"><script>alert(1)</script>`,
        avatar: 'ann.image',
        links: [
          { label: '<b>Bank</b>', to: `https://example.org/?a="><script>` },
          { label: 'Wall', to: 'forum.web3' },
        ],
        payout: OTHER.address,
        wallets: await boundBy(record, OTHER),
      }),
    );
    expect(page).not.toMatch(/<script|<b>|\son\w+=|src=/i);
    expect(page).toContain('<h1 dir="auto">&lt;Ann&gt; &amp; &quot;Bo&quot;</h1>');
    expect(page).toContain('&#39;&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;</p>');
    expect(page).toMatch(
      /<a href="https:\/\/example\.org\/[^"<>]*" rel="[^"]*"><bdi>&lt;b&gt;Bank&lt;\/b&gt;<\/bdi><\/a> <span>example\.org<\/span>/,
    );
    for (const text of [NAME, 'ann.image', 'forum.web3', OWNER.address, OTHER.address]) expect(page).toContain(text);
    expect(isProfilePage(page)).toBe(true);
    expect(isProfilePage('<!doctype html><title>Ann</title>')).toBe(false);
  });
});

describe('the content of a name', () => {
  it('has its profile at one place, or none', async () => {
    const record = recordOf();
    const { encoded, profile } = await signedFor(record);
    const store = await temporaryStore(cleanup);
    const bare = await keepTree(cleanup, store, NAME, { 'index.html': 'Ann' });
    const root = await keepTree(cleanup, store, NAME, { 'index.html': 'Ann', [PROFILE_PATH]: encoded });
    expect(PROFILE_PATH).toBe('.well-known/relaymint-profile');
    expect((await profileIn(store, { name: NAME, root }))?.profile).toEqual(profile);
    expect(await profileIn(store, { name: NAME, root: bare })).toBeUndefined();
    const file = rawBlock('Ann');
    await using session = store.begin();
    await session.put(file.cid, file.block);
    expect(await profileIn(store, { name: NAME, root: file.cid })).toBeUndefined();
  });

  it('has none that is another name’s, a folder, or long: no more of it is fetched', async () => {
    const store = await temporaryStore(cleanup);
    const { encoded } = await signedFor(recordOf());
    const cases: readonly (readonly [string, Readonly<Record<string, Uint8Array>>])[] = [
      ['bob.sso', { [PROFILE_PATH]: encoded }],
      [NAME, { [`${PROFILE_PATH}/x`]: encoded }],
      [NAME, { [PROFILE_PATH]: new Uint8Array(MAX_PROFILE_BYTES + 1) }],
      [NAME, { [PROFILE_PATH]: new Uint8Array(5_000_000) }],
    ];
    for (const [name, files] of cases) {
      const root = await keepTree(cleanup, store, name, files);
      let asked = 0;
      const counting = {
        get: async (...[cid]: Parameters<typeof store.get>) => {
          asked += 1;
          return await store.get(cid);
        },
      };
      await expect(profileIn(counting, { name, root })).rejects.toMatchObject({ code: 'PROFILE_INVALID' });
      expect(asked).toBeLessThan(7);
    }
  });
});
