/** What a peer can bill, take or leave behind: never more than it was granted, and never more than one window. */
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { QUIET_GRANT, SMALLEST_FRAME_BYTES, STACK_BYTES, STRANGER_WINDOW } from '../../../core/limits.ts';
import type { RelaymintError } from '../../../core/errors.ts';
import { MIB, pricePerMiB } from '../../../core/units.ts';
import type { Circuit } from '../../../node/circuit/index.ts';
import type { SignedOffer } from '../../../node/offer/index.ts';
import { FRAME_HEADER_BYTES, FrameType } from '../../../node/link/index.ts';
import type { Link } from '../../../node/link/index.ts';
import type { LinkMeter, Metering } from '../../../node/meter/index.ts';
import {
  PRICE,
  TestNet,
  eachMeter,
  eventually,
  hashOf,
  patternHash,
  readAll,
  sendPattern,
  serveEcho,
  u32,
} from './net.ts';
import type { TestNode } from './net.ts';

const NOTHING = Buffer.alloc(0);
const LARGE_FRAME = FRAME_HEADER_BYTES + 60 * 1024 + STACK_BYTES;
/** What a stranger may owe in the test network: a MiB of four hops at PRICE. */
const WINDOW = 4n * PRICE * (BigInt(STRANGER_WINDOW) >> 20n);

let net: TestNet;
beforeEach(() => {
  net = new TestNet({ metered: true });
});
afterEach(() => net.close());

function believing(offer: SignedOffer, price: bigint): SignedOffer {
  return { ...offer, services: offer.services.map(({ name }) => ({ name, price: pricePerMiB(price) })) };
}

function linkBetween(from: TestNode, to: TestNode): Link {
  const link = from.links.get(to.id);
  if (link === undefined) throw new Error('no link');
  return link;
}

/** From now on the node says nothing of this type on the link. */
function silence(link: Link, type: FrameType): void {
  const send = link.sendFrame.bind(link);
  link.sendFrame = (frame, frameType, circuit) => {
    if (frameType !== type) send(frame, frameType, circuit);
  };
}

/** Resolves when the node says something of this type on the link. */
function saying(link: Link, type: FrameType): Promise<void> {
  const send = link.send.bind(link);
  return new Promise((resolve) => {
    link.send = (said, circuit, payload) => {
      send(said, circuit, payload);
      if (said === type) resolve();
    };
  });
}

/** What meters a node attached, the newest last. */
function watching(): { readonly meters: LinkMeter[]; readonly wrapMetering: (metering: Metering) => Metering } {
  const meters: LinkMeter[] = [];
  return { meters, wrapMetering: eachMeter((meter) => void meters.push(meter)) };
}

/** Whole base units of a numerator. */
function whole(numerator = 0n): bigint {
  return numerator >> 20n;
}

function paid(node: TestNode): bigint {
  return sum(node, 'payer');
}

function earned(node: TestNode): bigint {
  return sum(node, 'payee');
}

function sum(node: TestNode, role: 'payer' | 'payee'): bigint {
  let total = 0n;
  for (const pair of node.book.peers() ?? []) if (pair.role === role) total += pair.signed;
  return total;
}

/** Sends RELAY frames on a circuit as fast as the link takes them, until it closes or there were enough. @returns bytes sent. */
async function flood(link: Link, circuit: number, bytes: number): Promise<number> {
  let sent = 0;
  while (sent < bytes && link.isOpen) {
    if (link.queuedBytes < 1 << 20) {
      link.sendFrame(link.allocFrame(LARGE_FRAME - FRAME_HEADER_BYTES), FrameType.RELAY, circuit);
      sent += LARGE_FRAME;
    }
    await new Promise(setImmediate);
  }
  return sent;
}

