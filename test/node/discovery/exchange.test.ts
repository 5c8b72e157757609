import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import * as fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { RelaymintError, isRelaymintError } from '../../../core/errors.ts';
import { ledgerAddress, type LedgerAddress, type NodeId } from '../../../core/ids.ts';
import {
  MAX_OFFERS_PER_ANSWER,
  MAX_OFFER_BYTES,
  MAX_OFFER_QUESTIONS_PER_SECOND,
  OFFER_BURST_BYTES,
  OFFER_CHECKS_AT_ONCE,
  OFFER_CHECKS_PER_SECOND,
  OFFER_BYTES_PER_SECOND,
} from '../../../core/limits.ts';
import { silentLog, systemClock } from '../../../core/ports.ts';
import { unixMillis } from '../../../core/units.ts';
import {
  createDiscovery,
  createOfferBook,
  type Discovery,
  type DiscoveryOptions,
} from '../../../node/discovery/index.ts';
import { decodeAnswer, decodeQuestion, encodeAnswer, encodeQuestion } from '../../../node/discovery/messages.ts';
import { FrameType, type Link } from '../../../node/link/index.ts';
import { TestNodes, linkBetween, newIdentity, nextLink, offerOf, thrownBy, type TestNode } from '../link/nodes.ts';

const nodes = new TestNodes();
const running: Discovery[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(running.splice(0).map((discovery) => discovery.close()));
  await nodes.close();
});

interface KnownNode extends TestNode {
  readonly discovery: Discovery;
}

async function start(options: Partial<DiscoveryOptions> = {}, advertised = true): Promise<KnownNode> {
  const identity = newIdentity();
  const offer = advertised ? { offer: offerOf(identity) } : {};
  const node = await nodes.start({ identity, transport: 'memory', ...offer });
  const book = createOfferBook({ clock: systemClock });
  const discovery = createDiscovery({ links: node.links, book, clock: systemClock, log: silentLog, ...options });
  running.push(discovery);
  return { ...node, discovery };
}

function at(node: TestNode): { nodeId: TestNode['identity']['nodeId']; address: string } {
  return { nodeId: node.identity.nodeId, address: node.addresses[0] as string };
}

function newWallet(): LedgerAddress {
  return ledgerAddress(newIdentity().publicKey);
}

