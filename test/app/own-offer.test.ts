import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ledgerAddress } from '../../core/ids.ts';
import { OFFER_RENEWALS_AT_ONCE, OFFER_RENEWAL_REST_MILLIS, OFFER_STEP_MILLIS } from '../../core/limits.ts';
import { systemClock } from '../../core/ports.ts';
import { MIB, bytes, pricePerMiB } from '../../core/units.ts';
import { OwnOffer } from '../../app/node/own-offer.ts';
import { keepsName, type SignedOffer } from '../../node/offer/index.ts';
import { walletBindingMessage } from '../../platform/keys/binding.ts';
import { newIdentity } from '../node/link/nodes.ts';

describe("a node's own offer", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  const identity = newIdentity();
  const wallet = newIdentity();
  const sells = [{ name: 'content', price: pricePerMiB(1n) }];

  function scene(services = sells): { own: OwnOffer; told: SignedOffer[]; names: string[]; changed: () => void } {
    const told: SignedOffer[] = [];
    const names: string[] = [];
    const own = new OwnOffer({
      links: { setOffer: (offer) => void told.push(offer) },
      identity,
      lifeMillis: 3_600_000,
      clock: systemClock,
      fields: () => ({
        onionKey: new Uint8Array(32),
        wallet: ledgerAddress(wallet.publicKey),
        walletBinding: wallet.sign(walletBindingMessage(identity.nodeId)),
        addresses: [],
        services,
      }),
    });
    const changed = own.keeping(() => names);
    return { own, told, names, changed };
  }

  it('says at once that a name is kept, and that it no longer is', () => {
    const { own, told, names, changed } = scene();
    changed();
    expect(told).toEqual([]);
    own.announce();
    names.push('news.web3');
    changed();
    changed();
    expect(told.map((offer) => keepsName(offer, 'news.web3'))).toEqual([false, true]);
    names.pop();
    changed();
    expect(told.map((offer) => keepsName(offer, 'news.web3'))).toEqual([false, true, false]);
  });

  it('says at once that it takes less, and that it takes more when it is renewed anyway', () => {
    const { own, told, names } = scene();
    let room = 4 * MIB;
    const changed = own.keeping(
      () => names,
      () => bytes(room),
    );
    const said = (): (number | undefined)[] => told.map((offer) => offer.room);
    own.announce();
    room = 5 * MIB;
    changed();
    room = 9 * MIB;
    changed();
    expect(said()).toEqual([4 * MIB]);
    room = 3 * MIB;
    changed();
    expect(said()).toEqual([4 * MIB, 2 * MIB]);
    room = 9 * MIB;
    own.renew();
    expect(said()).toEqual([4 * MIB, 2 * MIB, 8 * MIB]);
  });

  it('shows no exact time: its sequence stays in the step of its time', () => {
    const { own, told, names, changed } = scene();
    own.announce();
    const step = told[0]?.sequence ?? 0n;
    expect(step % BigInt(OFFER_STEP_MILLIS)).toBe(0n);
    names.push('news.web3');
    changed();
    expect(told[1]?.sequence).toBe(step + 1n);
    expect(told[1]?.expires).toBe(told[0]?.expires);
  });

  it('says the names of a publisher who comes with a dozen at once', () => {
    const { own, told, names, changed } = scene();
    own.announce();
    for (let i = 0; i < 12; i += 1) {
      names.unshift(`site-${i}.web3`);
      changed();
    }
    const last = told.at(-1);
    expect(last && keepsName(last, 'site-11.web3')).toBe(true);
  });

  it('is not renewed more often than links look at it, and the last names are always said', () => {
    const { own, told, names, changed } = scene();
    own.announce();
    const MINUTE = 60_000;
    for (let i = 0; i < 600; i += 1) {
      names.unshift(`site-${i}.web3`);
      changed();
      vi.advanceTimersByTime(1000);
    }
    const allowed = OFFER_RENEWALS_AT_ONCE + (10 * MINUTE) / OFFER_RENEWAL_REST_MILLIS;
    expect(told.length).toBeGreaterThan(10);
    expect(told.length).toBeLessThan(allowed);
    vi.advanceTimersByTime(2 * MINUTE);
    const last = told.at(-1);
    expect(last && keepsName(last, 'site-599.web3')).toBe(true);
    const count = told.length;
    vi.advanceTimersByTime(10 * MINUTE);
    expect(told.length).toBe(count);
  });

  it('does not exist for a node that sells nothing', () => {
    const { own, told, names, changed } = scene([]);
    own.announce();
    names.push('news.web3');
    changed();
    expect(told).toEqual([]);
  });
});
