/** A gateway: serves .web3 sites to browsers, and pays the relays and hosts. */
import { RelaymintError } from '../../core/errors.ts';
import { LEAST_QUOTA_BYTES, MAX_RELAYS, SPEND_LIMIT_SITE } from '../../core/limits.ts';
import { formatCredits } from '../../core/units.ts';
import {
  BROWSERS_LOCALHOST,
  DEFAULT_FULL_PORT,
  DEFAULT_GATEWAY_PORT,
  authoritySection,
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
  webOrigin,
} from '../config/index.ts';
import { isLoopback } from '../../node/transport/index.ts';
import type { Role } from './role.ts';
import type { GatewayValues, RunningGateway } from './visiting.ts';

const SELLING = { group: 'Selling to visitors:' };
const FULL = { group: 'Full mode (docs/sites.md):' };

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
    full: optional(
      '--full [port]',
      port,
      `a browser on this machine opens sites at https://news.web3, by a proxy at this port (${DEFAULT_FULL_PORT} if none is given); "relaymint ca show" says what the browser has to be told`,
      { preset: String(DEFAULT_FULL_PORT), ...FULL },
    ),
    ca: { ...authoritySection.ca, ...FULL },
    issuer: optional(
      '--issuer <url>',
      webOrigin,
      'an issuer, told to pages of sites that sign people in: http://localhost:8404 (docs/sign-in.md)',
    ),
    watch: optional('--watch <dir>', place, 'also show the figures of nodes whose data folders are in this folder'),
  },
  terms: (own) => {
    assertMayBeFull(own);
    return { spendLimitSite: own.spendLimitSite, address: own.address };
  },
  start: async (node, own) => {
    const { openGateway } = await import('./visiting.ts');
    let opened: RunningGateway | undefined;
    return {
      announced: async () => {
        opened = await openGateway(node, own);
        return { gateway: opened.url, ...(opened.pac !== undefined && { pac: opened.pac }) };
      },
      describe: () => {
        const below =
          own.domain === undefined ? '' : `Behind your proxy, demo.web3 is https://demo-web3.${own.domain}/.\n`;
        const sold = opened?.sold === undefined ? '' : `${opened.sold}\n`;
        const full =
          opened?.pac === undefined
            ? ''
            : `A browser that is told of ${opened.pac} opens https://news.web3/ ("${showCommand(own, opened.pac)}" says how).\n`;
        return `The gateway is up at ${opened?.url}\n${below}${full}${sold}Ctrl-C stops it.`;
      },
      [Symbol.asyncDispose]: async () => opened?.[Symbol.asyncDispose](),
    };
  },
};

/** By which a person is told what this gateway's browser has to be told. `pac` has the port that was taken. */
function showCommand({ address }: Pick<GatewayValues, 'address'>, pac: string): string {
  const port = Number(new URL(pac).port);
  return [
    'relaymint ca show',
    ...(port === DEFAULT_FULL_PORT ? [] : [`--full ${port}`]),
    ...(address === '127.0.0.1' ? [] : [`--address ${address}`]),
  ].join(' ');
}

/**
 * Whose browser trusts the authority is at this machine. To others it would be a proxy to sites that somebody else pays for.
 * @throws RelaymintError UNSAFE_CONFIG; INVALID_CONFIG for an address at which browsers look for no site of ours.
 */
function assertMayBeFull({ full, address, host, domain, sell }: GatewayValues): void {
  if (full === undefined) return;
  const others = [
    ...(domain === undefined ? [] : ['--domain']),
    ...(host.length === 0 ? [] : ['--host']),
    ...(sell === undefined ? [] : ['--sell']),
    ...(isLoopback(address) ? [] : [`--address ${address}`]),
  ];
  if (others.length > 0) {
    throw new RelaymintError(
      'UNSAFE_CONFIG',
      `--full is for the browsers of this machine, and ${others.join(' and ')} for visitors from elsewhere.`,
      { remedy: 'Run two gateways: one with --full for yourself, and one for them.' },
    );
  }
  if (BROWSERS_LOCALHOST.includes(address)) return;
  throw new RelaymintError(
    'INVALID_CONFIG',
    `With --full, browsers would look for sites at localhost, which ${address} is not.`,
    { remedy: 'Leave --address out, or give 127.0.0.1 or ::1.' },
  );
}
