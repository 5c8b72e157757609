/** Posts that a page signs: only what the author's wallet permitted, below that name, by that key, in that time. */
import * as dagCbor from '@ipld/dag-cbor';
import { afterEach, describe, expect, it } from 'vitest';
import { concatBytes, utf8 } from '../../../core/codec.ts';
import { ENTRY_AHEAD_MILLIS, MAX_PERMIT_MILLIS } from '../../../core/limits.ts';
import { ledgerAddressBytes } from '../../../core/ids.ts';
import { unixMillis, unixSeconds } from '../../../core/units.ts';
import { checkEntry, decodeEntry, signEntry, type Entry } from '../../../sites/feed/index.ts';
import { permitForms, type Permit, type PermitTerms } from '../../../sites/permit/index.ts';
import { Cleanup, wallet, type TestWallet } from '../kit.ts';
import { FORUM, TOPIC, Town } from './kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const AUTHOR = 'alice.sso';
const ALICE: TestWallet = wallet(2);
const PAGE: TestWallet = wallet(20);
const STRANGER: TestWallet = wallet(21);
/** Signs everything under node's own verification: the neutral point. */
const NOBODYS_KEY: Uint8Array = Uint8Array.of(1, ...new Uint8Array(31));
const HOUR = 3_600_000;

interface Wire {
  readonly body: Readonly<Record<string, unknown>>;
  readonly signature: Uint8Array;
}

class Stage extends Town {
  constructor() {
    super(cleanup);
  }

  terms(change: Partial<PermitTerms> = {}): PermitTerms {
    const now = this.clock.now();
    return {
      name: FORUM,
      author: AUTHOR,
      key: ledgerAddressBytes(PAGE.address),
      since: unixMillis(now),
      until: unixMillis(now + HOUR),
      ...change,
    };
  }

  permit(change: Partial<PermitTerms> = {}, by: TestWallet = ALICE, form = 'raw'): Permit {
    const terms = this.terms(change);
    const signed = permitForms(terms, by.address).find((one) => one.form === form) ?? { form: 'raw', bytes: utf8('') };
    const { key, since, until } = terms;
    return { key, since, until, form: signed.form, signature: by.sign(signed.bytes) };
  }

  async post(permit: Permit | undefined, change: Partial<Entry> = {}, by: TestWallet = PAGE): Promise<Uint8Array> {
    return (await signEntry(this.body(permit, change), by)).encoded;
  }

  body(permit: Permit | undefined, change: Partial<Entry> = {}): Omit<Entry, 'version'> {
    const now = this.clock.now();
    return {
      kind: 'post',
      name: FORUM,
      topic: TOPIC,
      author: AUTHOR,
      sequence: now + 1,
      created: unixMillis(now + 1),
      mediaType: 'text/plain',
      content: utf8('Good morning'),
      permit,
      ...change,
    };
  }

  async judge(encoded: Uint8Array): Promise<void> {
    const signed = decodeEntry(encoded);
    checkEntry(signed, await this.ledger.name(signed.entry.author), this.clock.now());
  }
}

/** As somebody would send it who signs what our code does not. */
function forged(body: object, by: TestWallet = PAGE): Uint8Array {
  const said = Object.fromEntries(Object.entries({ ...body, version: 1 }).filter(([, value]) => value !== undefined));
  return dagCbor.encode({
    body: said,
    signature: by.sign(concatBytes(utf8('relaymint:entry:v1'), dagCbor.encode(said))),
  });
}

