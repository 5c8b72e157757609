/** What a stranger that writes its own frames makes a relay dial and promise by EXTEND. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nodeIdBytes } from '../../../core/ids.ts';
import {
  CIRCUIT_WINDOW,
  EXTEND_DIALS_PER_MINUTE,
  MAX_CARRIED_BYTES,
  MAX_CREATES_PER_SECOND_AND_LINK,
  QUIET_GRANT,
  STACK_BYTES,
} from '../../../core/limits.ts';
import { silentLog, systemClock } from '../../../core/ports.ts';
import { pricePerMiB, unixMillis } from '../../../core/units.ts';
import { CELL_HEADER_BYTES, CellType, SMALL_CELL, frameCell } from '../../../node/circuit/cell.ts';
import { HopInitiation } from '../../../node/circuit/handshake.ts';
import { createCircuitEndpoint, onionKeyFromSeed, type CircuitEndpoint } from '../../../node/circuit/index.ts';
import { SealingLayers } from '../../../node/circuit/layer.ts';
import {
  decodeCreate,
  decodeCreated,
  encodeCreate,
  encodeExtend,
  encodeGrants,
} from '../../../node/circuit/messages.ts';
import { DestroyReason, decodeEnding, encodeEnding, ending, type Ending } from '../../../node/circuit/reason.ts';
import { createDiscovery, createOfferBook, type Discovery, type OfferBook } from '../../../node/discovery/index.ts';
import { FrameType, type Link } from '../../../node/link/index.ts';
import { unmetered } from '../../../node/meter/index.ts';
import { tcpAddress } from '../../../node/transport/index.ts';
import { TestNodes, newIdentity, nextLink, offerOf, type TestNode } from '../link/nodes.ts';
import type { SignedOffer } from '../../../node/offer/index.ts';

const PRICE = pricePerMiB(0n);

interface Relay extends TestNode {
  readonly offer: SignedOffer;
  readonly book: OfferBook;
  readonly discovery: Discovery;
  readonly endpoint: CircuitEndpoint;
}

const nodes = new TestNodes();
const relays: Relay[] = [];
afterEach(async () => {
  for (const { endpoint, discovery } of relays.splice(0)) {
    await discovery.close();
    await endpoint.close();
  }
  await nodes.close();
});

/** One that carries for nothing, and leads where it likes in this machine. */
async function startRelay(): Promise<Relay> {
  const identity = newIdentity();
  const onionKey = onionKeyFromSeed(randomBytes(32));
  const node = await nodes.start({ identity });
  const book = createOfferBook({ clock: systemClock });
  const discovery = createDiscovery({ links: node.links, book, clock: systemClock, log: silentLog });
  const endpoint = createCircuitEndpoint({
    links: node.links,
    metering: unmetered(),
    nodeId: identity.nodeId,
    onionKey,
    relayPrice: PRICE,
    extend: {
      offers: book,
      introduce: (encoded, peer) => discovery.introduce(encoded, peer),
      allowPrivate: true,
      resolve: async () => [],
    },
  });
  const offer = offerOf(identity, {
    addresses: node.addresses,
    onionKey: onionKey.publicKey,
    services: [{ name: 'relay', price: PRICE }],
  });
  node.links.setOffer(offer);
  const relay = { ...node, offer, book, discovery, endpoint };
  relays.push(relay);
  return relay;
}

/** A payer that keeps no rule of ours. */
class Stranger {
  readonly #relay: Relay;
  readonly #link: Link;
  readonly #takes = new Map<number, (type: FrameType, payload: Buffer) => void>();

  private constructor(relay: Relay, link: Link) {
    this.#relay = relay;
    this.#link = link;
    for (const type of [FrameType.GRANT, FrameType.RETURN, FrameType.OFFERS_WANTED] as const)
      link.handle(type, () => {});
    for (const type of [FrameType.CREATED, FrameType.RELAY, FrameType.NOTICE, FrameType.DESTROY] as const) {
      link.handle(type, (id, payload) => this.#takes.get(id)?.(type, payload));
    }
  }

  static async at(relay: Relay): Promise<Stranger> {
    const { links } = await nodes.start();
    return new Stranger(relay, await links.connect(relay.identity.nodeId, relay.addresses));
  }

  /** A circuit that grants so much more and EXTENDs with these bytes as the next hop's offer; resolves with what it is told in the end. */
  async extend(offer: Uint8Array, more = 0): Promise<Ending> {
    const id = this.#link.nextCircuitId();
    const { nodeId, onionKey } = this.#relay.offer;
    const initiation = new HopInitiation(nodeId, onionKey);
    const { ephemeral } = initiation;
    return new Promise((resolve) => {
      this.#takes.set(id, (type, payload) => {
        if (type === FrameType.CREATED) {
          const layers = new SealingLayers();
          layers.add(initiation.finish(decodeCreated(payload)).forward);
          const extend = encodeExtend({ price: PRICE, ephemeral, offer });
          const cell = Buffer.alloc(SMALL_CELL);
          cell.set(extend, CELL_HEADER_BYTES);
          frameCell(cell, CellType.EXTEND, 0, extend.length);
          const frame = Buffer.alloc(STACK_BYTES + cell.length);
          layers.seal(cell, frame, 0);
          encodeGrants(new Map(more === 0 ? [] : [[id, more]]), (grants) =>
            this.#link.send(FrameType.GRANT, 0, grants),
          );
          this.#link.send(FrameType.RELAY, id, frame);
        } else if (type === FrameType.DESTROY) {
          this.#link.send(FrameType.DESTROY, id, encodeEnding(ending(DestroyReason.FINISHED, '')));
          resolve(decodeEnding(payload));
        }
      });
      this.#link.send(FrameType.CREATE, id, encodeCreate({ price: PRICE, grant: QUIET_GRANT, hops: 3, ephemeral }));
    });
  }
}