describe('a payee that bills', () => {
  it('on a circuit that its payer destroyed: gets no more than it was granted, and loses its link', async () => {
    const { client, relays, host, offers } = await net.path(1);
    const [relay] = relays as [TestNode];
    const circuit = await client.endpoint.createCircuit(offers, { service: 'echo' });
    const link = linkBetween(host, relay);
    silence(link, FrameType.DESTROY);
    circuit.destroy();
    await eventually(() => relay.endpoint.stats().destroyed['FINISHED']).toBe(1);
    const before = { pays: paid(relay), earns: earned(relay) };
    const sent = await flood(link, 1, 16 * 1024 * 1024);
    expect(sent).toBeGreaterThan(LARGE_FRAME);
    expect(await link.closed).toMatchObject({ code: 'GRANT_EXCEEDED' });
    relay.metering.flush();
    expect(paid(relay) - before.pays).toBeLessThanOrEqual((BigInt(QUIET_GRANT) * PRICE) >> 20n);
    expect(paid(relay) - before.pays).toBeLessThanOrEqual(earned(relay) - before.earns + WINDOW);
  });

  it('frames beyond its grant on a circuit in use: they are not counted, and the link closes', async () => {
    const { client, host, offers } = await net.path(0);
    await client.endpoint.createCircuit(offers, { service: 'echo' });
    const counted = client.book.peers()[0]?.down;
    const link = linkBetween(host, client);
    const frames = Math.floor(QUIET_GRANT / SMALLEST_FRAME_BYTES) + 1;
    for (let i = 0; i < frames; i += 1) link.sendFrame(link.allocFrame(SMALLEST_FRAME_BYTES - 8), FrameType.RELAY, 1);
    expect(await link.closed).toMatchObject({ code: 'GRANT_EXCEEDED' });
    expect((client.book.peers()[0]?.down ?? 0n) - (counted ?? 0n)).toBeLessThanOrEqual(BigInt(QUIET_GRANT));
  });

  it.each([
    ['CREATED', FrameType.CREATED, 64],
    ['NOTICE', FrameType.NOTICE, 1],
    ['a long DESTROY', FrameType.DESTROY, 129],
    ['RELAY frames smaller than any cell', FrameType.RELAY, 16],
  ])('%s, which needs no grant, again and again: the link closes', async (_what, type, length) => {
    const { client, host, offers } = await net.path(0);
    const circuit = await client.endpoint.createCircuit(offers, { service: 'echo' });
    const link = linkBetween(host, client);
    for (let i = 0; i < 3; i += 1) link.send(type, 1, Buffer.alloc(length, 7));
    expect(await link.closed).toMatchObject({ code: 'PROTOCOL_VIOLATION' });
    await circuit.closed;
  });
});

describe('a peer that never answers DESTROY', () => {
  it('loses its link, and its circuits with it', async () => {
    const client = await net.node({ relayPrice: undefined, timing: { destroySilenceMillis: 20 } });
    const { offers, host } = await net.path(0);
    const circuit = await client.endpoint.createCircuit(offers, { service: 'echo' });
    const link = linkBetween(host, client);
    silence(link, FrameType.DESTROY);
    circuit.destroy();
    expect(await link.closed).toMatchObject({ code: 'PROTOCOL_VIOLATION' });
    expect(client.endpoint.stats().initiated).toBe(0);
  });

  it('behind honest relays costs only its own neighbour the link', async () => {
    const patient = { timing: { destroySilenceMillis: 100 } };
    const relays = [await net.node(patient), await net.node(patient)] as const;
    const { client, host } = await net.path(0);
    const circuit = await client.endpoint.createCircuit(
      [...relays, host].map((node) => node.offer),
      {
        service: 'echo',
      },
    );
    const bad = linkBetween(host, relays[1]);
    silence(bad, FrameType.DESTROY);
    circuit.destroy();
    await bad.closed;
    await eventually(() => relays.map((relay) => relay.endpoint.stats().joined)).toEqual([0, 0]);
    expect([linkBetween(client, relays[0]).isOpen, linkBetween(relays[0], relays[1]).isOpen]).toEqual([true, true]);
  });
});

