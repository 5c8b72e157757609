/**
 * Token accounts into which the splits of a name can be paid. The usual one of a wallet may be missing, or its holder may
 * have given it away: then another one is created for the same wallet, so that nobody can block a payout.
 */
import { createHash } from 'node:crypto';
import {
  ACCOUNT_SIZE,
  AccountLayout,
  AccountState,
  TOKEN_PROGRAM_ID,
  createInitializeAccount3Instruction,
} from '@solana/spl-token';
import { PublicKey, SystemProgram } from '@solana/web3.js';
import type { AccountInfo, TransactionInstruction } from '@solana/web3.js';
import { RelaymintError } from '../../core/errors.ts';
import * as program from './program/index.ts';
import type { SolanaReader } from './reader.ts';

/** Each one that its holder gives away costs the holder a transaction, and us its rent. */
const SPARE_ACCOUNTS = 4;

export interface Payout {
  /** Belongs to the split once `create` was carried out. */
  readonly account: PublicKey;
  readonly create: readonly TransactionInstruction[];
}

export class Payouts {
  readonly #ledger: SolanaReader;
  readonly #payer: PublicKey;
  readonly #createUsual: (owner: PublicKey) => TransactionInstruction;

  /** `payer` pays the rent of what is created. */
  constructor(ledger: SolanaReader, payer: PublicKey, createUsual: (owner: PublicKey) => TransactionInstruction) {
    this.#ledger = ledger;
    this.#payer = payer;
    this.#createUsual = createUsual;
  }

  /** @throws RelaymintError LIMIT_EXCEEDED for a wallet that gave every account away. */
  async of(owners: readonly PublicKey[]): Promise<readonly Payout[]> {
    const usual = owners.map((owner) => program.creditAccountAddress(this.#ledger.program, owner));
    const found = await this.#ledger.accounts(usual);
    return Promise.all(
      owners.map(async (owner, index): Promise<Payout> => {
        const [account, info] = [usual[index] ?? owner, found[index]];
        if (info === undefined) return { account, create: [this.#createUsual(owner)] };
        return this.#takes(info, owner) ? { account, create: [] } : this.#spare(owner);
      }),
    );
  }

  #takes(info: AccountInfo<Buffer>, owner: PublicKey): boolean {
    if (!info.owner.equals(TOKEN_PROGRAM_ID) || info.data.length !== ACCOUNT_SIZE) return false;
    const account = AccountLayout.decode(info.data);
    const mint = program.mintAddress(this.#ledger.program);
    return account.state === AccountState.Initialized && account.mint.equals(mint) && account.owner.equals(owner);
  }

  async #spare(owner: PublicKey): Promise<Payout> {
    const seeds = Array.from({ length: SPARE_ACCOUNTS }, (_, number) => seedFor(owner, number));
    const keys = await Promise.all(seeds.map((seed) => PublicKey.createWithSeed(this.#payer, seed, TOKEN_PROGRAM_ID)));
    const found = await this.#ledger.accounts(keys);
    for (const [index, account] of keys.entries()) {
      const info = found[index];
      if (info === undefined) return { account, create: await this.#create(account, seeds[index] ?? '', owner) };
      if (this.#takes(info, owner)) return { account, create: [] };
    }
    throw new RelaymintError('LIMIT_EXCEEDED', `${owner.toBase58()} gives its token accounts away.`, {
      remedy: 'Pay it from another wallet, which creates its own accounts.',
    });
  }

  async #create(account: PublicKey, seed: string, owner: PublicKey): Promise<readonly TransactionInstruction[]> {
    const lamports = await this.#ledger.rpc.ask((connection) =>
      connection.getMinimumBalanceForRentExemption(ACCOUNT_SIZE),
    );
    return [
      SystemProgram.createAccountWithSeed({
        fromPubkey: this.#payer,
        basePubkey: this.#payer,
        newAccountPubkey: account,
        seed,
        lamports,
        space: ACCOUNT_SIZE,
        programId: TOKEN_PROGRAM_ID,
      }),
      createInitializeAccount3Instruction(account, program.mintAddress(this.#ledger.program), owner),
    ];
  }
}

/** 32 characters, as long as a seed may be. */
function seedFor(owner: PublicKey, number: number): string {
  return createHash('sha256')
    .update('relaymint:payout:v1')
    .update(owner.toBytes())
    .update(`${number}`)
    .digest('hex')
    .slice(0, 32);
}
