/** `relaymint relay`: carries other people's circuits for pay. */
import type { Command } from 'commander';
import { USUAL_PRICE } from '../../core/limits.ts';
import { formatCredits, type PricePerMiB } from '../../core/units.ts';
import {
  addEarningOptions,
  addListenOptions,
  addNodeOptions,
  addTillOptions,
  priceOption,
  privateHopsOption,
  type EarningOptions,
  type ListenOptions,
  type NodeOptions,
  type TillOptions,
} from '../options.ts';
import {
  addLocationOptions,
  addOutboundOptions,
  addPeerOptions,
  type LocationOptions,
  type OutboundOptions,
  type PeerOptions,
} from '../outbound-options.ts';
import { relayWindowPrice } from '../../app/node/index.ts';
import { runNode } from './run-node.ts';

interface RelayOptions
  extends NodeOptions, OutboundOptions, PeerOptions, ListenOptions, LocationOptions, TillOptions, EarningOptions {
  readonly price: PricePerMiB;
  readonly allowPrivateHops?: true;
}

export const DEFAULT_RELAY_PRICE: PricePerMiB = USUAL_PRICE;

export function relayCommand(program: Command): void {
  const command = program
    .command('relay')
    .summary('run a paid relay')
    .description(
      "Carries circuits of others for pay. Each neighbour that sends traffic here pays by signed receipts, which are\nsettled on the ledger into this node's till.",
    );
  addLocationOptions(
    addPeerOptions(
      addOutboundOptions(addTillOptions(addEarningOptions(addListenOptions(addNodeOptions(command, 'relay'))))),
    ),
  )
    .addOption(
      priceOption('--price <credits>', 'credits for each MiB carried, both directions counted', DEFAULT_RELAY_PRICE),
    )
    .addOption(privateHopsOption())
    .addHelpText(
      'after',
      '\nExample:\n  relaymint relay --listen /ip4/0.0.0.0/tcp/4001 --announce /ip4/203.0.113.7/tcp/4001 --price 0.01\n',
    )
    .action((options: RelayOptions) =>
      runNode({
        role: 'relay',
        options,
        relayPrice: options.price,
        windowPrice: relayWindowPrice(options.price),
        tillSlots: options.slots,
        maxTillSlots: options.maxSlots,
        prepare: async () => undefined,
        describe: (node, addresses) =>
          `Relay ${node.keys.identity.nodeId} is up at ${addresses.join(', ')}, ${formatCredits(options.price)} credits per MiB.\n` +
          `Others join with: --bootstrap ${node.keys.identity.nodeId}@${addresses[0] ?? ''}\nCtrl-C stops it.`,
      }),
    );
}
