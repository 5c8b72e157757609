/** A real virtual machine with the committed program in it, and short words for what the tests do with it. */
import { sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { sha256 } from '@noble/hashes/sha2.js';
import {
  AccountRole,
  address,
  appendTransactionMessageInstructions,
  compileTransaction,
  createTransactionMessage,
  getTransactionDecoder,
  lamports as kitLamports,
  pipe,
  setTransactionMessageComputeUnitLimit,
  setTransactionMessageFeePayer,
  setTransactionMessageLifetimeUsingBlockhash,
  setTransactionMessageLoadedAccountsDataSizeLimit,
  signatureBytes,
} from '@solana/kit';
import type { Address, Instruction, Transaction as KitTransaction } from '@solana/kit';
import { createAssociatedTokenAccountIdempotentInstruction, unpackAccount, unpackMint } from '@solana/spl-token';
import { Keypair, PublicKey, Transaction } from '@solana/web3.js';
import type { AccountInfo, Signer, TransactionInstruction } from '@solana/web3.js';
import { FailedTransactionMetadata, LiteSVM, Rent, TransactionMetadata } from 'litesvm';
import type { FeatureSet } from 'litesvm';
import { concatBytes, utf8 } from '../../../core/codec.ts';
import type { RelaymintError } from '../../../core/errors.ts';
import type { TillTerms } from '../../../ledger/contract.ts';
import { channelIdBytes } from '../../../core/ids.ts';
import { U64_MAX, amount, lamports } from '../../../core/units.ts';
import type { Amount } from '../../../core/units.ts';
import { aggregateSignatures, decodeReceipt } from '../../../ledger/receipt/index.ts';
import { withUpgradeAuthority } from '../../../ledger/solana/deployment/loader.ts';
import * as program from '../../../ledger/solana/program/index.ts';
import { ED25519 } from '../../../platform/keys/der.ts';

export const PROGRAM_FILE: URL = new URL('../../../ledger/program/relaymint.so', import.meta.url);
export const CLUSTER_TAG: Uint8Array = sha256(utf8('test cluster')).slice(0, 16);
export const CHALLENGE_SECONDS = 3600n;
export const COMMIT_SECONDS = 60n;
export const SALT: Uint8Array = sha256(utf8('test salt'));
/** Two, so that a forgotten factor shows. */
export const UNITS_PER_LAMPORT = 2n;

/** The same key for the same label. */
export function keypair(label: string): Keypair {
  return Keypair.fromSeed(sha256(utf8(`test key ${label}`)));
}

export interface Outcome {
  readonly computeUnits: number;
  readonly logs: readonly string[];
  /** undefined: it succeeded. */
  readonly error: RelaymintError | undefined;
  /** Name of the program's own error, or the runtime's text. */
  readonly reason: string | undefined;
}

export interface ReceiptFields {
  readonly till: PublicKey;
  readonly slot: number;
  readonly generation?: number;
  readonly amount: bigint;
  readonly up?: bigint;
  readonly down?: bigint;
}

/** `slots`: one for each receipt, in their order. */
export type BatchArguments = program.SettleVerifiedArguments;

/** What a test says of a name that it registers. */
export type NameFields = Partial<program.RegisterNameArguments> & { readonly name: string };

export class Chain {
  readonly svm: LiteSVM;
  readonly programId: PublicKey;
  readonly admin: Keypair = keypair('admin');
  /** Names and owners whose derived address was computed before: it takes a millisecond. */
  readonly #addresses = new Map<string, PublicKey>();

  constructor(svm: LiteSVM = new LiteSVM(), programId: PublicKey = keypair('program').publicKey) {
    this.svm = svm;
    this.programId = programId;
  }

  /** That program in place, on a machine with these features: those of a cluster today when absent. Nobody has funds. */
  static with(file: Uint8Array, features?: FeatureSet): Chain {
    const chain = new Chain(machine(features));
    chain.svm.addProgram(addressOf(chain.programId), file);
    chain.setUpgradeAuthority(chain.admin.publicKey);
    // The first slots of a till made here have generation 1.
    chain.moveToSlot(1n);
    return chain;
  }

  /** The program in place, the bank not yet initialized. */
  static bare(): Chain {
    const chain = Chain.with(readFileSync(PROGRAM_FILE));
    chain.fund(chain.admin.publicKey);
    return chain;
  }

  /** With an initialized bank. */
  static start(unitsPerLamport: bigint = UNITS_PER_LAMPORT, nameYearPrice = 0n): Chain {
    const chain = Chain.bare();
    chain.initialize(unitsPerLamport, nameYearPrice);
    return chain;
  }

  initialize(unitsPerLamport: bigint = UNITS_PER_LAMPORT, nameYearPrice = 0n): Outcome {
    return this.ok(
      [
        program.initialize(this.programId, {
          admin: this.admin.publicKey,
          clusterTag: CLUSTER_TAG,
          unitsPerLamport,
          challengeSeconds: CHALLENGE_SECONDS,
          nameYearPrice: amount(nameYearPrice),
          commitSeconds: Number(COMMIT_SECONDS),
        }),
      ],
      this.admin,
    );
  }

  fund(key: PublicKey, value = 100_000_000_000n): void {
    this.svm.airdrop(addressOf(key), kitLamports(value));
  }

  /** A funded wallet with a token account and that many base units of credit. */
  wallet(label: string, credits = 0n): Keypair {
    const wallet = keypair(label);
    this.fund(wallet.publicKey);
    this.ok([this.createTokenAccount(wallet.publicKey)], wallet);
    if (credits > 0n) {
      const price = lamports(credits / this.bank().unitsPerLamport);
      this.ok([program.buy(this.programId, { buyer: wallet.publicKey, lamports: price })], wallet);
    }
    return wallet;
  }

  createTokenAccount(owner: PublicKey): TransactionInstruction {
    const mint = program.mintAddress(this.programId);
    const account = program.creditAccountAddress(this.programId, owner);
    return createAssociatedTokenAccountIdempotentInstruction(this.admin.publicKey, account, owner, mint);
  }

  /** Who may replace the program, past all rules. */
  setUpgradeAuthority(key: PublicKey): void {
    const at = program.programDataAddress(this.programId);
    const found = this.svm.getAccount(addressOf(at));
    if (!found.exists) throw new Error('the program has no data account');
    this.svm.setAccount({ ...found, data: withUpgradeAuthority(new Uint8Array(found.data), key) });
  }

  openTill(owner: Keypair, slots = 4, terms: Partial<TillTerms> = {}): PublicKey {
    this.ok([program.openTill(this.programId, { owner: owner.publicKey, slots, ...terms })], owner);
    return program.tillAddress(this.programId, owner.publicKey);
  }

  openChannel(payer: Keypair, till: PublicKey, slot: number, deposit: bigint, delegate: Keypair = payer): void {
    const args = { payer: payer.publicKey, till, slot, delegate: delegate.publicKey, deposit: amount(deposit) };
    this.ok(this.opening(args), payer);
  }

  /** Puts down the slot rent and opens. */
  opening(args: program.OpenChannelArguments): TransactionInstruction[] {
    return [this.slotRent(args.payer), program.openChannel(this.programId, args)];
  }

  /** What an opener puts down at today's rent. */
  slotRent(payer: PublicKey): TransactionInstruction {
    return program.paySlotRent(this.programId, payer, lamports(this.rent(program.SIZES.claim)));
  }

  /** The cluster asks that many times the rent from now on. */
  raiseRent(times: bigint): void {
    const { lamportsPerByteYear, exemptionThreshold, burnPercent } = this.svm.getRent();
    this.svm.setRent(new Rent(lamportsPerByteYear * times, exemptionThreshold, burnPercent));
  }

  /** Today's rent of an account with that many bytes of data, in lamports. */
  rent(size: number): bigint {
    return this.svm.minimumBalanceForRentExemption(BigInt(size));
  }

  /** A commitment of `owner` to a name. Returns its address. */
  commit(owner: Keypair, name: string, salt: Uint8Array = SALT): PublicKey {
    const hash = program.commitmentHash(owner.publicKey, salt, name);
    this.ok([program.commitName(this.programId, { committer: owner.publicKey, hash })], owner);
    return program.commitmentAddress(this.programId, owner.publicKey, hash);
  }

  /** Registers what was committed to. For a year, with no content, royalty or limit unless told otherwise. */
  reveal(owner: Keypair, record: NameFields): TransactionInstruction {
    return program.registerName(this.programId, {
      owner: owner.publicKey,
      salt: SALT,
      years: 1,
      maxPrice: amount(U64_MAX),
      root: new Uint8Array(),
      royaltyBps: 0,
      ...record,
    });
  }

  /** Commits to a name, lets the commitment age, and registers it. */
  registerName(owner: Keypair, record: NameFields): Outcome {
    this.commit(owner, record.name, record.salt);
    this.pass(COMMIT_SECONDS);
    return this.ok([this.reveal(owner, record)], owner);
  }

  now(): bigint {
    return this.svm.getClock().unixTimestamp;
  }

  /** Signs a receipt with `delegate`. */
  receipt(delegate: Keypair, fields: ReceiptFields): program.SignedReceiptBytes {
    const coordinates = { clusterTag: CLUSTER_TAG, generation: fields.generation ?? 1, ...fields };
    const id = channelIdBytes(program.channelId(this.programId, coordinates));
    const counters = new DataView(new ArrayBuffer(24));
    counters.setBigUint64(0, fields.amount, true);
    counters.setBigUint64(8, fields.up ?? fields.amount, true);
    counters.setBigUint64(16, fields.down ?? fields.amount, true);
    return signReceipt(delegate, concatBytes(Uint8Array.of(1), id, new Uint8Array(counters.buffer)));
  }

  /** A batch, half-aggregated. */
  settlement(receipts: readonly program.SignedReceiptBytes[], args: BatchArguments): TransactionInstruction[] {
    const { slots, ...rest } = args;
    const scalar = aggregateSignatures(
      receipts.map(({ delegate, message, signature }) => ({ key: delegate.toBytes(), message, signature })),
    );
    const given = receipts.map(({ message, signature }, index) => {
      const { amount: total, up, down } = decodeReceipt(message);
      return { slot: slots[index] ?? 0, amount: total, up, down, r: signature.subarray(0, 32) };
    });
    return [program.settle(this.programId, { ...rest, receipts: given, scalar })];
  }

  /** The signature instruction and the settleVerified instruction of a batch. */
  verifiedSettlement(
    receipts: readonly program.SignedReceiptBytes[],
    args: BatchArguments,
  ): readonly [TransactionInstruction, TransactionInstruction] {
    return [program.ed25519BatchInstruction(receipts), program.settleVerified(this.programId, args)];
  }

  /** Sends a transaction paid by the first signer. */
  send(instructions: readonly TransactionInstruction[], ...signers: readonly Signer[]): Outcome {
    this.svm.expireBlockhash();
    return outcome(this.svm.sendTransaction(this.#signed(instructions, signers)));
  }

  /** Carries a transaction out and forgets it: the next one finds everything as it was. */
  trial(instructions: readonly TransactionInstruction[], ...signers: readonly Signer[]): Outcome {
    const result = this.svm.simulateTransaction(this.#signed(instructions, signers));
    return outcome(result instanceof FailedTransactionMetadata ? result : result.meta());
  }

  /** As `send`, in a transaction of version 1, which may have 4,096 bytes. */
  sendLarge(instructions: readonly TransactionInstruction[], payer: Signer): Outcome {
    this.svm.expireBlockhash();
    const lifetime = { blockhash: this.svm.latestBlockhash(), lastValidBlockHeight: 1_000_000n };
    const transaction = compileTransaction(
      pipe(
        createTransactionMessage({ version: 1 }),
        (draft) => setTransactionMessageFeePayer(addressOf(payer.publicKey), draft),
        (draft) => setTransactionMessageLifetimeUsingBlockhash(lifetime, draft),
        (draft) => setTransactionMessageComputeUnitLimit(1_400_000, draft),
        (draft) => setTransactionMessageLoadedAccountsDataSizeLimit(1_000_000, draft),
        (draft) => appendTransactionMessageInstructions(instructions.map(kitInstruction), draft),
      ),
    );
    const signature = signatureBytes(signWith(payer, new Uint8Array(transaction.messageBytes)));
    const signed = { ...transaction, signatures: { [addressOf(payer.publicKey)]: signature } };
    return outcome(this.svm.sendTransaction(signed));
  }

  #signed(instructions: readonly TransactionInstruction[], signers: readonly Signer[]): KitTransaction {
    const transaction = new Transaction();
    transaction.recentBlockhash = this.svm.latestBlockhash();
    const all = [...signers, this.admin];
    transaction.feePayer = all[0]?.publicKey ?? this.admin.publicKey;
    transaction.add(...instructions);
    const message = transaction.compileMessage();
    const signing = message.accountKeys.slice(0, message.header.numRequiredSignatures);
    const needed = new Set(signing.map((key) => key.toBase58()));
    const content = message.serialize();
    for (const signer of all) {
      const key = signer.publicKey.toBase58();
      if (needed.delete(key)) transaction.addSignature(signer.publicKey, Buffer.from(signWith(signer, content)));
    }
    const wire = transaction.serialize({ requireAllSignatures: false, verifySignatures: false });
    return getTransactionDecoder().decode(new Uint8Array(wire));
  }

  /** Sends and requires success. */
  ok(instructions: readonly TransactionInstruction[], ...signers: readonly Signer[]): Outcome {
    const result = this.send(instructions, ...signers);
    if (result.error !== undefined) throw new Error(`${result.reason}\n${result.logs.join('\n')}`);
    return result;
  }

  /** Sends and returns why it was refused; "accepted" when it was not. */
  refusal(instructions: readonly TransactionInstruction[], ...signers: readonly Signer[]): string {
    return this.send(instructions, ...signers).reason ?? 'accepted';
  }

  account(key: PublicKey): AccountInfo<Buffer> | null {
    const found = this.svm.getAccount(addressOf(key));
    if (!found.exists) return null;
    const owner = new PublicKey(found.programAddress);
    return { data: Buffer.from(found.data), owner, lamports: Number(found.lamports), executable: found.executable };
  }

  lamportsOf(key: PublicKey): bigint {
    return this.svm.getBalance(addressOf(key)) ?? 0n;
  }

  /** Writes an account past all rules. */
  put(key: PublicKey, owner: PublicKey, data: Uint8Array, held = 10_000_000n): void {
    this.svm.setAccount({
      address: addressOf(key),
      programAddress: addressOf(owner),
      lamports: kitLamports(held),
      data: new Uint8Array(data),
      executable: false,
      space: BigInt(data.length),
    });
  }

  data(key: PublicKey): Buffer {
    const found = this.svm.getAccount(addressOf(key));
    if (!found.exists) throw new Error(`no account ${key.toBase58()}`);
    return Buffer.from(found.data);
  }

  bank(): program.BankAccount {
    return program.decodeBank(this.data(program.bankAddress(this.programId)));
  }

  till(key: PublicKey): program.TillAccount {
    return program.decodeTill(this.data(key));
  }

  slot(key: PublicKey, index: number): program.TillSlot {
    const slot = this.till(key).slots[index];
    if (slot === undefined) throw new RangeError(`no slot ${index}`);
    return slot;
  }

  name(text: string): program.NameAccount {
    const key = this.#addresses.get(text) ?? program.nameAddress(this.programId, text);
    this.#addresses.set(text, key);
    return program.decodeName(this.data(key));
  }

  supply(): Amount {
    const mint = program.mintAddress(this.programId);
    return amount(unpackMint(mint, this.account(mint)).supply);
  }

  /** Credits in the owner's associated token account; 0 when there is none. */
  credits(owner: PublicKey): bigint {
    const label = addressOf(owner);
    const key = this.#addresses.get(label) ?? program.creditAccountAddress(this.programId, owner);
    this.#addresses.set(label, key);
    const found = this.account(key);
    return found === null || found.data.length === 0 ? 0n : unpackAccount(key, found).amount;
  }

  /** Sets the slot that the next transactions run in. */
  moveToSlot(slot: bigint): void {
    const clock = this.svm.getClock();
    clock.slot = slot;
    this.svm.setClock(clock);
  }

  /** Moves clock and slot past a challenge period, as a cluster that works. */
  passChallenge(): void {
    this.pass(CHALLENGE_SECONDS);
    this.moveToSlot(this.svm.getClock().slot + 2n * CHALLENGE_SECONDS);
  }

  /** Moves the chain's clock forward; the slot stays. */
  pass(seconds: bigint): void {
    const clock = this.svm.getClock();
    clock.unixTimestamp += seconds;
    this.svm.setClock(clock);
  }
}

/** A virtual machine with these features: those of a cluster today when absent. */
export function machine(features: FeatureSet | undefined): LiteSVM {
  if (features === undefined) return new LiteSVM();
  return LiteSVM.default()
    .withFeatureSet(features)
    .withBuiltins()
    .withLamports(1_000_000_000_000_000n)
    .withSysvars()
    .withPrecompiles()
    .withDefaultPrograms()
    .withSigverify(true)
    .withBlockhashCheck(true);
}

/** Any bytes signed as a receipt would be. */
export function signReceipt(delegate: Keypair, message: Uint8Array): program.SignedReceiptBytes {
  return { delegate: delegate.publicKey, message, signature: signWith(delegate, message) };
}

const addresses = new WeakMap<PublicKey, Address>();

/** base58 is the slowest thing these tests do. */
function addressOf(key: PublicKey): Address {
  const known = addresses.get(key);
  if (known !== undefined) return known;
  const text = address(key.toBase58());
  addresses.set(key, text);
  return text;
}

function roleOf(isSigner: boolean, isWritable: boolean): AccountRole {
  if (isSigner) return isWritable ? AccountRole.WRITABLE_SIGNER : AccountRole.READONLY_SIGNER;
  return isWritable ? AccountRole.WRITABLE : AccountRole.READONLY;
}

function kitInstruction({ programId, keys, data }: TransactionInstruction): Instruction {
  return {
    programAddress: addressOf(programId),
    accounts: keys.map(({ pubkey, isSigner, isWritable }) => ({
      address: addressOf(pubkey),
      role: roleOf(isSigner, isWritable),
    })),
    data: new Uint8Array(data),
  };
}

const keyObjects = new WeakMap<Signer, KeyObject>();

/** Node's own Ed25519: many times faster than the one in JavaScript that web3.js uses. */
function signWith(signer: Signer, message: Uint8Array): Uint8Array {
  let key = keyObjects.get(signer);
  if (key === undefined) {
    key = ED25519.privateKey(signer.secretKey.subarray(0, 32));
    keyObjects.set(signer, key);
  }
  return new Uint8Array(sign(null, message, key));
}

/** A copy of an instruction with some of its accounts replaced. */
export function withAccounts(
  original: TransactionInstruction,
  changes: Readonly<Record<number, Partial<TransactionInstruction['keys'][number]>>>,
): TransactionInstruction {
  const keys = original.keys.map((meta, index) => ({ ...meta, ...changes[index] }));
  return Object.assign(Object.create(Object.getPrototypeOf(original)), original, { keys });
}

/** A copy of an instruction with other data. */
export function withData(original: TransactionInstruction, data: Uint8Array): TransactionInstruction {
  return Object.assign(Object.create(Object.getPrototypeOf(original)), original, { data: Buffer.from(data) });
}

function outcome(result: TransactionMetadata | FailedTransactionMetadata): Outcome {
  if (result instanceof TransactionMetadata) {
    const computeUnits = Number(result.computeUnitsConsumed());
    return { computeUnits, logs: result.logs(), error: undefined, reason: undefined };
  }
  const logs = result.meta().logs();
  const error = program.decodeProgramError(failureOf(result), logs);
  const own = error.details['program'];
  return {
    computeUnits: Number(result.meta().computeUnitsConsumed()),
    logs,
    error,
    reason: typeof own === 'string' ? own : `${error.code} ${String(result.err())}`,
  };
}

/** The failure as a cluster's JSON-RPC would report it. */
function failureOf(result: FailedTransactionMetadata): unknown {
  const error = result.err();
  if (typeof error !== 'object' || !('err' in error)) return String(error);
  const inner = error.err();
  const detail = typeof inner === 'object' && 'code' in inner ? { Custom: inner.code } : String(inner);
  return { InstructionError: [error.index, detail] };
}
