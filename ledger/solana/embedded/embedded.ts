/** Puts the embedded ledger's parts together and takes them apart again. */
import { silentLog, systemClock } from '../../../core/ports.ts';
import type { WalletKey } from '../keys.ts';
import { Chain } from './chain.ts';
import { adminKey, ensureBank, genesisAccounts, newGenesis, readProgram } from './genesis.ts';
import { memoryJournal, openJournal } from './journal.ts';
import type { EmbeddedLedger, EmbeddedLedgerOptions } from './options.ts';
import { RpcServer } from './server.ts';
import { Subscriptions } from './subscriptions.ts';

export class EmbeddedServer implements EmbeddedLedger {
  readonly url: string;
  readonly wsUrl: string;
  readonly genesisHash: string;
  readonly admin: WalletKey;
  readonly #chain: Chain;
  readonly #closers: (() => Promise<void>)[];
  #closed: Promise<void> | undefined;

  private constructor(
    chain: Chain,
    urls: { readonly url: string; readonly wsUrl: string },
    closers: (() => Promise<void>)[],
  ) {
    this.#chain = chain;
    this.#closers = closers;
    this.url = urls.url;
    this.wsUrl = urls.wsUrl;
    this.genesisHash = chain.timeline.genesisHash;
    this.admin = adminKey(chain.genesis);
  }

  static async start(options: EmbeddedLedgerOptions): Promise<EmbeddedServer> {
    const log = options.log ?? silentLog;
    const clock = options.clock ?? systemClock;
    const host = options.host ?? '127.0.0.1';
    const programs = await readProgram(options);
    const journal = options.dataDir === undefined ? memoryJournal() : await openJournal(options.dataDir);
    // Taken apart in the opposite order; the journal belongs to the chain once that exists.
    const closers = [(): Promise<void> => journal.close()];
    try {
      const chain = await Chain.open({
        journal,
        clock,
        programs,
        genesis: () => newGenesis(options.seed, clock),
        accounts: genesisAccounts,
      });
      closers[0] = () => chain.close();
      chain.maxTransactionVersion = options.maxTransactionVersion ?? 1;
      ensureBank(chain, options);
      await chain.durable();
      const subscriptions = new Subscriptions(chain, log);
      closers.push(async () => subscriptions.close());
      const server = new RpcServer(chain, subscriptions, host, log);
      closers.push(() => server.close());
      const port = await server.listen(options.port ?? 0);
      let wsPort = port;
      if (options.wsPort !== undefined) {
        const extra = new RpcServer(chain, subscriptions, host, log);
        closers.push(() => extra.close());
        wsPort = await extra.listen(options.wsPort);
      }
      const name = host.includes(':') ? `[${host}]` : host;
      const urls = { url: `http://${name}:${port}`, wsUrl: `ws://${name}:${wsPort}` };
      log.info({ ...urls, slot: chain.timeline.slot() }, 'the embedded ledger answers');
      return new EmbeddedServer(chain, urls, closers);
    } catch (error) {
      await closeAll(closers);
      throw error;
    }
  }

  async warp(seconds: number): Promise<void> {
    this.#chain.warp(seconds);
    await this.#chain.durable();
  }

  takeTransactions(maxTransactionVersion: 0 | 1): void {
    this.#chain.maxTransactionVersion = maxTransactionVersion;
  }

  close(): Promise<void> {
    this.#closed ??= closeAll(this.#closers);
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

async function closeAll(closers: readonly (() => Promise<void>)[]): Promise<void> {
  for (const close of closers.toReversed()) await close();
}