describe('an accomplice behind a relay', () => {
  it('at a dear price: the relay pays on no more than it earned and the window of the stranger that asked for it', async () => {
    const accomplice = await net.node({ relayPrice: undefined, services: { echo: 3n * PRICE } });
    accomplice.endpoint.register('echo', { price: PRICE }, (stream) => stream.pipe(stream));
    const { relays } = await net.path(1);
    const [relay] = relays as [TestNode];
    for (let round = 0; round < 4; round += 1) {
      const stranger = await net.node({ relayPrice: undefined });
      const circuits = await Promise.all(
        Array.from({ length: 8 }, () =>
          stranger.endpoint.createCircuit([relay.offer, accomplice.offer], { service: 'echo' }),
        ),
      );
      const before = { pays: paid(relay), earns: earned(relay) };
      const link = linkBetween(accomplice, relay);
      const toRelay = linkBetween(stranger, relay);
      // The stranger asks for much, takes nothing, signs nothing more, and is gone.
      silence(toRelay, FrameType.RELAY);
      const streams = circuits.map((circuit) => circuit.openStream('echo', NOTHING).catch(() => undefined));
      await toRelay.close();
      await Promise.all(streams);
      const ids = circuits.map((_circuit, index) => 2 * (8 * round + index) + 1);
      for (const id of ids) for (let i = 0; i < 14; i += 1) link.send(FrameType.RELAY, id, Buffer.alloc(1040));
      await eventually(() => relay.endpoint.stats().joined).toBe(0);
      relay.metering.flush();
      expect(paid(relay) - before.pays).toBeLessThanOrEqual(earned(relay) - before.earns + WINDOW);
      await stranger.close();
      if (!link.isOpen) break;
    }
  });

  it('too dear for the window: the circuit is refused, and nobody else is harmed', async () => {
    const { client, relays, host, offers } = await net.path(1);
    const [relay] = relays as [TestNode];
    const good = await client.endpoint.createCircuit(offers, { service: 'source' });
    const other = await net.node({ relayPrice: undefined });
    await expect(
      other.endpoint.createCircuit([relay.offer, believing(host.offer, 100n * PRICE)], { service: 'source' }),
    ).rejects.toMatchObject({ code: 'WINDOW_EXHAUSTED' });
    const stream = await good.openStream('source', u32(3_000_000));
    expect(await hashOf(stream)).toBe(patternHash(3_000_000));
  });
});

describe('a stranger who has a relay open channels to accomplices', () => {
  /** A fee more than what the stranger burned, as on chain: two are within three times that, and three are not. */
  const openingCost = WINDOW + PRICE / 2n;
  const costly = { openingCost };

  async function puppets(count: number): Promise<TestNode[]> {
    return Promise.all(
      Array.from({ length: count }, async () => {
        const puppet = await net.node({ relayPrice: undefined, services: { source: PRICE } });
        serveEcho(puppet);
        return puppet;
      }),
    );
  }

  /** Extends to each of them, one after another or all at once. @returns the word of each refusal, 'built' for none. */
  async function extendTo(stranger: TestNode, relay: TestNode, targets: readonly TestNode[]): Promise<string[]> {
    const results = await Promise.allSettled(
      targets.map(async ({ offer }) => {
        await stranger.endpoint.createCircuit([relay.offer, offer], { service: 'source' });
      }),
    );
    return results.map((result) =>
      result.status === 'fulfilled'
        ? 'built'
        : `${String(Reflect.get(result.reason as object, 'code'))} ${String((result.reason as RelaymintError).details['reason'])}`,
    );
  }

  const opened = (relay: TestNode): number =>
    [...net.ledger.channels.values()].filter(({ payer }) => payer === relay.wallet).length;

  it('costs it no more than three times what the stranger burned, and the refused circuit ends alone', async () => {
    const relay = await net.node(costly);
    const [one, two, three] = (await puppets(3)) as [TestNode, TestNode, TestNode];
    const stranger = await net.node({ relayPrice: undefined });
    expect(await extendTo(stranger, relay, [one])).toEqual(['built']);
    const good = await stranger.endpoint.createCircuit([relay.offer, one.offer], { service: 'source' });
    expect(await extendTo(stranger, relay, [two])).toEqual(['built']);
    expect(await extendTo(stranger, relay, [three])).toEqual(['CIRCUIT_REFUSED SETUP']);
    expect(await extendTo(stranger, relay, [three])).toEqual(['CIRCUIT_REFUSED SETUP']);
    expect(opened(relay)).toBe(2);
    const stream = await good.openStream('source', u32(300_000));
    expect(await hashOf(stream)).toBe(patternHash(300_000));
    // Whoever did not use up its own has it opened; then it is there for all.
    const other = await net.node({ relayPrice: undefined });
    expect(await extendTo(other, relay, [three])).toEqual(['built']);
    expect(await extendTo(stranger, relay, [three])).toEqual(['built']);
    expect(opened(relay)).toBe(3);
  });

  it('all at the same time costs it no more', async () => {
    const relay = await net.node(costly);
    const stranger = await net.node({ relayPrice: undefined });
    const answers = await extendTo(stranger, relay, await puppets(6));
    expect(answers.toSorted()).toEqual([...Array.from({ length: 4 }, () => 'CIRCUIT_REFUSED SETUP'), 'built', 'built']);
    expect(opened(relay)).toBe(2);
  });

  it('costs a relay no more that was restarted, and after a new channel of the same wallet', async () => {
    let relay = await net.node(costly);
    const [one, two, three] = (await puppets(3)) as [TestNode, TestNode, TestNode];
    let stranger = await net.node({ relayPrice: undefined });
    expect(await extendTo(stranger, relay, [one, two])).toEqual(['built', 'built']);
    relay = await net.restart(relay);
    expect(await extendTo(stranger, relay, [three])).toEqual(['CIRCUIT_REFUSED SETUP']);
    const channel = net.ledger.find(stranger.wallet, relay.wallet);
    if (channel === undefined) throw new Error('no channel');
    net.ledger.channels.delete(`${channel.till}/${channel.slot}`);
    relay.book.forget(channel);
    stranger = await net.restart(stranger);
    expect(await extendTo(stranger, relay, [three])).toEqual(['CIRCUIT_REFUSED SETUP']);
    expect(net.ledger.find(stranger.wallet, relay.wallet)?.id).not.toBe(channel.id);
    expect(opened(relay)).toBe(2);
  });

  it('costs nobody who waits for the same channel: whoever can have it opened does', async () => {
    const relay = await net.node(costly);
    const [one, two, three] = (await puppets(3)) as [TestNode, TestNode, TestNode];
    const poor = await net.node({ relayPrice: undefined });
    const rich = await net.node({ relayPrice: undefined });
    expect(await extendTo(poor, relay, [one, two])).toEqual(['built', 'built']);
    expect(await extendTo(rich, relay, [one])).toEqual(['built']);
    const answers = await Promise.all(
      [poor, rich, poor, rich, poor].map((stranger) => extendTo(stranger, relay, [three])),
    );
    expect([answers[1], answers[3]]).toEqual([['built'], ['built']]);
    expect(opened(relay)).toBe(3);
    expect(relay.book.advancedTo(rich.wallet)).toBe(openingCost);
    expect(relay.book.advancedTo(poor.wallet)).toBe(2n * openingCost);
  });

  it('may have another opened once the relay kept as much of its circuits, beyond what it may leave unpaid', async () => {
    const relay = await net.node(costly);
    const [one, two, three] = (await puppets(3)) as [TestNode, TestNode, TestNode];
    const stranger = await net.node({ relayPrice: undefined });
    expect(await extendTo(stranger, relay, [one, two])).toEqual(['built', 'built']);
    const advanced = (): bigint | undefined => relay.book.advancedTo(stranger.wallet);
    const circuit = await stranger.endpoint.createCircuit([relay.offer, one.offer], { service: 'source' });
    const fetch = async (mebibytes: number): Promise<void> => {
      const stream = await circuit.openStream('source', u32(mebibytes * MIB));
      expect(await hashOf(stream)).toBe(patternHash(mebibytes * MIB));
    };
    // It keeps PRICE for each MiB. As much as the stranger burned counts for nothing.
    await fetch(3);
    expect(advanced()).toBe(2n * openingCost);
    expect(await extendTo(stranger, relay, [three])).toEqual(['CIRCUIT_REFUSED SETUP']);
    await fetch(5);
    circuit.destroy();
    await eventually(() => relay.endpoint.stats().relayed).toBe(2);
    expect(advanced()).toBeLessThanOrEqual(2n * openingCost - 4n * PRICE);
    expect(advanced()).toBeGreaterThan(2n * openingCost - 5n * PRICE);
    expect(await extendTo(stranger, relay, [three])).toEqual(['built']);
  });
});

