/** A relay: carries other people's circuits for pay. */
import { USUAL_PRICE } from '../../core/limits.ts';
import { formatCredits, type PricePerMiB } from '../../core/units.ts';
import { price, standard, toggle } from '../config/index.ts';
import { relayWindowPrice } from '../node/index.ts';
import { inboxSetting } from './inbox.ts';
import type { Role } from './role.ts';

export interface RelayValues {
  readonly price: PricePerMiB;
  readonly allowPrivateHops: true | undefined;
  /** It takes statements for the names of its wallet. */
  readonly inbox: true | undefined;
}

export const relay: Role<RelayValues> = {
  name: 'relay',
  summary: 'run a paid relay',
  description:
    "Carries the circuits of others for pay. Each neighbour that sends traffic here pays with signed receipts, which are\nsettled on the ledger into this node's till.",
  example: 'relaymint relay --listen /ip4/0.0.0.0/tcp/4001 --announce /ip4/203.0.113.7/tcp/4001 --price 0.01',
  earns: true,
  settings: {
    price: standard(
      '--price <credits>',
      price,
      'credits per MiB carried, counting both directions',
      formatCredits(USUAL_PRICE),
    ),
    allowPrivateHops: toggle(
      '--allow-private-hops',
      'let the circuits of others lead into private networks too (for a network of your own)',
    ),
    inbox: inboxSetting,
  },
  terms: (own) => ({
    relayPrice: own.price,
    windowPrice: relayWindowPrice(own.price),
    allowPrivateHops: own.allowPrivateHops,
  }),
  start: async (node, own) => {
    if (own.inbox === true) await (await import('./inbox-service.ts')).offerInbox(node);
    const { nodeId } = node.keys.identity;
    return {
      describe: (addresses) =>
        `Relay ${nodeId} is up at ${addresses.join(', ')}, ${formatCredits(own.price)} credits per MiB.\n` +
        `Others join with: --bootstrap ${nodeId}@${addresses[0] ?? ''}\nCtrl-C stops it.`,
      async [Symbol.asyncDispose]() {},
    };
  },
};