describe('discovery', () => {
  it('learns of nodes it has no link to, and of its neighbours from their hello', async () => {
    const hub = await start();
    const left = await start({ bootstrap: [at(hub)] });
    await left.discovery.refresh();
    const right = await start({ bootstrap: [at(hub)] });
    expect(await right.discovery.refresh()).toBe(1);
    const known = right.discovery.book.all().map((offer) => offer.nodeId);
    expect(known.sort()).toEqual([hub.identity.nodeId, left.identity.nodeId].sort());
    expect(right.discovery.book.get(right.identity.nodeId)).toBeUndefined();
    expect(right.links.links().length).toBe(1);
    await left.discovery.refresh();
    expect(left.discovery.book.get(right.identity.nodeId)?.encoded).toEqual(
      hub.discovery.book.get(right.identity.nodeId)?.encoded,
    );
  });

  it("reports a higher sequence of our own offers that others know, and of nobody else's", async () => {
    const hub = await start();
    const identity = newIdentity();
    const [ahead, stranger] = [offerOf(identity, { sequence: 900n }), offerOf(newIdentity(), { sequence: 1000n })];
    for (const offer of [ahead, stranger]) hub.discovery.book.add(offer);
    const heard: bigint[] = [];
    const node = await nodes.start({ identity, transport: 'memory' });
    const discovery = createDiscovery({
      links: node.links,
      book: createOfferBook({ clock: systemClock }),
      clock: systemClock,
      log: silentLog,
      bootstrap: [at(hub)],
      onOwnSequence: (sequence) => heard.push(sequence),
    });
    running.push(discovery);
    await discovery.refresh();
    await discovery.refresh();
    expect(heard).toEqual([900n]);
    expect(discovery.book.get(identity.nodeId)).toBeUndefined();
    node.links.setOffer(offerOf(identity, { sequence: 901n }));
    await expect.poll(() => hub.discovery.book.get(identity.nodeId)?.sequence).toBe(901n);
  });

  it('reads a book of many pages', async () => {
    const hub = await start();
    for (let i = 0; i < 300; i += 1) hub.discovery.book.add(offerOf(newIdentity()));
    const reader = await start({ bootstrap: [at(hub)] }, false);
    await reader.discovery.refresh();
    expect(reader.discovery.book.size).toBe(301);
  });

  it('tells a peer one whole book for free, and not one after another', async () => {
    const hub = await start();
    const [page, big] = [15, Array.from({ length: 8 }, (_, index) => `/dns4/${'x'.repeat(60)}${index}.test/tcp/4001`)];
    for (let i = 0; i < 2 * page; i += 1) hub.discovery.book.add(offerOf(newIdentity(), { addresses: big }));
    const reader = await nodes.start({ transport: 'memory' });
    const { near: link } = await linkBetween(reader, hub);
    let [told, empty] = [0, 0];
    const answered = new Promise<void>((resolve) => {
      link.handle(FrameType.OFFERS, (_id, payload) => {
        told += payload.length;
        if (decodeAnswer(payload).offers.length === 0) empty += 1;
        if (empty > 3) resolve();
        else ask();
      });
    });
    const began = performance.now();
    let now = began;
    vi.spyOn(performance, 'now').mockImplementation(() => now);
    // As often as a peer may ask.
    const ask = (): void => {
      now += 1000 / (MAX_OFFER_QUESTIONS_PER_SECOND - 1);
      link.send(FrameType.OFFERS_WANTED, 0, encodeQuestion({ count: page, after: undefined }));
    };
    ask();
    await answered;
    vi.restoreAllMocks();
    const seconds = (now - began) / 1000;
    expect(told).toBeLessThanOrEqual(OFFER_BURST_BYTES + (seconds + 1) * OFFER_BYTES_PER_SECOND);
    expect(told).toBeGreaterThan(OFFER_BURST_BYTES / 2);
  }, 60_000);

  it('asks by itself, again and again', async () => {
    const hub = await start();
    const reader = await start({ bootstrap: [at(hub)], intervalMillis: 20 }, false);
    await reader.discovery.refresh();
    const late = offerOf(newIdentity());
    const heard = new Promise((resolve) => reader.discovery.book.onOffer(resolve));
    hub.discovery.book.add(late);
    expect(await heard).toEqual(late);
  });

  it('links again to a bootstrap peer whose link ended, before the next round', async () => {
    const hub = await start();
    const first = nextLink(hub.links);
    await start({ bootstrap: [at(hub)], redials: true });
    const link = await first;
    const again = nextLink(hub.links);
    await link.close();
    expect((await again).isOpen).toBe(true);
  });

  it('is not closed before a dial to a bootstrap peer has ended', async () => {
    const hub = await start();
    const first = nextLink(hub.links);
    const reader = await start({ bootstrap: [at(hub)], redials: true });
    const link = await first;
    await reader.discovery.refresh();
    const connect = reader.links.connect.bind(reader.links);
    const events = new EventEmitter();
    const dialled = once(events, 'dial');
    vi.spyOn(reader.links, 'connect').mockImplementation(async (...where) => {
      const goOn = once(events, 'go on');
      events.emit('dial');
      await goOn;
      return connect(...where);
    });
    await link.close();
    await dialled;
    let closed = false;
    const closing = reader.discovery.close().then(() => (closed = true));
    await setImmediate();
    expect(closed).toBe(false);
    events.emit('go on');
    await closing;
  });

  it('of a node with another identity on each link waits for the next round: the moment would give away that it is one node', async () => {
    const hub = await start();
    const first = nextLink(hub.links);
    const reader = await start({ bootstrap: [at(hub)] }, false);
    const link = await first;
    const dials = vi.spyOn(reader.links, 'connect');
    const near = reader.links.get(hub.identity.nodeId);
    // The next round is 45 s away, or more.
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    try {
      await link.close();
      expect(await near?.closed).toBeUndefined();
      await vi.advanceTimersByTimeAsync(40_000);
      expect(dials).not.toHaveBeenCalled();
    } finally {
      vi.useRealTimers();
    }
  });

  it.each([
    ['a direct address', '/ip4/127.0.0.1/tcp/1', 12_500],
    ['an address of Tor', `/onion3/${'a'.repeat(55)}d:1`, 75_000],
  ])('dials a bootstrap peer that is away for long at %s again and again', async (_where, address, most) => {
    const reader = await start({}, false);
    const { links } = reader;
    const dials = vi.spyOn(links, 'connect').mockRejectedValue(new RelaymintError('CLOSED', 'Nobody is there.'));
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const parts = { links, clock: systemClock, log: silentLog, book: reader.discovery.book };
    const away = createDiscovery({ ...parts, bootstrap: [{ nodeId: newIdentity().nodeId, address }], redials: true });
    try {
      const pauses: number[] = [];
      for (let [at, last, seen] = [0, 0, 0]; at < 600_000; at += 500) {
        await vi.advanceTimersByTimeAsync(500);
        if (dials.mock.calls.length > seen) {
          pauses.push(at - last);
          [last, seen] = [at, dials.mock.calls.length];
        }
      }
      expect(Math.max(...pauses)).toBeLessThanOrEqual(most);
      expect(Math.max(...pauses)).toBeGreaterThan(most / 2);
    } finally {
      vi.useRealTimers();
      await away.close();
    }
  });

  it('links to a bootstrap peer that comes later, and asks it at once', async () => {
    const identity = newIdentity();
    const address = '/memory/later';
    const reader = await start({ bootstrap: [{ nodeId: identity.nodeId, address }], redials: true });
    await reader.discovery.refresh();
    const heard = new Promise((resolve) => reader.discovery.book.onOffer(resolve));
    await nodes.start({ identity, address, offer: offerOf(identity) });
    expect(await heard).toMatchObject({ nodeId: identity.nodeId });
  });

  it('asks a peer one question at a time, whoever wants to know', async () => {
    const identity = newIdentity();
    const hub = await nodes.start({ identity, transport: 'memory', offer: offerOf(identity) });
    const bootstrap = [{ nodeId: identity.nodeId, address: hub.addresses[0] as string }];
    const events = new EventEmitter();
    let waiting = 0;
    let most = 0;
    hub.links.onLink((link) => {
      link.handle(FrameType.OFFERS_WANTED, () => {
        waiting += 1;
        most = Math.max(most, waiting);
        events.emit('asked', link);
      });
    });
    const firstAsked = once(events, 'asked') as Promise<[Link]>;
    const reader = await start({ bootstrap, redials: true }, false);
    const [first] = await firstAsked;
    waiting = 0;
    // It links again by itself, and asks at once.
    const askedAgain = once(events, 'asked') as Promise<[Link]>;
    await first.close();
    const [link] = await askedAgain;
    const late = offerOf(newIdentity());
    // Meanwhile the next round begins: what the reader sends for it comes before its answer to a ping.
    const round = reader.discovery.refresh();
    for (let turn = 0; turn < 3; turn += 1) await link.ping();
    expect(most).toBe(1);
    events.on('asked', () => {
      waiting -= 1;
      link.send(FrameType.OFFERS, 0, encodeAnswer([], false));
    });
    waiting -= 1;
    link.send(FrameType.OFFERS, 0, encodeAnswer([late], false));
    expect(await round).toBe(1);
    expect(most).toBe(1);
  });

  it('takes a renewed offer at once', async () => {
    const hub = await start();
    const reader = await start({ bootstrap: [at(hub)] }, false);
    await reader.discovery.refresh();
    const heard = new Promise((resolve) => reader.discovery.book.onOffer(resolve));
    const renewed = offerOf(hub.identity, { sequence: 7n });
    hub.links.setOffer(renewed);
    expect(await heard).toEqual(renewed);
  });

  it('goes on without peers that cannot be reached', async () => {
    const hub = await start();
    const lost = { nodeId: newIdentity().nodeId, address: '/memory/nobody' };
    const reader = await start({ bootstrap: [lost, at(hub), { ...lost, address: '/ip4/192.0.2.1/tcp/1' }] }, false);
    await reader.discovery.refresh();
    expect(reader.discovery.book.size).toBe(1);
  });

  it('refuses tampered, foreign, expired and oversize offers and keeps the good ones', async () => {
    const reader = await start({}, false);
    const liar = await nodes.start({ transport: 'memory' });
    const good = offerOf(newIdentity());
    const tampered = Uint8Array.from(offerOf(newIdentity()).encoded);
    tampered[200] = (tampered[200] ?? 0) ^ 1;
    const own = offerOf(reader.identity);
    liar.links.onLink((link) => {
      link.handle(FrameType.OFFERS_WANTED, () => {
        const offers = [
          tampered,
          new Uint8Array(10),
          new Uint8Array(MAX_OFFER_BYTES).fill(1),
          own.encoded,
          good.encoded,
        ];
        const length = offers.reduce((sum, offer) => sum + 2 + offer.length, 2);
        const payload = Buffer.alloc(length);
        payload[1] = offers.length;
        let at = 2;
        for (const offer of offers) {
          payload.writeUInt16LE(offer.length, at);
          payload.set(offer, at + 2);
          at += 2 + offer.length;
        }
        link.send(FrameType.OFFERS, 0, payload);
      });
    });
    await linkBetween(reader, liar);
    // The first round, before the link, may still be under way: the second one asks.
    await reader.discovery.refresh();
    expect(await reader.discovery.refresh()).toBeLessThanOrEqual(1);
    expect(reader.discovery.book.all()).toEqual([good]);
  });

  it('closes on a peer that answers nonsense or asks too much', async () => {
    const hub = await start();
    const rude = await nodes.start({ transport: 'memory' });
    const { near } = await linkBetween(rude, hub);
    near.send(FrameType.OFFERS, 0, Buffer.of(2, 0));
    expect(await near.closed).toMatchObject({ code: 'INVALID_ENCODING' });
    const { near: again } = await linkBetween(rude, hub);
    for (let i = 0; i < 2 * MAX_OFFER_QUESTIONS_PER_SECOND; i += 1) {
      again.send(FrameType.OFFERS_WANTED, 0, encodeQuestion({ count: 64, after: undefined }));
    }
    expect(await again.closed).toMatchObject({ code: 'FRAME_RATE_EXCEEDED' });
  });

  it('lets a peer that announces nodes without end push nobody else out of the book', async () => {
    const limit = 64;
    const hub = await start();
    const book = createOfferBook({ clock: systemClock, limit });
    const flooded = await start({ bootstrap: [at(hub)], book }, false);
    const liar = await nodes.start({ transport: 'memory' });
    const told = Array.from({ length: 10 }, () =>
      Array.from({ length: 30 }, () => offerOf(newIdentity(), { expires: unixMillis(Date.now() + 24 * 3_600_000) })),
    );
    liar.links.onLink((link) => {
      let page = 0;
      link.handle(FrameType.OFFERS_WANTED, () => {
        link.send(FrameType.OFFERS, 0, encodeAnswer(told[page % told.length] ?? [], true));
        page += 1;
      });
    });
    // It comes first, and fills the book before the honest one has said anything.
    await linkBetween(liar, flooded);
    while (book.size < limit) await flooded.discovery.refresh();
    const honest = Array.from({ length: 30 }, newIdentity);
    for (const node of honest) hub.discovery.book.add(offerOf(node));
    await flooded.discovery.refresh();
    for (const node of honest.slice(0, 15)) hub.discovery.book.add(offerOf(node, { sequence: 2n }));
    await flooded.discovery.refresh();
    await flooded.discovery.refresh();
    expect(honest.filter(({ nodeId }) => book.get(nodeId) !== undefined).length).toBe(30);
    expect(honest.filter(({ nodeId }) => book.get(nodeId)?.sequence === 2n).length).toBe(15);
    expect(book.size).toBe(limit);
  });

  it('gives a share of its own to a peer whose channel was burned for', async () => {
    const payer = await start();
    const book = createOfferBook({ clock: systemClock, limit: 32 });
    const walletOf = (peer: NodeId) => (peer === payer.identity.nodeId ? newWallet() : undefined);
    const node = await start({ book, walletOf }, false);
    for (let i = 0; i < 32; i += 1) book.add(offerOf(newIdentity()), i % 2 === 0 ? 'presented' : 'strangers');
    const known = Array.from({ length: 9 }, newIdentity);
    for (const other of known) payer.discovery.book.add(offerOf(other));
    await linkBetween(payer, node);
    await node.discovery.refresh();
    await node.discovery.refresh();
    for (const { nodeId } of [payer.identity, ...known]) expect(book.get(nodeId)).toBeDefined();
  });

  it('gives a channel one share, however many node ids show it', async () => {
    const displacedBy = async (ids: number): Promise<number> => {
      const [book, wallet] = [createOfferBook({ clock: systemClock, limit: 60 }), newWallet()];
      const node = await start({ book, walletOf: () => wallet }, false);
      const honest = Array.from({ length: 60 }, newIdentity);
      for (const [index, other] of honest.entries())
        book.add(offerOf(other), index % 2 === 0 ? 'presented' : 'strangers');
      for (let id = 0; id < ids; id += 1) {
        const liar = await nodes.start({ transport: 'memory' });
        const told = encodeAnswer(
          Array.from({ length: 25 }, () => offerOf(newIdentity())),
          false,
        );
        liar.links.onLink((link) => {
          link.handle(FrameType.OFFERS_WANTED, () => link.send(FrameType.OFFERS, 0, told));
        });
        await linkBetween(liar, node);
        await node.discovery.refresh();
        await node.discovery.refresh();
        await liar.links.close();
      }
      return honest.filter(({ nodeId }) => book.get(nodeId) === undefined).length;
    };
    expect(await displacedBy(1)).toBe(20);
    expect(await displacedBy(50)).toBe(20);
    // Some thousand signatures: took 12 s on a machine with far more work than processors.
  }, 60_000);

  it.each([
    ['strangers', undefined],
    ['a wallet', newWallet()],
  ])(
    'verifies a bounded number of offers of %s over all links: each costs two signatures',
    async (_who, wallet) => {
      let refused = 0;
      const log = {
        ...silentLog,
        debug: (_details: unknown, text?: string) => void (refused += Number(/refused/.test(text ?? ''))),
      };
      const reader = await start({ log, walletOf: () => wallet }, false);
      const sample = offerOf(newIdentity());
      for (let link = 0; link < 3; link += 1) {
        const liar = await nodes.start({ transport: 'memory' });
        // Each names another node, and none is signed: every one of them would be verified.
        liar.links.onLink((link) => {
          link.handle(FrameType.OFFERS_WANTED, () => {
            const offers = Array.from({ length: 60 }, () => {
              const encoded = Uint8Array.from(sample.encoded);
              encoded.set(randomBytes(32), 1);
              return { ...sample, encoded };
            });
            link.send(FrameType.OFFERS, 0, encodeAnswer(offers, true));
          });
        });
        await linkBetween(liar, reader);
      }
      const began = performance.now();
      await reader.discovery.refresh();
      await reader.discovery.refresh();
      const allowed = OFFER_CHECKS_AT_ONCE + ((performance.now() - began) / 1000 + 1) * OFFER_CHECKS_PER_SECOND;
      expect(refused).toBeGreaterThan(OFFER_CHECKS_AT_ONCE / 2);
      expect(refused).toBeLessThanOrEqual(allowed);
    },
    60_000,
  );

  it('stops when it is closed', async () => {
    const hub = await start();
    await hub.discovery.close();
    expect(await hub.discovery.refresh()).toBe(0);
  });
});

