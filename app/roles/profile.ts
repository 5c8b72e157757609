/** Reads profiles as a gateway does: over paid circuits, verified, and judged by what the ledger says now. */
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { RelaymintError } from '../../core/errors.ts';
import type { NameRecord } from '../../ledger/contract.ts';
import { createMemoryCache } from '../../sites/cache/index.ts';
import { createNameResolver } from '../../sites/name/index.ts';
import { createProfiles, type FoundProfile } from '../../sites/profile/index.ts';
import { createContentSource } from '../../sites/serve/index.ts';
import type { RunningNode } from '../node/index.ts';
import { createRoutes } from './routes.ts';

export interface ProfileWanted {
  readonly name: string;
  /** Paid relays in front of the host. */
  readonly relays: number;
  readonly signal: AbortSignal;
}

/** @throws RelaymintError NAME_UNKNOWN, NAME_EXPIRED, CONTENT_NOT_FOUND (it has none), PROFILE_INVALID, NO_ROUTE, ABORTED, .. */
export async function readProfile(
  node: RunningNode,
  { name, relays, signal }: ProfileWanted,
): Promise<FoundProfile<NameRecord>> {
  const { log, world } = node.settings;
  await using stack = new AsyncDisposableStack();
  const routes = stack.use(createRoutes({ node, relays }));
  const content = createContentSource({
    route: routes.route,
    onBadHost: routes.failed,
    cache: createMemoryCache({ leaves: true }),
    log,
  });
  stack.defer(() => content.close());
  const resolver = createNameResolver({ ledger: node.names, ...(world && { clock: world.clock }) });
  const found = await createProfiles({ resolver, content, clock: world?.clock }).of(name, { signal });
  if (found === undefined) throw noProfile(name);
  return found;
}

export function noProfile(name: string): RelaymintError {
  return new RelaymintError('CONTENT_NOT_FOUND', `${name} has no profile.`, {
    remedy: 'Who has the name can make one with "relaymint profile create".',
  });
}
