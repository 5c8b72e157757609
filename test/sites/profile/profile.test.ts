/** What a profile is, and who gains nothing by bending one. */
import { X25519 } from '../../../platform/keys/der.ts';
import { ledgerAddressBytes } from '../../../core/ids.ts';
import { MAX_PROFILE_BYTES } from '../../../core/limits.ts';
import { unixMillis, unixSeconds } from '../../../core/units.ts';
import { describe, expect, it } from 'vitest';
import {
  bindWallet,
  checkProfile,
  consentMessage,
  consentText,
  decodeProfile,
  parseConsent,
  profileJson,
  profileJsonSchema,
  signConsent,
  signProfile,
  type Profile,
} from '../../../sites/profile/index.ts';
import { wallet } from '../kit.ts';
import { NAME, NOW, OTHER, OWNER, STRANGER, boundBy, forged, profileFor, recordOf, refusal, signedFor } from './kit.ts';

const KEY = X25519.rawPublic(X25519.privateKey(new Uint8Array(32).fill(7)));

/** All texts at their longest, in characters of three bytes. */
async function largest(): Promise<Partial<Profile>> {
  const record = recordOf();
  const wallets = await Promise.all([11, 12, 13, 14, 15, 16, 17, 18].map((seed) => boundBy(record, wallet(seed))));
  return {
    displayName: '言'.repeat(64),
    avatar: `${'x'.repeat(40)}.image`,
    about: '言'.repeat(1000),
    links: Array.from({ length: 8 }, () => ({ label: '言'.repeat(40), to: `https://example.org/${'x'.repeat(280)}` })),
    payout: OTHER.address,
    messagingKey: KEY,
    wallets: wallets.flat(),
  };
}

function checked(signed: Parameters<typeof checkProfile>[0], record = recordOf(), known?: number): string {
  return refusal(() => checkProfile(signed, record, { now: NOW, known }));
}

describe('a profile', () => {
  it('is what was signed, read again', async () => {
    const record = recordOf();
    for (const change of [{}, await largest()]) {
      const signed = await signedFor(record, change);
      expect(decodeProfile(NAME, signed.encoded).profile).toEqual(profileFor(record, change));
      expect(checked(signed)).toBe('not refused');
      expect(signed.encoded.length).toBeLessThan(MAX_PROFILE_BYTES);
    }
  });

  it('is shown with its wallets and whom to pay, and nothing else', async () => {
    const record = recordOf();
    const wallets = await boundBy(record, OTHER);
    const plain = profileJson((await signedFor(record)).profile);
    expect(plain).toEqual({
      name: NAME,
      displayName: 'Ann Lee',
      links: [],
      owner: OWNER.address,
      payout: OWNER.address,
      wallets: [OWNER.address],
      tenure: 1_700_000_000,
      sequence: NOW,
    });
    const bound = profileJson(
      (await signedFor(record, { wallets, payout: STRANGER.address, messagingKey: KEY })).profile,
    );
    expect(bound).toMatchObject({
      payout: STRANGER.address,
      wallets: [OWNER.address, OTHER.address],
      messagingKey: Buffer.from(KEY).toString('hex'),
    });
    for (const json of [plain, bound]) expect(profileJsonSchema.parse(JSON.parse(JSON.stringify(json)))).toEqual(json);
  });

  it('is of nobody once any of its bytes is another', async () => {
    const record = recordOf();
    const { encoded } = await signedFor(record, { wallets: await boundBy(record, OTHER), about: 'At sea.' });
    const passed: string[] = [];
    for (const [at, byte] of encoded.entries()) {
      for (const bit of [1, 0x80, 0xff]) {
        const bent = Uint8Array.from(encoded);
        bent[at] = byte ^ bit;
        const said = refusal(() => checkProfile(decodeProfile(NAME, bent), record, { now: NOW }));
        if (!said.startsWith('PROFILE_INVALID')) passed.push(`${at}: ${said}`);
      }
    }
    expect(passed).toEqual([]);
  });

  it('has one encoding, no field more, and no more bytes than a profile needs', () => {
    const record = recordOf();
    const cases: readonly (readonly [Uint8Array, string])[] = [
      [forged(record, (body) => ({ ...body, admin: true })), 'Unrecognized key'],
      [forged(record, ({ displayName: _name, ...body }) => body), 'body.displayName'],
      [forged(record, (body) => ({ ...body, version: 2 })), 'body.version'],
      [forged(record, (body) => ({ ...body, payout: new Uint8Array(31) })), 'has not 32 bytes'],
      [forged(record, (body) => ({ ...body, name: 'ann.web3' })), '.sso'],
      [forged(record, (body) => ({ ...body, name: 'bob.sso' })), 'is that of bob.sso'],
      [forged(record, (body) => ({ ...body, avatar: 'ann.sso' })), '.image'],
      [new Uint8Array(MAX_PROFILE_BYTES + 1), 'at most'],
      [new Uint8Array(0), 'malformed'],
      [Buffer.concat([forged(record, (body) => body), Buffer.of(0)]), 'malformed'],
    ];
    for (const [encoded, why] of cases) {
      const said = refusal(() => decodeProfile(NAME, encoded));
      expect(said).toMatch(/^PROFILE_INVALID /);
      expect(said).toContain(why);
    }
    const sound = forged(record, (body) => body);
    expect(refusal(() => decodeProfile(NAME, sound))).toBe('not refused');
    // The signature before the body: what was signed is the same.
    const at = sound.length - (1 + 'signature'.length + 2 + 64);
    const turned = Buffer.concat([sound.subarray(0, 1), sound.subarray(at), sound.subarray(1, at)]);
    expect(refusal(() => decodeProfile(NAME, turned))).toContain('only encoding');
  });
});

