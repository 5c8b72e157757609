/** What a gateway does: it is visitors' HTTP front, and pays the relays and hosts for what they fetch. */
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { createMemoryCache, openBlockCache, removeBlockCache, type BlockCache } from '../../sites/cache/index.ts';
import { createFeedSource } from '../../sites/feed/index.ts';
import type { NameRecord } from '../../ledger/contract.ts';
import type { FullMode } from '../../sites/full/index.ts';
import type { ContentSource } from '../../sites/blocks/index.ts';
import { createContentSource, type Site } from '../../sites/serve/index.ts';
import { STATEMENT_ROUND_MILLIS } from '../../core/limits.ts';
import { systemClock, type Log } from '../../core/ports.ts';
import { repeat } from '../../core/repeat.ts';
import { openOutbox } from '../../sites/statement/index.ts';
import { handOver } from './courier.ts';
import { bytes, type Amount } from '../../core/units.ts';
import { createGateway, type Gateway } from '../../sites/gateway/index.ts';
import { createNameResolver } from '../../sites/name/index.ts';
import { createProfiles } from '../../sites/profile/index.ts';
import { createMarketView } from './market-view.ts';
import { isLoopback } from '../../node/transport/index.ts';
import { WatchedNodes } from './watched.ts';
import { createSettleToken } from '../control/index.ts';
import type { Keeping } from '../config/index.ts';
import { Glance, type RunningNode } from '../node/index.ts';
import { createPostTaker } from './page-posts.ts';
import { createRoutes } from './routes.ts';
import { VisitorCosts, dueOf, type VisitorCostsOptions } from './visitor-costs.ts';
import { openSelling, type SellingValues } from './selling.ts';

export interface GatewayValues extends SellingValues {
  readonly relays: number;
  readonly spendLimitSite: Amount;
  readonly port: number;
  readonly address: string;
  /** Host names besides localhost that it answers to. */
  readonly host: readonly string[];
  /** Below which sites are shown to other machines. */
  readonly domain: string | undefined;
  /** Most content to keep on disk. */
  readonly cache: Keeping;
  /** Port of the proxy of full mode. Undefined: there is none. */
  readonly full: number | undefined;
  /** Folder of its certificate authority. */
  readonly ca: string;
  /** Where pages of names sign people in, as they are told. */
  readonly issuer: URL | undefined;
  /** Folder of a local marketplace whose nodes' figures the front page shows as well. */
  readonly watch: string | undefined;
}

export interface RunningGateway extends AsyncDisposable {
  readonly url: string;
  /** Where browsers learn of full mode's proxy; undefined if there is none. */
  readonly pac: string | undefined;
  /** A sentence about what visitors pay; undefined if nothing is sold. */
  readonly sold: string | undefined;
}

const CACHE_DIRECTORY = 'cache';
/** Of a gateway that others reach. */
const SHARED_CACHE = 'shared-cache';
/** The bank's fee hardly ever changes: the ledger is asked again after this long, milliseconds, and waited for so long. */
const BANK_MILLIS = 60_000;
const MOMENT_MILLIS = 250;
const OUTBOX_FILE = 'statements/outbox';

/** When statements are handed over, for tests. */
export interface StatementPace {
  /** Draws how long one waits at least, milliseconds. */
  readonly delay: () => number;
  readonly roundMillis: number;
}

