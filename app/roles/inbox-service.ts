/** An owner's inbox on a node whose wallet owns or manages names: gateways find it by that, and bring what hosts stated. */
import path from 'node:path';
import { USUAL_PRICE } from '../../core/limits.ts';
import { systemClock } from '../../core/ports.ts';
import { STATEMENTS_SERVICE, createStatementsService, openInbox, type Inbox } from '../../sites/statement/index.ts';
import type { RunningNode } from '../node/index.ts';
import { INBOX_FILE } from './inbox.ts';

export async function offerInbox(node: RunningNode): Promise<Inbox> {
  const { dataDir, world, log } = node.settings;
  const { ledger, names, wallet } = node;
  const inbox = await openInbox({
    file: path.join(dataDir, INBOX_FILE),
    isOurs: async (name) => {
      const record = await names.name(name);
      return record?.owner === wallet.address || record?.manager === wallet.address;
    },
    sells: async (seller) => (await ledger.till(seller)) !== undefined,
    clock: world?.clock ?? systemClock,
  });
  node.serve(STATEMENTS_SERVICE, USUAL_PRICE, createStatementsService(inbox, log));
  return inbox;
}
