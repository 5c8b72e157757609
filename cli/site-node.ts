/** The node of a command about a name: it sells nothing, and is there for as long as the command runs. */
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { openNode, type RunningNode } from '../app/node/index.ts';
import { settingsOf, site as siteRole, type BaseValues } from '../app/roles/index.ts';
import type { CommonOptions } from './options.ts';
import { createLog } from './output.ts';

/** Resolves when its bootstrap nodes know it. @throws RelaymintError as `openNode` and `RunningNode.announce`; ABORTED. */
export async function openSiteNode(options: CommonOptions & BaseValues, signal: AbortSignal): Promise<RunningNode> {
  const role = { ...siteRole, terms: () => ({}) };
  const settings = settingsOf(role, options, (label) => createLog(options.logLevel, label));
  await using stack = new AsyncDisposableStack();
  const node = stack.use(await openNode(settings, signal));
  await node.announce(signal);
  stack.move();
  return node;
}
