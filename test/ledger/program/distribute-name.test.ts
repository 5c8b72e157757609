import { AccountState } from '@solana/spl-token';
import type { PublicKey, TransactionInstruction } from '@solana/web3.js';
import { beforeEach, describe, expect, it } from 'vitest';
import { amount } from '../../../core/units.ts';
import * as program from '../../../ledger/solana/program/index.ts';
import { checkAccounts, tokenAccount } from './checks.ts';
import { Chain, keypair, withAccounts } from './svm.ts';

/** One split, and each further one that is paid. */
const CEILING = 2_600;
const CEILING_EACH = 1_500;
const NAME = 'news.web3';

describe('distributeName', () => {
  let chain: Chain;
  let till: PublicKey;
  let settled = 0n;
  const owner = keypair('owner');
  const payer = keypair('payer');
  const people = ['author', 'editor', 'printer'].map((label) => keypair(label));
  const shares = [5_000, 3_000, 2_000];
  const register = (): void => {
    const splits = people.map(({ publicKey: account }, index) => ({ account, bps: shares[index] ?? 0 }));
    chain.registerName(owner, { name: NAME, royaltyBps: 10_000, splits });
  };
  const earn = (gross: bigint): void => {
    settled += gross;
    const receipt = chain.receipt(payer, { till, slot: 0, amount: settled });
    const list = [{ name: NAME, gross: amount(gross), maxRoyaltyBps: 10_000 }];
    chain.ok(chain.settlement([receipt], { till, slots: [0], owner: owner.publicKey, shares: list }), owner);
  };
  const distribute = (accounts: readonly (PublicKey | null | undefined)[] = []): TransactionInstruction =>
    program.distributeName(chain.programId, {
      name: NAME,
      splits: people.map(({ publicKey: account }, index) => ({ account, tokenAccount: accounts[index] })),
    });
  const owed = (): readonly bigint[] => chain.name(NAME).splits.map((split) => split.owed);
  const held = (): readonly bigint[] => people.map((person) => chain.credits(person.publicKey));

  beforeEach(() => {
    chain = Chain.start();
    settled = 0n;
    chain.wallet('owner');
    chain.wallet('payer', 10_000n);
    till = chain.openTill(owner, 1);
    chain.openChannel(payer, till, 0, 5_000n);
    for (const label of ['author', 'editor', 'printer']) chain.wallet(label);
    register();
  });

  it('mints every split its share, whoever asks', () => {
    earn(1_000n);
    const { computeUnits } = chain.ok([distribute()], keypair('payer'));
    expect(computeUnits).toBeLessThanOrEqual(CEILING + 2 * CEILING_EACH);
    expect(held()).toEqual([500n, 300n, 200n]);
    expect(owed()).toEqual([0n, 0n, 0n]);
    expect(chain.name(NAME)).toMatchObject({ accrued: 0n, lifetime: 1_000n });
    expect(chain.bank()).toMatchObject({ unminted: 0n, minted: 1_000n, openDeposits: 4_000n });
  });

  it('keeps what cannot be divided for the next time', () => {
    earn(9n);
    chain.ok([distribute()], owner);
    expect(held()).toEqual([4n, 2n, 1n]);
    expect(chain.name(NAME).accrued).toBe(2n);
    earn(8n);
    chain.ok([distribute()], owner);
    expect(held()).toEqual([9n, 5n, 3n]);
    expect(chain.name(NAME).accrued).toBe(0n);
  });

  it('does nothing the second time', () => {
    earn(10n);
    chain.ok([distribute()], owner);
    const before = chain.bank();
    chain.ok([distribute()], owner);
    expect(chain.bank()).toEqual(before);
  });

  describe('leaves a split owed and pays the others', () => {
    const stranger = keypair('stranger').publicKey;
    const editor = keypair('editor').publicKey;
    it.each<[string, () => PublicKey | null]>([
      ['when no account is given', () => null],
      ['when the account does not exist', () => stranger],
      ["when the account is somebody else's", () => tokenAccount(chain, { owner: stranger })],
      ['when the account is of another mint', () => tokenAccount(chain, { owner: editor, mint: stranger })],
      [
        'when the account is not initialized',
        () => tokenAccount(chain, { owner: editor, state: AccountState.Uninitialized }),
      ],
      ['when the account is frozen', () => tokenAccount(chain, { owner: editor, state: AccountState.Frozen })],
      ['when the account is of another program', () => tokenAccount(chain, { owner: editor, programId: stranger })],
    ])('%s', (_title, account) => {
      earn(100n);
      chain.ok([distribute([undefined, account()])], owner);
      expect(held()).toEqual([50n, 0n, 20n]);
      expect(owed()).toEqual([0n, 30n, 0n]);
      expect(chain.bank()).toMatchObject({ unminted: 30n, minted: 70n });
      earn(10n);
      chain.ok([distribute()], owner);
      expect(held()).toEqual([55n, 33n, 22n]);
      expect(chain.bank()).toMatchObject({ unminted: 0n, minted: 110n });
    });

    it('when the account is passed read-only', () => {
      earn(100n);
      chain.ok([withAccounts(distribute(), { 5: { isWritable: false } })], owner);
      expect(owed()).toEqual([0n, 30n, 0n]);
    });
  });

  it('pays into any token account that belongs to the split', () => {
    earn(100n);
    const other = tokenAccount(chain, { owner: keypair('author').publicKey });
    chain.ok([distribute([other])], owner);
    expect(chain.data(other).readBigUInt64LE(64)).toBe(50n);
  });

  it('refuses an account for a split that does not exist', () => {
    const instruction = distribute();
    const more = Object.assign(withAccounts(instruction, {}), {
      keys: [...instruction.keys, { pubkey: chain.programId, isSigner: false, isWritable: false }],
    });
    expect(chain.refusal([more], owner)).toBe('WrongAccountCount');
  });

  checkAccounts(() => ({ chain, instruction: distribute(), signers: [] }), {
    name: 0,
    bank: 1,
    mint: 2,
    tokenProgram: 3,
  });
});