describe('whoever has the name now', () => {
  it('inherits nothing of whoever had it before', async () => {
    const record = recordOf();
    const signed = await signedFor(record, { wallets: await boundBy(record, OTHER) });
    const again = { registeredAt: unixSeconds(1_800_000_000n) };
    expect(checked(signed, recordOf({ owner: STRANGER.address, manager: STRANGER.address }))).toContain(
      'an owner that the name does not have',
    );
    // Also if the manager stayed.
    expect(checked(signed, recordOf({ owner: STRANGER.address, manager: OWNER.address }))).toContain(
      'an owner that the name does not have',
    );
    expect(checked(signed, recordOf(again))).toContain('before the name was registered anew');
    expect(checked(signed, recordOf({ ...again, owner: STRANGER.address }))).toContain(
      'before the name was registered anew',
    );
    expect(checked(signed, recordOf({ status: 'expired' }))).toContain('nobody has');
    expect(refusal(() => checkProfile(signed, undefined, { now: NOW }))).toContain('nobody has');
    expect(checked(signed, recordOf({ name: 'bob.sso' }))).toContain('is not that of bob.sso');
    expect(checked(signed, recordOf({ status: 'grace' }))).toBe('not refused');
  });

  it('alone signs it, or the manager what neither pays nor proves anything', async () => {
    const record = recordOf({ manager: OTHER.address });
    const by = async (change: Partial<Profile>, key = OTHER): Promise<string> =>
      checked(await signedFor(record, change, key), record);
    expect(await by({}, STRANGER)).toContain('neither by the owner');
    expect(await by({ about: 'Hello.', payout: OWNER.address })).toBe('not refused');
    expect(await by({ payout: OTHER.address })).toContain('who is paid');
    expect(await by({ messagingKey: KEY })).toContain('the messaging key');
    expect(await by({ wallets: await boundBy(record, OTHER) })).toContain('its wallets');
    expect(await by({ payout: OTHER.address, messagingKey: KEY, wallets: await boundBy(record, OTHER) }, OWNER)).toBe(
      'not refused',
    );
  });

  it('is not taken back to what it said before, nor to a day that is to come', async () => {
    const old = await signedFor(recordOf());
    expect(checked(old, recordOf(), NOW)).toBe('not refused');
    expect(checked(old, recordOf(), NOW + 1)).toMatch(/^PROFILE_STALE /);
    const ahead = await signedFor(recordOf(), { sequence: unixMillis(NOW + 3 * 60_000) });
    expect(checked(ahead)).toContain('in the future');
  });
});