describe('a host that ends a circuit', () => {
  it('is answered and paid by the relay before the hop before that is told', async () => {
    const order: string[] = [];
    const wrapMetering = eachMeter((meter) => {
      const rest = meter.rest.bind(meter);
      const sentDown = meter.sentDown.bind(meter);
      meter.rest = () => {
        order.push('paid');
        rest();
      };
      meter.sentDown = (bytes, price) => {
        order.push('told');
        sentDown(bytes, price);
      };
    });
    const { client, host } = await net.path(0);
    const relay = await net.node({ wrapMetering });
    const circuit = await client.endpoint.createCircuit([relay.offer, host.offer], { service: 'echo' });
    await circuit.rttMillis();
    order.length = 0;
    await host.endpoint.close();
    await circuit.closed;
    expect(order.slice(0, 2)).toEqual(['paid', 'told']);
  });
});

describe('a reader that leaves', () => {
  it('pays for what was on its way when it ends the circuit', async () => {
    const { client, relays, host, offers } = await net.path(2);
    const circuit = await client.endpoint.createCircuit(offers, { service: 'source' });
    const stream = await circuit.openStream('source', u32(64 * 1024 * 1024));
    await once(stream, 'readable');
    circuit.destroy();
    await eventually(() => [...relays, host].map((node) => node.endpoint.stats().joined)).toEqual([0, 0, 0]);
    for (const node of [client, ...relays]) await eventually(() => node.endpoint.stats().queuedBytes).toBe(0);
    const losses = (): bigint[] => {
      for (const node of [client, ...relays]) node.metering.flush();
      return relays.map((relay) => paid(relay) - earned(relay)).filter((loss) => loss > 0n);
    };
    await eventually(losses).toEqual([]);
    expect(earned(host)).toBeGreaterThan(0n);
  });

  it('with its link owes it: the relay is never out of pocket by more than the window', async () => {
    const { relays, host } = await net.path(1);
    const [relay] = relays as [TestNode];
    const client = await net.node({ relayPrice: undefined });
    for (let round = 0; round < 3; round += 1) {
      const circuit = await client.endpoint.createCircuit([relay.offer, host.offer], { service: 'source' });
      const stream = await circuit.openStream('source', u32(64 * 1024 * 1024));
      await once(stream, 'readable');
      await linkBetween(client, relay).close();
      await circuit.closed;
      await eventually(() => relay.endpoint.stats().queuedBytes).toBe(0);
      relay.metering.flush();
      expect(paid(relay) - earned(relay)).toBeLessThanOrEqual(WINDOW);
    }
  });

  it('with its link owes nothing for what had been written to it: its window is not used up by what it paid for', async () => {
    const { client, relays, offers } = await net.path(2);
    const [relay] = relays as [TestNode];
    for (let round = 0; round < 2; round += 1) {
      const circuit = await client.endpoint.createCircuit(offers, { service: 'source' });
      const stream = await circuit.openStream('source', u32(6 * MIB));
      // Worth more than the window.
      expect(await hashOf(stream)).toBe(patternHash(6 * MIB));
      await linkBetween(client, relay).close();
      await circuit.closed;
      await eventually(() => relay.endpoint.stats().joined).toBe(0);
    }
    await expect(client.endpoint.createCircuit(offers, { service: 'source' })).resolves.toMatchObject({ isOpen: true });
  });
});

