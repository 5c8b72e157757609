/** Signs and sends for one key. */
import { createAssociatedTokenAccountIdempotentInstruction, createTransferInstruction } from '@solana/spl-token';
import { LAMPORTS_PER_SOL } from '@solana/web3.js';
import type { Keypair, PublicKey, TransactionInstruction } from '@solana/web3.js';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import { formatCredits, formatSol, lamports as toLamports } from '../../core/units.ts';
import type { Amount, Lamports } from '../../core/units.ts';
import type {
  ChannelState,
  ContentShare,
  LedgerWallet,
  NameRecord,
  PreparedTransaction,
  SettleFees,
  SettleItem,
  Split,
  SubmissionStatus,
  TransactionResult,
} from '../contract.ts';
import { walletAddress } from './keys.ts';
import type { WalletKey } from './keys.ts';
import * as program from './program/index.ts';
import type { SolanaReader } from './reader.ts';
import { toKey } from './states.ts';
import type { Submitter } from './submitter.ts';

/** Fee of one signature; what else a transaction takes is found out by the node's own trial run. */
const FEE_LAMPORTS = 5000n;
/** What a settlement takes at most, its margin included: with one receipt, and for each further one. */
const SETTLE_UNITS = 20_000;
const SETTLE_UNITS_EACH = 1_000;
/** How often another payer may take the slot we chose before us. */
const SLOT_TRIES = 5;

export class SolanaWallet implements LedgerWallet {
  readonly address: LedgerAddress;
  readonly #ledger: SolanaReader;
  readonly #submitter: Submitter;
  readonly #key: Keypair;

  constructor(ledger: SolanaReader, submitter: Submitter, key: WalletKey) {
    this.#ledger = ledger;
    this.#submitter = submitter;
    this.#key = key;
    this.address = walletAddress(key);
  }

  async airdrop(amount: Lamports): Promise<void> {
    if (amount > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new RelaymintError('INVALID_ARGUMENT', `An airdrop of ${formatSol(amount)} SOL is too much.`, {
        remedy: `Ask for at most ${Math.floor(Number.MAX_SAFE_INTEGER / LAMPORTS_PER_SOL)} SOL at once.`,
      });
    }
    const signature = await this.#ledger.rpc.tell((connection) =>
      connection.requestAirdrop(this.#owner, Number(amount)),
    );
    await this.#submitter.settled(signature);
  }

