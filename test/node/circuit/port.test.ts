/** What one frame of a peer makes the circuits of its link do: counted, on a link that is none. */
import { describe, expect, it } from 'vitest';
import { LEAST_GRANT, MAX_CIRCUITS_PER_LINK, ONWARD_SPARE_CIRCUITS, QUIET_GRANT } from '../../../core/limits.ts';
import { pricePerMiB } from '../../../core/units.ts';
import type { Leg, LegOwner } from '../../../node/circuit/leg.ts';
import { encodeCreated, encodeGrants } from '../../../node/circuit/messages.ts';
import { CircuitPort } from '../../../node/circuit/port.ts';
import { DestroyReason, encodeEnding, ending } from '../../../node/circuit/reason.ts';
import { FRAME_HEADER_BYTES, FrameType } from '../../../node/link/index.ts';
import type { Link } from '../../../node/link/index.ts';
import { unmetered } from '../../../node/meter/index.ts';

const PRICE = pricePerMiB(1_000n);
const turn = (): Promise<void> => new Promise(setImmediate);

/** A port whose peer is the test. */
class Peer {
  readonly port: CircuitPort;
  /** How often a leg was told that there is more room. */
  asked = 0;
  /** What may be owed to the peer: a numerator. */
  mayOwe = 0n;
  /** Bytes that each circuit was granted by GRANT. */
  readonly granted: Map<number, number> = new Map();
  readonly #handlers = new Map<FrameType, (circuit: number, payload: Buffer) => void>();
  readonly #owner: LegOwner;

  constructor() {
    let circuits = -1;
    const link: Partial<Link> = {
      dialer: true,
      isOpen: true,
      writable: true,
      closed: new Promise(() => {}),
      handle: (type, handler) => void this.#handlers.set(type, handler),
      nextCircuitId: () => (circuits += 2),
      allocFrame: (length) => Buffer.alloc(FRAME_HEADER_BYTES + length),
      send: (type, _circuit, payload) => {
        if (type === FrameType.GRANT) this.#note(Buffer.from(payload));
      },
      sendFrame() {},
      onDrain() {},
      retain() {},
      release() {},
    };
    const meter = unmetered().attach(link as Link);
    Object.defineProperty(meter, 'mayOwe', { get: () => this.mayOwe });
    this.port = new CircuitPort(link as Link, meter, {
      traffic: { framesIn: 0, framesOut: 0, bytesIn: 0, bytesOut: 0 },
      createRate: () => ({ take: () => true }),
      accept() {},
      settled() {},
    });
    this.#owner = {
      receive() {},
      fault() {},
      noticed() {},
      gaveBack() {},
      passed() {},
      ended: (leg, why) => leg.destroy(why),
      roomier: (leg) => {
        this.asked += 1;
        leg.port.grants.grant(leg, QUIET_GRANT - leg.granted);
      },
    };
  }

  /** Ours, granted at most so much. */
  open(grant: number): Leg {
    return this.port.open({ price: PRICE, hops: 1, grant, sponsor: undefined, sponsorPrice: PRICE }, this.#owner);
  }

  says(type: FrameType, circuit: number, payload: Uint8Array): void {
    const handler = this.#handlers.get(type);
    if (handler === undefined) throw new Error(`nobody takes frames of type ${type}`);
    handler(circuit, Buffer.from(payload));
  }

  created(leg: Leg): void {
    this.says(FrameType.CREATED, leg.id, encodeCreated({ ephemeral: Buffer.alloc(32), auth: Buffer.alloc(32) }));
  }

  destroys(leg: Leg): void {
    this.says(FrameType.DESTROY, leg.id, encodeEnding(ending(DestroyReason.FINISHED, '')));
  }

  gives(back: ReadonlyMap<number, number>): void {
    encodeGrants(back, (payload) => this.says(FrameType.RETURN, 0, payload));
  }

  #note(payload: Buffer): void {
    for (let at = 0; at < payload.length; at += 8) {
      const id = payload.readUInt32LE(at);
      this.granted.set(id, (this.granted.get(id) ?? 0) + payload.readUInt32LE(at + 4));
    }
  }
}

const sum = (legs: readonly Leg[]): number => legs.reduce((total, leg) => total + leg.granted, 0);
const worth = (bytes: number): bigint => BigInt(bytes) * PRICE;