describe('a window', () => {
  it('is widened on a link in use, once much was paid: both ends reckon with it', async () => {
    const [payers, payees] = [watching(), watching()];
    const client = await net.node({ relayPrice: undefined, widens: true, ...payers });
    const host = await net.node({ relayPrice: undefined, services: { source: PRICE }, ...payees });
    serveEcho(host);
    const dear = believing(host.offer, 16n * PRICE);
    const circuit = await client.endpoint.createCircuit([dear], { service: 'source' });
    const stream = await circuit.openStream('source', u32(20 << 20));
    expect(await hashOf(stream)).toBe(patternHash(20 << 20));
    circuit.destroy();
    // It paid 320,000: more than 32 times what it burned first, and more than that twice.
    expect(net.ledger.find(client.wallet, host.wallet)?.opening).toBe(4n * WINDOW);
    await eventually(() => whole(payers.meters[0]?.mayOwe)).toBe(4n * WINDOW - 1n);
    await eventually(() => whole(payees.meters[0]?.sponsor.room)).toBe(3n * WINDOW - 1n);
    expect(earned(host)).toBe(paid(client));
  });

  it('is no wider for who says that it burned more, and looked at once a second however often it says so', async () => {
    const payees = watching();
    const { client, host, offers } = await net.path(0, payees);
    const circuit = await client.endpoint.createCircuit(offers, { service: 'echo' });
    const before = { room: payees.meters[0]?.sponsor.room, reads: net.ledger.reads };
    const link = linkBetween(client, host);
    for (let said = 0; said < 500; said += 1) link.send(FrameType.WIDEN, 0, NOTHING);
    await circuit.rttMillis();
    expect(net.ledger.reads).toBe(before.reads + 1);
    expect(whole(payees.meters[0]?.sponsor.room)).toBeLessThanOrEqual(whole(before.room));
  });

  it('is no wider for a payee that says so than what its payer burned', async () => {
    const payers = watching();
    const client = await net.node({ relayPrice: undefined, ...payers });
    const host = await net.node({ relayPrice: undefined, services: { echo: PRICE } });
    serveEcho(host);
    const circuit = await client.endpoint.createCircuit([host.offer], { service: 'echo' });
    const wide = Buffer.alloc(8);
    wide.writeBigUInt64LE(1_000_000n * WINDOW);
    linkBetween(host, client).send(FrameType.WIDEN, 0, wide);
    await circuit.rttMillis();
    expect(whole(payers.meters[0]?.mayOwe)).toBeLessThanOrEqual(WINDOW);
  });
});

