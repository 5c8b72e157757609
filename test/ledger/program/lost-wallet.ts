/** A name with an owner, a manager, and a wallet that gets it back when the owner's is lost. */
import type { Keypair, TransactionInstruction } from '@solana/web3.js';
import * as program from '../../../ledger/solana/program/index.ts';
import { Chain, keypair } from './svm.ts';

export const NAME = 'ann.sso';
export const DELAY: number = program.RECOVERY_DELAYS.least;

export const owner: Keypair = keypair('owner');
export const manager: Keypair = keypair('manager');
export const guard: Keypair = keypair('guard');
export const heir: Keypair = keypair('heir');
export const stranger: Keypair = keypair('a stranger');

/** The name is registered, and everybody has lamports. No recovery key is set. */
export function lostWallet(): Chain {
  const chain = Chain.start();
  for (const { publicKey } of [owner, manager, guard, heir, stranger]) chain.fund(publicKey);
  chain.registerName(owner, { name: NAME, royaltyBps: 7, manager: manager.publicKey });
  return chain;
}

export function setting(chain: Chain, change: Partial<program.SetRecoveryArguments> = {}): TransactionInstruction {
  const args = { owner: owner.publicKey, name: NAME, key: guard.publicKey, delay: DELAY };
  return program.setRecovery(chain.programId, { ...args, ...change });
}

export function beginning(chain: Chain, change: Partial<program.BeginRecoveryArguments> = {}): TransactionInstruction {
  const args = { key: guard.publicKey, name: NAME, newOwner: heir.publicKey };
  return program.beginRecovery(chain.programId, { ...args, ...change });
}

export function cancelling(chain: Chain, signer: Keypair = owner): TransactionInstruction {
  return program.cancelRecovery(chain.programId, { signer: signer.publicKey, name: NAME });
}

export function finishing(chain: Chain): TransactionInstruction {
  return program.finishRecovery(chain.programId, { name: NAME });
}

/** Lets the delay pass, as a cluster that works. */
export function passDelay(chain: Chain, seconds: bigint = BigInt(DELAY)): void {
  chain.pass(seconds);
  chain.moveToSlot(chain.svm.getClock().slot + 2n * seconds);
}

/** The bytes of a name as they were before there was recovery. */
export function firstLayout(chain: Chain): Buffer {
  const data = chain.data(program.nameAddress(chain.programId, NAME)).subarray(0, program.FIRST_NAME.size);
  return Buffer.concat([program.FIRST_NAME.discriminator, data.subarray(8)]);
}

/** Turns the name into one of the first layout, with the rent of that. */
export function makeOld(chain: Chain): void {
  const address = program.nameAddress(chain.programId, NAME);
  chain.put(address, chain.programId, firstLayout(chain), chain.rent(program.FIRST_NAME.size));
}
