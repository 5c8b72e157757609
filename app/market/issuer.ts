/** The market's issuer: where its visitors sign in with their wallets, or with that of their gateway. */
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { isRelaymintError } from '../../core/errors.ts';
import type { Log } from '../../core/ports.ts';
import { DEFAULT_ISSUER_PORT, WALLET_FILE } from '../config/index.ts';
import { unusedPort } from '../../platform/listen.ts';
import type { Cluster } from './cluster.ts';
import { issuerReadySchema, type IssuerReady } from './events.ts';
import type { MarketLayout } from './layout.ts';
import { MarketProcess } from './process.ts';

const LABEL = 'issuer';

export interface MarketIssuerOptions {
  readonly cluster: Cluster;
  readonly layout: MarketLayout;
  readonly port: number;
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

/** Its usual port, or any free one. The gateway is told of it, and starts before it. */
export async function chooseIssuerPort(layout: MarketLayout): Promise<number> {
  const usual = layout.portOf(LABEL) || DEFAULT_ISSUER_PORT;
  return await unusedPort('127.0.0.1', 'the issuer', usual).catch((error: unknown) => {
    if (!isRelaymintError(error, 'ADDRESS_IN_USE')) throw error;
    return unusedPort('127.0.0.1', 'the issuer');
  });
}

/** At that port, or any free one. @throws RelaymintError as `MarketProcess.start`. */
export async function startMarketIssuer(options: MarketIssuerOptions): Promise<MarketIssuer> {
  const { cluster, layout, logLevel } = options;
  await using stack = new AsyncDisposableStack();
  const launch = async (port: number): Promise<IssuerReady> => {
    const place = ['--data', layout.dirOf(LABEL), '--port', String(port)];
    const wallet = ['--wallet', path.join(layout.dirOf('gateway'), WALLET_FILE)];
    const names = ['--ledger', cluster.ledger.url, '--program', cluster.ledger.programId];
    const gateway = ['--gateway', new URL(cluster.gatewayUrl).origin, '--loopback-only'];
    const args = (): readonly string[] => [
      'sso',
      'wallet',
      '--json',
      '--log-level',
      logLevel,
      ...place,
      ...wallet,
      ...gateway,
      ...names,
    ];
    const child = stack.use(new MarketProcess<IssuerReady>({ ...options, label: LABEL, args }, issuerReadySchema));
    return await child.start();
  };
  const ready = await launch(options.port).catch((error: unknown) => {
    if (!isRelaymintError(error, 'ADDRESS_IN_USE')) throw error;
    return launch(0);
  });
  // Where it is, is who it is: tokens and cookies of the next start are for the same address.
  await layout.rememberPort(LABEL, ready.port);
  const owned = stack.move();
  return { url: ready.issuer, walletLink: ready.walletLink, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