export async function openGateway(
  node: RunningNode,
  settings: GatewayValues,
  pace?: StatementPace,
): Promise<RunningGateway> {
  const { log, world } = node.settings;
  const clock = world?.clock ?? systemClock;
  await using stack = new AsyncDisposableStack();
  const resolver = createNameResolver({ ledger: node.names, clock });
  const costs = openCosts(node, (name) => resolver.known(name));
  const routes = stack.use(createRoutes({ node, relays: settings.relays, onCharge: (charge) => costs.charge(charge) }));
  const cache = stack.use(await openCache(node, settings));
  const outbox = stack.use(
    await openOutbox({
      // It tells what was read, as what is kept of it does.
      ...(settings.cache !== 'off' && settings.cache > 0 && { file: path.join(node.settings.dataDir, OUTBOX_FILE) }),
      ...(pace && { delay: pace.delay }),
      clock,
      log,
    }),
  );
  stack.use(
    repeat({
      everyMillis: pace?.roundMillis ?? STATEMENT_ROUND_MILLIS,
      jitter: 0.5,
      work: async (signal) => {
        await handOver({ node, outbox, relays: settings.relays }, signal);
        await outbox.write();
      },
      what: 'handing statements over',
      log,
    }),
  );
  const content = createContentSource({
    route: routes.route,
    rootOf: async (name) => (await resolver.resolve(name)).root,
    onBadHost: routes.failed,
    onGoodHost: routes.delivered,
    ...(isShared(settings) && { shares: ({ name }: Site) => asksNothing(resolver.known(name)) }),
    onCached: ({ name, referrer }, length) => costs.cached(referrer ?? name, name, length),
    onStated: (statement) => outbox.keep(statement),
    clock,
    cache,
    log,
  });
  stack.defer(() => content.close());
  const selling = await openSelling(node, settings);
  if (selling !== undefined) stack.use(selling.sale);
  const feeds = stack.use(
    createFeedSource({
      route: routes.route,
      record: async (name) => await resolver.record(name),
      onBadHost: routes.failed,
      ...(world && { clock: world.clock }),
      log,
    }),
  );
  const watched = settings.watch === undefined ? undefined : new WatchedNodes(node, settings.watch);
  const shown = startedOnly(node, content);
  const gateway = createGateway({
    resolver,
    content: shown,
    ...(keepsContent(settings) && {
      known: (name: string) => {
        if (node.budget.isStopped(name)) return undefined;
        const record = resolver.known(name);
        return isShared(settings) && !asksNothing(record) ? undefined : record;
      },
      onKept: (name: string, length: number) => costs.cached(name, name, length),
    }),
    spending: costs,
    // Who runs it for others would pay for what they say.
    ...(!isShared(settings) && {
      posts: createPostTaker({
        node,
        relays: settings.relays,
        record: (name) => resolver.record(name),
        onCharge: (charge) => costs.charge(charge),
      }),
    }),
    // What is told of them is not counted yet, so that nobody can sell it.
    ...(selling === undefined && { feeds }),
    ...(selling === undefined && {
      records: (name: string) => resolver.record(name),
      profiles: createProfiles({
        resolver,
        content: shown,
        requireShown: (site) => requireStarted(node, site),
        keeps: (record) => keepsContent(settings) && (!isShared(settings) || asksNothing(record)),
        clock,
      }),
    }),
    // What endings show beside a site.
    names: [],
    market: createMarketView(node, watched),
    issuer: settings.issuer,
    ...(watched === undefined
      ? {}
      : { settle: { token: await createSettleToken(node.settings.dataDir), now: () => watched.settle() } }),
    hosts: settings.host,
    domain: settings.domain,
    ...(settings.full !== undefined && { full: true }),
    sale: selling?.sale,
    log,
  });
  stack.defer(() => gateway.close());
  const { url } = await gateway.listen({ port: settings.port, address: settings.address });
  const full = await openFull(gateway, settings, log);
  if (full !== undefined) stack.use(full);
  const owned = stack.move();
  return { url, pac: full?.pacUrl, sold: selling?.text, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Its certificates end by the clock of browsers, which is the machine's. */
async function openFull(
  gateway: Gateway,
  { full: port, address, ca: directory }: GatewayValues,
  log: Log,
): Promise<FullMode | undefined> {
  if (port === undefined) return undefined;
  const { openAuthority, openFullMode } = await import('../../sites/full/index.ts');
  const authority = await openAuthority({ directory, clock: systemClock });
  return await openFullMode({
    authority,
    port,
    address,
    accept: (connection, name) => gateway.accept(connection, name),
    log,
  });
}

function openCosts(node: RunningNode, terms: VisitorCostsOptions['terms']): VisitorCosts {
  const bank = new Glance(() => node.ledger.bank(), BANK_MILLIS);
  return new VisitorCosts({
    budget: node.budget,
    due: () => dueOf(node),
    terms,
    feeBps: async () => (await bank.within(MOMENT_MILLIS))?.value.feeBps,
    clock: node.settings.world?.clock ?? systemClock,
  });
}

/** Of a site that a person stopped nothing is shown, neither what is kept: stopping a site means that it is gone until it is started. */
function startedOnly(node: Pick<RunningNode, 'budget'>, content: ContentSource): ContentSource {
  return {
    open: async (site, options) => {
      requireStarted(node, site);
      const opened = await content.open(site, options);
      return {
        get: async (cid, getOptions) => {
          requireStarted(node, site);
          return await opened.get(cid, getOptions);
        },
        close: () => opened.close(),
      };
    },
  };
}

/** @throws RelaymintError BUDGET_STOPPED: a person stopped the site, or the one in whose page it is. */
function requireStarted(
  { budget }: Pick<RunningNode, 'budget'>,
  { name, referrer }: { readonly name: string; readonly referrer?: string | undefined },
): void {
  budget.requireStarted(name);
  if (referrer !== undefined) budget.requireStarted(referrer);
}

/** What was paid for is kept: for the one visitor, or, of names that ask nothing, for all. */
async function openCache(node: RunningNode, settings: GatewayValues): Promise<BlockCache> {
  const { dataDir, log } = node.settings;
  const [own, other] = isShared(settings) ? [SHARED_CACHE, CACHE_DIRECTORY] : [CACHE_DIRECTORY, SHARED_CACHE];
  const limit = settings.cache === 'off' ? bytes(0) : settings.cache;
  // Each kind of gateway has its own: nobody is shown by the clock what the other kind fetched here.
  if (limit === 0) await removeBlockCache(path.join(dataDir, other));
  const cache = await openBlockCache({ directory: path.join(dataDir, own), limit, log });
  return keepsContent(settings) ? cache : createMemoryCache({ leaves: false });
}

function keepsContent({ cache }: GatewayValues): boolean {
  return cache !== 'off';
}

/** Other machines reach it: it has many visitors. One that sells has, whoever reaches it. */
function isShared({ address, host, domain, sell }: GatewayValues): boolean {
  return !isLoopback(address) || host.length > 0 || domain !== undefined || sell !== undefined;
}

/**
 * Its owner earns nothing by views, so that nobody loses by those out of a cache. A view of anything else is fetched, and paid as the first one was.
 * What it asks is looked at whenever a site is opened: an owner who asks for something from now on is paid from then on.
 */
function asksNothing(record: Pick<NameRecord, 'royaltyBps'> | undefined): boolean {
  return record?.royaltyBps === 0;
}
