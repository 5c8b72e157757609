/** The account checks that every instruction shares, one test each: a wrong account in a right instruction. */
import { AccountLayout, AccountState, TOKEN_PROGRAM_ID } from '@solana/spl-token';
import { SystemProgram } from '@solana/web3.js';
import type { PublicKey, Signer, TransactionInstruction } from '@solana/web3.js';
import { expect, it } from 'vitest';
import * as program from '../../../ledger/solana/program/index.ts';
import { keypair, withAccounts, withData } from './svm.ts';
import type { Chain } from './svm.ts';

export interface Attempt {
  readonly chain: Chain;
  /** Succeeds as it is. */
  readonly instruction: TransactionInstruction;
  readonly signers: readonly Signer[];
  /** Instructions that must stand before it. */
  readonly before?: readonly TransactionInstruction[];
}

/** Position of each account of the instruction, by what it is. */
export interface Roles {
  readonly signers?: readonly number[];
  readonly bank?: number;
  /** The bank is only read. */
  readonly bankReadOnly?: boolean;
  readonly till?: number;
  readonly name?: number;
  readonly commitment?: number;
  readonly claim?: number;
  readonly mint?: number;
  readonly tokenProgram?: number;
  readonly systemProgram?: number;
  /** A token account that must belong to the first account, or to `tokenOwner`. */
  readonly tokenAccount?: number;
  readonly tokenOwner?: PublicKey;
  /** Any other account that must be writable. */
  readonly writable?: readonly number[];
  /** Accounts may follow the fixed ones. */
  readonly open?: boolean;
}

const STRANGER = keypair('stranger').publicKey;

/** Registers the tests. `attempt` is called inside each of them. */
export function checkAccounts(attempt: () => Attempt, roles: Roles): void {
  const refuses = (title: string, reason: string, change: (attempt: Attempt) => TransactionInstruction): void => {
    it(`refuses ${title}`, () => expect(refusal(attempt(), change)).toBe(reason));
  };
  const replaced = (index: number, make: (chain: Chain) => PublicKey) => (now: Attempt) =>
    withAccounts(now.instruction, { [index]: { pubkey: make(now.chain) } });
  const readOnly = (index: number) => (now: Attempt) =>
    withAccounts(now.instruction, { [index]: { isWritable: false } });

  refuses('an account too few', 'WrongAccountCount', ({ instruction }) =>
    Object.assign(withAccounts(instruction, {}), { keys: instruction.keys.slice(0, -1) }),
  );
  if (roles.open !== true) {
    refuses('an account too many', 'WrongAccountCount', ({ instruction }) =>
      Object.assign(withAccounts(instruction, {}), { keys: [...instruction.keys, ...instruction.keys.slice(-1)] }),
    );
  }
  refuses('data that end too early', 'InvalidInstruction', ({ instruction }) =>
    withData(instruction, instruction.data.subarray(0, -1)),
  );
  refuses('trailing data', 'InvalidInstruction', ({ instruction }) =>
    withData(instruction, Uint8Array.from([...instruction.data, 0])),
  );
  for (const index of roles.signers ?? []) {
    refuses(`an unsigned account ${index}`, 'NotSigner', ({ instruction }) =>
      withAccounts(instruction, { [index]: { isSigner: false } }),
    );
  }
  for (const index of roles.writable ?? []) refuses(`a read-only account ${index}`, 'NotWritable', readOnly(index));

  const { bank, till, name, commitment, mint } = roles;
  if (bank !== undefined) {
    if (roles.bankReadOnly !== true) refuses('a read-only bank', 'NotWritable', readOnly(bank));
    const data = (chain: Chain): Buffer => chain.data(program.bankAddress(chain.programId));
    checkOwned(refuses, 'bank', (make) => replaced(bank, make), data);
  }
  if (till !== undefined) {
    refuses('a read-only till', 'NotWritable', readOnly(till));
    const data = ({ instruction, chain }: Attempt): Buffer => chain.data(keyAt(instruction, till));
    checkOwned(
      refuses,
      'till',
      (make) => replaced(till, make),
      (chain) => data({ ...attempt(), chain }),
    );
    refuses('a till whose size is not that of its slots', 'WrongAccountType', (now) =>
      replaced(till, (chain) => put(chain, chain.programId, Buffer.concat([data(now), Buffer.alloc(1)])))(now),
    );
  }
  if (name !== undefined) {
    refuses('a read-only name', 'NotWritable', readOnly(name));
    const data = (chain: Chain): Buffer => chain.data(keyAt(attempt().instruction, name));
    checkOwned(refuses, 'name', (make) => replaced(name, make), data);
  }
  if (commitment !== undefined) {
    refuses('a read-only commitment', 'NotWritable', readOnly(commitment));
    const data = (chain: Chain): Buffer => chain.data(keyAt(attempt().instruction, commitment));
    checkOwned(refuses, 'commitment', (make) => replaced(commitment, make), data);
  }
  if (roles.claim !== undefined) {
    const { claim } = roles;
    refuses('a read-only claim', 'NotWritable', readOnly(claim));
    const data = (chain: Chain): Buffer => chain.data(keyAt(attempt().instruction, claim));
    checkOwned(refuses, 'claim', (make) => replaced(claim, make), data);
  }
  if (mint !== undefined) {
    refuses('a read-only mint', 'NotWritable', readOnly(mint));
    refuses(
      'another mint',
      'WrongAddress',
      replaced(mint, () => STRANGER),
    );
  }
  if (roles.tokenProgram !== undefined) {
    refuses(
      'another token program',
      'WrongAddress',
      replaced(roles.tokenProgram, () => STRANGER),
    );
  }
  if (roles.systemProgram !== undefined) {
    refuses(
      'another system program',
      'WrongAddress',
      replaced(roles.systemProgram, () => STRANGER),
    );
  }
  if (roles.tokenAccount !== undefined) {
    const token = roles.tokenAccount;
    refuses('a read-only token account', 'NotWritable', readOnly(token));
    refuses(
      'a missing token account',
      'WrongTokenAccount',
      replaced(token, () => STRANGER),
    );
    refuses("somebody else's token account", 'WrongTokenAccount', (now) =>
      replaced(token, (chain) => tokenAccount(chain, { owner: STRANGER }))(now),
    );
    const mine = ({ instruction }: Attempt): PublicKey => roles.tokenOwner ?? keyAt(instruction, 0);
    refuses('a token account of another mint', 'WrongTokenAccount', (now) =>
      replaced(token, (chain) => tokenAccount(chain, { owner: mine(now), mint: STRANGER }))(now),
    );
    refuses('a token account that is not initialized', 'WrongTokenAccount', (now) =>
      replaced(token, (chain) => tokenAccount(chain, { owner: mine(now), state: AccountState.Uninitialized }))(now),
    );
    refuses('a token account of another program', 'WrongTokenAccount', (now) =>
      replaced(token, (chain) => tokenAccount(chain, { owner: mine(now), programId: STRANGER }))(now),
    );
  }
}

