/** A payee with a till, payers with channels and a site owner with a name, on the embedded ledger. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { earnersKey } from '../../../core/attribution.ts';
import type { RelaymintError } from '../../../core/errors.ts';
import { nodeId } from '../../../core/ids.ts';
import { amount, lamports } from '../../../core/units.ts';
import type { Amount } from '../../../core/units.ts';
import { openBookStore } from '../../../ledger/accounting/index.ts';
import type { BookStore } from '../../../ledger/accounting/index.ts';
import type { ChannelState, LedgerWallet, SettleFees } from '../../../ledger/contract.ts';
import { delegateFromSeed, receiptMessage, receiptSignature, signReceipt } from '../../../ledger/receipt/index.ts';
import { startSettlement } from '../../../ledger/settlement/index.ts';
import type { SettlementEngine, SettlementOptions } from '../../../ledger/settlement/index.ts';
import { EMBEDDED_PROGRAM_ID, startEmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import type { EmbeddedLedger, EmbeddedLedgerOptions } from '../../../ledger/solana/embedded/index.ts';
import { openSolanaLedger, walletKeyFromSeed, programFile } from '../../../ledger/solana/index.ts';
import type { SolanaLedger, SolanaLedgerOptions } from '../../../ledger/solana/index.ts';

const SOL = 1_000_000_000n;
export const DEPOSIT: Amount = amount(100_000_000n);
/** Version 1, raw, sha2-256, 32 bytes: a CID of no particular content. */
const CID = Uint8Array.of(1, 0x55, 0x12, 0x20, ...new Uint8Array(32).fill(7));
export const CHALLENGE_SECONDS = 600;
/** Channels that the payee can have at once. */
export const TILL_SLOTS = 16;
export const ROYALTY_BPS = 2_000;

export async function startLedger(options: Partial<EmbeddedLedgerOptions> = {}): Promise<EmbeddedLedger> {
  return startEmbeddedLedger({
    ...options,
    programPath: programFile(),
    programId: EMBEDDED_PROGRAM_ID,
    bank: { unitsPerLamport: 1n, challengeSeconds: BigInt(CHALLENGE_SECONDS) },
    seed: 'settlement tests',
  });
}

export function sha256(text: string): Uint8Array {
  return Uint8Array.from(createHash('sha256').update(text).digest());
}

export function connect(
  server: Pick<EmbeddedLedger, 'url'>,
  options: Partial<Pick<SolanaLedgerOptions, 'fetch' | 'timeoutMillis' | 'maxPriorityFee' | 'clock' | 'log'>> = {},
): SolanaLedger {
  return openSolanaLedger({ fetch, url: server.url, programId: EMBEDDED_PROGRAM_ID, ...options });
}

/** The payee's wallet in a world of this label. */
export function payeeWallet(ledger: SolanaLedger, label: string): LedgerWallet {
  return ledger.wallet(walletKeyFromSeed(label, 'payee'));
}

/** The wallet of a ledger whose transactions hold at most `most` receipts. */
export function narrow(wallet: LedgerWallet, most: number): LedgerWallet {
  return altered(wallet, {
    receiptsThatFit: (receipts, shares) => Math.min(most, wallet.receiptsThatFit(receipts, shares)),
  });
}

/** The wallet of a ledger that is crowded, so that each receipt costs its bid. */
export function bidding(wallet: LedgerWallet, fees: SettleFees): LedgerWallet {
  return altered(wallet, { settleFees: async () => fees });
}

/** A wallet that spoils the receipt of one payer: it stands for whatever makes the program refuse a receipt. */
export function spoiling(world: World, payer: number, when: () => boolean = () => true): LedgerWallet {
  const taken = new Set(world.payers.map(({ channel }) => channel.slot));
  const empty = Array.from(Array(TILL_SLOTS).keys()).find((slot) => !taken.has(slot)) ?? -1;
  const bad = world.payers[payer]?.channel.slot;
  const { wallet } = world;
  return altered(wallet, {
    prepareSettle: (items, ...rest) =>
      wallet.prepareSettle(
        items.map((item) => (when() && item.slot === bad ? { ...item, slot: empty } : item)),
        ...rest,
      ),
  });
}