describe('a permit to post', () => {
  it.each(['raw', 'offchain-legacy', 'offchain-v0', 'offchain-v1', 'memo-transaction'])(
    'lets a page write, change and take back, signed as %s',
    async (form) => {
      const stage = new Stage();
      const permit = stage.permit({}, ALICE, form);
      const target = { author: AUTHOR, sequence: stage.clock.now() };
      await expect(stage.post(permit).then((post) => stage.judge(post))).resolves.toBeUndefined();
      await expect(stage.judge(await stage.post(permit, { kind: 'edit', target }))).resolves.toBeUndefined();
      const nothing = { mediaType: undefined, content: undefined };
      await expect(
        stage.judge(await stage.post(permit, { kind: 'remove', target, ...nothing })),
      ).resolves.toBeUndefined();
    },
  );

  it('of a manager counts as well, and that of a stranger does not', async () => {
    const stage = new Stage();
    const record = { ...(await stage.ledger.name(AUTHOR)), manager: STRANGER.address };
    const encoded = await stage.post(stage.permit({}, STRANGER));
    await expect(stage.judge(encoded)).rejects.toThrow('signed neither');
    stage.ledger.records.set(AUTHOR, record as never);
    await expect(stage.judge(encoded)).resolves.toBeUndefined();
  });

  it.each([
    ['for another name', { name: 'other.web3' }],
    ['for another profile', { author: 'bob.sso' }],
    ['for another key', { key: ledgerAddressBytes(STRANGER.address) }],
    ['for a shorter time', { until: unixMillis(1_800_000_000_500) }],
  ])('%s is of no use', async (_what, change) => {
    const stage = new Stage();
    const other = stage.permit(change);
    const { key, since, until } = stage.terms();
    await expect(stage.judge(await stage.post({ ...other, key, since, until }))).rejects.toThrow('signed neither');
  });

  it('is of no use to who has not the key', async () => {
    const stage = new Stage();
    await expect(stage.judge(await stage.post(stage.permit(), {}, STRANGER))).rejects.toThrow('signed neither');
  });

  it('for a key that anybody signs with is of no use', async () => {
    const stage = new Stage();
    const body = stage.body(stage.permit({ key: NOBODYS_KEY }));
    const said = Object.fromEntries(Object.entries({ ...body, version: 1 }));
    const encoded = dagCbor.encode({ body: said, signature: concatBytes(NOBODYS_KEY, new Uint8Array(32)) });
    await expect(stage.judge(encoded)).rejects.toThrow('signed neither');
  });

  it('counts from its first to its last moment, whatever the clock of the page', async () => {
    const stage = new Stage();
    const permit = stage.permit();
    const at = (millis: number): Partial<Entry> => ({ created: unixMillis(millis), sequence: millis });
    const late = permit.until + 1;
    await expect(stage.post(permit, at(late))).rejects.toThrow('when its permit did not count');
    await expect(stage.post(permit, at(permit.since - 1))).rejects.toThrow('when its permit did not count');
    expect(() => decodeEntry(forged(stage.body(permit, at(late))))).toThrow('when its permit did not count');
    stage.clock.advance(HOUR);
    await expect(stage.judge(await stage.post(permit, at(permit.until)))).resolves.toBeUndefined();
  });

  it('lasts a day at most', async () => {
    const stage = new Stage();
    const long = stage.permit({ until: unixMillis(stage.clock.now() + MAX_PERMIT_MILLIS + 1) });
    expect(() => decodeEntry(forged(stage.body(long)))).toThrow('longer than it may');
    const never = stage.permit({ until: unixMillis(stage.clock.now()) });
    expect(() => decodeEntry(forged(stage.body(never)))).toThrow('for no time');
  });

  it.each([
    ['an update', { kind: 'update', topic: '', expires: unixMillis(1_800_000_001_000), author: FORUM }],
    ['a moderation', { kind: 'hide', author: FORUM, target: { author: AUTHOR, sequence: 1 } }],
    ['a post of the name itself', { author: FORUM }],
  ])('is not good for %s', (_what, change) => {
    const stage = new Stage();
    const nothing = 'kind' in change && change.kind === 'hide' ? { mediaType: undefined, content: undefined } : {};
    const body = { ...stage.body(stage.permit({ author: FORUM })), ...change, ...nothing };
    expect(() => decodeEntry(forged(body))).toThrow(/no page may say|cannot be/);
  });

  it('ends when the profile is somebody else’s, and does not come back with the name', async () => {
    const stage = new Stage();
    const encoded = await stage.post(stage.permit());
    const record = await stage.ledger.name(AUTHOR);
    const now = stage.clock.now();
    const sold = { ...record, owner: STRANGER.address, manager: STRANGER.address };
    expect(() => checkEntry(decodeEntry(encoded), sold as never, now)).toThrow('signed neither');
    const again = { ...record, registeredAt: unixSeconds(BigInt(now + ENTRY_AHEAD_MILLIS) / 1_000n + 1n) };
    expect(() => checkEntry(decodeEntry(encoded), again as never, now)).toThrow('before alice.sso was registered');
  });

  it('with any one bit changed is refused, though the page signs it anew', async () => {
    const stage = new Stage();
    const { body } = dagCbor.decode<Wire>(await stage.post(stage.permit()));
    const { signature, key } = body['permit'] as Permit;
    const taken: string[] = [];
    for (const [field, bytes] of Object.entries({ signature, key })) {
      for (let bit = 0; bit < bytes.length * 8; bit += 1) {
        const changed = Uint8Array.from(bytes);
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const permit = { ...(body['permit'] as object), [field]: changed };
        const isTaken = await stage.judge(forged({ ...body, permit })).then(
          () => true,
          () => false,
        );
        if (isTaken) taken.push(`${field} ${bit}`);
      }
    }
    expect(taken).toEqual([]);
  });

  it('is over at its end for hosts too, whatever time an entry says that it was made at', async () => {
    const stage = new Stage();
    const host = await stage.host();
    const minutes = 10 * 60_000;
    const permit = stage.permit({ until: unixMillis(stage.clock.now() + minutes) });
    const backdated = decodeEntry(await stage.post(permit));
    await expect(host.bring(decodeEntry(await stage.post(permit)))).resolves.toBeUndefined();
    const target = { author: AUTHOR, sequence: backdated.entry.sequence };
    const nothing = {
      mediaType: undefined,
      content: undefined,
      sequence: target.sequence + 1,
      created: unixMillis(target.sequence + 1),
    };
    const late = decodeEntry(await stage.post(permit, { kind: 'remove', target, ...nothing }));
    stage.clock.advance(minutes + ENTRY_AHEAD_MILLIS + 1);
    await expect(host.bring(late)).rejects.toThrow('whose permit is over');
    // What was taken while it counted stays, and is no news.
    await expect(host.bring(backdated)).resolves.toBeUndefined();
  });

  it('says truly in which form it was signed', async () => {
    const stage = new Stage();
    const permit = stage.permit({}, ALICE, 'offchain-v0');
    await expect(stage.judge(await stage.post({ ...permit, form: 'raw' }))).rejects.toThrow('signed neither');
  });
});
