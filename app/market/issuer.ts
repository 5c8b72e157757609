/** The market's issuer: where its visitors sign in with their wallets, or with that of their gateway. */
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { isRelaymintError } from '../../core/errors.ts';
import type { Log } from '../../core/ports.ts';
import { DEFAULT_ISSUER_PORT, WALLET_FILE } from '../config/index.ts';
import { holdPort, type HeldPort } from '../../platform/listen.ts';
import type { Cluster } from './cluster.ts';
import { issuerReadySchema, type IssuerReady } from './events.ts';
import type { MarketLayout } from './layout.ts';
import { MarketProcess } from './process.ts';

const LABEL = 'issuer';

export interface MarketIssuerOptions {
  readonly cluster: Cluster;
  readonly layout: MarketLayout;
  /** Where pages are told that it is. It is released for it. */
  readonly held: HeldPort;
  readonly logLevel: string;
  readonly log: Log;
  readonly onLogLine: (label: string, line: string) => void;
  /** It ended by itself and is there again, with another link. */
  readonly onRestart: (label: string, pid: number | undefined, ready: IssuerReady) => void;
  readonly signal: AbortSignal;
}

export interface MarketIssuer extends AsyncDisposable {
  readonly url: string;
  /** Who opens it may sign in as the visitor: a secret. */
  readonly walletLink: string;
}

/** Its usual port, or any free one. The gateway, which starts first, tells pages of it: so nobody else is to get it meanwhile. */
export async function holdIssuerPort(layout: MarketLayout): Promise<HeldPort> {
  const usual = layout.portOf(LABEL) || DEFAULT_ISSUER_PORT;
  return await holdPort('127.0.0.1', 'the issuer', usual).catch((error: unknown) => {
    if (!isRelaymintError(error, 'ADDRESS_IN_USE')) throw error;
    return holdPort('127.0.0.1', 'the issuer');
  });
}

/** @throws RelaymintError as `MarketProcess.start`. */
export async function startMarketIssuer(options: MarketIssuerOptions): Promise<MarketIssuer> {
  const { cluster, layout, logLevel } = options;
  await using stack = new AsyncDisposableStack();
  const place = ['--data', layout.dirOf(LABEL), '--port', String(options.held.port)];
  const wallet = ['--wallet', path.join(layout.dirOf('gateway'), WALLET_FILE)];
  const names = ['--ledger', cluster.ledger.url, '--program', cluster.ledger.programId];
  const gateway = ['--gateway', new URL(cluster.gatewayUrl).origin, '--loopback-only'];
  const said = ['--json', '--log-level', logLevel];
  const args = (): readonly string[] => ['sso', 'wallet', ...said, ...place, ...wallet, ...gateway, ...names];
  const child = stack.use(new MarketProcess<IssuerReady>({ ...options, label: LABEL, args }, issuerReadySchema));
  await options.held[Symbol.asyncDispose]();
  const ready = await child.start();
  // Where it is, is who it is: tokens and cookies of the next start are for the same address.
  await layout.rememberPort(LABEL, ready.port);
  const owned = stack.move();
  return { url: ready.issuer, walletLink: ready.walletLink, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