describe('a sender', () => {
  it('gives back what it does not use, so that quiet circuits do not hold the window of busy ones', async () => {
    const quick = { timing: { grantIdleMillis: 50 } };
    const { client, relays, offers } = await net.path(1, quick);
    const [relay] = relays as [TestNode];
    // Each of these is granted hundreds of KiB, uses a little of it, and rests.
    for (let index = 0; index < 24; index += 1) {
      const circuit = await client.endpoint.createCircuit(offers, { service: 'echo' });
      const stream = await circuit.openStream('echo', NOTHING);
      stream.end('a little');
      expect((await readAll(stream)).toString()).toBe('a little');
    }
    expect(relay.endpoint.stats().relayed).toBe(24);
    const busy = await client.endpoint.createCircuit(offers, { service: 'source' });
    const stream = await busy.openStream('source', u32(5_000_000));
    expect(await hashOf(stream)).toBe(patternHash(5_000_000));
  });

  it('goes on after it gave back a large grant', async () => {
    const { client, relays, host, offers } = await net.path(3);
    const circuit = await client.endpoint.createCircuit(offers, { service: 'echo' });
    const upload = await circuit.openStream('sink', NOTHING);
    await sendPattern(upload, 8 << 20);
    expect((await readAll(upload)).toString()).toBe(patternHash(8 << 20));
    const stream = await circuit.openStream('echo', NOTHING);
    const exchange = async (count: number): Promise<void> => {
      for (let sent = 0; sent < count; sent += 1) {
        stream.write('a word');
        await once(stream, 'data');
      }
    };
    const returned = saying(linkBetween(relays[2] as TestNode, host), FrameType.RETURN);
    await exchange(700);
    await returned;
    await exchange(100);
  });

  it('keeps two small frames of an idle circuit, so that a window holds hundreds of them, and still pushes to it', async () => {
    const payees = watching();
    const client = await net.node({ relayPrice: undefined });
    const relay = await net.node(payees);
    const timing = { grantIdleMillis: 20 };
    const host = await net.node({ relayPrice: undefined, services: { push: PRICE }, timing });
    const pushed: Duplex[] = [];
    host.endpoint.register('push', { price: PRICE }, (stream) => void pushed.push(stream));
    const streams: Duplex[] = [];
    for (let index = 0; index < 60; index += 1) {
      const circuit = await client.endpoint.createCircuit([relay.offer, host.offer], { service: 'push' });
      streams.push(await circuit.openStream('push', NOTHING));
    }
    // Of the three quarters of the window that may be granted, each holds 2,304 bytes at twice PRICE and a little.
    const [meter] = payees.meters;
    await eventually(() => whole(meter?.sponsor.room)).toBeGreaterThan((3n * WINDOW) / 4n - 60n * 5n);
    const answers = streams.map(readAll);
    for (const stream of pushed) stream.end(Buffer.alloc(40_000, 7));
    for (const answer of await Promise.all(answers)) expect(answer.length).toBe(40_000);
  });

  it('without a grant for its largest cell makes do with smaller ones', async () => {
    const { client, offers } = await net.path(3);
    const circuits = await Promise.all(
      Array.from({ length: 6 }, () => client.endpoint.createCircuit(offers, { service: 'source' })),
    );
    const hashes = await Promise.all(
      circuits.map(async (circuit) => hashOf(await circuit.openStream('source', u32(1_500_000)))),
    );
    expect(hashes).toEqual(circuits.map(() => patternHash(1_500_000)));
  });

  it('gets on however many wait for a window that is too small for all of them', async () => {
    const { client, host, offers } = await net.path(0, { timing: { grantIdleMillis: 50 } });
    // Four of the largest frames: less than LEAST_GRANT for each of so many.
    net.ledger.openings.set(host.wallet, PRICE / 4n);
    const circuits: Circuit[] = [];
    const build = async (): Promise<number> =>
      circuits.push(await client.endpoint.createCircuit(offers, { service: 'source' }));
    // So many at once are refused: then a little later.
    while (circuits.length < 150) await eventually(build).toBeGreaterThan(0);
    const read = async (circuit: Circuit): Promise<string> => {
      const hash = await hashOf(await circuit.openStream('source', u32(20_000)));
      circuit.destroy();
      return hash;
    };
    expect(new Set(await Promise.all(circuits.map(read)))).toEqual(new Set([patternHash(20_000)]));
  }, 60_000);
});
