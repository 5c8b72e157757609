import type { PublicKey } from '@solana/web3.js';
import { beforeAll, describe, expect, it } from 'vitest';
import * as program from '../../../ledger/solana/program/index.ts';
import { checkAccounts } from './checks.ts';
import { Chain, keypair, withAccounts } from './svm.ts';

const CEILING = 2_500;

describe('withdraw', () => {
  let chain: Chain;
  let till: PublicKey;
  const payer = keypair('payer');
  const owner = keypair('owner');
  const withdraw = (): ReturnType<typeof program.withdraw> =>
    program.withdraw(chain.programId, { owner: owner.publicKey, till });
  const earn = (total: bigint): void => {
    const receipt = chain.receipt(payer, { till, slot: 0, amount: total });
    chain.ok(chain.settlement([receipt], { till, slots: [0] }), chain.admin);
  };
  beforeAll(() => {
    chain = Chain.start();
    chain.wallet('payer', 1_000n);
    chain.wallet('owner');
    till = chain.openTill(owner, 1);
    chain.openChannel(payer, till, 0, 500n);
  });

  it('mints what the till earned to its owner', () => {
    earn(120n);
    const { computeUnits } = chain.ok([withdraw()], chain.admin, owner);
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
    expect(chain.credits(owner.publicKey)).toBe(120n);
    expect(chain.till(till)).toMatchObject({ earned: 0n, lifetimeEarned: 120n });
    expect(chain.bank()).toMatchObject({ minted: 120n, unminted: 0n, openDeposits: 380n });
  });

  it('does nothing when nothing was earned', () => {
    const before = chain.bank();
    chain.ok([withdraw()], chain.admin, owner);
    expect(chain.bank()).toEqual(before);
  });

  it("refuses another owner's till", () => {
    const thief = chain.wallet('thief');
    const args = { owner: thief.publicKey, till };
    expect(chain.refusal([program.withdraw(chain.programId, args)], thief)).toBe('NotTillOwner');
  });

  it("loses nothing when the owner's token account is missing", () => {
    earn(130n);
    const missing = withAccounts(withdraw(), { 4: { pubkey: keypair('no account').publicKey } });
    expect(chain.refusal([missing], owner)).toBe('WrongTokenAccount');
    expect(chain.till(till).earned).toBe(10n);
  });

  checkAccounts(() => ({ chain, instruction: withdraw(), signers: [owner] }), {
    signers: [0],
    till: 1,
    bank: 2,
    mint: 3,
    tokenAccount: 4,
    tokenProgram: 5,
  });
});