describe('questions and answers', () => {
  it('fit a frame, whatever the book holds', () => {
    const long = Array.from({ length: 8 }, (_, i) => `/dns4/${'x'.repeat(74)}${i}/tcp/1`);
    const offers = Array.from({ length: 64 }, () => offerOf(newIdentity(), { addresses: long }));
    const { more, offers: fitting } = decodeAnswer(encodeAnswer(offers, false));
    expect(more).toBe(true);
    expect(fitting.length).toBeGreaterThan(10);
    expect(fitting).toEqual(offers.slice(0, fitting.length).map((offer) => offer.encoded));
    expect(decodeAnswer(encodeAnswer([], false))).toEqual({ more: false, offers: [] });
  });

  it('decode to what was asked, or to one of our errors', () => {
    const { nodeId } = newIdentity();
    expect(decodeQuestion(encodeQuestion({ count: 9, after: nodeId }))).toEqual({ count: 9, after: nodeId });
    expect(decodeQuestion(Uint8Array.of(255))).toEqual({ count: MAX_OFFERS_PER_ANSWER, after: undefined });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        for (const decode of [decodeQuestion, decodeAnswer]) {
          const error = thrownBy(() => decode(bytes));
          expect(error === undefined || isRelaymintError(error, 'INVALID_ENCODING')).toBe(true);
        }
      }),
    );
  });
});
