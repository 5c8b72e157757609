/** What is signed by whom counts: entries that are forged, changed on their way, or of another time. */
import * as dagCbor from '@ipld/dag-cbor';
import { afterEach, describe, expect, it } from 'vitest';
import { concatBytes, utf8 } from '../../../core/codec.ts';
import { ENTRY_AHEAD_MILLIS, MAX_ENTRY_CONTENT_BYTES, MAX_UPDATE_LIFE_MILLIS } from '../../../core/limits.ts';
import { unixSeconds } from '../../../core/units.ts';
import { checkEntry, decodeEntry } from '../../../sites/feed/index.ts';
import { Cleanup, wallet } from '../kit.ts';
import { FeedWorld, NAME, OWNER } from './updates-kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

interface Wire {
  readonly body: Readonly<Record<string, unknown>>;
  readonly signature: Uint8Array;
}

const setUp = (): FeedWorld => new FeedWorld(cleanup);

/** As somebody would send it who signs what our code does not. */
function signedAs(body: object, domain = 'relaymint:entry:v1'): Uint8Array {
  const signature = OWNER.sign(concatBytes(utf8(domain), dagCbor.encode(body)));
  return dagCbor.encode({ body, signature });
}

describe('an entry', () => {
  it('is what its owner or manager signed', async () => {
    const world = setUp();
    const record = { ...world.ledger.register(NAME, new Uint8Array(0)), manager: wallet(2).address };
    for (const key of [OWNER, wallet(2)]) {
      const signed = decodeEntry((await world.update(1, { key })).encoded);
      expect(() => checkEntry(signed, record, world.clock.now())).not.toThrow();
    }
    const forged = await world.update(1, { key: wallet(3) });
    expect(() => checkEntry(forged, record, world.clock.now())).toThrow('signed neither by the owner');
  });

  it('with any one bit changed is refused', async () => {
    const world = setUp();
    const { encoded } = await world.update(7);
    const record = await world.ledger.name(NAME);
    const takenAt: number[] = [];
    for (let bit = 0; bit < encoded.length * 8; bit += 1) {
      const changed = Uint8Array.from(encoded);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      try {
        checkEntry(decodeEntry(changed), record, world.clock.now());
        takenAt.push(bit);
      } catch {
        // As it has to be.
      }
    }
    expect(takenAt).toEqual([]);
  });

  it('that was signed for another purpose, or in another encoding, is refused', async () => {
    const world = setUp();
    const record = await world.ledger.name(NAME);
    const { body } = dagCbor.decode<Wire>((await world.update(1)).encoded);
    expect(() => checkEntry(decodeEntry(signedAs(body)), record, world.clock.now())).not.toThrow();
    const elsewhere = decodeEntry(signedAs(body, 'relaymint:manifest:v1'));
    expect(() => checkEntry(elsewhere, record, world.clock.now())).toThrow('signed neither');
    const { encoded } = await world.update(1);
    expect(() => decodeEntry(concatBytes(encoded, Uint8Array.of(0)))).toThrow('malformed');
  });

  it.each([
    ['a number from after it was made', { sequence: 1_900_000_000_000 }, 'number'],
    ['the number 0', { sequence: 0 }, 'sequence'],
    ['no end', { expires: undefined }, 'updates expire'],
    ['an end before its beginning', { expires: 1 }, 'expires at no time'],
    ['an end in the far future', { expires: 1_800_000_000_001 + MAX_UPDATE_LIFE_MILLIS }, 'expires at no time'],
    ['another author', { author: 'other.route' }, 'which only ferry.route may say'],
    ['a thread as its topic', { topic: '/talk' }, 'about the topic'],
    ['a target', { target: { author: NAME, sequence: 1 } }, 'something else'],
    ['a field of its own', { extra: true }, 'does not say what it has to'],
    ['nothing to say', { content: new Uint8Array(0) }, 'content'],
    ['too much to say', { content: new Uint8Array(MAX_ENTRY_CONTENT_BYTES + 1) }, 'content'],
    ['a media type that ends its line', { mediaType: 'text/plain\r\nX: y' }, 'media type'],
  ])('with %s is refused, whoever signed it', async (_what, change, why) => {
    const { body } = dagCbor.decode<Wire>((await setUp().update(1)).encoded);
    const changed = Object.fromEntries(
      Object.entries({ ...body, ...change }).filter(([, value]) => value !== undefined),
    );
    expect(() => decodeEntry(signedAs(changed))).toThrow(why);
  });

  it('counts from its making to its end, by the clock of who asks', async () => {
    const world = setUp();
    const record = await world.ledger.name(NAME);
    const signed = await world.update(1, { life: 1_000 });
    const at = (millis: number) => () => checkEntry(signed, record, signed.entry.created + millis);
    expect(at(-ENTRY_AHEAD_MILLIS)).not.toThrow();
    expect(at(-ENTRY_AHEAD_MILLIS - 1)).toThrow('in the future');
    expect(at(999)).not.toThrow();
    expect(at(1_000)).toThrow('time is over');
    // A clock that jumps takes nothing in that another one would not.
    expect(at(10 * MAX_UPDATE_LIFE_MILLIS)).toThrow('time is over');
    expect(at(-10 * MAX_UPDATE_LIFE_MILLIS)).toThrow('in the future');
  });

  it('is nobody’s when the name is nobody’s, or was others’ when it was made', async () => {
    const world = setUp();
    const record = world.ledger.register(NAME, new Uint8Array(0));
    const signed = await world.update(1);
    const now = world.clock.now();
    expect(() => checkEntry(signed, undefined, now)).toThrow('nobody has that name');
    expect(() => checkEntry(signed, { ...record, status: 'expired' }, now)).toThrow('nobody has that name');
    const registeredAt = unixSeconds(BigInt(now + ENTRY_AHEAD_MILLIS) / 1_000n + 1n);
    expect(() => checkEntry(signed, { ...record, registeredAt }, now)).toThrow('before ferry.route was registered');
    const sold = { ...record, owner: wallet(5).address, manager: wallet(5).address };
    expect(() => checkEntry(signed, sold, now)).toThrow('signed neither');
  });
});
