/** A virtual machine with the program, a bank and a funded wallet; transactions on it in both formats, with their cost. */
import { createHash } from 'node:crypto';
import {
  address,
  appendTransactionMessageInstructions,
  compileTransaction,
  createTransactionMessage,
  getTransactionDecoder,
  getTransactionEncoder,
  lamports as kitLamports,
  partiallySignTransaction,
  createKeyPairFromPrivateKeyBytes,
  pipe,
  setTransactionMessageComputeUnitLimit,
  setTransactionMessageFeePayer,
  setTransactionMessageLifetimeUsingBlockhash,
  setTransactionMessageLoadedAccountsDataSizeLimit,
} from '@solana/kit';
import type { Transaction as KitTransaction } from '@solana/kit';
import { createAssociatedTokenAccountIdempotentInstruction } from '@solana/spl-token';
import { Keypair, Transaction } from '@solana/web3.js';
import type { PublicKey, TransactionInstruction } from '@solana/web3.js';
import { FailedTransactionMetadata, LiteSVM } from 'litesvm';
import { RelaymintError } from '../../core/errors.ts';
import { lamports } from '../../core/units.ts';
import { withUpgradeAuthority } from '../../ledger/solana/deployment/loader.ts';
import * as program from '../../ledger/solana/program/index.ts';
import { kitInstruction } from '../../ledger/solana/version-one.ts';

const CHALLENGE_SECONDS = 3600n;
const FUNDS = kitLamports(500_000_000_000_000n);
/** Of a transaction of version 1: the greatest there are. */
const MOST_UNITS = 1_400_000;
const MOST_LOADED_BYTES = 64 * 1024 * 1024;

/** What the virtual machine says a transaction cost. */
export interface Cost {
  /** Taken from the payer's balance. */
  readonly lamports: number;
  readonly computeUnits: number;
  /** Of the signed transaction. */
  readonly bytes: number;
}

export class BenchChain {
  readonly svm: LiteSVM;
  readonly programId: PublicKey = keypair('program').publicKey;
  readonly clusterTag: Uint8Array = sha256('cluster').subarray(0, 16);
  /** Pays for everything. */
  readonly payer: Keypair = keypair('payer');

  /** @throws RelaymintError INTERNAL when the program does not work on that machine. */
  constructor(file: Uint8Array, svm: LiteSVM = new LiteSVM()) {
    this.svm = svm;
    svm.addProgram(address(this.programId.toBase58()), file);
    svm.airdrop(address(this.payer.publicKey.toBase58()), FUNDS);
    const admin = this.payer.publicKey;
    setUpgradeAuthority(svm, this.programId, admin);
    const bank = { admin, clusterTag: this.clusterTag, unitsPerLamport: 1n, challengeSeconds: CHALLENGE_SECONDS };
    this.execute([program.initialize(this.programId, bank)]);
    const mint = program.mintAddress(this.programId);
    const account = program.creditAccountAddress(this.programId, admin);
    this.execute([
      createAssociatedTokenAccountIdempotentInstruction(admin, account, admin, mint),
      program.buy(this.programId, { buyer: admin, lamports: lamports(FUNDS / 2n) }),
    ]);
  }

  /** In a legacy transaction, signed by the payer and the others. @throws RelaymintError INTERNAL when it fails. */
  execute(instructions: readonly TransactionInstruction[], others: readonly Keypair[] = []): Cost {
    const transaction = new Transaction().add(...instructions);
    transaction.feePayer = this.payer.publicKey;
    transaction.recentBlockhash = this.#blockhash();
    transaction.sign(this.payer, ...others);
    const wire = Uint8Array.from(transaction.serialize());
    return this.#run(getTransactionDecoder().decode(wire), wire.length);
  }

  /** In a transaction of version 1, which may have 4,096 bytes. @throws RelaymintError INTERNAL when it fails. */
  async executeLarge(instructions: readonly TransactionInstruction[]): Promise<Cost> {
    const lifetime = { blockhash: this.#blockhash(), lastValidBlockHeight: 0n };
    const transaction = compileTransaction(
      pipe(
        createTransactionMessage({ version: 1 }),
        (draft) => setTransactionMessageFeePayer(address(this.payer.publicKey.toBase58()), draft),
        (draft) => setTransactionMessageLifetimeUsingBlockhash(lifetime, draft),
        (draft) => setTransactionMessageComputeUnitLimit(MOST_UNITS, draft),
        (draft) => setTransactionMessageLoadedAccountsDataSizeLimit(MOST_LOADED_BYTES, draft),
        (draft) => appendTransactionMessageInstructions(instructions.map(kitInstruction), draft),
      ),
    );
    const keys = await createKeyPairFromPrivateKeyBytes(this.payer.secretKey.subarray(0, 32));
    const signed = await partiallySignTransaction([keys], transaction);
    return this.#run(signed, getTransactionEncoder().encode(signed).length);
  }

  /** Data of an account that exists. */
  data(key: PublicKey): Uint8Array {
    const account = this.svm.getAccount(address(key.toBase58()));
    if (!account.exists) throw new RelaymintError('INTERNAL', `There is no account ${key.toBase58()}.`);
    return Uint8Array.from(account.data);
  }

  #blockhash(): ReturnType<LiteSVM['latestBlockhash']> {
    // So that no two transactions are the same.
    this.svm.expireBlockhash();
    return this.svm.latestBlockhash();
  }

  #run(transaction: KitTransaction, bytes: number): Cost {
    const before = this.#balance();
    const result = this.svm.sendTransaction(transaction);
    if (result instanceof FailedTransactionMetadata) {
      throw new RelaymintError('INTERNAL', `A transaction of the benchmark failed: ${String(result.err())}`, {
        details: { logs: result.meta().logs().join('\n') },
      });
    }
    return { lamports: Number(before - this.#balance()), computeUnits: Number(result.computeUnitsConsumed()), bytes };
  }

  #balance(): bigint {
    return this.svm.getBalance(address(this.payer.publicKey.toBase58())) ?? 0n;
  }
}

/** The machine puts a program in place as if it were final; only who may replace it can set up its bank. */
export function setUpgradeAuthority(svm: LiteSVM, programId: PublicKey, authority: PublicKey): void {
  const found = svm.getAccount(address(program.programDataAddress(programId).toBase58()));
  if (!found.exists) throw new RelaymintError('INTERNAL', 'The program has no data account.');
  svm.setAccount({ ...found, data: withUpgradeAuthority(new Uint8Array(found.data), authority) });
}

/** What `openChannel` needs before it, in the same transaction. */
export function slotRent(svm: LiteSVM, programId: PublicKey, payer: PublicKey): TransactionInstruction {
  const rent = lamports(svm.minimumBalanceForRentExemption(BigInt(program.SIZES.claim)));
  return program.paySlotRent(programId, payer, rent);
}

/** The same key for the same label. */
export function keypair(label: string): Keypair {
  return Keypair.fromSeed(sha256(`benchmark key ${label}`));
}

function sha256(text: string): Uint8Array {
  return Uint8Array.from(createHash('sha256').update(text).digest());
}
