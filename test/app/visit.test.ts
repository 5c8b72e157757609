/** A gateway's visit to a name of which most hosts, or all, are dead: real circuits, times shortened. */
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CID } from 'multiformats/cid';
import type { NodeId } from '../../core/ids.ts';
import { silentLog, systemClock } from '../../core/ports.ts';
import { U64_MAX, amount, pricePerMiB } from '../../core/units.ts';
import { createRoutes, type Routes, type RoutesNode, type RoutesOptions } from '../../app/roles/routes.ts';
import { createGuards } from '../../node/tunnel/index.ts';
import { keepsName, signOffer, type SignedOffer } from '../../node/offer/index.ts';
import { createOfferBook, type OfferBook } from '../../node/discovery/index.ts';
import { createContentService, createContentSource, decodeContentParams } from '../../sites/serve/index.ts';
import { importSite } from '../../sites/unixfs/index.ts';
import { Cleanup, temporaryFolder, temporaryStore, writeTree } from '../sites/kit.ts';
import { PRICE, TestNet, type TestNode } from '../node/circuit/net.ts';
import { newIdentity, offerOf } from '../node/link/nodes.ts';

const NAME = 'news.web3';
/** So dear that it is nearly always drawn last. */
const DEAR = 80_000n;
const PRICE_OF_ATTACKER = pricePerMiB(1n);
/** One step of a circuit, and what a host may take to say anything. */
/** Dead hosts are waited for, one after another: took 11 s on a machine with far more work than processors. */
const LONG_MILLIS = 60_000;
const BUILD_MILLIS = 1_500;
const ANSWER_MILLIS = 1_500;
const STAGGER_MILLIS = 100;
/** What a visit may take in all. */
const VISIT_MILLIS = 15_000;

