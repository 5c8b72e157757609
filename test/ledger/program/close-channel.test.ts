import type { PublicKey } from '@solana/web3.js';
import { beforeEach, describe, expect, it } from 'vitest';
import * as program from '../../../ledger/solana/program/index.ts';
import { checkAccounts } from './checks.ts';
import { CHALLENGE_SECONDS, Chain, keypair, withAccounts } from './svm.ts';

const CEILING = 2_700;

describe('closeChannel', () => {
  let chain: Chain;
  let till: PublicKey;
  const payer = keypair('payer');
  const payee = keypair('payee');
  const close = (change: Partial<program.CloseChannelArguments> = {}): ReturnType<typeof program.closeChannel> =>
    program.closeChannel(chain.programId, { payer: payer.publicKey, till, slot: 0, generation: 1, ...change });
  const agreed = (): ReturnType<typeof program.closeChannel> => close({ tillOwner: payee.publicKey });
  const place = (slot: number): program.RequestCloseArguments => ({
    payer: payer.publicKey,
    till,
    slot,
    generation: 1,
  });
  const request = (): void => {
    const args = { payer: payer.publicKey, till, slot: 0, generation: 1 };
    chain.ok([program.requestClose(chain.programId, args)], payer);
  };
  const settle = (total: bigint, generation = 1): string => {
    const receipt = chain.receipt(payer, { till, slot: 0, amount: total, generation });
    return chain.refusal(chain.settlement([receipt], { till, slots: [0] }));
  };
  beforeEach(() => {
    chain = Chain.start();
    chain.wallet('payer', 1_000n);
    chain.wallet('payee');
    till = chain.openTill(payee, 2);
    chain.openChannel(payer, till, 0, 300n);
  });

  it('mints the rest back at once when the payee signs too', () => {
    expect(settle(120n)).toBe('accepted');
    const { computeUnits } = chain.ok([agreed()], chain.admin, payer, payee);
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
    expect(chain.credits(payer.publicKey)).toBe(880n);
    expect(chain.slot(till, 0)).toMatchObject({
      open: false,
      generation: 2,
      deposit: 0n,
      settled: 0n,
      up: 0n,
      down: 0n,
    });
    expect(chain.slot(till, 0).payer.toBytes()).toEqual(new Uint8Array(32));
    expect(chain.slot(till, 0).delegate.toBytes()).toEqual(new Uint8Array(32));
    expect(chain.bank()).toMatchObject({ burned: 300n, minted: 180n, openDeposits: 0n, unminted: 120n });
    expect(chain.till(till).earned).toBe(120n);
  });

  it('mints the rest back without the payee after the challenge period', () => {
    request();
    chain.passChallenge();
    chain.ok([close()], payer);
    expect(chain.credits(payer.publicKey)).toBe(1_000n);
  });

  it('lets the payee settle until it is closed', () => {
    request();
    chain.passChallenge();
    expect(settle(300n)).toBe('accepted');
    chain.ok([close()], payer);
    expect(chain.credits(payer.publicKey)).toBe(700n);
    expect(chain.bank()).toMatchObject({ minted: 0n, openDeposits: 0n, unminted: 300n });
  });

  it('kills the receipts of the closed channel, also when its slot is used again', () => {
    chain.ok([agreed()], payer, payee);
    expect(settle(100n)).toBe('SlotNotOpen');
    chain.openChannel(payer, till, 0, 300n);
    expect(settle(100n)).toBe('WrongAggregate');
    expect(settle(100n, 2)).toBe('accepted');
  });

  it('refuses before anything was requested', () => {
    expect(chain.refusal([close()], payer)).toBe('CloseNotRequested');
  });

  it('refuses one second too early', () => {
    request();
    chain.pass(CHALLENGE_SECONDS - 1n);
    expect(chain.refusal([close()], payer)).toBe('ChallengePending');
  });

  it('refuses one slot too early: an outage as long as the challenge does not end it', () => {
    request();
    const { closeSlot } = chain.slot(till, 0);
    chain.pass(CHALLENGE_SECONDS * 10n);
    chain.moveToSlot(closeSlot - 1n);
    expect(chain.refusal([close()], payer)).toBe('ChallengePending');
    chain.moveToSlot(closeSlot);
    expect(chain.refusal([close()], payer)).toBe('accepted');
  });

  describe('the rent of the slot', () => {
    it('comes back to the payer, alone or with the payee', () => {
      const rent = chain.rent(program.SIZES.claim);
      chain.openChannel(payer, till, 1, 10n);
      const before = chain.lamportsOf(payer.publicKey);
      chain.ok([agreed()], chain.admin, payer, payee);
      expect(chain.lamportsOf(payer.publicKey)).toBe(before + rent);
      expect(chain.bank().slotRents).toBe(rent);
      chain.ok([program.requestClose(chain.programId, { ...place(1) })], chain.admin, payer);
      chain.passChallenge();
      chain.ok([program.closeChannel(chain.programId, { ...place(1) })], chain.admin, payer);
      expect(chain.lamportsOf(payer.publicKey)).toBe(before + 2n * rent);
      expect(chain.bank().slotRents).toBe(0n);
    });

    it.each([
      ['risen', 5n],
      ['fallen', 0n],
    ])('is what was paid, even if the rent of the cluster has %s meanwhile', (_title, times) => {
      const rent = chain.slot(till, 0).rent;
      chain.raiseRent(times);
      const before = chain.lamportsOf(payer.publicKey);
      chain.ok([agreed()], chain.admin, payer, payee);
      expect(chain.lamportsOf(payer.publicKey)).toBe(before + rent);
    });

    it('stays in the bank for its payer when the till is filled, emptied and filled by others', () => {
      const other = chain.wallet('other payer', 1_000n);
      chain.openChannel(other, till, 1, 10n);
      chain.ok([agreed()], payer, payee);
      chain.openChannel(other, till, 0, 10n);
      expect(chain.bank().slotRents).toBe(2n * chain.rent(program.SIZES.claim));
    });
  });

  it("refuses anybody but the channel's payer", () => {
    const stranger = chain.wallet('stranger');
    const args = { payer: stranger.publicKey, tillOwner: payee.publicKey };
    expect(chain.refusal([close(args)], stranger, payee)).toBe('NotPayer');
  });

  it("refuses another signer in the till owner's place", () => {
    const stranger = chain.wallet('stranger');
    expect(chain.refusal([close({ tillOwner: stranger.publicKey })], payer, stranger)).toBe('NotTillOwner');
  });

  it("refuses the till owner's address without the signature", () => {
    const unsigned = withAccounts(agreed(), { 6: { isSigner: false } });
    expect(chain.refusal([unsigned], payer)).toBe('NotSigner');
  });

  it('loses nothing when the token account is missing', () => {
    const before = chain.data(till);
    const missing = withAccounts(agreed(), { 4: { pubkey: keypair('no account').publicKey } });
    expect(chain.refusal([missing], payer, payee)).toBe('WrongTokenAccount');
    expect(chain.data(till)).toEqual(before);
  });

  it('refuses a second time', () => {
    chain.ok([agreed()], payer, payee);
    expect(chain.refusal([agreed()], payer, payee)).toBe('SlotNotOpen');
  });

  it('refuses another generation', () => {
    const args = { tillOwner: payee.publicKey, generation: 2 };
    expect(chain.refusal([close(args)], payer, payee)).toBe('WrongGeneration');
  });

  it('refuses a slot that does not exist', () => {
    expect(chain.refusal([close({ slot: 2, tillOwner: payee.publicKey })], payer, payee)).toBe('SlotOutOfRange');
  });

  checkAccounts(() => ({ chain, instruction: agreed(), signers: [payer, payee] }), {
    signers: [0],
    writable: [0],
    till: 1,
    bank: 2,
    mint: 3,
    tokenAccount: 4,
    tokenProgram: 5,
  });
});