export function altered<T extends object>(whole: T, change: Partial<T>): T {
  return new Proxy(whole, {
    get(target, property): unknown {
      const changed: unknown = Reflect.get(change, property);
      if (changed !== undefined) return changed;
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

export class World {
  readonly label: string;
  readonly ledger: SolanaLedger;
  readonly wallet: LedgerWallet;
  readonly payers: readonly { readonly wallet: LedgerWallet; channel: ChannelState }[];
  readonly name: string;
  readonly directory: string;
  store: BookStore;

  private constructor(parts: Pick<World, 'label' | 'ledger' | 'wallet' | 'payers' | 'name' | 'directory' | 'store'>) {
    this.label = parts.label;
    this.ledger = parts.ledger;
    this.wallet = parts.wallet;
    this.payers = parts.payers;
    this.name = parts.name;
    this.directory = parts.directory;
    this.store = parts.store;
  }

  static async create(
    server: EmbeddedLedger,
    label: string,
    payers: number,
    slots: number = TILL_SLOTS,
    opening: Amount = amount(0n),
  ): Promise<World> {
    const ledger = connect(server);
    const wallet = payeeWallet(ledger, label);
    await wallet.airdrop(lamports(SOL));
    await wallet.openTill(slots);
    const owner = ledger.wallet(walletKeyFromSeed(label, 'site owner'));
    await owner.airdrop(lamports(SOL));
    const name = `${label.replaceAll(/[^a-z0-9]+/g, '-')}.web3`;
    await owner.registerName({ name, root: CID, royaltyBps: ROYALTY_BPS });
    const directory = await mkdtemp(path.join(tmpdir(), 'relaymint-settlement-'));
    const store = await openBookStore(path.join(directory, 'books'));
    const opened = [];
    for (let i = 0; i < payers; i += 1) {
      const payer = ledger.wallet(walletKeyFromSeed(label, `payer ${i}`));
      await payer.airdrop(lamports(SOL));
      await payer.buy(lamports(DEPOSIT + opening));
      const channel = await payer.openChannel(wallet.address, delegateOf(label, i).address, {
        deposit: DEPOSIT,
        opening,
      });
      store.enter('payee', nodeId(sha256(`${label} node ${i}`)), channel);
      opened.push({ wallet: payer, channel });
    }
    return new World({ label, ledger, wallet, payers: opened, name, directory, store });
  }

  /** The payer signs up to `total`; `gross` of it was for the name, where `referrer` showed it. Resolves once it is on disk. */
  async receive(payer: number, total: bigint, gross = 0n, referrer?: string): Promise<void> {
    const channel = this.payers[payer]?.channel;
    if (channel === undefined) throw new RangeError(`there is no payer ${payer}`);
    const receipt = signReceipt(
      { channel: channel.id, amount: amount(total), up: total * 2n, down: total * 30n },
      delegateOf(this.label, payer),
    );
    const earned = new Map(gross === 0n ? [] : [[earnersKey({ name: this.name, referrer }), gross << 20n]]);
    await new Promise<void>((resolve, reject) => {
      this.store.hold(receipt, 0n, earned, (error?: RelaymintError) =>
        error === undefined ? resolve() : reject(error),
      );
    });
  }

  /** What the site's owner asks for from now on, basis points. */
  async changeRoyalty(royaltyBps: number): Promise<void> {
    await this.ledger.wallet(walletKeyFromSeed(this.label, 'site owner')).updateName(this.name, { royaltyBps });
  }

  /** What the site's owner offers of its royalty to those that show its content, basis points. */
  async offerReferrers(referrerBps: number): Promise<void> {
    await this.ledger.wallet(walletKeyFromSeed(this.label, 'site owner')).updateName(this.name, { referrerBps });
  }

  engine(options: Partial<SettlementOptions> = {}): SettlementEngine {
    return startSettlement({
      store: this.store,
      wallet: this.wallet,
      reader: this.ledger,
      ...options,
      policy: { pollMillis: 3_600_000, maxFeeShareBps: 0, retryMillis: 5, ...options.policy },
    });
  }

  /** Settles the newest receipt of one payer as a stranger with receipts may. */
  async settleForPayee(payer: number): Promise<void> {
    const channel = this.payers[payer]?.channel;
    const receipt = channel && this.store.entry(channel.id)?.latest;
    if (channel === undefined || receipt === undefined) throw new RangeError(`there is no receipt of payer ${payer}`);
    const stranger = this.ledger.wallet(walletKeyFromSeed(this.label, 'stranger'));
    await stranger.airdrop(lamports(SOL));
    const item = {
      slot: channel.slot,
      delegate: channel.delegate,
      message: receiptMessage(receipt),
      signature: receiptSignature(receipt),
    };
    const prepared = await stranger.prepareSettle([item], [], this.wallet.address);
    await stranger.submit(prepared);
    await stranger.confirm(prepared);
  }

  async requestClose(payer: number): Promise<void> {
    const closing = this.payers[payer];
    if (closing === undefined) throw new RangeError(`there is no payer ${payer}`);
    await closing.wallet.requestClose(closing.channel);
  }

  /** The payer closes its channel at once; the payee's wallet agrees. */
  async closeTogether(payer: number): Promise<void> {
    const closing = this.payers[payer];
    if (closing === undefined) throw new RangeError(`there is no payer ${payer}`);
    await closing.wallet.closeChannel(closing.channel, this.wallet);
  }

  async reopen(): Promise<void> {
    await this.store.close();
    this.store = await openBookStore(path.join(this.directory, 'books'));
  }

  async settledOnChain(): Promise<bigint> {
    const till = await this.ledger.till(this.wallet.address);
    return till?.channels.reduce((sum, channel) => sum + channel.settled, 0n) ?? 0n;
  }

  /** Somebody's name, which may be a referrer. */
  async registerOther(name: string): Promise<void> {
    const owner = this.ledger.wallet(walletKeyFromSeed(this.label, name));
    await owner.airdrop(lamports(SOL));
    await owner.registerName({ name, root: CID, royaltyBps: 0 });
  }

  /** What the name's owner got and what stayed with the payee. */
  async earnings(): Promise<{ readonly name: bigint; readonly till: bigint }> {
    const [record, till] = [await this.ledger.name(this.name), await this.ledger.till(this.wallet.address)];
    return { name: record?.lifetime ?? 0n, till: till?.lifetimeEarned ?? 0n };
  }

  async close(): Promise<void> {
    await this.store.close();
    this.ledger.close();
    await rm(this.directory, { recursive: true, force: true });
  }
}

function delegateOf(label: string, payer: number): ReturnType<typeof delegateFromSeed> {
  return delegateFromSeed(sha256(`${label} delegate ${payer}`));
}