describe('a visit to a name', () => {
  let net: TestNet;
  let book: OfferBook;
  let client: TestNode;
  const cleanup = new Cleanup();

  beforeEach(async () => {
    net = new TestNet();
    book = createOfferBook({ clock: systemClock });
    client = await net.node({ relayPrice: undefined, timing: { buildMillis: BUILD_MILLIS } });
    for (let index = 0; index < 3; index += 1) book.add((await net.node()).offer);
  });
  afterEach(async () => {
    await cleanup.run();
    await net.close();
  });

  /** Says that it keeps the name. */
  const keeper = async (content: bigint = PRICE): Promise<TestNode> => {
    const host = await net.node({ relayPrice: undefined, services: { content } });
    book.add(signOffer({ ...host.offer, keeps: [NAME] }, host.identity));
    return host;
  };
  const alive = async (): Promise<{ host: TestNode; root: CID }> => {
    const host = await keeper(DEAR);
    const store = await temporaryStore(cleanup);
    const folder = await temporaryFolder(cleanup);
    await writeTree(folder, { 'index.html': 'here it is' });
    const { root } = await importSite(store, NAME, folder);
    host.endpoint.register('content', { price: pricePerMiB(DEAR) }, createContentService({ store }));
    return { host, root };
  };
  const offerAt = (address: string): void => {
    const services = [{ name: 'content', price: PRICE }];
    book.add(offerOf(newIdentity(), { services, keeps: [NAME], addresses: [address] }));
  };
  /** Takes connections and says nothing. */
  const silentPort = async (): Promise<string> => {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => void sockets.add(socket.on('error', () => {})));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanup.add(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    return `/ip4/127.0.0.1/tcp/${(server.address() as AddressInfo).port}`;
  };
  const dead: Readonly<Record<string, () => Promise<void>>> = {
    'nobody listens behind': async () => offerAt('/memory/nowhere'),
    'accept connections and say nothing': async () => offerAt(await silentPort()),
    'accept circuits and say nothing': async () => {
      (await keeper()).endpoint.register('content', { price: PRICE }, () => {});
    },
    'accept circuits and refuse streams': async () => void (await keeper()),
  };

  const gateway = ({
    refresh = async () => Promise.resolve(0),
    noHosts = { waitMillis: 20, askMillis: 5 },
  }: { refresh?: () => Promise<number>; noHosts?: RoutesOptions['noHosts'] } = {}): {
    routes: Routes;
    visit: (root: CID, signal?: AbortSignal) => Promise<string>;
  } => {
    const node: RoutesNode = {
      discovery: { book, refresh },
      circuits: client.endpoint,
      keys: { identity: client.identity },
      guards: createGuards({ nodeId: client.id }),
      settings: { log: silentLog, node: { maxPrice: undefined } },
      budget: {
        reserveSite: async () => ({ amount: amount(U64_MAX), settle() {} }) as never,
        requireStarted: () => undefined,
        onStop: () => ({ [Symbol.dispose]: () => undefined }),
      },
    };
    const routes = createRoutes({ node, relays: 2, staggerMillis: STAGGER_MILLIS, ...(noHosts && { noHosts }) });
    cleanup.add(() => routes[Symbol.asyncDispose]());
    const source = createContentSource({
      route: routes.route,
      onBadHost: routes.failed,
      onGoodHost: routes.delivered,
      firstAnswerMillis: ANSWER_MILLIS,
      visitMillis: VISIT_MILLIS,
    });
    cleanup.add(() => source.close());
    return {
      routes,
      async visit(root, signal = new AbortController().signal) {
        const content = await source.open({ name: NAME, root }, { signal });
        try {
          return Buffer.from(await content.get(root)).toString('latin1');
        } finally {
          content.close();
        }
      },
    };
  };

  const timed = async <T>(work: Promise<T>): Promise<{ millis: number; result: PromiseSettledResult<T> }> => {
    const from = performance.now();
    const [result] = await Promise.allSettled([work]);
    return { millis: performance.now() - from, result };
  };

  it.each(Object.keys(dead))(
    'succeeds in bounded time where five of six hosts %s',
    async (kind) => {
      for (let index = 0; index < 5; index += 1) await dead[kind]?.();
      const { root } = await alive();
      const { millis, result } = await timed(gateway().visit(root));
      expect(result).toMatchObject({ status: 'fulfilled', value: expect.stringContaining('index.html') });
      expect(millis).toBeLessThan(VISIT_MILLIS);
    },
    LONG_MILLIS,
  );

  it.each(Object.keys(dead))(
    'ends in bounded time, and says what to do, where all six hosts %s',
    async (kind) => {
      const { root } = await alive();
      for (const { nodeId } of book.find('content')) book.remove(nodeId);
      for (let index = 0; index < 6; index += 1) await dead[kind]?.();
      const { millis, result } = await timed(gateway().visit(root));
      expect(result).toMatchObject({
        status: 'rejected',
        reason: { code: expect.stringMatching(/^(NO_ROUTE|TIMEOUT|STREAM_REFUSED)$/), remedy: expect.any(String) },
      });
      expect(millis).toBeLessThan(VISIT_MILLIS + 1_000);
    },
    LONG_MILLIS,
  );

  it('waits for the first host where none is known yet, because this node or its peers have just come up', async () => {
    const { root, host } = await alive();
    const offer = book.get(host.id);
    book.remove(host.id);
    let asked = 0;
    const refresh = async (): Promise<number> => {
      asked += 1;
      if (asked === 3 && offer !== undefined) book.add(offer);
      return Promise.resolve(0);
    };
    const { visit } = gateway({ refresh, noHosts: { waitMillis: 60_000, askMillis: 5 } });
    expect(await visit(root)).toContain('index.html');
    expect(asked).toBe(3);
  });

  it('ends where no host comes, and asks no more than it waits', async () => {
    let asked = 0;
    const { visit } = gateway({ refresh: async () => Promise.resolve((asked += 1)) });
    const { root, host } = await alive();
    book.remove(host.id);
    await expect(visit(root)).rejects.toMatchObject({ code: 'NO_ROUTE' });
    expect(asked).toBeLessThan(6);
    expect(asked).toBeGreaterThan(1);
  });

  it('does not wait where hosts are known, none of which keeps the name', async () => {
    const { root, host } = await alive();
    book.remove(host.id);
    book.add((await net.node({ relayPrice: undefined, services: { content: PRICE } })).offer);
    const { visit } = gateway({ noHosts: { waitMillis: 10 * LONG_MILLIS, askMillis: 5 } });
    await expect(visit(root)).rejects.toMatchObject({ code: 'NO_ROUTE' });
  });

  it('that one visitor gives up takes nothing from another who waits for the same circuit', async () => {
    const { root, host } = await alive();
    const { visit } = gateway();
    const leaving = new AbortController();
    let begun = (): void => {};
    const building = new Promise<void>((resolve) => (begun = resolve));
    const createCircuit = client.endpoint.createCircuit.bind(client.endpoint);
    const built: NodeId[] = [];
    client.endpoint.createCircuit = async (path, options) => {
      begun();
      await left;
      const circuit = await createCircuit(path, options);
      built.push(host.id);
      return circuit;
    };
    let leave = (): void => {};
    const left = new Promise<void>((resolve) => (leave = resolve));
    const visits = [visit(root, leaving.signal), visit(root)];
    await building;
    leaving.abort(new DOMException('left', 'AbortError'));
    await expect(visits[0]).rejects.toMatchObject({ code: 'ABORTED' });
    leave();
    expect(await visits[1]).toContain('index.html');
    expect(built).toHaveLength(1);
  });

  describe('beside a host that keeps nothing, and says that it keeps more than it lists', () => {
    /** @returns what it was asked for. */
    const attacker = async (): Promise<string[]> => {
      const host = await net.node({ relayPrice: undefined, services: { content: 1n } });
      const keeps = Array.from({ length: 300 }, (_, index) => `site-${index}.web3`);
      book.add(signOffer({ ...host.offer, keeps }, host.identity));
      const asked: string[] = [];
      host.endpoint.register('content', { price: PRICE_OF_ATTACKER }, (stream, params) => {
        asked.push(decodeContentParams(params).name);
        stream.destroy();
      });
      return asked;
    };

    it('tells it nothing if another host says that it keeps the name, whether that one is alive or dead', async () => {
      const asked = await attacker();
      const { root } = await alive();
      await gateway().visit(root);
      for (const { nodeId } of book.find('content'))
        if (keepsName(book.get(nodeId) as SignedOffer, NAME)) book.remove(nodeId);
      for (const make of Object.values(dead)) await make();
      await expect(gateway().visit(root)).rejects.toMatchObject({ remedy: expect.any(String) });
      expect(asked).toEqual([]);
    });

    it('asks it once for what nobody says that it keeps, however often that is visited', async () => {
      const asked = await attacker();
      const { root } = await alive();
      for (const { nodeId } of book.find('content'))
        if (keepsName(book.get(nodeId) as SignedOffer, NAME)) book.remove(nodeId);
      const { visit } = gateway();
      for (let index = 0; index < 5; index += 1)
        await expect(visit(root)).rejects.toMatchObject({ remedy: expect.any(String) });
      expect(asked).toEqual([NAME]);
    });
  });
});
