/** Whose turn it is when a link may owe no more, tried by a payer that wants the others to wait. */
import { describe, expect, it } from 'vitest';
import { LEAST_GRANT } from '../../../core/limits.ts';
import { pricePerMiB } from '../../../core/units.ts';
import { Leg } from '../../../node/circuit/leg.ts';
import type { LegPort } from '../../../node/circuit/leg.ts';
import { Promises } from '../../../node/circuit/promises.ts';
import { freeSponsor } from '../../../node/meter/sponsor.ts';
import type { Sponsor } from '../../../node/meter/sponsor.ts';

const PRICE = pricePerMiB(1_000n);
const NOWHERE = {} as LegPort;
const MUCH = 1n << 60n;

function payer(room: bigint): Sponsor {
  return { ...freeSponsor, room };
}

let legs = 0;
function legOf(sponsor: Sponsor | undefined, pays = true): Leg {
  legs += 1;
  return new Leg(NOWHERE, { id: legs, price: PRICE, pays, hops: 1, sponsor, sponsorPrice: 2n * PRICE });
}

describe('of payers whose circuits wait', () => {
  it('the one that was promised least goes first, however many circuits another has', () => {
    const promises = new Promises();
    const [many, one] = [payer(MUCH), payer(MUCH)];
    const hoard = Array.from({ length: 100 }, () => legOf(many));
    for (const leg of hoard) {
      promises.add(leg, LEAST_GRANT);
      promises.await(leg);
    }
    const newcomer = legOf(one);
    expect(hoard.some((leg) => promises.goesAfter(leg))).toBe(false);
    promises.await(newcomer);
    expect(hoard.every((leg) => promises.goesAfter(leg))).toBe(true);
    expect(promises.goesAfter(newcomer)).toBe(false);
    promises.add(newcomer, 60 * LEAST_GRANT);
    expect(hoard.some((leg) => promises.goesAfter(leg))).toBe(false);
    promises.leave(newcomer);
    promises.add(newcomer, -60 * LEAST_GRANT);
    expect(hoard.some((leg) => promises.goesAfter(leg))).toBe(false);
    expect(promises.total).toBe(BigInt(100 * LEAST_GRANT) * PRICE);
  });

  it('none waits for a payer whose own window is used up', () => {
    const promises = new Promises();
    const honest = legOf(payer(MUCH));
    promises.add(honest, 1_000_000);
    const idle = legOf(payer(2n * PRICE * BigInt(LEAST_GRANT) - 1n));
    promises.await(idle);
    expect([promises.goesAfter(honest), promises.rivals, promises.waiting]).toEqual([false, 0, 1]);
  });

  it('a circuit that its peer pays for waits for that peer, and takes no turn of what we may owe it', () => {
    const promises = new Promises();
    const honest = legOf(payer(MUCH));
    promises.add(honest, 1_000_000);
    const theirs = legOf(undefined, false);
    promises.await(theirs);
    expect([promises.goesAfter(honest), promises.rivals, promises.inTurn()]).toEqual([false, 0, [theirs]]);
    promises.leave(theirs);
    expect(promises.waiting).toBe(0);
  });
});
