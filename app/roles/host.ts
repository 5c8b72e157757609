/** A host: stores content and serves it for pay. */
import { USUAL_PRICE } from '../../core/limits.ts';
import { formatBytes, formatCredits, pricePerMiB, type PricePerMiB } from '../../core/units.ts';
import { instant, list, name, optional, price, share, size, standard } from '../config/index.ts';
import type { LeftName } from './draining.ts';
import type { HostValues } from './hosting.ts';
import { inboxSetting } from './inbox.ts';
import type { Role, RoleFinish } from './role.ts';

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
    postPrice: standard(
      '--post-price <credits>',
      price,
      'credits per MiB of posts that anybody with a profile brings',
      formatCredits(USUAL_PRICE),
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
    drain: optional(
      '--drain <date>',
      instant,
      'leave: take no content, serve what is kept, and stop when other hosts keep it, or then at the latest (2026-12-31, which is 00:00 UTC of that day, or 2026-12-31T18:00Z)',
      { onlyFlag: true },
    ),
    inbox: inboxSetting,
  },
  // A window has room for a circuit at the highest price.
  terms: (own) => ({ windowPrice: dearest(own), maxRoyaltyBps: own.maxRoyalty }),
  start: async (node, own) => {
    const { openHost } = await import('./hosting.ts');
    const hosting = await openHost(node, own);
    const { draining } = hosting;
    return {
      ...(draining && {
        announced: async () => {
          await hosting.sweep();
          return { draining: true };
        },
        finished: draining.finished.then(finishOf),
      }),
      describe: (addresses) =>
        `Host ${node.keys.identity.nodeId} is up at ${addresses.join(', ')}: content ${formatCredits(own.price)}` +
        `${draining === undefined ? `, publishing ${formatCredits(own.publishPrice)} credits per MiB` : leavingText(draining.left)}.\nCtrl-C stops it.`,
      figures: () => ({
        names: new Set(hosting.store.pins().map(({ name }) => name)).size,
        ...(draining && { left: draining.left.length }),
      }),
      [Symbol.asyncDispose]: () => hosting[Symbol.asyncDispose](),
    };
  },
};

function dearest({ price: content, publishPrice, postPrice }: HostValues): PricePerMiB {
  const highest = [content, publishPrice, postPrice].reduce((most, each) => (each > most ? each : most));
  return pricePerMiB(highest);
}

/** Names that people are shown. */
const MOST_SHOWN = 20;

function leavingText(left: readonly LeftName[]): string {
  return ` credits per MiB.\nIt is leaving and takes no content. ${leftText(left)}`;
}

function finishOf(left: readonly LeftName[]): RoleFinish {
  return { value: { event: 'drained', left }, line: leftText(left) };
}

function leftText(left: readonly LeftName[]): string {
  if (left.length === 0) return 'Other hosts keep all that is published here';
  const shown = left.slice(0, MOST_SHOWN).map(({ name: one, bytes }) => `${one} (${formatBytes(bytes)})`);
  const more = left.length > shown.length ? `, and ${left.length - shown.length} more` : '';
  return `No other host has shown that it keeps ${shown.join(', ')}${more}`;
}
