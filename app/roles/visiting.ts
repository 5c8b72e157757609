/** What a gateway does: it is visitors' HTTP front, and pays the relays and hosts for what they fetch. */
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { createContentSource } from '../../sites/serve/index.ts';
import type { Amount } from '../../core/units.ts';
import { createGateway } from '../../sites/gateway/index.ts';
import { createNameResolver } from '../../sites/name/index.ts';
import { createMarketView } from './market-view.ts';
import { WatchedNodes } from './watched.ts';
import { createSettleToken } from '../control/index.ts';
import type { RunningNode } from '../node/index.ts';
import { createRoutes } from './routes.ts';

export interface GatewayValues {
  readonly relays: number;
  readonly spendLimitSite: Amount;
  readonly port: number;
  readonly address: string;
  /** Host names besides localhost that it answers to. */
  readonly host: readonly string[];
  /** Folder of a local marketplace whose nodes' figures the front page shows as well. */
  readonly watch: string | undefined;
}

export interface RunningGateway extends AsyncDisposable {
  readonly url: string;
}

export async function openGateway(node: RunningNode, settings: GatewayValues): Promise<RunningGateway> {
  const { log } = node.settings;
  await using stack = new AsyncDisposableStack();
  const routes = stack.use(createRoutes({ node, relays: settings.relays }));
  const resolver = createNameResolver({ ledger: node.names });
  const content = createContentSource({
    route: routes.route,
    rootOf: async (name) => (await resolver.resolve(name)).root,
    onBadHost: routes.failed,
    onGoodHost: routes.delivered,
    log,
  });
  stack.defer(() => content.close());
  const watched = settings.watch === undefined ? undefined : new WatchedNodes(node, settings.watch);
  const gateway = createGateway({
    resolver,
    content,
    // What endings show beside a site.
    names: [],
    market: createMarketView(node, watched),
    ...(watched === undefined
      ? {}
      : { settle: { token: await createSettleToken(node.settings.dataDir), now: () => watched.settle() } }),
    hosts: settings.host,
    log,
  });
  stack.defer(() => gateway.close());
  const { url } = await gateway.listen({ port: settings.port, address: settings.address });
  const owned = stack.move();
  return { url, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
