/** Where the channels of a node are tested: the real program, one who is paid and one who pays. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import type { ChannelId } from '../../core/ids.ts';
import { silentLog, systemClock } from '../../core/ports.ts';
import { amount, lamports, type Amount } from '../../core/units.ts';
import { openBookStore, type BookStore } from '../../ledger/accounting/index.ts';
import { openBudget, type Budget } from '../../ledger/budget/index.ts';
import type { TillState } from '../../ledger/contract.ts';
import { delegateFromSeed } from '../../ledger/receipt/index.ts';
import { EMBEDDED_PROGRAM_ID, startEmbeddedLedger } from '../../ledger/solana/embedded/index.ts';
import type { EmbeddedLedger } from '../../ledger/solana/embedded/index.ts';
import { generateWalletKey, openSolanaLedger, programFile } from '../../ledger/solana/index.ts';
import type { SolanaLedger, SolanaWallet } from '../../ledger/solana/index.ts';
import { Channels, type ChannelsOptions } from '../../app/node/channels.ts';
import { newIdentity } from '../node/link/nodes.ts';
import type { NodeId } from '../../core/ids.ts';
import type { Signer } from '../../ledger/receipt/index.ts';

export const DEPOSIT: Amount = amount(1_000n);
export const DAY: number = 24 * 60 * 60_000;
export const PEER: NodeId = newIdentity().nodeId;
export const delegate: Signer = delegateFromSeed(new Uint8Array(32).fill(5));

/** A payee with a till, and a payer with books and a budget, both new for each test; the ledger is one for all tests of a file. */
export class ChannelStage {
  server!: EmbeddedLedger;
  ledger!: SolanaLedger;
  payee!: SolanaWallet;
  payer!: SolanaWallet;
  folder!: string;
  store!: BookStore;
  budget!: Budget;
  /** The channels that links use. */
  live: Set<ChannelId> = new Set();
  /** Milliseconds. */
  now = 0;
  /** What the ledger was asked. */
  asked: string[] = [];

  async open(): Promise<void> {
    this.server = await startEmbeddedLedger({
      programPath: programFile(),
      programId: EMBEDDED_PROGRAM_ID,
      bank: { unitsPerLamport: 1n, challengeSeconds: 1n },
    });
    const listening: typeof fetch = async (input, init) => {
      const body = JSON.stringify(init?.body ?? '');
      const method = /\\"method\\":\\"(\w+)\\"/.exec(body)?.[1];
      if (method !== undefined) this.asked.push(body.includes('dataSlice') ? `${method} part` : method);
      return fetch(input, init);
    };
    this.ledger = openSolanaLedger({ fetch: listening, url: this.server.url, programId: EMBEDDED_PROGRAM_ID });
  }

  async close(): Promise<void> {
    this.ledger.close();
    await this.server.close();
  }

  async begin(): Promise<void> {
    this.folder = await mkdtemp(path.join(tmpdir(), 'relaymint-channels-'));
    [this.payee, this.payer] = await Promise.all([this.seller(), this.wallet()]);
    this.store = await openBookStore(path.join(this.folder, 'books'));
    this.budget = await this.budgetOf(3_000n);
    this.live = new Set();
    this.now = 0;
    this.asked = [];
  }

  async end(): Promise<void> {
    await this.budget[Symbol.asyncDispose]();
    await this.store.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  async wallet(credits = 100_000n): Promise<SolanaWallet> {
    const made = this.ledger.wallet(generateWalletKey());
    await made.airdrop(lamports(1_000_000_000n));
    if (credits > 0n) await made.buy(lamports(credits));
    return made;
  }

  async seller(slots = 4): Promise<SolanaWallet> {
    const made = await this.wallet();
    await made.openTill(slots);
    return made;
  }

  budgetOf(perPeer: bigint): Promise<Budget> {
    const limits = { perPeer: amount(perPeer), perSite: amount(0n), total: amount(2n * perPeer) };
    return openBudget({ file: path.join(this.folder, 'budget'), limits, clock: systemClock, log: silentLog });
  }

  channels(changes: Partial<ChannelsOptions> = {}): Channels {
    return new Channels({
      reader: this.ledger,
      wallet: this.payer,
      delegate,
      store: this.store,
      budget: this.budget,
      deposit: DEPOSIT,
      opening: amount(0n),
      maxOpening: amount(10n),
      maxWidened: amount(10n),
      live: () => this.live,
      update: (channel) => this.store.update(channel),
      idleMillis: DAY,
      now: () => this.now,
      log: silentLog,
      ...changes,
    });
  }

  async onChain(): Promise<string[]> {
    return (await this.ledger.channelsOf(this.payer.address)).map(({ id }) => id);
  }

  /** What a till that asks for this much looks like to its payers. */
  asking(terms: Partial<TillState>): ChannelsOptions['reader'] {
    return new Proxy(this.ledger, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key, target);
        if (key === 'till') {
          return async (owner: SolanaWallet['address']) => {
            const till = await target.till(owner);
            return till === undefined ? undefined : { ...till, ...terms };
          };
        }
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }
}

/** For the file that calls it. */
export function channelStage(): ChannelStage {
  const stage = new ChannelStage();
  beforeAll(() => stage.open(), 60_000);
  afterAll(() => stage.close());
  beforeEach(() => stage.begin());
  afterEach(() => stage.end());
  return stage;
}
