import { PublicKey } from '@solana/web3.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { amount } from '../../../core/units.ts';
import * as program from '../../../ledger/solana/program/index.ts';
import { checkAccounts } from './checks.ts';
import { Chain, keypair } from './svm.ts';

const CEILING = 2_600;

describe('openChannel', () => {
  let chain: Chain;
  let till: PublicKey;
  const payer = keypair('payer');
  const delegate = keypair('delegate').publicKey;
  const open = (change: Partial<program.OpenChannelArguments> = {}): ReturnType<typeof program.openChannel> =>
    program.openChannel(chain.programId, {
      payer: payer.publicKey,
      till,
      slot: 3,
      delegate,
      deposit: amount(250n),
      ...change,
    });
  beforeAll(() => {
    chain = Chain.start();
    chain.wallet('payer', 10_000n);
    till = chain.openTill(chain.wallet('payee'), 4);
  });

  it('burns the deposit into the slot', () => {
    const { computeUnits } = chain.ok([open({ slot: 0 })], chain.admin, payer);
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
    expect(chain.slot(till, 0)).toMatchObject({
      open: true,
      payer: payer.publicKey,
      delegate,
      deposit: 250n,
      settled: 0n,
      up: 0n,
      down: 0n,
      generation: 1,
      closeAt: undefined,
    });
    expect(chain.credits(payer.publicKey)).toBe(9_750n);
    expect(chain.supply()).toBe(9_750n);
    expect(chain.bank()).toMatchObject({ burned: 250n, openDeposits: 250n, unminted: 0n, minted: 0n });
  });

  it('refuses a slot in use', () => {
    chain.ok([open({ slot: 1 })], payer);
    expect(chain.refusal([open({ slot: 1 })], payer)).toBe('SlotInUse');
  });

  it.each([4, 65_535])('refuses slot %d of a till of four', (slot) => {
    expect(chain.refusal([open({ slot })], payer)).toBe('SlotOutOfRange');
  });

  it('refuses a deposit of 0', () => {
    expect(chain.refusal([open({ deposit: amount(0n) })], payer)).toBe('ZeroAmount');
  });

  it('refuses a delegate key of zeros', () => {
    expect(chain.refusal([open({ delegate: PublicKey.default })], payer)).toBe('InvalidDelegate');
  });

  it('refuses more than the payer has, and keeps the slot free', () => {
    expect(chain.refusal([open({ deposit: amount(10_001n) })], payer)).toMatch(/^INSUFFICIENT_FUNDS/);
    expect(chain.slot(till, 3).open).toBe(false);
  });

  checkAccounts(() => ({ chain, instruction: open(), signers: [payer] }), {
    signers: [0],
    till: 1,
    bank: 2,
    mint: 3,
    tokenAccount: 4,
    tokenProgram: 5,
  });
});
