import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../../core/codec.ts';
import { isRelaymintError } from '../../../core/errors.ts';
import { ledgerAddress } from '../../../core/ids.ts';
import { MAX_ADDRESSES, MAX_OFFER_BYTES, MAX_OFFER_LIFE_MILLIS } from '../../../core/limits.ts';
import { MIB, bytes, pricePerMiB, unixMillis } from '../../../core/units.ts';
import { hasRoomFor, keepsName, priceOf, readOffer, signOffer } from '../../../node/offer/index.ts';
import { walletBindingMessage } from '../../../platform/keys/binding.ts';
import { identityFromSeed } from '../../../platform/keys/identity.ts';
import { peekOffer } from '../../../node/offer/offer.ts';
import { newIdentity, offerOf, thrownBy } from '../link/nodes.ts';
import { GOLDEN_OFFER, GOLDEN_OFFER_WITH_NAMES, GOLDEN_OFFER_WITH_ROOM } from './golden.ts';

const GIB = 1024 * MIB;
const now = unixMillis(Date.now());

describe('an offer', () => {
  it('says what it said before it was sent', () => {
    const identity = newIdentity();
    const offer = offerOf(identity, {
      addresses: ['/ip4/127.0.0.1/tcp/4001', '/dns4/relay.example/tcp/1'],
      services: [
        { name: 'relay', price: pricePerMiB(1000n) },
        { name: 'content', price: pricePerMiB(0n) },
      ],
      sequence: 2n ** 64n - 1n,
    });
    const read = readOffer(offer.encoded, now);
    expect(read).toEqual(offer);
    expect(read.nodeId).toBe(identity.nodeId);
    expect(priceOf(read, 'content')).toBe(0n);
    expect(priceOf(read, 'exit')).toBeUndefined();
    expect(peekOffer(offer.encoded)).toEqual({ nodeId: identity.nodeId, sequence: offer.sequence });
  });

  it('does not hold on to the frame it came in', () => {
    const offer = offerOf(newIdentity());
    const frame = Buffer.from(offer.encoded);
    const read = readOffer(frame, now);
    frame.fill(0);
    expect(read).toEqual(offer);
  });

  it('is refused when any byte is changed, missing or added', () => {
    const { encoded } = offerOf(newIdentity());
    for (let at = 0; at < encoded.length; at += 1) {
      const tampered = Uint8Array.from(encoded);
      tampered[at] = (tampered[at] ?? 0) ^ (1 << (at % 8));
      expect(() => readOffer(tampered, now)).toThrow(expect.objectContaining({ code: 'INVALID_ENCODING' }) as Error);
    }
    for (const length of [0, 1, 50, encoded.length - 1]) {
      expect(() => readOffer(encoded.subarray(0, length), now)).toThrow(
        expect.objectContaining({ code: 'INVALID_ENCODING' }) as Error,
      );
    }
    for (const extra of [1, MAX_OFFER_BYTES]) {
      expect(() => readOffer(Buffer.concat([encoded, Buffer.alloc(extra)]), now)).toThrow(
        expect.objectContaining({ code: 'INVALID_ENCODING' }) as Error,
      );
    }
  });

  it('is refused when random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1500 }), (bytes) => {
        bytes[0] = 1;
        expect(() => readOffer(bytes, now)).toThrow(expect.objectContaining({ code: 'INVALID_ENCODING' }) as Error);
      }),
    );
  });

  it('is refused when expired or valid for too long', () => {
    const offer = offerOf(newIdentity(), { expires: unixMillis(now + 1000) });
    expect(readOffer(offer.encoded, now)).toEqual(offer);
    const late = unixMillis(now + 1000);
    expect(() => readOffer(offer.encoded, late)).toThrow(expect.objectContaining({ code: 'TIMEOUT' }) as Error);
    const endless = offerOf(newIdentity(), { expires: unixMillis(now + 2 * MAX_OFFER_LIFE_MILLIS) });
    expect(() => readOffer(endless.encoded, now)).toThrow(expect.objectContaining({ code: 'TIMEOUT' }) as Error);
  });

  it("cannot claim another node's wallet", () => {
    const [victim, thief, wallet] = [newIdentity(), newIdentity(), newIdentity()];
    const walletBinding = wallet.sign(walletBindingMessage(victim.nodeId));
    expect(() => offerOf(thief, { wallet: ledgerAddress(wallet.publicKey), walletBinding })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error,
    );
  });

  it.each([
    ['too many addresses', { addresses: Array.from({ length: MAX_ADDRESSES + 1 }, () => '/memory/x') }],
    ['an address that is none', { addresses: ['127.0.0.1:80'] }],
    ['a service twice', { services: [1n, 2n].map((price) => ({ name: 'relay', price: pricePerMiB(price) })) }],
    ['a service with a bad name', { services: [{ name: 'Relay!', price: pricePerMiB(1n) }] }],
    [
      'too many services',
      { services: 'abcdefghijklmnopq'.split('').map((name) => ({ name, price: pricePerMiB(1n) })) },
    ],
    ['a short onion key', { onionKey: new Uint8Array(31) }],
    ['a short binding', { walletBinding: new Uint8Array(63) }],
    ['a negative sequence', { sequence: -1n }],
  ])('is not signed with %s', (_what, changes) => {
    expect(() => offerOf(newIdentity(), changes)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error,
    );
  });

  it('is not signed when it is too long', () => {
    const addresses = Array.from({ length: MAX_ADDRESSES }, (_, i) => `/dns4/${'x'.repeat(150)}${i}/tcp/1`);
    expect(() => offerOf(newIdentity(), { addresses })).toThrow(
      expect.objectContaining({ code: 'LIMIT_EXCEEDED' }) as Error,
    );
  });

  it('has the bytes of the golden vector', () => {
    const node = identityFromSeed(new Uint8Array(32).fill(1));
    const wallet = identityFromSeed(new Uint8Array(32).fill(2));
    const offer = signOffer(
      {
        onionKey: new Uint8Array(32).fill(3),
        wallet: ledgerAddress(wallet.publicKey),
        walletBinding: wallet.sign(walletBindingMessage(node.nodeId)),
        addresses: ['/ip4/192.0.2.7/tcp/4001'],
        services: [
          { name: 'relay', price: pricePerMiB(1000n) },
          { name: 'content', price: pricePerMiB(2500n) },
        ],
        sequence: 1_700_000_000_000n,
        expires: unixMillis(1_700_000_600_000),
      },
      node,
    );
    expect(toHex(offer.encoded)).toBe(GOLDEN_OFFER);
    expect(readOffer(fromHex(GOLDEN_OFFER), unixMillis(1_700_000_000_000))).toEqual(offer);
    const { nodeId: _, kept: __, room: _room, encoded: ___, ...fields } = offer;
    const withNames = signOffer({ ...fields, keeps: ['news.web3', 'shop.web3', 'demo.web3'] }, node);
    expect(toHex(withNames.encoded)).toBe(GOLDEN_OFFER_WITH_NAMES);
    expect(readOffer(withNames.encoded, unixMillis(1_700_000_000_000))).toEqual(withNames);
    const withRoom = signOffer(
      { ...fields, keeps: ['news.web3', 'shop.web3', 'demo.web3'], room: bytes(3 * GIB) },
      node,
    );
    expect(toHex(withRoom.encoded)).toBe(GOLDEN_OFFER_WITH_ROOM);
    expect(readOffer(withRoom.encoded, unixMillis(1_700_000_000_000))).toEqual(withRoom);
  });

  it.each([
    [0, 0],
    [MIB - 1, 0],
    [MIB, MIB],
    [2 * MIB - 1, MIB],
    [5 * GIB, 4 * GIB],
    [9e15, 2 ** 40],
  ])('says of %d bytes of room that they are %d', (room, said) => {
    for (const keeps of [[], ['news.web3']]) {
      const offer = offerOf(newIdentity(), { room: bytes(room), keeps });
      const read = readOffer(offer.encoded, now);
      expect([read.room, keepsName(read, 'news.web3')]).toEqual([said, keeps.length > 0]);
    }
  });

  it.each([
    [undefined, 1e15, true],
    [0, 0, false],
    [MIB, 2 * MIB - 1, true],
    [MIB, 2 * MIB, false],
    [2 ** 40, 1e15, true],
  ])('with room of %d has it for %d bytes: %s', (room, size, has) => {
    expect(hasRoomFor({ room: room === undefined ? undefined : bytes(room) }, size)).toBe(has);
  });

  it('is refused with room of a size that nobody says', () => {
    const { encoded } = offerOf(newIdentity(), { room: bytes(MIB) });
    for (const code of [1, 19, 41, 255]) {
      const other = Uint8Array.from(encoded);
      other[encoded.length - 65] = code;
      expect(() => readOffer(other, now)).toThrow(/no size of a room/);
    }
  });

  it('has as many names beside its room as fit', () => {
    const keeps = Array.from({ length: 300 }, (_none, at) => `site-${at}.web3`);
    const addresses = Array.from({ length: 4 }, (_none, at) => `/dns4/${'x'.repeat(80)}${at}/tcp/1`);
    const offer = offerOf(newIdentity(), { room: bytes(MIB), keeps, addresses });
    expect(offer.encoded.length).toBeLessThanOrEqual(MAX_OFFER_BYTES);
    expect(offer.encoded.length).toBeGreaterThan(MAX_OFFER_BYTES - 30);
    expect([offer.kept?.more, keepsName(offer, 'site-0.web3'), offer.room]).toEqual([true, true, MIB]);
  });

  it('fails only with our own errors', () => {
    fc.assert(
      fc.property(fc.nat(400), fc.integer({ min: 0, max: 255 }), (at, value) => {
        const bytes = fromHex(GOLDEN_OFFER);
        bytes[at % bytes.length] = value;
        const error = thrownBy(() => readOffer(bytes, unixMillis(1_700_000_000_000)));
        expect(error === undefined || isRelaymintError(error)).toBe(true);
      }),
    );
  });
});
