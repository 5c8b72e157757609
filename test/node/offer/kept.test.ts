import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../../core/codec.ts';
import { isRelaymintError } from '../../../core/errors.ts';
import { MAX_KEPT_NAME_BYTES, MAX_OFFER_BYTES } from '../../../core/limits.ts';
import { pricePerMiB, unixMillis } from '../../../core/units.ts';
import { keepsName, readOffer } from '../../../node/offer/index.ts';
import { identityFromSeed } from '../../../platform/keys/identity.ts';
import { decodeKeptNames, encodeKeptNames, keptNames, saysItKeeps } from '../../../node/offer/kept.ts';
import { newIdentity, offerOf, thrownBy } from '../link/nodes.ts';

const now = unixMillis(Date.now());
const node = identityFromSeed(new Uint8Array(32).fill(1)).nodeId;
/** The most that fit. */
const MOST = 226;

function namesOf(count: number, prefix = 'kept'): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}-${i}.web3`);
}

describe('the names that a host says it keeps', () => {
  it.each([0, 1, 2, 17, MOST])('are found again, all %i of them, and take no more room than there is', (count) => {
    const names = namesOf(count);
    const kept = keptNames(node, names, MAX_KEPT_NAME_BYTES);
    expect(kept === undefined).toBe(count === 0);
    if (kept === undefined) return;
    const encoded = encodeKeptNames(kept);
    expect(encoded.length).toBeLessThanOrEqual(MAX_KEPT_NAME_BYTES);
    const read = decodeKeptNames(encoded);
    expect(read).toEqual(kept);
    expect(read.more).toBe(false);
    expect(names.filter((name) => saysItKeeps(node, read, name))).toEqual(names);
  });

  it('are taken for others no more often than by chance', () => {
    const kept = keptNames(node, namesOf(MOST), MAX_KEPT_NAME_BYTES);
    const others = namesOf(100_000, 'other').filter((name) => saysItKeeps(node, kept, name));
    // 1.5 are expected.
    expect(others.length).toBeLessThan(12);
  });

  it('look different at each host: no hash of one says anything about another', () => {
    const other = newIdentity().nodeId;
    const names = namesOf(100);
    const kept = keptNames(node, names, MAX_KEPT_NAME_BYTES);
    expect(keptNames(other, names, MAX_KEPT_NAME_BYTES)).not.toEqual(kept);
    expect(names.filter((name) => saysItKeeps(other, kept, name)).length).toBeLessThan(3);
  });

  it('are the first ones if not all fit, and the list says that there are more', () => {
    const names = namesOf(MOST + 1);
    const kept = keptNames(node, names, MAX_KEPT_NAME_BYTES);
    expect(kept?.more).toBe(true);
    expect(names.filter((name) => !saysItKeeps(node, kept, name))).toEqual(names.slice(MOST));
    expect(keptNames(node, names, 5)).toEqual({ more: true, hashes: new Uint32Array(0) });
    expect(keptNames(node, names, 2)).toBeUndefined();
  });

  it('cannot be all: a list claims no more than it has hashes, however they are chosen', () => {
    // Whoever would claim every name chooses its hashes as close together as the layout has it.
    const dense = { more: false, hashes: Uint32Array.from({ length: MOST }, (_, i) => i) };
    const read = decodeKeptNames(encodeKeptNames(dense));
    expect(namesOf(20_000, 'any').filter((name) => saysItKeeps(node, read, name)).length).toBeLessThan(8);
  });

  it.each([
    ['nothing at all', ''],
    ['no names and no more of them', '000000'],
    ['a wrong flag', '020000'],
    ['more names than fit', '00e300' + 'ff'.repeat(600)],
    ['more names than it has bytes for', '0002000000'],
    ['a hash beyond its range', '000100800000'],
    ['hashes that never end', '000100' + 'ff'.repeat(64)],
    ['a byte too many', '00010000000000'],
    ['something in the bits that fill it up', '000100000001'],
  ])('are refused with %s', (_what, hex) => {
    expect(thrownBy(() => decodeKeptNames(fromHex(hex)))).toMatchObject({ code: 'INVALID_ENCODING' });
  });

  it('have one encoding each, and fail only with our own errors', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: MAX_KEPT_NAME_BYTES }), fc.nat(MOST), (bytes, count) => {
        if (bytes.length >= 3) bytes.set([(bytes[0] ?? 0) & 1, count, 0]);
        let again: string | undefined;
        const error = thrownBy(() => (again = toHex(encodeKeptNames(decodeKeptNames(bytes)))));
        expect(again === toHex(bytes) || isRelaymintError(error, 'INVALID_ENCODING')).toBe(true);
      }),
    );
  });

  it('have the bytes of the golden vector', () => {
    const kept = keptNames(node, ['news.web3', 'shop.web3', 'demo.web3'], MAX_KEPT_NAME_BYTES);
    expect(kept && toHex(encodeKeptNames(kept))).toBe('000300863b4aa5721c48');
  });
});

describe('an offer with names', () => {
  const services = [{ name: 'content', price: pricePerMiB(1n) }];

  it('shows them to its readers, and without them shows none', () => {
    const identity = newIdentity();
    const offer = offerOf(identity, { services, keeps: ['news.web3'] });
    const read = readOffer(offer.encoded, now);
    expect(read).toEqual(offer);
    expect(keepsName(read, 'news.web3')).toBe(true);
    expect(keepsName(read, 'shop.web3')).toBe(false);
    const plain = offerOf(identity, { services, keeps: [] });
    expect(plain.kept).toBeUndefined();
    expect(plain.encoded[0]).toBe(1);
  });

  it('never grows beyond what an offer may have: addresses come first', () => {
    const identity = newIdentity();
    const names = namesOf(10_000);
    for (const length of [10, 200, 220]) {
      for (const count of [0, 1, 2, 3]) {
        const addresses = Array.from({ length: count }, (_, i) => `/dns4/${'x'.repeat(length)}${i}/tcp/1`);
        const offer = offerOf(identity, { addresses, services, keeps: names });
        expect(offer.encoded.length).toBeLessThanOrEqual(MAX_OFFER_BYTES);
        expect(offer.addresses).toEqual(addresses);
        expect(offer.kept?.more ?? true).toBe(true);
        expect(readOffer(offer.encoded, now)).toEqual(offer);
      }
    }
  });

  it('is refused when its list is malformed, though it is signed', () => {
    const offer = offerOf(newIdentity(), { services, keeps: ['news.web3'] });
    const forged = Uint8Array.from(offer.encoded);
    // The flag stands after two bytes of length; six bytes of list and the signature follow them.
    forged[forged.length - 64 - 6] = 2;
    expect(thrownBy(() => readOffer(forged, now))).toMatchObject({
      code: 'INVALID_ENCODING',
      message: expect.stringContaining('kept names') as string,
    });
  });
});
