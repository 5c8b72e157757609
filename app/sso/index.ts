/** Running an issuer: its parts put together. */
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import type { Clock, Log } from '../../core/ports.ts';
import type { LedgerReader } from '../../ledger/contract.ts';
import { unusedPort } from '../../platform/listen.ts';
import {
  issuerKey,
  openIssuer,
  openLevelStore,
  openPostgresStore,
  openRedisStore,
  type IssuerStore,
  type Outside,
  type StoreConnect,
} from '../../sites/sso/index.ts';
import { isLoopback } from '../../node/transport/index.ts';
import type { PublisherKey } from '../../sites/blocks/index.ts';
import type { SolanaChain } from '../../sites/siws/index.ts';
import { createDirectory } from './directory.ts';
import { outsideAt } from './outside.ts';

export interface IssuerSettings {
  readonly dataDir: string;
  /** 0: any free one. */
  readonly port: number;
  readonly address: string;
  /** Where others find it. Absent: http://localhost:PORT. */
  readonly issuer: URL | undefined;
  readonly gateway: URL | undefined;
  /** A server that several instances share. Absent: LevelDB in the data folder. */
  readonly store?: URL | undefined;
  /** Whoever has its link may sign in with it. Only where all is on this machine. */
  readonly wallet?: PublisherKey | undefined;
  readonly ledger: Pick<LedgerReader, 'name'> & { chain(): Promise<string> };
  /** By the transport policy. */
  readonly fetch: typeof globalThis.fetch;
  /** The same, to the server of `store`. */
  readonly connect: StoreConnect;
  /** What clients name, behind the guard of the same policy. Absent: nothing is asked there. */
  readonly outside?: Outside | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

export interface RunningIssuer extends AsyncDisposable {
  /** As it stands in tokens. */
  readonly issuer: string;
  readonly port: number;
  /** As `Issuer.walletLink`. */
  readonly walletLink: string | undefined;
}

const NETWORKS: Readonly<Record<string, SolanaChain>> = {
  '5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp': 'solana:mainnet',
  EtWTRABZaYq6iMfeYKouRu166VU2xqa1: 'solana:devnet',
  '4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z': 'solana:testnet',
};

/** @throws RelaymintError INVALID_CONFIG, ADDRESS_IN_USE, FILE_IN_USE, KEY_FILE_UNSAFE, CONNECTION_LOST (the store); what the ledger throws. */
export async function startIssuer(settings: IssuerSettings): Promise<RunningIssuer> {
  const { dataDir, address, clock, log } = settings;
  await using stack = new AsyncDisposableStack();
  const chain = await settings.ledger.chain();
  const port = settings.port === 0 ? await unusedPort(address, 'the issuer') : settings.port;
  const url = settings.issuer ?? new URL(`http://localhost:${port}`);
  const store = stack.use(await openStore(url, settings));
  const issuer = stack.use(
    await openIssuer({
      issuer: url,
      dataDir,
      store,
      directory: createDirectory(settings),
      // TLS is a proxy's. Where only this machine can connect, what that proxy says of its visitors is believed.
      isBehindProxy: isLoopback(address),
      outside: outsideAt(address, settings.outside),
      network: NETWORKS[chain] ?? 'localnet',
      chain,
      wallet: settings.wallet,
      gateway: settings.gateway && isHere(settings.gateway) ? settings.gateway : undefined,
      clock,
      log,
    }),
  );
  await issuer.listen({ port, address });
  const moved = stack.move();
  const { id, walletLink } = issuer;
  return { issuer: id, port, walletLink, [Symbol.asyncDispose]: () => moved[Symbol.asyncDispose]() };
}

function isHere({ hostname }: URL): boolean {
  return hostname === 'localhost' || isLoopback(hostname.replace(/^\[|\]$/g, ''));
}

async function openStore(
  issuer: URL,
  { store, dataDir, connect, clock, log }: Pick<IssuerSettings, 'store' | 'dataDir' | 'connect' | 'clock' | 'log'>,
): Promise<IssuerStore> {
  // Records of one issuer mean nothing to another, which has other secrets.
  if (store === undefined)
    return await openLevelStore(path.join(dataDir, `sign-in-${issuerKey(issuer)}`), { clock, log });
  const openServer = store.protocol.startsWith('redis') ? openRedisStore : openPostgresStore;
  return await openServer(store, { issuer, connect, clock, log });
}
