/** Posts that pages of a name say: judged here, where the visitor pays for them, and brought to the hosts that keep the name. */
import { systemClock } from '../../core/ports.ts';
import { checkEntry, requirePermitCounts, type SignedEntry } from '../../sites/feed/index.ts';
import type { PostTaker } from '../../sites/gateway/index.ts';
import type { NameRecord } from '../../ledger/contract.ts';
import type { RunningNode } from '../node/index.ts';
import { EntryLines } from './entry-lines.ts';
import { SiteUsage, type Charge } from './site-usage.ts';

export interface PagePostsOptions {
  readonly node: RunningNode;
  /** Paid relays between us and each host. */
  readonly relays: number;
  readonly record: (name: string) => Promise<NameRecord | undefined>;
  /** Told of what the site was charged. */
  readonly onCharge: (charge: Charge) => void;
}

/** Each costs a circuit of its own. */
const HOSTS = 3;

/** Circuits of each post are its own, and end with it: posts are few, and what is kept ready costs. */
export function createPostTaker({ node, relays, record, onCharge }: PagePostsOptions): PostTaker {
  const usage = new SiteUsage(node.budget, onCharge);
  return {
    async take(signed: SignedEntry, signal: AbortSignal): Promise<number> {
      const { name, author } = signed.entry;
      const { clock } = node.settings.world ?? { clock: systemClock };
      node.budget.requireStarted(name);
      requirePermitCounts(signed.entry, clock.now());
      checkEntry(signed, await record(author), clock.now());
      await using lines = new EntryLines(node, { name, author, hosts: [], most: HOSTS, relays, usage, signal });
      return (await lines.bring(signed)).length;
    },
  };
}
