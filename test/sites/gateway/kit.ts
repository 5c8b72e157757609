/** A gateway over a real host, and a plain HTTP client that may say any Host. */
import { request as httpRequest } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { CID } from 'multiformats/cid';
import type { Clock } from '../../../core/ports.ts';
import { createContentSource } from '../../../sites/serve/index.ts';
import { importSite } from '../../../sites/unixfs/index.ts';
import type { ContentSource } from '../../../sites/blocks/index.ts';
import { createGateway } from '../../../sites/gateway/index.ts';
import type { Gateway, GatewayOptions, MarketSupply, MarketView } from '../../../sites/gateway/index.ts';
import type { Embedding, Manifest } from '../../../sites/manifest/index.ts';
import { createNameResolver } from '../../../sites/name/index.ts';
import { NameBook, startHost, temporaryFolder, writeTree } from '../kit.ts';
import { recordOf, withManifest } from '../manifest/kit.ts';
import type { Cleanup, TestHost } from '../kit.ts';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
}

export interface Front {
  readonly port: number;
  readonly url: string;
  readonly ledger: NameBook;
  readonly host: TestHost;
  /** Publishes files as a name on the test host and the test ledger. */
  readonly publish: (name: string, files: Readonly<Record<string, string | Uint8Array>>) => Promise<CID>;
  readonly get: (path: string, options?: AskOptions) => Promise<Answer>;
  /** The response as soon as its head is here; its body is not read. */
  readonly open: (path: string, options?: AskOptions) => Promise<IncomingMessage>;
  /** As `Gateway.accept`. */
  readonly accept: Gateway['accept'];
  readonly close: () => Promise<void>;
}

export interface AskOptions {
  readonly host?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

export const emptyMarket: MarketView & { readonly supply: MarketSupply } = {
  nodes: [],
  pairs: [],
  balances: [],
  names: [],
  supply: {
    bought: '0',
    redeemed: '0',
    burned: '0',
    minted: '0',
    circulating: '0',
    openDeposits: '0',
    unminted: '0',
    forgone: '0',
  },
  ledger: { at: 1_800_000_000_000, answers: true },
  updatedAt: 1_800_000_000_000,
};

export interface FrontOptions extends Partial<Omit<GatewayOptions, 'content'>> {
  readonly host?: TestHost;
  /** Wraps the content source of the test host. */
  readonly content?: (inner: ContentSource) => ContentSource;
  /** Keeps whole answers; what a name points to is asked again once this clock is NAME_CACHE_MILLIS further. */
  readonly keeping?: Clock;
}

export async function startFront(cleanup: Cleanup, options: FrontOptions = {}): Promise<Front> {
  const { host = await startHost(cleanup), content: wrap = (inner) => inner, keeping, ...rest } = options;
  const ledger = new NameBook();
  const source = createContentSource({ route: () => Promise.resolve(host.route) });
  cleanup.add(() => source.close());
  const resolver = createNameResolver({ ledger, ...(keeping === undefined ? { cacheMillis: 0 } : { clock: keeping }) });
  const gateway = createGateway({
    resolver,
    ...(keeping && { known: (name: string) => resolver.known(name) }),
    content: wrap(source),
    market: () => Promise.resolve(emptyMarket),
    ...rest,
  });
  cleanup.add(() => gateway.close());
  const { port, url } = await gateway.listen({ port: 0 });
  const open: Front['open'] = (path, { host: name = 'demo-web3.localhost', method = 'GET', headers = {}, body } = {}) =>
    new Promise((resolve, reject) => {
      const asking = httpRequest(
        { host: '127.0.0.1', port, path, method, agent: false, headers: { host: `${name}:${port}`, ...headers } },
        resolve,
      );
      asking.once('error', reject);
      asking.end(body);
    });
  return {
    port,
    url,
    ledger,
    host,
    open,
    accept: (connection, name) => gateway.accept(connection, name),
    close: () => gateway.close(),
    async publish(name, files) {
      const folder = await temporaryFolder(cleanup);
      await writeTree(folder, files);
      const { root } = await importSite(host.store, name, folder);
      ledger.register(name, root.bytes);
      return root;
    },
    async get(path, asked) {
      const response = await open(path, asked);
      const chunks: Buffer[] = [];
      for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
      const body = Buffer.concat(chunks);
      return { status: response.statusCode ?? 0, headers: response.headers, body, text: body.toString() };
    },
  };
}

/** The owner of a published name says whose pages may embed it. */
export async function letEmbed(front: Front, name: string, embedding: Embedding): Promise<void> {
  const kind = name.endsWith('.image')
    ? ({ kind: 'image', mediaType: 'image/svg+xml' } as const)
    : name.endsWith('.map')
      ? ({ kind: 'map', mediaType: 'application/vnd.pmtiles' } as const)
      : name.endsWith('.route')
        ? ({ kind: 'route' } as const)
        : {};
  await declare(front, name, { ...kind, embedding });
}

/** The owner of a published name says what it is. */
export async function declare({ ledger, host }: Front, name: string, change: Partial<Manifest>): Promise<void> {
  const before = ledger.records.get(name);
  if (before === undefined) throw new Error(`${name} is not published`);
  const { record, signed } = await withManifest(recordOf(before), { change });
  await using session = host.store.begin();
  await session.put(signed.cid, signed.block);
  await session.pin(name, signed.cid);
  ledger.records.set(name, record);
}
