/** Signs and sends for one key. */
import { createAssociatedTokenAccountIdempotentInstruction, createTransferInstruction } from '@solana/spl-token';
import { LAMPORTS_PER_SOL } from '@solana/web3.js';
import type { Keypair, PublicKey, TransactionInstruction } from '@solana/web3.js';
import { RelaymintError } from '../../core/errors.ts';
import { ledgerAddressBytes } from '../../core/ids.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import { addAmounts, amount, formatCredits, formatSol, lamports as toLamports } from '../../core/units.ts';
import type { Amount, Lamports } from '../../core/units.ts';
import type {
  Balances,
  ChannelFunds,
  ChannelState,
  ContentShare,
  FeePerReceipt,
  LedgerCashier,
  LedgerWallet,
  NameCommitment,
  NamePurchase,
  NameRegistration,
  OpeningReturn,
  PreparedTransaction,
  RegistrationOptions,
  SettleFees,
  SettleItem,
  ShareNames,
  SubmissionStatus,
  TillTerms,
  TransactionResult,
} from '../contract.ts';
import { aggregateSignatures, decodeReceipt } from '../receipt/index.ts';
import type { Receipt } from '../receipt/index.ts';
import { SolanaCashier } from './cashier.ts';
import { walletAddress } from './keys.ts';
import type { WalletKey } from './keys.ts';
import { WalletNames } from './names.ts';
import { freeSlot, fundsFor, hasChanged } from './opening.ts';
import type { Preparer } from './preparer.ts';
import { mostBidFor } from './priority.ts';
import type { Stake } from './priority.ts';
import * as program from './program/index.ts';
import type { SolanaReader } from './reader.ts';
import { receiptsThatFit, settleUnits } from './settle-size.ts';
import { toKey } from './states.ts';
import type { Submitter } from './submitter.ts';

/** Fee of one signature; what else a transaction takes is found out by the node's own trial run. */
const FEE_LAMPORTS = 5000n;
/** As good as any to ask what a transaction is charged. */
const SAMPLE_RECEIPT = { amount: amount(1n), up: 1n, down: 1n, r: new Uint8Array(32) };
/** However high the price that others drove up: what is expected of a settlement is no figure beyond sense. */
const MAX_EXPECTED_BID = toLamports(BigInt(LAMPORTS_PER_SOL));
/** How often another payer may take the slot we chose before us. */
const SLOT_TRIES = 5;

export class SolanaWallet implements LedgerWallet {
  readonly address: LedgerAddress;
  readonly #ledger: SolanaReader;
  readonly #preparer: Preparer;
  readonly #submitter: Submitter;
  readonly #key: Keypair;
  readonly #names: WalletNames;
  readonly #onTransaction: ((result: TransactionResult) => void) | undefined;
  #unitsPerLamport: bigint | undefined;

