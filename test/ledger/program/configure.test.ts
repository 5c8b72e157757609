import { PublicKey } from '@solana/web3.js';
import type { TransactionInstruction } from '@solana/web3.js';
import { beforeEach, describe, expect, it } from 'vitest';
import { amount } from '../../../core/units.ts';
import * as program from '../../../ledger/solana/program/index.ts';
import { checkAccounts } from './checks.ts';
import { Chain, keypair, withAccounts, withData } from './svm.ts';

const CEILING = 650;

describe('configure', () => {
  let chain: Chain;
  const treasury = keypair('treasury').publicKey;
  const heir = keypair('heir');
  const configure = (
    change: Omit<program.ConfigureArguments, 'admin'>,
    admin: PublicKey = chain.admin.publicKey,
  ): TransactionInstruction => program.configure(chain.programId, { admin, ...change });
  const everything = {
    feeBps: program.MAX_FEE_BPS,
    treasury,
    nameYearPrice: amount(program.MAX_NAME_YEAR_PRICE),
    commitSeconds: program.MAX_COMMIT_SECONDS,
  };
  beforeEach(() => {
    chain = Chain.start();
    chain.fund(heir.publicKey);
  });

  it('changes everything that may change, up to its limit, and nothing else', () => {
    const before = chain.bank();
    const { computeUnits } = chain.ok([configure({ ...everything, newAdmin: heir.publicKey })], chain.admin, heir);
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
    expect(chain.bank()).toEqual({ ...before, ...everything, admin: heir.publicKey });
  });

  it.each(Object.entries(everything))('changes %s alone', (name, value) => {
    const before = chain.bank();
    chain.ok([configure({ [name]: value })], chain.admin);
    expect(chain.bank()).toEqual({ ...before, [name]: value });
  });

  it.each([
    ['a fee over a tenth', { feeBps: program.MAX_FEE_BPS + 1 }],
    ['no treasury', { treasury: PublicKey.default }],
    ['a price of names over the limit', { nameYearPrice: amount(program.MAX_NAME_YEAR_PRICE + 1n) }],
    ['commitments that may be revealed at once', { commitSeconds: 0 }],
    ['commitments that must wait over an hour', { commitSeconds: program.MAX_COMMIT_SECONDS + 1 }],
  ])('refuses %s', (_title, change) => {
    expect(chain.refusal([configure(change)], chain.admin)).toBe('InvalidConfiguration');
  });

  it.each([
    ['no flag', [16, 0]],
    ['an unknown flag', [16, 32]],
    ['an unknown flag beside a known one', [16, 33, 1, 0]],
  ])('refuses %s', (_title, data) => {
    const instruction = withData(configure({ feeBps: 1 }), Uint8Array.from(data));
    expect(chain.refusal([instruction], chain.admin)).toBe('InvalidInstruction');
  });

  it('refuses anybody but the admin', () => {
    expect(chain.refusal([configure({ feeBps: 1 }, heir.publicKey)], heir)).toBe('NotAdmin');
  });

  describe('handing the bank over', () => {
    const handOver = (): TransactionInstruction => configure({ newAdmin: heir.publicKey });

    it('makes the old admin a stranger', () => {
      chain.ok([handOver()], chain.admin, heir);
      expect(chain.refusal([configure({ feeBps: 1 })], chain.admin)).toBe('NotAdmin');
      chain.ok([configure({ feeBps: 1 }, heir.publicKey)], heir);
      expect(chain.bank().feeBps).toBe(1);
    });

    it("refuses without the new admin's signature", () => {
      const unsigned = withAccounts(handOver(), { 2: { isSigner: false } });
      expect(chain.refusal([unsigned], chain.admin)).toBe('NotSigner');
    });

    it("refuses another signer in the new admin's place", () => {
      const another = withAccounts(handOver(), { 2: { pubkey: chain.admin.publicKey } });
      expect(chain.refusal([another], chain.admin)).toBe('WrongAddress');
    });
  });

  describe('giving the bank up', () => {
    it('leaves the settings as they are, for ever', () => {
      chain.ok([configure({ feeBps: 7, newAdmin: null })], chain.admin);
      expect(chain.bank()).toMatchObject({ admin: PublicKey.default, feeBps: 7 });
      expect(chain.refusal([configure({ feeBps: 8 })], chain.admin)).toBe('ConfigurationFinal');
      expect(chain.refusal([configure({ newAdmin: heir.publicKey })], chain.admin, heir)).toBe('ConfigurationFinal');
      // The system program's address is all zeros as well, and cannot sign.
      const asNobody = withAccounts(configure({ feeBps: 8 }), { 0: { pubkey: PublicKey.default, isSigner: false } });
      expect(chain.refusal([asNobody], chain.admin)).toBe('ConfigurationFinal');
      expect(chain.bank().feeBps).toBe(7);
    });

    it('stops neither settlements nor the collection of fees', () => {
      const payer = chain.wallet('payer', 1_000n);
      const till = chain.openTill(chain.wallet('payee'), 1);
      chain.ok([configure({ feeBps: 100, treasury: heir.publicKey, newAdmin: null })], chain.admin);
      chain.openChannel(payer, till, 0, 500n);
      chain.ok(chain.settlement([chain.receipt(payer, { till, slot: 0, amount: 500n })], { till, slots: [0] }));
      chain.ok([chain.createTokenAccount(heir.publicKey)], chain.admin);
      chain.ok([program.collectFees(chain.programId, { treasury: heir.publicKey })]);
      expect(chain.credits(heir.publicKey)).toBe(5n);
    });
  });

  it('asks the client for at least one setting', () => {
    expect(() => configure({})).toThrow(RangeError);
  });

  checkAccounts(
    () => ({
      chain,
      instruction: configure({ feeBps: 1, newAdmin: heir.publicKey }),
      signers: [chain.admin, heir],
    }),
    { signers: [2], bank: 1 },
  );

  it("refuses without the admin's signature", () => {
    const unsigned = withAccounts(configure({ feeBps: 1 }), { 0: { isSigner: false } });
    expect(chain.refusal([unsigned], heir)).toBe('NotSigner');
  });
});
