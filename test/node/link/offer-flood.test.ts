/** Two links that cost nothing renew their offers as fast as a link may: `npm run bench -- load` measures what this counts. */
import { afterEach, describe, expect, it } from 'vitest';
import { MAX_CONTROL_FRAMES_PER_SECOND, OFFER_RENEWALS_AT_ONCE } from '../../../core/limits.ts';
import type { SignedOffer } from '../../../node/offer/index.ts';
import { FrameType } from '../../../node/link/index.ts';
import { TestNodes, linkBetween, newIdentity, offerOf } from './nodes.ts';

/** Of different sequences, again and again. */
const OFFERS = 50;

const nodes = new TestNodes();
afterEach(() => nodes.close());

describe('a flood of renewed offers', () => {
  it('costs a few checks, and an honest peer that comes meanwhile gets in and its offer is taken', async () => {
    const relay = await nodes.start();
    const heard: SignedOffer[] = [];
    relay.links.onOffer((offer) => heard.push(offer));
    const renewals = Math.floor(MAX_CONTROL_FRAMES_PER_SECOND * 0.8);
    const floods = await Promise.all(
      [newIdentity(), newIdentity()].map(async (identity) => {
        const node = await nodes.start({ identity, offer: offerOf(identity) });
        const offers = Array.from({ length: OFFERS }, (_, i) => offerOf(identity, { sequence: BigInt(i + 2) }));
        return { identity, offers, ...(await linkBetween(node, relay)) };
      }),
    );
    for (let sent = 0; sent < renewals; sent += 1) {
      for (const { near, offers } of floods) {
        const { encoded } = offers[sent % OFFERS] as SignedOffer;
        near.send(FrameType.OFFER, 0, encoded);
      }
    }
    const honest = newIdentity();
    const node = await nodes.start({ identity: honest, offer: offerOf(honest) });
    const { near } = await linkBetween(node, relay);
    const renewed = new Promise<void>((resolve) => {
      relay.links.onOffer((offer) => {
        if (offer.nodeId === honest.nodeId && offer.sequence === 9n) resolve();
      });
    });
    node.links.setOffer(offerOf(honest, { sequence: 9n }));
    await renewed;
    await Promise.all(floods.map((flood) => flood.near.ping()));
    expect(near.isOpen).toBe(true);
    // Each that is heard of was checked: two signatures.
    const of = (nodeId: string): number => heard.filter((offer) => offer.nodeId === nodeId).length;
    for (const { identity } of floods) expect(of(identity.nodeId)).toBeLessThanOrEqual(2 + OFFER_RENEWALS_AT_ONCE);
    expect(of(honest.nodeId)).toBe(2);
  });
});
