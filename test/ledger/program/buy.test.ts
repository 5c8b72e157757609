import { beforeAll, describe, expect, it } from 'vitest';
import { lamports } from '../../../core/units.ts';
import * as program from '../../../ledger/solana/program/index.ts';
import { checkAccounts, tokenAccount } from './checks.ts';
import { Chain, UNITS_PER_LAMPORT, keypair, withAccounts } from './svm.ts';

const CEILING = 3_600;

describe('buy', () => {
  let chain: Chain;
  const buyer = keypair('buyer');
  beforeAll(() => {
    chain = Chain.start();
    chain.wallet('buyer');
  });

  it('mints credits at the fixed price and keeps the lamports in reserve', () => {
    const before = chain.bank();
    const held = chain.lamportsOf(program.bankAddress(chain.programId));
    const args = { buyer: buyer.publicKey, lamports: lamports(5_000n) };
    const { computeUnits } = chain.ok([program.buy(chain.programId, args)], buyer);
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
    const units = 5_000n * UNITS_PER_LAMPORT;
    expect(chain.credits(buyer.publicKey)).toBe(units);
    expect(chain.supply()).toBe(units);
    expect(chain.bank()).toMatchObject({ bought: before.bought + units, reserve: before.reserve + 5_000n, minted: 0n });
    expect(chain.lamportsOf(program.bankAddress(chain.programId))).toBe(held + 5_000n);
  });

  it("mints to anybody's token account that the buyer names", () => {
    const friend = chain.wallet('friend');
    const destination = program.creditAccountAddress(chain.programId, friend.publicKey);
    chain.ok([program.buy(chain.programId, { buyer: buyer.publicKey, lamports: lamports(7n), destination })], buyer);
    expect(chain.credits(friend.publicKey)).toBe(14n);
  });

  const buy = (value: bigint, destination?: program.BuyArguments['destination']): ReturnType<typeof program.buy> =>
    program.buy(chain.programId, { buyer: buyer.publicKey, lamports: lamports(value), destination });

  it('refuses 0 lamports', () => {
    expect(chain.refusal([buy(0n)], buyer)).toBe('ZeroAmount');
  });

  it('refuses an amount whose credits do not fit', () => {
    expect(chain.refusal([buy(1n << 63n)], buyer)).toBe('Overflow');
    expect(chain.refusal([buy((1n << 64n) - 1n)], buyer)).toBe('Overflow');
  });

  it('refuses to let the sum of all credits leave 64 bits', () => {
    // 2^63 - 1 lamports make 2^64 - 2 credits: with those already bought it is too much.
    expect(chain.refusal([buy((1n << 63n) - 1n)], buyer)).toBe('Overflow');
  });

  it('refuses a buyer without the lamports', () => {
    expect(chain.refusal([buy(10n ** 15n)], buyer)).toMatch(/^INSUFFICIENT_FUNDS/);
  });

  it('refuses a destination that is no token account', () => {
    expect(chain.refusal([buy(1n, keypair('nothing').publicKey)], buyer)).toBe('WrongOwner');
  });

  it('refuses a token account of another mint', () => {
    const other = tokenAccount(chain, { owner: buyer.publicKey, mint: keypair('other mint').publicKey });
    expect(chain.refusal([buy(1n, other)], buyer)).toMatch(/^LEDGER_REJECTED/);
  });

  it('refuses a read-only destination', () => {
    expect(chain.refusal([withAccounts(buy(1n), { 3: { isWritable: false } })], buyer)).toBe('NotWritable');
  });

  checkAccounts(() => ({ chain, instruction: buy(1n), signers: [buyer] }), {
    signers: [0],
    writable: [0],
    bank: 1,
    mint: 2,
    tokenProgram: 4,
    systemProgram: 5,
  });
});
