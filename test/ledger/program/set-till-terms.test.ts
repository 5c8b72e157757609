import type { PublicKey } from '@solana/web3.js';
import { beforeEach, describe, expect, it } from 'vitest';
import { U64_MAX, amount } from '../../../core/units.ts';
import * as program from '../../../ledger/solana/program/index.ts';
import { checkAccounts } from './checks.ts';
import { Chain, keypair, withAccounts } from './svm.ts';

const CEILING = 1_300;

describe('setTillTerms', () => {
  let chain: Chain;
  let till: PublicKey;
  const owner = keypair('till owner');
  const payer = keypair('payer');
  const set = (
    minDeposit: bigint,
    opening: bigint,
    who: PublicKey = owner.publicKey,
  ): ReturnType<typeof program.setTillTerms> =>
    program.setTillTerms(chain.programId, { owner: who, minDeposit: amount(minDeposit), opening: amount(opening) });
  const open = (slot: number, deposit: bigint, opening: bigint): string => {
    const place = { payer: payer.publicKey, till, slot, delegate: payer.publicKey };
    const funds = { deposit: amount(deposit), opening: amount(opening) };
    return chain.refusal(chain.opening({ ...place, ...funds }), payer);
  };
  beforeEach(() => {
    chain = Chain.start();
    chain.wallet('payer', 1_000n);
    till = chain.openTill(chain.wallet('till owner'), 3);
  });

  it('changes the terms and nothing else', () => {
    chain.openChannel(payer, till, 0, 100n);
    const before = chain.till(till);
    const { computeUnits } = chain.ok([set(50n, U64_MAX)], chain.admin, owner);
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
    expect(chain.till(till)).toEqual({ ...before, minDeposit: 50n, opening: U64_MAX });
  });

  it('counts for channels that are opened afterwards, in both directions', () => {
    chain.openChannel(payer, till, 0, 1n);
    chain.ok([set(10n, 20n)], owner);
    expect(open(1, 9n, 20n)).toBe('DepositBelowTerms');
    expect(open(1, 10n, 19n)).toBe('OpeningBelowTerms');
    expect(open(1, 10n, 20n)).toBe('accepted');
    chain.ok([set(0n, 0n)], owner);
    expect(open(2, 1n, 0n)).toBe('accepted');
    expect(chain.slot(till, 0)).toMatchObject({ open: true, deposit: 1n, opening: 0n });
  });

  it('uses the rent that the cluster now asks for a claim; what was put down before stays', () => {
    chain.openChannel(payer, till, 0, 10n);
    const { rent } = chain.slot(till, 0);
    chain.raiseRent(2n);
    chain.ok([set(0n, 0n)], owner);
    expect(chain.till(till).slotRent).toBe(2n * rent);
    expect(chain.slot(till, 0).rent).toBe(rent);
  });

  it("refuses anybody but the till's owner", () => {
    const stranger = chain.wallet('stranger');
    const foreign = withAccounts(set(0n, 0n, stranger.publicKey), { 1: { pubkey: till } });
    expect(chain.refusal([foreign], stranger)).toBe('NotTillOwner');
  });

  checkAccounts(() => ({ chain, instruction: set(1n, 2n), signers: [owner] }), { signers: [0], till: 1 });
});