type Refuses = (title: string, reason: string, change: (attempt: Attempt) => TransactionInstruction) => void;
type Replace = (make: (chain: Chain) => PublicKey) => (attempt: Attempt) => TransactionInstruction;

function checkOwned(refuses: Refuses, what: string, replace: Replace, data: (chain: Chain) => Buffer): void {
  refuses(
    `a ${what} of another program`,
    'WrongOwner',
    replace((chain) => put(chain, SystemProgram.programId, data(chain))),
  );
  refuses(
    `a ${what} at another address`,
    'WrongAddress',
    replace((chain) => put(chain, chain.programId, data(chain))),
  );
  refuses(
    `a ${what} of another kind`,
    'WrongAccountType',
    replace((chain) =>
      put(chain, chain.programId, Buffer.concat([Buffer.from('RMother\x01'), data(chain).subarray(8)])),
    ),
  );
  refuses(
    `a ${what} of a newer version`,
    'WrongAccountType',
    replace((chain) => {
      const newer = Buffer.from(data(chain));
      newer[7] = (newer[7] ?? 0) + 1;
      return put(chain, chain.programId, newer);
    }),
  );
  refuses(
    `a ${what} that is too short`,
    'WrongAccountType',
    replace((chain) => put(chain, chain.programId, data(chain).subarray(0, 48))),
  );
}

/** Sends the changed instruction; nobody but the admin pays, so that signer and writable flags are the instruction's. */
function refusal(now: Attempt, change: (attempt: Attempt) => TransactionInstruction): string {
  return now.chain.refusal([...(now.before ?? []), change(now)], now.chain.admin, ...now.signers);
}

function keyAt(instruction: TransactionInstruction, index: number): PublicKey {
  const meta = instruction.keys[index];
  if (meta === undefined) throw new RangeError(`no account ${index}`);
  return meta.pubkey;
}

let puppets = 0;

/** An account at a fresh address, past all rules. */
function put(chain: Chain, owner: PublicKey, data: Uint8Array): PublicKey {
  puppets += 1;
  const key = keypair(`puppet ${puppets}`).publicKey;
  chain.put(key, owner, data);
  return key;
}

export interface TokenAccountShape {
  readonly owner: PublicKey;
  readonly mint?: PublicKey;
  readonly state?: AccountState;
  readonly programId?: PublicKey;
}

/** A token account of any shape at a fresh address. */
export function tokenAccount(chain: Chain, shape: TokenAccountShape): PublicKey {
  const data = Buffer.alloc(AccountLayout.span);
  AccountLayout.encode(
    {
      mint: shape.mint ?? program.mintAddress(chain.programId),
      owner: shape.owner,
      amount: 0n,
      delegateOption: 0,
      delegate: SystemProgram.programId,
      delegatedAmount: 0n,
      state: shape.state ?? AccountState.Initialized,
      isNativeOption: 0,
      isNative: 0n,
      closeAuthorityOption: 0,
      closeAuthority: SystemProgram.programId,
    },
    data,
  );
  return put(chain, shape.programId ?? TOKEN_PROGRAM_ID, data);
}
