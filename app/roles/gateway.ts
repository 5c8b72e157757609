/** A gateway: serves .web3 sites to browsers, and pays the relays and hosts. */
import { LEAST_QUOTA_BYTES, MAX_RELAYS, SPEND_LIMIT_SITE } from '../../core/limits.ts';
import { formatCredits } from '../../core/units.ts';
import {
  DEFAULT_GATEWAY_PORT,
  count,
  credits,
  hostName,
  ip,
  keeping,
  list,
  name,
  optional,
  place,
  port,
  publicDomain,
  salePrice,
  sizeFrom,
  soldForToken,
  standard,
  wallet,
} from '../config/index.ts';
import type { Role } from './role.ts';
import type { GatewayValues, RunningGateway } from './visiting.ts';

const SELLING = { group: 'Selling to visitors:' };

export const gateway: Role<GatewayValues> = {
  name: 'gateway',
  summary: 'serve sites to browsers, and pay for what visitors fetch',
  description:
    'Resolves names on the ledger, fetches content through circuits of paid relays, verifies every block and serves\neach site on an origin of its own: demo.web3 is http://demo-web3.localhost:PORT/.',
  example: 'relaymint gateway --bootstrap NODEID@/ip4/203.0.113.7/tcp/4001',
  earns: false,
  settings: {
    relays: standard('--relays <n>', count(1, MAX_RELAYS), `paid relays in front of the host, 1 to ${MAX_RELAYS}`, '3'),
    spendLimitSite: standard(
      '--spend-limit-site <credits>',
      credits,
      "most that one site's pages and files may cost in an hour",
      formatCredits(SPEND_LIMIT_SITE),
    ),
    port: standard('--port <n>', port, 'where browsers connect; 0 for any free port', String(DEFAULT_GATEWAY_PORT)),
    address: standard('--address <ip>', ip, 'address to listen on', '127.0.0.1'),
    host: list('--host <name>', hostName, 'another host name to answer to (repeatable)'),
    domain: optional(
      '--domain <name>',
      publicDomain,
      'serve sites to other machines as well, each on an origin below this domain: demo.web3 is demo-web3.DOMAIN; needs a proxy that speaks TLS',
    ),
    cache: standard(
      '--cache <size>',
      keeping,
      'most content to keep on disk, so that nothing is paid for twice (for other machines: of names that ask no royalty); 0: keep it in memory only; off: not at all',
      '1G',
    ),
    sell: optional(
      '--sell <credits>',
      salePrice,
      'visitors without a node pay this per MiB by HTTP 402 (x402), in quotas; without it nobody is asked to pay',
      SELLING,
    ),
    sellQuota: standard(
      '--sell-quota <size>',
      sizeFrom(LEAST_QUOTA_BYTES),
      'bytes of a site that one payment buys',
      '64M',
      SELLING,
    ),
    sellTo: optional(
      '--sell-to <address>',
      wallet,
      "the wallet that visitors pay; this gateway's own if not given",
      SELLING,
    ),
    sellAsset: list(
      '--sell-asset <mint=price>',
      soldForToken,
      'another token to take beside credits, and what a MiB costs in it: MINT=0.0001 (repeatable)',
      SELLING,
    ),
    free: list(
      '--free <name>',
      name,
      'a name that is not sold, because its owner pays for its visitors (repeatable)',
      SELLING,
    ),
    watch: optional('--watch <dir>', place, 'also show the figures of nodes whose data folders are in this folder'),
  },
  terms: (own) => ({ spendLimitSite: own.spendLimitSite, address: own.address }),
  start: async (node, own) => {
    const { openGateway } = await import('./visiting.ts');
    let opened: RunningGateway | undefined;
    return {
      announced: async () => {
        opened = await openGateway(node, own);
        return { gateway: opened.url };
      },
      describe: () => {
        const below =
          own.domain === undefined ? '' : `Behind your proxy, demo.web3 is https://demo-web3.${own.domain}/.\n`;
        const sold = opened?.sold === undefined ? '' : `${opened.sold}\n`;
        return `The gateway is up at ${opened?.url}\n${below}${sold}Ctrl-C stops it.`;
      },
      [Symbol.asyncDispose]: async () => opened?.[Symbol.asyncDispose](),
    };
  },
};
