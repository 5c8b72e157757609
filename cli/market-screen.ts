/** What a person sees in the terminal: one screen when the marketplace is up, and the summary of a round. */
import { formatBytes, formatCredits, amount } from '../core/units.ts';
import { shortId } from '../core/ids.ts';
import { table } from './output.ts';
import type { Cluster, MarketTransport, Published, RoundReport } from '../app/market/index.ts';

export interface ScreenOptions {
  readonly cluster: Cluster;
  /** The one that a visitor begins at first. */
  readonly published: readonly [Published, ...Published[]];
  readonly urlOf: (name: string) => string;
  /** As the user gave it; undefined when nothing is kept. */
  readonly dataDir: string | undefined;
  readonly logFile: string;
  /** Where people sign in; undefined: nowhere. */
  readonly issuer: { readonly url: string; readonly walletLink: string } | undefined;
  /** As whom its visitor writes, and where; undefined: there is no wall. */
  readonly visitor: { readonly name: string; readonly wall: string } | undefined;
  readonly transport: MarketTransport;
}

/** A browser without a wallet signs in with the gateway's. */
export function walletLinkText(link: string): string {
  return `  to sign in without a wallet in your browser:\n               ${link}`;
}

/** Said as soon as there is something to look at. */
export function openText(front: string, url: string, millis: number): string {
  return `\n  ${front} is open after ${(millis / 1000).toFixed(1)} s:  ${url}\n  The rest of the town is being published.\n`;
}

export function renderScreen(options: ScreenOptions): string {
  const { cluster } = options;
  const [front] = options.published;
  const nodes = table([
    ['  NODE', 'ID', 'WALLET', 'ADDRESS'],
    ['  ledger', '', '', cluster.ledger.url],
    ...cluster.nodes.map(({ ready }) => [
      `  ${ready.label}`,
      shortId(ready.nodeId),
      shortId(ready.wallet),
      ready.gateway ?? ready.addresses[0] ?? '',
    ]),
  ]);
  const names = table(
    [
      ['  NAME', 'OWNER', 'FILES', 'SIZE', 'ADDRESS'],
      ...options.published.map(({ name, wallet, files, bytes }) => [
        `  ${name}`,
        shortId(wallet),
        String(files),
        formatBytes(bytes),
        options.urlOf(name),
      ]),
    ],
    [2, 3],
  );
  return `
  Relaymint is up${transportText(options.transport)}.

${nodes}

${names}

  State: ${options.dataDir === undefined ? 'removed when this marketplace stops (keep it with --data DIR)' : options.dataDir}
  Log:   ${options.logFile}

  What to try next
    open the site, then your costs: whom each byte paid; the marketplace shows it counted at both ends
    settle what is waiting now, with the button at
      ${cluster.settleUrl}
    npm start -- --site ./any/folder     publish your own files
    npm start -- --once --json           one complete round with every figure
    publish, post or visit from another terminal: any command with
      ${cluster.joinArgs.join(' ')} --airdrop 20 --data ./mine
    node bin/relaymint.js --help         every command

  ${front.name.padEnd(12)} ${options.urlOf(front.name)}
  your costs   ${cluster.gatewayUrl}
  marketplace  ${cluster.gatewayUrl}market
${options.issuer === undefined ? '' : `  sign-in      ${options.issuer.url}\n${walletLinkText(options.issuer.walletLink)}\n`}${options.visitor === undefined ? '' : `  then write as ${options.visitor.name}, and see what it earns:\n               ${options.visitor.wall}\n`}
  Ctrl-C stops everything.`;
}

const NETWORK_NAMES: Readonly<Record<MarketTransport, string>> = { tcp: '', tor: 'Tor', i2p: 'I2P' };

function transportText(transport: MarketTransport): string {
  return transport === 'tcp' ? '' : `. Its nodes reach each other over a private ${NETWORK_NAMES[transport]} network`;
}

export function renderRound(report: RoundReport): string {
  const credits = (value: string): string => formatCredits(amount(BigInt(value)));
  const peers = table([
    ['  PAYER', 'PAYEE', 'UP', 'DOWN', 'OWED', 'PAID', ''],
    ...report.peers.map((peer) => [
      `  ${shortId(peer.payer)}`,
      shortId(peer.payee),
      formatBytes(Number(peer.payeeCounts.up)),
      formatBytes(Number(peer.payeeCounts.down)),
      credits(peer.owed),
      credits(peer.paid),
      peer.payerCounts.up === peer.payeeCounts.up && peer.payerCounts.down === peer.payeeCounts.down
        ? 'both ends agree'
        : 'THE ENDS DISAGREE',
    ]),
  ]);
  const balances = table([
    ['  OWNER', 'ROLE', 'BEFORE', 'AFTER'],
    ...report.balances.map((row) => [`  ${shortId(row.owner)}`, row.role, credits(row.before), credits(row.after)]),
  ]);
  const sites = report.sites.map(siteText).join('\n');
  const { settlement, supply, timings } = report;
  return `
${sites}

${peers}

${balances}

  ${settlement.receipts} receipts settled in ${settlement.transactions} transactions, ${settlement.computeUnits} compute units, ${settlement.feeLamports} lamports
  bought ${credits(supply.bought)}, burned ${credits(supply.burned)}, minted ${credits(supply.minted)}, redeemed ${credits(supply.redeemed)}, circulating ${credits(supply.circulating)}, in open deposits ${credits(supply.openDeposits)}, unminted ${credits(supply.unminted)}, staked and lost ${credits(supply.forgone)}
  ready after ${timings.readyMs} ms, fetched in ${timings.fetchMs} ms, settled in ${timings.settleMs} ms

  ${report.ok ? 'The round adds up.' : 'THE ROUND DOES NOT ADD UP: see the messages above.'}`;
}

function siteText({ name, files, bytes, verified }: RoundReport['site']): string {
  return `  ${name}: ${files} files, ${formatBytes(bytes)}, ${verified ? 'bit-exact' : 'NOT AS PUBLISHED'}`;
}