  async buy(amount: Lamports): Promise<TransactionResult> {
    const { lamports } = await this.#ledger.balances(this.address);
    if (lamports < amount + FEE_LAMPORTS) throw lacksSol(lamports, amount + FEE_LAMPORTS);
    return this.#run([
      this.#createAccountOf(this.#owner),
      program.buy(this.#program, { buyer: this.#owner, lamports: amount }),
    ]);
  }

  async redeem(amount: Amount): Promise<TransactionResult> {
    await this.#requireCredits(amount);
    return this.#run([program.redeem(this.#program, { owner: this.#owner, amount })]);
  }

  async send(to: LedgerAddress, amount: Amount): Promise<TransactionResult> {
    await this.#requireCredits(amount);
    const receiver = toKey(to);
    return this.#run([
      this.#createAccountOf(receiver),
      createTransferInstruction(this.#creditsOf(this.#owner), this.#creditsOf(receiver), this.#owner, amount),
    ]);
  }

  async openTill(slots: number): Promise<TransactionResult> {
    return this.#run([program.openTill(this.#program, { owner: this.#owner, slots })]);
  }

  async openChannel(payee: LedgerAddress, delegate: LedgerAddress, deposit: Amount): Promise<ChannelState> {
    await this.#requireCredits(deposit);
    const till = program.tillAddress(this.#program, toKey(payee));
    for (let attempt = 1; ; attempt += 1) {
      const slot = await this.#freeSlot(payee, till);
      try {
        await this.#run([
          program.openChannel(this.#program, { payer: this.#owner, till, slot, delegate: toKey(delegate), deposit }),
        ]);
      } catch (error) {
        const taken = isRelaymintError(error) && error.details['program'] === 'SlotInUse';
        if (!taken || attempt === SLOT_TRIES) throw error;
        continue;
      }
      const channel = await this.#ledger.channel(this.#ledger.tillAddress(payee), slot);
      if (channel?.payer === this.address) return channel;
      throw new RelaymintError('CHANNEL_UNKNOWN', 'The channel was opened and is gone already.', {
        remedy: 'Another process closed it: see which one uses this wallet.',
      });
    }
  }

  async topUp(channel: ChannelState, amount: Amount): Promise<TransactionResult> {
    await this.#requireCredits(amount);
    return this.#run([program.topUp(this.#program, { funder: this.#owner, ...placeOf(channel), amount })]);
  }

  async requestClose(channel: ChannelState): Promise<TransactionResult> {
    return this.#run([program.requestClose(this.#program, { payer: this.#owner, ...placeOf(channel) })]);
  }

  async closeChannel(channel: ChannelState, payee?: LedgerWallet): Promise<TransactionResult> {
    if (payee !== undefined && !(payee instanceof SolanaWallet)) {
      throw new TypeError('the payee signs with a wallet of the same ledger');
    }
    const close = program.closeChannel(this.#program, {
      payer: this.#owner,
      ...placeOf(channel),
      tillOwner: payee === undefined ? undefined : payee.#owner,
    });
    return this.#run([this.#createAccountOf(this.#owner), close], payee === undefined ? [] : [payee.#key]);
  }

  async withdraw(): Promise<TransactionResult> {
    const till = program.tillAddress(this.#program, this.#owner);
    return this.#run([
      this.#createAccountOf(this.#owner),
      program.withdraw(this.#program, { owner: this.#owner, till }),
    ]);
  }

  async prepareSettle(
    items: readonly SettleItem[],
    shares: readonly ContentShare[],
    payee: LedgerAddress = this.address,
  ): Promise<PreparedTransaction> {
    const receipts = items.map(({ delegate, message, signature }) => ({
      delegate: toKey(delegate),
      message,
      signature,
    }));
    const settle = program.settle(this.#program, {
      till: program.tillAddress(this.#program, toKey(payee)),
      owner: payee === this.address ? this.#owner : undefined,
      slots: items.map(({ slot }) => slot),
      shares,
    });
    return this.#submitter.prepare([program.ed25519BatchInstruction(receipts), settle], [this.#key]);
  }

  async settleFees(): Promise<SettleFees> {
    const till = program.tillAddress(this.#program, this.#owner);
    const written = [this.#owner, till, program.bankAddress(this.#program)];
    const [first, further] = await Promise.all(
      [SETTLE_UNITS, SETTLE_UNITS_EACH].map((units) => this.#submitter.priorityFee(written, units)),
    );
    // The transaction's own signature, and that of each receipt.
    return {
      first: toLamports(2n * FEE_LAMPORTS + (first ?? 0n)),
      further: toLamports(FEE_LAMPORTS + (further ?? 0n)),
    };
  }

  async submit(transaction: PreparedTransaction): Promise<void> {
    await this.#submitter.submit(transaction);
  }

  async confirm(transaction: PreparedTransaction, signal?: AbortSignal): Promise<SubmissionStatus> {
    return this.#submitter.confirm(transaction, signal);
  }

  async status(
    transaction: Pick<PreparedTransaction, 'signature' | 'lastValidBlockHeight'>,
  ): Promise<SubmissionStatus> {
    return this.#submitter.status(transaction);
  }

  async registerName(record: Parameters<LedgerWallet['registerName']>[0]): Promise<TransactionResult> {
    const { name, root, manifest, royaltyBps, splits, manager } = record;
    return this.#run([
      program.registerName(this.#program, {
        owner: this.#owner,
        name,
        root,
        manifest,
        royaltyBps,
        splits: splits === undefined ? undefined : splitShares(splits),
        manager: manager === undefined ? undefined : toKey(manager),
      }),
    ]);
  }

  async updateName(name: string, change: Parameters<LedgerWallet['updateName']>[1]): Promise<TransactionResult> {
    const { seq } = await this.#requireName(name);
    const { root, manifest, royaltyBps, splits } = change;
    return this.#run([
      program.updateName(this.#program, {
        signer: this.#owner,
        name,
        seq,
        root,
        manifest,
        royaltyBps,
        splits: splits === undefined ? undefined : splitShares(splits),
      }),
    ]);
  }

  async distributeName(name: string): Promise<TransactionResult> {
    const { splits } = await this.#requireName(name);
    const own = splits.some(({ account }) => account === this.address);
    const payouts = splits.map(({ account }) => ({ account: toKey(account) }));
    return this.#run([
      ...(own ? [this.#createAccountOf(this.#owner)] : []),
      program.distributeName(this.#program, { name, splits: payouts }),
    ]);
  }

  get #owner(): PublicKey {
    return this.#key.publicKey;
  }

  get #program(): PublicKey {
    return this.#ledger.program;
  }

  #run(instructions: readonly TransactionInstruction[], others: readonly Keypair[] = []): Promise<TransactionResult> {
    return this.#submitter.run(instructions, [this.#key, ...others]);
  }

  #creditsOf(owner: PublicKey): PublicKey {
    return program.creditAccountAddress(this.#program, owner);
  }

  /** Costs its rent only when it does not exist. */
  #createAccountOf(owner: PublicKey): TransactionInstruction {
    const mint = program.mintAddress(this.#program);
    return createAssociatedTokenAccountIdempotentInstruction(this.#owner, this.#creditsOf(owner), owner, mint);
  }

  async #requireCredits(amount: Amount): Promise<void> {
    const { credits, lamports } = await this.#ledger.balances(this.address);
    if (lamports < FEE_LAMPORTS) throw lacksSol(lamports, toLamports(FEE_LAMPORTS));
    if (credits >= amount) return;
    throw new RelaymintError(
      'INSUFFICIENT_FUNDS',
      `The wallet has ${formatCredits(credits)} credits, ${formatCredits(amount)} are needed.`,
      { remedy: 'Buy credits with "relaymint wallet buy".', details: { has: String(credits), needs: String(amount) } },
    );
  }

  async #requireName(name: string): Promise<NameRecord> {
    const record = await this.#ledger.name(name);
    if (record !== undefined) return record;
    throw new RelaymintError('NAME_UNKNOWN', `The name ${name} is not registered.`, {
      remedy: 'Register it, or check its spelling.',
    });
  }

  /** One of the free slots at random: payers that open at the same moment rarely choose the same one. */
  async #freeSlot(payee: LedgerAddress, till: PublicKey): Promise<number> {
    const account = await this.#ledger.tillAccount(till);
    if (account === undefined) {
      throw new RelaymintError('CHANNEL_UNKNOWN', `${payee} has no till.`, {
        remedy: 'The payee must open one before it can be paid.',
      });
    }
    const free = account.slots.filter((slot) => !slot.open);
    const chosen = free[Math.floor(Math.random() * free.length)];
    if (chosen !== undefined) return chosen.slot;
    throw new RelaymintError('LIMIT_EXCEEDED', `All ${account.slots.length} slots of ${payee}'s till are taken.`, {
      remedy: 'Use another payee, or wait until a channel is closed.',
    });
  }
}

function placeOf(channel: ChannelState): {
  readonly till: PublicKey;
  readonly slot: number;
  readonly generation: number;
} {
  return { till: toKey(channel.till), slot: channel.slot, generation: channel.generation };
}

function splitShares(splits: readonly Split[]): readonly program.SplitShare[] {
  return splits.map(({ account, bps }) => ({ account: toKey(account), bps }));
}

function lacksSol(has: bigint, needs: bigint): RelaymintError {
  return new RelaymintError(
    'INSUFFICIENT_FUNDS',
    `The wallet has ${formatSol(toLamports(has))} SOL, ${formatSol(toLamports(needs))} are needed.`,
    { remedy: 'Send it some SOL.', details: { has: String(has), needs: String(needs) } },
  );
}