/** So many circuits that hold all that may be owed, and as many that wait for some of it. */
function crowd(peer: Peer, count: number): { readonly holding: Leg[]; readonly waiting: Leg[] } {
  peer.mayOwe = worth(count * QUIET_GRANT);
  const holding = Array.from({ length: count }, () => peer.open(QUIET_GRANT));
  const waiting = Array.from({ length: count }, () => peer.open(QUIET_GRANT));
  expect(waiting.map((leg) => leg.granted)).toEqual(waiting.map(() => 0));
  return { holding, waiting };
}

describe('circuits that wait for money', () => {
  it('ask once for a burst of DESTROYs, and get what it freed', async () => {
    const peer = new Peer();
    const { holding, waiting } = crowd(peer, 256);
    for (const leg of holding) peer.destroys(leg);
    await turn();
    expect(peer.asked).toBe(waiting.length);
    expect(waiting.map((leg) => leg.granted)).toEqual(waiting.map(() => QUIET_GRANT));
    expect(Array.from(peer.granted.keys())).toEqual(waiting.map((leg) => leg.id));
  });

  it('ask once for all that a RETURN gives back, and for several of them', async () => {
    const peer = new Peer();
    const { holding, waiting } = crowd(peer, 256);
    const half = holding.length / 2;
    for (const some of [holding.slice(0, half), holding.slice(half)]) {
      peer.gives(new Map(some.map((leg) => [leg.id, QUIET_GRANT])));
    }
    await turn();
    expect(peer.asked).toBe(waiting.length);
    expect(waiting.map((leg) => leg.granted)).toEqual(waiting.map(() => QUIET_GRANT));
  });

  it('ask again where more comes in a later turn', async () => {
    const peer = new Peer();
    const { holding, waiting } = crowd(peer, 2);
    const [first, second] = holding as [Leg, Leg];
    peer.destroys(first);
    await turn();
    const before = sum(waiting);
    expect(peer.asked).toBe(2);
    expect(before).toBeGreaterThan(QUIET_GRANT / 2);
    peer.destroys(second);
    await turn();
    expect(peer.asked).toBeGreaterThan(2);
    expect(sum(waiting)).toBeGreaterThan(before);
  });
});

describe('the grant of a circuit that made way', () => {
  it('goes to the newcomer and not to those that wait, up to what a new circuit is granted', async () => {
    const peer = new Peer();
    const { holding, waiting } = crowd(peer, 8);
    const heir = peer.open(QUIET_GRANT);
    for (const leg of holding) leg.successor = heir;
    const [first, second, ...rest] = holding as [Leg, Leg, ...Leg[]];
    peer.destroys(first);
    expect(heir.granted).toBe(QUIET_GRANT);
    peer.destroys(second);
    for (const leg of rest) peer.destroys(leg);
    expect(heir.granted).toBe(QUIET_GRANT);
    // It is told once it stands: the peer may then send that much and no more.
    peer.created(heir);
    await turn();
    expect(peer.granted.get(heir.id)).toBe(QUIET_GRANT);
    expect(sum(waiting)).toBeGreaterThan(3 * QUIET_GRANT);
  });

  it('is never more than may be owed', () => {
    const peer = new Peer();
    const { holding } = crowd(peer, 2);
    const heir = peer.open(QUIET_GRANT);
    const [first] = holding as [Leg];
    first.successor = heir;
    peer.mayOwe = worth(QUIET_GRANT + LEAST_GRANT);
    peer.destroys(first);
    expect(heir.granted).toBe(LEAST_GRANT);
  });
});

describe('the places of a link', () => {
  it('are full before the last ones are taken: those are for newcomers for whom somebody makes way', () => {
    const peer = new Peer();
    peer.mayOwe = worth(2 * MAX_CIRCUITS_PER_LINK * QUIET_GRANT);
    const legs = Array.from({ length: MAX_CIRCUITS_PER_LINK - ONWARD_SPARE_CIRCUITS - 1 }, () => peer.open(0));
    expect(peer.port.isFull).toBe(false);
    const last = peer.open(0);
    expect(peer.port.isFull).toBe(true);
    // Until both ends have said DESTROY its place is taken.
    last.destroy(ending(DestroyReason.FINISHED, ''));
    expect(peer.port.isFull).toBe(true);
    peer.destroys(last);
    expect(peer.port.isFull).toBe(false);
    for (let more = legs.length; more < MAX_CIRCUITS_PER_LINK; more += 1) peer.open(0);
    expect(() => peer.open(0)).toThrow(expect.objectContaining({ code: 'LIMIT_EXCEEDED' }));
  });
});