describe('a wallet', () => {
  const at = { created: unixSeconds(BigInt(NOW / 1000)) };
  const said = { name: NAME, tenure: recordOf().registeredAt, owner: OWNER.address, ...at };

  it('is bound by its own word, which travels as text', async () => {
    const consent = await signConsent(said, OTHER);
    expect(parseConsent(`${consentText(consent)}\n`)).toEqual(consent);
    const { profile } = await signedFor(recordOf());
    const wallets = bindWallet(profile, parseConsent(consentText(consent)), NOW);
    expect(checked(await signedFor(recordOf(), { wallets }))).toBe('not refused');
    expect(
      bindWallet({ ...profile, wallets }, await signConsent({ ...said, created: unixSeconds(5n) }, OTHER), NOW),
    ).toHaveLength(1);
  });

  it('is not listed by the word of another, or by what it said of another name, time or owner', async () => {
    const { profile } = await signedFor(recordOf());
    const consent = await signConsent(said, OTHER);
    const cases = [
      { ...consent, wallet: STRANGER.address },
      { ...consent, created: unixSeconds(1n) },
      await signConsent({ ...said, name: 'bob.sso' }, OTHER),
      await signConsent({ ...said, tenure: unixSeconds(1n) }, OTHER),
      await signConsent({ ...said, owner: STRANGER.address }, OTHER),
    ];
    for (const one of cases) {
      expect(refusal(() => bindWallet(profile, one, NOW))).toMatch(/^PROFILE_INVALID /);
      // Nor by a profile that was signed without looking.
      const { wallet: listed, created, signature } = one;
      const signed = await signedFor(recordOf(), { wallets: [{ wallet: listed, created, signature }] });
      expect(checked(signed)).toContain('which did not say so');
    }
    const early = await signConsent({ ...said, created: unixSeconds(BigInt(NOW / 1000) + 600n) }, OTHER);
    expect(refusal(() => bindWallet(profile, early, NOW))).toContain('in the future');
  });

  it('is not listed by a signature that it made of anything else', async () => {
    const record = recordOf();
    const mine = await signedFor({ ...record, owner: OTHER.address }, {}, OTHER);
    const { signature } = mine;
    const signed = await signedFor(record, { wallets: [{ wallet: OTHER.address, ...at, signature }] });
    expect(checked(signed)).toContain('which did not say so');
  });

  it('is not bound by a key with which everybody signs', async () => {
    const small = new Uint8Array(32);
    small[0] = 1;
    const encoded = forged(recordOf(), (body) => ({
      ...body,
      wallets: [{ wallet: small, created: 1, signature: Buffer.concat([small, new Uint8Array(32)]) }],
    }));
    expect(checked(decodeProfile(NAME, encoded))).toContain('which did not say so');
  });

  it('is listed once, and never beside itself', async () => {
    const [bound] = await boundBy(recordOf(), OTHER);
    const twice = signedFor(recordOf(), { wallets: [bound, bound].filter((one) => one !== undefined) });
    await expect(twice).rejects.toMatchObject({ code: 'PROFILE_INVALID' });
    await expect(signConsent(said, OWNER)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const own = { ...said, wallet: OWNER.address };
    const signature = OWNER.sign(consentMessage(own));
    const listed = signedFor(recordOf(), { wallets: [{ wallet: OWNER.address, created: own.created, signature }] });
    await expect(listed).rejects.toThrow('lists the owner');
  });

  it('says something that people can read', () => {
    const text = Buffer.from(consentMessage({ ...said, wallet: OTHER.address })).toString();
    expect(text.split('\n')).toEqual([
      'relaymint:profile-wallet:v1',
      'This wallet and the profile ann.sso belong to one person.',
      `Wallet: ${OTHER.address}`,
      `Owner of ann.sso: ${OWNER.address}`,
      'Since: 1700000000',
      `Said: ${NOW / 1000}`,
      '',
    ]);
  });

  it('gives what is no consent of it to nobody', () => {
    for (const text of ['', 'ann', '!!', 'A'.repeat(601), Buffer.from('{}').toString('base64url')])
      expect(refusal(() => parseConsent(text))).toMatch(/^INVALID_ARGUMENT /);
  });
});

describe('what people write', () => {
  async function written(change: Partial<Profile>): Promise<string> {
    return await signProfile(profileFor(recordOf(), change), OWNER).then(
      () => 'taken',
      (error: Error & { readonly code?: string }) => `${error.code ?? ''} ${error.message}`,
    );
  }

  it('is taken in the writing of any people', async () => {
    const names = [
      'Ann Lee',
      'Åsa Þórsdóttir',
      'Анна Ли',
      'Νίκος',
      '李安',
      '안나',
      'علی‌رضا',
      'क्‍ष',
      'Zoë O’Hara-Ng 3',
      '👩🏽‍🚀 Ann ❤️',
      'ann.sso',
    ];
    for (const displayName of names)
      expect([displayName, await written({ displayName })]).toEqual([displayName, 'taken']);
    expect(await written({ about: 'One.\n\nTwo.' })).toBe('taken');
  });

  it('hides nothing, turns nothing around, and moves nothing', async () => {
    const unseen = [
      '\u202e',
      '\u2066',
      '\u200f',
      '\u0000',
      '\u001b',
      '\u0085',
      '\u200b',
      '\u200c',
      '\u200d',
      '\u00ad',
      '\u2028',
      '\ufeff',
      '\u3164',
      '\u2800',
      '\u{e0041}',
      '\ufe0f',
      '\ufffe',
      '\ud800',
      '\t',
      '\u00a0',
    ];
    for (const odd of unseen) {
      for (const change of [
        { displayName: `An${odd}n` },
        { about: `An${odd}n` },
        { links: [{ label: `An${odd}n`, to: 'https://example.org/' }] },
      ]) {
        expect([odd, await written(change)]).toEqual([odd, expect.stringContaining('PROFILE_INVALID') as string]);
      }
    }
    const shapes = [
      '',
      ' Ann',
      'Ann ',
      'A  nn',
      'A\nnn',
      '...',
      'e\u0301',
      'a\u0316\u0317\u0318\u0319\u031c',
      'x'.repeat(65),
    ];
    for (const displayName of shapes) expect(await written({ displayName })).toContain('PROFILE_INVALID');
    for (const about of ['', 'a\n\n\nb', 'a\r\nb', 'x'.repeat(1001)])
      expect(await written({ about })).toContain('PROFILE_INVALID');
  });

  it('is not taken for somebody else', async () => {
    // Cyrillic among Latin letters, names of others in every guise.
    const names = [
      'Аnn Lee',
      'Αnn',
      'bob.sso',
      'Bob . SSO',
      'ｂｏｂ．ｓｓｏ',
      'bob。sso',
      'вов.ѕѕо',
      'see bob.web3!',
      'x-ann.sso',
    ];
    for (const displayName of names)
      expect([displayName, await written({ displayName })]).toEqual([
        displayName,
        expect.stringContaining('PROFILE_INVALID') as string,
      ]);
    const links = [
      'javascript:alert(1)',
      'data:text/html,x',
      'ftp://example.org/',
      'https://bank.example@evil.example/',
      'https://bank.example\\@evil.example/',
      'https://:p@evil.example/',
      'https://',
      'https://exämple.org/',
      'https://example.org/ x',
      'Bob.web3',
      'bob.example',
      `https://example.org/${'x'.repeat(300)}`,
    ];
    for (const to of links)
      expect([to, await written({ links: [{ label: 'Here', to }] })]).toEqual([
        to,
        expect.stringContaining('PROFILE_INVALID') as string,
      ]);
    for (const to of ['https://example.org/a@b?c=d#e', 'http://example.org', 'bob.web3'])
      expect([to, await written({ links: [{ label: 'Here', to }] })]).toEqual([to, 'taken']);
    const link = { label: 'Here', to: 'bob.web3' };
    expect(await written({ links: Array.from({ length: 9 }, () => link) })).toContain('PROFILE_INVALID');
  });

  it('is no key with which everybody shares the secret', async () => {
    for (const first of [0, 1]) {
      const messagingKey = new Uint8Array(32);
      messagingKey[0] = first;
      expect(await written({ messagingKey })).toContain('PROFILE_INVALID');
    }
    expect(await written({ messagingKey: ledgerAddressBytes(OWNER.address).subarray(0, 31) })).toContain(
      'PROFILE_INVALID',
    );
    expect(await written({ messagingKey: KEY })).toBe('taken');
  });
});
