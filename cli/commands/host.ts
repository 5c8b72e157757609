/** `relaymint host`: stores content and serves it for pay. */
import type { Command } from 'commander';
import { USUAL_PRICE } from '../../core/limits.ts';
import { bytes, formatCredits, pricePerMiB, type Bytes, type PricePerMiB } from '../../core/units.ts';
import { parseName } from '../../core/name.ts';
import {
  addEarningOptions,
  addListenOptions,
  addNodeOptions,
  addTillOptions,
  collect,
  maxRoyaltyOption,
  parsed,
  priceOption,
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
import { runNode } from './run-node.ts';

interface HostOptions
  extends NodeOptions, OutboundOptions, PeerOptions, ListenOptions, LocationOptions, TillOptions, EarningOptions {
  readonly price: PricePerMiB;
  readonly publishPrice: PricePerMiB;
  readonly quota?: Bytes;
  readonly quotaPerName?: Bytes;
  readonly accept: readonly string[];
  readonly maxRoyalty: number;
}

const DEFAULT_CONTENT_PRICE = USUAL_PRICE;
const DEFAULT_PUBLISH_PRICE = pricePerMiB(1_000n);

/** "500M", "20G" or plain bytes. @throws RangeError */
function parseSize(text: string): Bytes {
  const match = /^(\d{1,15})([KMGT]?)$/i.exec(text.trim());
  if (match === null) throw new RangeError('Write bytes, or a number with K, M, G or T: 500M, 20G.');
  const power = ' KMGT'.indexOf((match[2] ?? '').toUpperCase().padEnd(1));
  return bytes(Number(match[1]) * 1024 ** power);
}

export function hostCommand(program: Command): void {
  const command = program
    .command('host')
    .summary('store and serve content for pay')
    .description(
      "Takes content from publishers, checks every block against its hash, and serves it to whoever pays.\nThe share of a site's owner is declared with every settlement.",
    );
  addLocationOptions(
    addPeerOptions(
      addOutboundOptions(addTillOptions(addEarningOptions(addListenOptions(addNodeOptions(command, 'host'))))),
    ),
  )
    .addOption(priceOption('--price <credits>', 'credits for each MiB served', DEFAULT_CONTENT_PRICE))
    .addOption(
      priceOption('--publish-price <credits>', 'credits for each MiB that a publisher brings', DEFAULT_PUBLISH_PRICE),
    )
    .addOption(maxRoyaltyOption())
    .option('--quota <size>', 'most content to keep, for example 20G', parsed(parseSize))
    .option('--quota-per-name <size>', 'most content to keep for one name', parsed(parseSize))
    .option(
      '--accept <name>',
      'take only this name (repeatable; default: any)',
      collect((text: string) => parseName(text).name),
      [],
    )
    .addHelpText(
      'after',
      '\nExample:\n  relaymint host --listen /ip4/0.0.0.0/tcp/4002 --quota 20G --bootstrap NODEID@/ip4/203.0.113.7/tcp/4001\n',
    )
    .action((options: HostOptions) =>
      runNode({
        role: 'host',
        options,
        relayPrice: undefined,
        windowPrice: options.price,
        tillSlots: options.slots,
        maxTillSlots: options.maxSlots,
        prepare: async (node) => {
          const { openHost } = await import('../../app/roles/host.ts');
          return openHost(node, {
            contentPrice: options.price,
            publishPrice: options.publishPrice,
            quota: options.quota,
            quotaPerName: options.quotaPerName,
            acceptNames: options.accept.length === 0 ? undefined : options.accept,
          });
        },
        describe: (node, addresses) =>
          `Host ${node.keys.identity.nodeId} is up at ${addresses.join(', ')}: content ${formatCredits(options.price)}, ` +
          `publishing ${formatCredits(options.publishPrice)} credits per MiB.\nCtrl-C stops it.`,
      }),
    );
}
