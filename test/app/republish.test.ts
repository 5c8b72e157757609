/** A site is published anew while somebody downloads from it: real circuits, a real host and gateway; the keeper's clock is moved. */
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import { request, type IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createRoutes, type RoutesNode } from '../../app/roles/routes.ts';
import { SUPERSEDED_ROOT_MILLIS, SUPERSEDED_USE_MILLIS } from '../../core/limits.ts';
import { silentLog, systemClock } from '../../core/ports.ts';
import { MIB, U64_MAX, amount } from '../../core/units.ts';
import { createOfferBook } from '../../node/discovery/index.ts';
import { signOffer } from '../../node/offer/index.ts';
import { createGuards } from '../../node/tunnel/index.ts';
import type { BlockStore } from '../../sites/blocks/index.ts';
import { createGateway } from '../../sites/gateway/index.ts';
import { createNameResolver } from '../../sites/name/index.ts';
import { createPinKeeper, type PinKeeper } from '../../sites/publish/index.ts';
import { createContentService, createContentSource } from '../../sites/serve/index.ts';
import { PRICE, TestNet } from '../node/circuit/net.ts';
import { Cleanup, NameBook, TestClock, keepTree, temporaryStore } from '../sites/kit.ts';
import { visit } from './visitor.ts';

const NAME = 'demo.web3';
/** More than what sockets and the gateway hold. */
const BIG: number = 24 * MIB;

describe('a site that is published anew under a running download', () => {
  const cleanup = new Cleanup();
  let store: BlockStore;
  let keeper: PinKeeper;
  let clock: TestClock;
  let url: string;
  let publish: (page: string) => Promise<Buffer>;
  /** Hosts that were blamed for something, and what the gateway said. */
  let blamed: string[];
  let said: string[];

  beforeEach(async () => {
    const net = new TestNet();
    cleanup.add(() => net.close());
    clock = new TestClock();
    store = await temporaryStore(cleanup, { clock });
    const ledger = new NameBook();
    keeper = createPinKeeper({ store, ledger, clock });
    const book = createOfferBook({ clock: systemClock });
    const client = await net.node({ relayPrice: undefined });
    book.add((await net.node()).offer);
    const host = await net.node({ relayPrice: undefined, services: { content: PRICE } });
    book.add(signOffer({ ...host.offer, keeps: [NAME] }, host.identity));
    host.endpoint.register(
      'content',
      { price: PRICE },
      createContentService({ store, onFetched: (pin) => keeper.fetched(pin) }),
    );
    publish = async (page) => {
      const big = randomBytes(BIG);
      const root = await keepTree(cleanup, store, NAME, { 'index.html': page, 'big.bin': big });
      ledger.register(NAME, root.bytes);
      clock.advance(1000);
      return big;
    };

    const node: RoutesNode = {
      discovery: { book, refresh: async () => 0 },
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
    const routes = createRoutes({ node, relays: 1 });
    cleanup.add(() => routes[Symbol.asyncDispose]());
    const resolver = createNameResolver({ ledger, cacheMillis: 0 });
    [blamed, said] = [[], []];
    const log = { ...silentLog, info: (_fields: object, message: string) => void said.push(message) };
    const content = createContentSource({
      route: routes.route,
      rootOf: async (name) => (await resolver.resolve(name)).root,
      onBadHost: (_host, error, name) => {
        blamed.push(error.code);
        routes.failed(_host, error, name);
      },
      onGoodHost: routes.delivered,
      log,
    });
    cleanup.add(() => content.close());
    const gateway = createGateway({ resolver, content, log });
    cleanup.add(() => gateway.close());
    ({ url } = await gateway.listen({ port: 0 }));
  });
  afterEach(() => cleanup.run());

  /** A visitor who has read the head of an answer, and no more. */
  const download = async (): Promise<IncomingMessage> => {
    const { port } = new URL(url);
    const headers = { host: `demo-web3.localhost:${port}` };
    const asked = request({ host: '127.0.0.1', port, path: '/big.bin', headers, agent: false }).end();
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    return answer;
  };
  const page = async (): Promise<string> => {
    const { status, body } = await visit(url, NAME);
    return `${status} ${body.toString()}`;
  };

  it('goes on from what was replaced, which goes when nobody fetches it any more', async () => {
    const big = await publish('the first');
    const answer = await download();
    await publish('the second');
    await keeper.sweep();
    clock.advance(SUPERSEDED_ROOT_MILLIS);
    await keeper.sweep();
    expect([store.pins().length, await page()]).toEqual([2, '200 the second']);
    const body = await buffer(answer);
    expect(body.equals(big)).toBe(true);
    clock.advance(SUPERSEDED_USE_MILLIS);
    await keeper.sweep();
    expect([store.pins().length, await page(), blamed]).toEqual([1, '200 the second', []]);
  });

  it.each(['before it ends', 'only after it'])(
    'is cut when the host keeps it no longer; others come %s',
    async (when) => {
      await publish('the first');
      const answer = await download();
      await publish('the second');
      const [first] = store.pins();
      if (first !== undefined) await store.unpin(first.name, first.root);
      const before = when === 'before it ends' ? [await page()] : [];
      await expect(buffer(answer)).rejects.toMatchObject({ code: 'ECONNRESET' });
      const after = [await page(), await page()];
      expect([...before, ...after].filter((shown) => shown !== '200 the second')).toEqual([]);
      expect([blamed, said]).toEqual([[], ['A visit ended: no host has this earlier content of the name any more.']]);
    },
  );
});
