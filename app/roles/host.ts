/** A host: stores content and serves it for pay. */
import { USUAL_PRICE } from '../../core/limits.ts';
import { formatCredits, pricePerMiB } from '../../core/units.ts';
import { list, name, optional, price, share, size, standard } from '../config/index.ts';
import type { HostValues } from './hosting.ts';
import type { Role } from './role.ts';

/** Low: a host earns when it is visited. */
const PUBLISH_PRICE = pricePerMiB(1_000n);

export const host: Role<HostValues> = {
  name: 'host',
  summary: 'store and serve content for pay',
  description:
    "Takes content from publishers, checks every block against its hash, and serves it to anybody who pays.\nEvery settlement declares the share of the site's owner.",
  example: 'relaymint host --listen /ip4/0.0.0.0/tcp/4002 --quota 20G --bootstrap NODEID@/ip4/203.0.113.7/tcp/4001',
  earns: true,
  settings: {
    price: standard('--price <credits>', price, 'credits per MiB served', formatCredits(USUAL_PRICE)),
    publishPrice: standard(
      '--publish-price <credits>',
      price,
      'credits per MiB that a publisher uploads',
      formatCredits(PUBLISH_PRICE),
    ),
    maxRoyalty: standard(
      '--max-royalty <share>',
      share,
      "highest share of what a name's content earns that its owner gets, whatever royalty the name asks",
      '50%',
    ),
    quota: optional('--quota <size>', size, 'most content to keep, for example 20G'),
    quotaPerName: optional('--quota-per-name <size>', size, 'most content to keep for one name'),
    accept: list('--accept <name>', name, 'take only this name (repeatable; default: any)'),
  },
  terms: (own) => ({ windowPrice: own.price, maxRoyaltyBps: own.maxRoyalty }),
  start: async (node, own) => {
    const { openHost } = await import('./hosting.ts');
    const hosting = await openHost(node, own);
    return {
      describe: (addresses) =>
        `Host ${node.keys.identity.nodeId} is up at ${addresses.join(', ')}: content ${formatCredits(own.price)}, ` +
        `publishing ${formatCredits(own.publishPrice)} credits per MiB.\nCtrl-C stops it.`,
      figures: () => ({ names: new Set(hosting.store.pins().map(({ name }) => name)).size }),
      [Symbol.asyncDispose]: () => hosting[Symbol.asyncDispose](),
    };
  },
};