/** More than a payer may have dialled in a minute, and fewer circuits than a link may bring at once, however fast the machine is. */
const MADE_UP: number = EXTEND_DIALS_PER_MINUTE + 10;
const NOWHERE = ending(DestroyReason.UNREACHABLE, 'the next hop cannot be reached or paid');

/** Something in the relay's network that is none of its sender's business: says nothing, and hangs up. */
class Bystander {
  readonly #server: Server;
  #knocks = 0;

  private constructor() {
    this.#server = createServer((socket) => {
      this.#knocks += 1;
      socket.destroy();
    });
  }

  static async open(): Promise<Bystander> {
    const bystander = new Bystander();
    bystander.#server.listen(0, '127.0.0.1');
    await once(bystander.#server, 'listening');
    return bystander;
  }

  get address(): string {
    return tcpAddress('127.0.0.1', (this.#server.address() as AddressInfo).port);
  }

  /** Connections since the last time. */
  get knocks(): number {
    const knocks = this.#knocks;
    this.#knocks = 0;
    return knocks;
  }

  close(): void {
    this.#server.close();
  }
}

/** The same offer with another node id, or another address, on it. */
function changed(offer: SignedOffer, change: (encoded: Buffer) => void): Uint8Array {
  const encoded = Buffer.from(offer.encoded);
  change(encoded);
  expect(encoded.equals(offer.encoded)).toBe(false);
  return encoded;
}

describe('an EXTEND', () => {
  let bystander: Bystander;
  let relay: Relay;
  let stranger: Stranger;
  beforeEach(async () => {
    bystander = await Bystander.open();
    relay = await startRelay();
    stranger = await Stranger.at(relay);
  });
  afterEach(() => bystander.close());

  /** An offer of a node of which nobody knows, of somewhere with an address as long as the bystander's. */
  const elsewhere = (identity = newIdentity(), sequence = 1n): SignedOffer =>
    offerOf(identity, { addresses: [bystander.address.replace('127.0.0.1', '127.0.0.2')], sequence });
  const moveToBystander = (encoded: Buffer): void => {
    encoded.write('127.0.0.1', encoded.indexOf('127.0.0.2'), 'latin1');
  };

  const atBystander = (): SignedOffer => offerOf(newIdentity(), { addresses: [bystander.address], sequence: 9n });
  const expired = (): SignedOffer =>
    offerOf(newIdentity(), { addresses: [bystander.address], expires: unixMillis(Date.now() - 1) });
  const bearing =
    ({ nodeId }: Pick<SignedOffer, 'nodeId'>) =>
    (encoded: Buffer): void => {
      encoded.set(nodeIdBytes(nodeId), 1);
    };
  function knownTo({ book }: Relay): Pick<SignedOffer, 'nodeId'> {
    const offer = offerOf(newIdentity(), { addresses: ['/ip4/127.0.0.1/tcp/1'] });
    book.add(offer);
    return offer;
  }

  it.each<[string, () => Uint8Array]>([
    ['that nobody signed', () => changed(elsewhere(), moveToBystander)],
    ['of an offer that has expired', () => expired().encoded],
    ['of an offer with a node id on it that did not sign', () => changed(atBystander(), bearing(newIdentity()))],
    ['of an offer with the id of a node that is known', () => changed(atBystander(), bearing(knownTo(relay)))],
    ['of the relay itself', () => changed(atBystander(), bearing(relay.identity))],
  ])('to an address %s opens no socket', async (_what, offer) => {
    const encoded = offer();
    const told = await stranger.extend(encoded);
    expect(told.reason).not.toBe(DestroyReason.FINISHED);
    expect(bystander.knocks).toBe(0);
    expect(relay.book.all().flatMap(({ addresses }) => addresses)).not.toContain(bystander.address);
  });
  it.each([1n, 2n, 3n])(
    'to a node in our book with an address that it did not sign, sequence %d, leads to the addresses that it signed',
    async (sequence) => {
      const identity = newIdentity();
      const other = await Bystander.open();
      relay.book.add(offerOf(identity, { addresses: [other.address], sequence: 2n }));
      expect(await stranger.extend(changed(elsewhere(identity, sequence), moveToBystander))).toEqual(NOWHERE);
      expect([bystander.knocks, other.knocks]).toEqual([0, 1]);
      other.close();
    },
  );

  it('to a node in our book leads to the newest addresses that it signed', async () => {
    const [identity, old] = [newIdentity(), await Bystander.open()];
    relay.book.add(offerOf(identity, { addresses: [old.address], sequence: 1n }));
    const renewed = offerOf(identity, { addresses: [bystander.address], sequence: 2n });
    expect(await stranger.extend(renewed.encoded)).toEqual(NOWHERE);
    expect([bystander.knocks, old.knocks]).toEqual([1, 0]);
    // It is known by others too: that it was not there once is no reason to forget it.
    expect(relay.book.get(identity.nodeId)?.sequence).toBe(2n);
    old.close();
  });

  it('to a made-up node dials the addresses it signed, gets the usual answer, and leaves nothing in the book', async () => {
    const nobody = offerOf(newIdentity(), { addresses: [bystander.address] });
    const another = await nodes.start();
    const mistaken = offerOf(newIdentity(), { addresses: another.addresses });
    expect(await stranger.extend(nobody.encoded)).toEqual(NOWHERE);
    expect(bystander.knocks).toBe(1);
    expect(await stranger.extend(mistaken.encoded)).toEqual(NOWHERE);
    expect(another.links.links()).toEqual([]);
    for (const { nodeId } of [nobody, mistaken]) expect(relay.book.get(nodeId)).toBeUndefined();
  });

  it('to one node at the same time as others is one dial, and counts as one', async () => {
    const { encoded } = offerOf(newIdentity(), { addresses: [bystander.address] });
    const many = Array.from({ length: EXTEND_DIALS_PER_MINUTE + 10 }, () => stranger.extend(encoded));
    for (const told of await Promise.all(many)) expect(told).toEqual(NOWHERE);
    expect(bystander.knocks).toBeLessThan(EXTEND_DIALS_PER_MINUTE);
  });

  it('to many made-up nodes dials a limited number in a minute, and blocks nobody else', async () => {
    const identity = newIdentity();
    const known = await nodes.start({ identity });
    const offer = offerOf(identity, { addresses: known.addresses });
    known.links.setOffer(offer);
    await (await relay.links.connect(identity.nodeId, known.addresses)).close();
    const nobody = (): Uint8Array => offerOf(newIdentity(), { addresses: [bystander.address] }).encoded;
    const began = performance.now();
    for (let i = 0; i < MADE_UP; i += 1) expect(await stranger.extend(nobody())).toEqual(NOWHERE);
    const minutes = (performance.now() - began) / 60_000;
    expect(bystander.knocks).toBeLessThanOrEqual(EXTEND_DIALS_PER_MINUTE * (1 + minutes) + 1);
    const reached = nextLink(known.links);
    void stranger.extend(offer.encoded);
    expect((await reached).peer).toBe(relay.identity.nodeId);
    const other = await Stranger.at(relay);
    expect(await other.extend(nobody())).toEqual(NOWHERE);
    expect(bystander.knocks).toBe(1);
  });
});

describe('what a relay grants a next hop at first', () => {
  it('is small once it carries its maximum: thousands of circuits do not take all its memory', async () => {
    const relay = await startRelay();
    const accomplice = await nodes.start();
    const offer = offerOf(accomplice.identity, { addresses: accomplice.addresses });
    const circuits = MAX_CARRIED_BYTES / CIRCUIT_WINDOW + 20;
    let [created, granted] = [0, 0];
    const all = new Promise<void>((resolve) => {
      accomplice.links.onLink((link) => {
        for (const type of [FrameType.OFFERS_WANTED, FrameType.GRANT, FrameType.DESTROY] as const) {
          link.handle(type, () => {});
        }
        link.handle(FrameType.CREATE, (_id, payload) => {
          created += 1;
          granted += decodeCreate(payload).grant;
          if (created === circuits) resolve();
        });
      });
    });
    const strangers = await Promise.all(
      Array.from({ length: Math.ceil(circuits / MAX_CREATES_PER_SECOND_AND_LINK) }, () => Stranger.at(relay)),
    );
    for (let i = 0; i < circuits; i += 1) {
      void strangers[i % strangers.length]?.extend(offer.encoded, CIRCUIT_WINDOW);
    }
    await all;
    expect(granted).toBeLessThanOrEqual(MAX_CARRIED_BYTES + circuits * QUIET_GRANT);
    expect(granted).toBeGreaterThan(MAX_CARRIED_BYTES - 2 * circuits * QUIET_GRANT);
  });
});