  constructor(
    ledger: SolanaReader,
    preparer: Preparer,
    submitter: Submitter,
    key: WalletKey,
    onTransaction?: (result: TransactionResult) => void,
  ) {
    this.#onTransaction = onTransaction;
    this.#ledger = ledger;
    this.#preparer = preparer;
    this.#submitter = submitter;
    this.#key = key;
    this.address = walletAddress(key);
    this.#names = new WalletNames({
      ledger,
      key,
      run: (instructions) => this.#run(instructions),
      requireCredits: (needed) => this.#requireCredits(needed),
      createAccountOf: (owner) => this.#createAccountOf(owner),
    });
  }

  /** For payments that strangers sign, whose network fees this wallet pays. */
  cashier(): LedgerCashier {
    return new SolanaCashier({
      ledger: this.#ledger,
      submitter: this.#submitter,
      key: this.#key,
      run: (instructions) => this.#run(instructions),
    });
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
    if (lamports < amount + FEE_LAMPORTS) throw lacksSol(this.address, lamports, amount + FEE_LAMPORTS);
    const buy = program.buy(this.#program, { buyer: this.#owner, lamports: amount });
    return this.#run([this.#createAccountOf(this.#owner), buy], { stake: { lamports: amount } });
  }

  async redeem(amount: Amount): Promise<TransactionResult> {
    await this.#requireCredits(amount);
    return this.#run([program.redeem(this.#program, { owner: this.#owner, amount })], { stake: { units: amount } });
  }

  async send(to: LedgerAddress, amount: Amount): Promise<TransactionResult> {
    await this.#requireCredits(amount);
    const receiver = toKey(to);
    const transfer = createTransferInstruction(
      this.#creditsOf(this.#owner),
      this.#creditsOf(receiver),
      this.#owner,
      amount,
    );
    return this.#run([this.#createAccountOf(receiver), transfer], { stake: { units: amount } });
  }

  async openTill(slots: number, terms?: TillTerms): Promise<TransactionResult> {
    requireSlots(slots);
    const rent = await this.#ledger.rpc.ask((connection) =>
      connection.getMinimumBalanceForRentExemption(program.tillSize(slots)),
    );
    const { lamports } = await this.#ledger.balances(this.address);
    const needs = BigInt(rent) + FEE_LAMPORTS;
    if (lamports < needs)
      throw lacksSol(this.address, lamports, needs, ` for a till with ${slots} slots, whose rent comes back`);
    const first = Math.min(slots, program.MAX_NEW_SLOTS);
    return this.#run([
      program.openTill(this.#program, { owner: this.#owner, slots: first, ...terms }),
      ...this.#growth(first, slots),
    ]);
  }

  async setTillTerms(terms: TillTerms): Promise<TransactionResult> {
    await this.#requireTill();
    return this.#run([program.setTillTerms(this.#program, { owner: this.#owner, ...terms })]);
  }

  async growTill(slots: number): Promise<TransactionResult> {
    requireSlots(slots);
    const till = await this.#requireTill();
    if (slots <= till.slots.length) {
      throw new RelaymintError('INVALID_ARGUMENT', `The till has ${till.slots.length} slots already.`, {
        remedy: `Give a number from ${till.slots.length + 1} to ${program.MAX_SLOTS}: a till never shrinks.`,
      });
    }
    return this.#run(this.#growth(till.slots.length, slots));
  }

  async closeTill(): Promise<TransactionResult> {
    await this.#requireTill();
    return this.#run([program.closeTill(this.#program, { owner: this.#owner })]);
  }

  async openChannel(
    payee: LedgerAddress,
    delegate: LedgerAddress,
    given: Amount | ChannelFunds,
  ): Promise<ChannelState> {
    const funds = typeof given === 'bigint' ? { deposit: given } : given;
    const address = program.tillAddress(this.#program, toKey(payee));
    for (let attempt = 1; ; attempt += 1) {
      const [till, balances] = await Promise.all([this.#tillOf(payee, address), this.#ledger.balances(this.address)]);
      const burned = fundsFor(till, funds);
      requireFunds(
        this.address,
        balances,
        addAmounts(burned.deposit, burned.opening),
        toLamports(FEE_LAMPORTS + till.slotRent),
      );
      const slot = freeSlot(payee, till);
      const place = { payer: this.#owner, till: address, slot, delegate: toKey(delegate) };
      try {
        const rent = program.paySlotRent(this.#program, this.#owner, till.slotRent);
        await this.#run([rent, program.openChannel(this.#program, { ...place, ...burned })], {
          stake: { units: burned.deposit + burned.opening },
        });
      } catch (error) {
        if (attempt === SLOT_TRIES || !hasChanged(error)) throw error;
        continue;
      }
      const channel = await this.#ledger.channel(this.#ledger.tillAddress(payee), slot);
      if (channel?.payer === this.address) return channel;
      throw new RelaymintError('CHANNEL_UNKNOWN', 'The channel was opened and is already gone.', {
        remedy: 'Another process of this wallet, or the payee, closed it: what was left is in the wallet or its claim.',
      });
    }
  }

  async topUp(channel: ChannelState, deposit: Amount, opening: Amount = amount(0n)): Promise<TransactionResult> {
    await this.#requireCredits(addAmounts(deposit, opening));
    const funder = this.#owner;
    const topUp = program.topUp(this.#program, { funder, ...placeOf(channel), amount: deposit, opening });
    return this.#run([topUp], { stake: { units: deposit + opening } });
  }

  async requestClose(channel: ChannelState): Promise<TransactionResult> {
    const request = program.requestClose(this.#program, { payer: this.#owner, ...placeOf(channel) });
    return this.#run([request], { stake: closingStake(channel) });
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
    return this.#run([this.#createAccountOf(this.#owner), close], {
      stake: closingStake(channel),
      others: payee === undefined ? [] : [payee.#key],
    });
  }

  async returnOpenings(returns: readonly OpeningReturn[]): Promise<TransactionResult> {
    // What comes back is the payers': to their payee it is worth no more than any other errand.
    return this.#run(
      returns.map((one) => this.#returning(one)),
      { stake: {} },
    );
  }

  returnFee({ channel, returned }: OpeningReturn, unitsPerLamport: bigint): bigint {
    const fee = program.RETURN_FEE;
    const isWhole = channel.closeAt !== undefined && returned === channel.opening;
    return isWhole && returned >= 2n * fee * unitsPerLamport ? fee : 0n;
  }

  #returning({ channel: { slot, generation }, returned }: OpeningReturn): TransactionInstruction {
    return program.returnOpening(this.#program, { owner: this.#owner, slot, generation, amount: returned });
  }

  async closeByPayee(channel: ChannelState, returned: Amount = amount(0n)): Promise<TransactionResult> {
    const payer = toKey(channel.payer);
    const { slot, generation } = channel;
    const back = returned > 0n ? [this.#returning({ channel, returned })] : [];
    const close = program.closeByPayee(this.#program, { owner: this.#owner, slot, generation, payer });
    // The claim is paid out at once where that is possible; otherwise it waits for the payer.
    const canReceive = await this.#ledger.hasCreditAccount(channel.payer);
    const paid = canReceive ? [program.payClaim(this.#program, { payer })] : [];
    // The rest is the payer's: to its payee a close is worth no more than any other errand.
    return this.#run([...back, close, ...paid], { stake: {} });
  }

  async payClaim(payer: LedgerAddress = this.address): Promise<TransactionResult> {
    const waiting = await this.#ledger.claim(payer);
    if (waiting === undefined) {
      throw new RelaymintError('CHANNEL_UNKNOWN', `Nothing waits for ${payer}.`, {
        remedy: 'A claim exists only after a payee has closed a channel of this wallet.',
      });
    }
    const key = toKey(payer);
    return this.#run([this.#createAccountOf(key), program.payClaim(this.#program, { payer: key })], {
      stake: { units: waiting.amount, lamports: waiting.lamports },
    });
  }

  async withdraw(): Promise<TransactionResult> {
    const till = program.tillAddress(this.#program, this.#owner);
    const units = (await this.#ledger.tillAccount(till))?.earned ?? 0n;
    return this.#run(this.#withdrawing(), { stake: { units } });
  }

  async prepareWithdraw(earned: Amount): Promise<PreparedTransaction> {
    return this.#preparer.sign(this.#withdrawing(), [this.#key], this.#mostBid({ units: earned }));
  }

  #withdrawing(): readonly TransactionInstruction[] {
    const till = program.tillAddress(this.#program, this.#owner);
    const withdraw = program.withdraw(this.#program, { owner: this.#owner, till });
    return [this.#createAccountOf(this.#owner), withdraw];
  }

  async collectFees(): Promise<TransactionResult> {
    const treasury = toKey((await this.#ledger.bank()).treasury);
    return this.#run([this.#createAccountOf(treasury), program.collectFees(this.#program, { treasury })]);
  }

  async configure(change: Parameters<LedgerWallet['configure']>[0]): Promise<TransactionResult> {
    const { treasury, newAdmin, ...others } = change;
    if (newAdmin !== undefined && newAdmin !== null && !(newAdmin instanceof SolanaWallet)) {
      throw new TypeError('the new admin signs with a wallet of the same ledger');
    }
    const configure = program.configure(this.#program, {
      admin: this.#owner,
      treasury: treasury === undefined ? undefined : toKey(treasury),
      newAdmin: newAdmin instanceof SolanaWallet ? newAdmin.#owner : newAdmin,
      ...others,
    });
    return this.#run([configure], { others: newAdmin instanceof SolanaWallet ? [newAdmin.#key] : [] });
  }

  async prepareSettle(
    items: readonly SettleItem[],
    shares: readonly ContentShare[],
    payee: LedgerAddress = this.address,
    maxBid?: Lamports,
  ): Promise<PreparedTransaction> {
    const receipts = items.map(({ slot, message, signature }) => {
      const { amount, up, down } = decodeReceipt(message);
      return { slot, amount, up, down, r: signature.subarray(0, signature.length / 2) };
    });
    const signed = items.map(({ delegate, message, signature }) => ({
      key: ledgerAddressBytes(delegate),
      message,
      signature,
    }));
    const settle = program.settle(this.#program, {
      till: program.tillAddress(this.#program, toKey(payee)),
      owner: payee === this.address ? this.#owner : undefined,
      scalar: aggregateSignatures(signed),
      receipts,
      shares,
    });
    const units = settleUnits(items.length, shares);
    return this.#preparer.prepare([settle], this.#key, { units, maxBid });
  }

  receiptsThatFit(receipts: readonly Receipt[], shares: readonly ShareNames[]): number {
    return receiptsThatFit(receipts, shares, this.#preparer.size.large);
  }

  async learnTransactionSize(): Promise<void> {
    await this.#preparer.size.learn(this.#owner);
  }

  async settleFees(): Promise<SettleFees> {
    const till = program.tillAddress(this.#program, this.#owner);
    const written = [this.#owner, till, program.bankAddress(this.#program)];
    const [one, two] = await Promise.all(
      [1, 2].map((receipts) => this.#preparer.priorityFee(written, settleUnits(receipts, []), MAX_EXPECTED_BID)),
    );
    // A further one costs what its compute units are bid for, rounded up.
    const [first, both] = [one ?? 0n, two ?? 0n];
    const bid = { first: toLamports(first), further: toLamports(both > first ? both - first + 1n : 0n) };
    return { fee: await this.#chargedForSettling(), bid };
  }

  async submit(transaction: PreparedTransaction): Promise<void> {
    await this.#submitter.submit(transaction);
  }

  async confirm(transaction: PreparedTransaction, signal?: AbortSignal): Promise<SubmissionStatus> {
    return this.#submitter.confirm(transaction, signal);
  }

  async status(
    transaction: Pick<PreparedTransaction, 'signature' | 'lastValidBlockHeight'> & Partial<PreparedTransaction>,
  ): Promise<SubmissionStatus> {
    return this.#submitter.status(transaction);
  }

  commitName(name: string): Promise<NameCommitment> {
    return this.#names.commit(name);
  }

  registerName(record: NameRegistration, options: RegistrationOptions = {}): Promise<NamePurchase> {
    return this.#names.register(record, options);
  }

  renewName(name: string, years: number, maxPrice?: Amount): Promise<NamePurchase> {
    return this.#names.renew(name, years, maxPrice);
  }

  transferName(name: string, to: LedgerAddress): Promise<TransactionResult> {
    return this.#names.transfer(name, to);
  }

  setRecovery(name: string, recovery: Parameters<LedgerWallet['setRecovery']>[1]): Promise<TransactionResult> {
    return this.#names.setRecovery(name, recovery);
  }

  beginRecovery(name: string, to: LedgerAddress): Promise<TransactionResult> {
    return this.#names.beginRecovery(name, to);
  }

  cancelRecovery(name: string): Promise<TransactionResult> {
    return this.#names.cancelRecovery(name);
  }

  finishRecovery(name: string): Promise<TransactionResult> {
    return this.#names.finishRecovery(name);
  }

  updateName(name: string, change: Parameters<LedgerWallet['updateName']>[1]): Promise<TransactionResult> {
    return this.#names.update(name, change);
  }

  distributeName(name: string, options: { readonly createAccounts?: boolean } = {}): Promise<TransactionResult> {
    return this.#names.distribute(name, options.createAccounts === true);
  }

  /** What the network charges by its own word: for a signature today, and perhaps for what a transaction asks for. */
  async #chargedForSettling(): Promise<FeePerReceipt> {
    const [one, two] = await Promise.all(
      [1, 2].map((count) => {
        const receipts = Array.from({ length: count }, (_, slot) => ({ ...SAMPLE_RECEIPT, slot }));
        const till = program.tillAddress(this.#program, this.#owner);
        const settle = program.settle(this.#program, { till, scalar: SAMPLE_RECEIPT.r, receipts });
        return this.#preparer.charge([settle], this.#owner, settleUnits(count, []));
      }),
    );
    const [first, both] = [one ?? FEE_LAMPORTS, two ?? FEE_LAMPORTS];
    return { first: toLamports(first), further: toLamports(both > first ? both - first : 0n) };
  }

  get #owner(): PublicKey {
    return this.#key.publicKey;
  }

  get #program(): PublicKey {
    return this.#ledger.program;
  }

  /** `stake`: what it moves, where its bid is to be bounded by that. `others` sign too. */
  async #run(
    instructions: readonly TransactionInstruction[],
    { stake, others = [] }: { readonly stake?: Stake; readonly others?: readonly Keypair[] } = {},
  ): Promise<TransactionResult> {
    const maxBid = stake && this.#mostBid(stake);
    const result = await this.#submitter.run(instructions, [this.#key, ...others], maxBid);
    this.#onTransaction?.(result);
    return result;
  }

  #mostBid(stake: Stake): () => Promise<Lamports> {
    return async () => mostBidFor(stake, await this.#price());
  }

  /** Base units for a lamport: fixed when the bank was made. */
  async #price(): Promise<bigint> {
    this.#unitsPerLamport ??= (await this.#ledger.bank()).unitsPerLamport;
    return this.#unitsPerLamport;
  }

  /** One instruction for every ninety slots, all in one transaction. */
  #growth(from: number, to: number): readonly TransactionInstruction[] {
    const steps: TransactionInstruction[] = [];
    for (let slots = from; slots < to;) {
      slots = Math.min(slots + program.MAX_NEW_SLOTS, to);
      steps.push(program.growTill(this.#program, { owner: this.#owner, slots }));
    }
    return steps;
  }

  async #requireTill(): Promise<program.TillAccount> {
    const till = await this.#ledger.tillAccount(program.tillAddress(this.#program, this.#owner));
    if (till !== undefined) return till;
    throw new RelaymintError('CHANNEL_UNKNOWN', `The wallet ${this.address} has no till.`, {
      remedy: 'Open one first with "relaymint till open".',
    });
  }

  #creditsOf(owner: PublicKey): PublicKey {
    return program.creditAccountAddress(this.#program, owner);
  }

  /** Costs its rent only when it does not exist. */
  #createAccountOf(owner: PublicKey): TransactionInstruction {
    const mint = program.mintAddress(this.#program);
    return createAssociatedTokenAccountIdempotentInstruction(this.#owner, this.#creditsOf(owner), owner, mint);
  }

  async #requireCredits(needed: Amount): Promise<void> {
    requireFunds(this.address, await this.#ledger.balances(this.address), needed, toLamports(FEE_LAMPORTS));
  }

  async #tillOf(payee: LedgerAddress, address: PublicKey): Promise<program.TillAccount> {
    const till = await this.#ledger.tillAccount(address);
    if (till !== undefined) return till;
    throw new RelaymintError('CHANNEL_UNKNOWN', `${payee} has no till.`, {
      remedy: 'The payee must open one first, with "relaymint till open".',
    });
  }
}

function requireSlots(slots: number): void {
  if (Number.isSafeInteger(slots) && slots >= 1 && slots <= program.MAX_SLOTS) return;
  throw new RelaymintError('INVALID_ARGUMENT', `A till has 1 to ${program.MAX_SLOTS} slots, not ${slots}.`, {
    remedy: 'Choose a number of slots in that range.',
  });
}

function placeOf(channel: ChannelState): {
  readonly till: PublicKey;
  readonly slot: number;
  readonly generation: number;
} {
  return { till: toKey(channel.till), slot: channel.slot, generation: channel.generation };
}

/** What its payer takes back. */
function closingStake({ deposit, settled }: ChannelState): Stake {
  return { units: deposit - settled, closing: true };
}

/** `needs`: what the wallet must hold besides. @throws RelaymintError INSUFFICIENT_FUNDS. */
function requireFunds(wallet: LedgerAddress, { credits, lamports }: Balances, needed: Amount, needs: Lamports): void {
  if (lamports < needs) throw lacksSol(wallet, lamports, needs);
  if (credits >= needed) return;
  throw new RelaymintError(
    'INSUFFICIENT_FUNDS',
    `The wallet ${wallet} has ${formatCredits(credits)} credits; ${formatCredits(needed)} are needed.`,
    { remedy: 'Buy credits with "relaymint wallet buy".', details: { has: String(credits), needs: String(needed) } },
  );
}

function lacksSol(wallet: LedgerAddress, has: bigint, needs: bigint, what = ''): RelaymintError {
  return new RelaymintError(
    'INSUFFICIENT_FUNDS',
    `The wallet ${wallet} has ${formatSol(toLamports(has))} SOL, ${formatSol(toLamports(needs))} are needed${what}.`,
    { remedy: `Send SOL to ${wallet}.`, details: { has: String(has), needs: String(needs) } },
  );
}
