import type { TransactionInstruction } from '@solana/web3.js';
import { beforeEach, describe, expect, it } from 'vitest';
import { amount } from '../../../core/units.ts';
import * as program from '../../../ledger/solana/program/index.ts';
import { GRACE_SECONDS, YEAR_SECONDS } from '../../../ledger/term.ts';
import { checkAccounts } from './checks.ts';
import { Chain, keypair, withAccounts } from './svm.ts';

const CEILING = 3_300;
const NAME = 'news.web3';
const YEAR_PRICE = 1_000n;

describe('renewName', () => {
  let chain: Chain;
  let expiresAt: bigint;
  const owner = keypair('owner');
  const payer = keypair('payer');
  const renew = (change: Partial<program.RenewNameArguments> = {}): TransactionInstruction =>
    program.renewName(chain.programId, {
      payer: payer.publicKey,
      name: NAME,
      years: 2,
      maxPrice: amount(2n * YEAR_PRICE),
      ...change,
    });
  beforeEach(() => {
    chain = Chain.start(2n, YEAR_PRICE);
    chain.pass(1_800_000_000n);
    chain.wallet('owner', 10_000n);
    chain.wallet('payer', 50_000n);
    chain.registerName(owner, { name: NAME });
    expiresAt = chain.now() + YEAR_SECONDS;
  });

  it('adds to the term, whoever pays, and leaves everything else', () => {
    const before = chain.name(NAME);
    const bank = chain.bank();
    const { computeUnits } = chain.ok([renew()], payer);
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
    expect(chain.name(NAME)).toEqual({ ...before, expiresAt: expiresAt + 2n * YEAR_SECONDS });
    expect(chain.credits(payer.publicKey)).toBe(50_000n - 2n * YEAR_PRICE);
    const after = chain.bank();
    for (const total of ['fees', 'lifetimeFees', 'unminted', 'burned'] as const) {
      expect(after[total] - bank[total]).toBe(2n * YEAR_PRICE);
    }
    expect(after.bought - after.redeemed).toBe(chain.supply() + after.openDeposits + after.unminted);
  });

  it('adds to the old term in the grace period too, until its last second', () => {
    chain.pass(YEAR_SECONDS + GRACE_SECONDS - 1n);
    chain.ok([renew()], payer);
    expect(chain.name(NAME).expiresAt).toBe(expiresAt + 2n * YEAR_SECONDS);
  });

  it('refuses a name whose grace is over', () => {
    chain.pass(YEAR_SECONDS + GRACE_SECONDS);
    expect(chain.refusal([renew()], payer)).toBe('NameExpired');
  });

  it('goes ten years ahead and not a second more', () => {
    // Registered for a year just now: nine more are ten.
    const maxPrice = amount(10n * YEAR_PRICE);
    expect(chain.refusal([renew({ years: 10, maxPrice })], payer)).toBe('TermTooLong');
    chain.ok([renew({ years: 9, maxPrice })], payer);
    expect(chain.name(NAME).expiresAt).toBe(chain.now() + 10n * YEAR_SECONDS);
    chain.pass(YEAR_SECONDS - 1n);
    expect(chain.refusal([renew({ years: 1 })], payer)).toBe('TermTooLong');
    chain.pass(1n);
    chain.ok([renew({ years: 1 })], payer);
  });

  it('refuses what never expires: there is nothing to add to', () => {
    const key = program.nameAddress(chain.programId, NAME);
    const data = Buffer.from(chain.data(key));
    data.writeBigInt64LE(0n, program.NAME_FIELDS.find((field) => field.name === 'expiresAt')?.offset ?? -1);
    chain.put(key, chain.programId, data);
    expect(chain.refusal([renew()], payer)).toBe('TermTooLong');
  });

  it.each([0, 11])('refuses %d years', (years) => {
    expect(chain.refusal([renew({ years })], payer)).toBe('InvalidYears');
  });

  it('refuses to cost more than was agreed to', () => {
    expect(chain.refusal([renew({ maxPrice: amount(2n * YEAR_PRICE - 1n) })], payer)).toBe('PriceAboveMaximum');
  });

  it('refuses a payer without the credits', () => {
    const poor = chain.wallet('poor', YEAR_PRICE);
    expect(chain.refusal([renew({ payer: poor.publicKey })], poor)).toMatch(/^INSUFFICIENT_FUNDS/);
  });

  it('asks for no token account while names are free', () => {
    const free = Chain.start();
    free.fund(owner.publicKey);
    free.registerName(owner, { name: NAME });
    const absent = { pubkey: free.programId, isWritable: false };
    const args = { payer: owner.publicKey, name: NAME, years: 1, maxPrice: amount(0n) };
    free.ok([withAccounts(program.renewName(free.programId, args), { 3: absent, 4: absent, 5: absent })], owner);
    expect(free.name(NAME).expiresAt).toBe(free.now() + 2n * YEAR_SECONDS);
  });

  checkAccounts(() => ({ chain, instruction: renew(), signers: [payer] }), {
    signers: [0],
    name: 1,
    bank: 2,
    mint: 3,
    tokenAccount: 4,
    tokenProgram: 5,
  });
});
