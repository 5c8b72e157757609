import { createBurnInstruction, createCloseAccountInstruction } from '@solana/spl-token';
import { SystemProgram } from '@solana/web3.js';
import type { PublicKey } from '@solana/web3.js';
import { beforeEach, describe, expect, it } from 'vitest';
import * as program from '../../../ledger/solana/program/index.ts';
import { checkAccounts } from './checks.ts';
import { Chain, keypair, withAccounts } from './svm.ts';

const SYSTEM = SystemProgram.programId;
/** With a claim that has to be made: the search for its address takes 1,500 a try. */
const CEILING_NEW = 6_400;
const CEILING_KNOWN = 1_500;

describe('closeByPayee', () => {
  let chain: Chain;
  let till: PublicKey;
  let claim: PublicKey;
  const payer = keypair('payer');
  const owner = keypair('payee');
  const close = (change: Partial<program.CloseByPayeeArguments> = {}): ReturnType<typeof program.closeByPayee> =>
    program.closeByPayee(chain.programId, {
      owner: owner.publicKey,
      payer: payer.publicKey,
      slot: 0,
      generation: 1,
      ...change,
    });
  const settle = (total: bigint): string => {
    const receipt = chain.receipt(payer, { till, slot: 0, amount: total });
    return chain.refusal(chain.settlement([receipt], { till, slots: [0] }));
  };
  const claimed = (): program.ClaimAccount => program.decodeClaim(chain.data(claim));
  beforeEach(() => {
    chain = Chain.start();
    chain.wallet('payer', 1_000n);
    chain.wallet('payee');
    till = chain.openTill(owner, 3);
    chain.openChannel(payer, till, 0, 300n);
    chain.openChannel(payer, till, 1, 50n);
    claim = program.claimAddress(chain.programId, payer.publicKey);
  });

  it('frees the slot at once and keeps the rest and the slot rent for the payer', () => {
    expect(settle(120n)).toBe('accepted');
    const [bank, held] = [chain.bank(), chain.lamportsOf(owner.publicKey)];
    const { rent } = chain.slot(till, 0);
    const { computeUnits } = chain.ok([close()], chain.admin, owner);
    expect(computeUnits).toBeLessThanOrEqual(CEILING_NEW);
    expect(chain.slot(till, 0)).toMatchObject({ open: false, generation: 2, deposit: 0n, opening: 0n, rent: 0n });
    expect(claimed()).toMatchObject({ payer: payer.publicKey, amount: 180n });
    expect(chain.lamportsOf(claim)).toBe(rent);
    // Nothing of it is minted yet, and the payee neither pays nor gains a lamport.
    expect(chain.bank()).toEqual({ ...bank, slotRents: bank.slotRents - rent });
    expect(chain.lamportsOf(owner.publicKey)).toBe(held);
  });

  it('adds to a claim that is there already', () => {
    chain.ok([close()], owner);
    const { computeUnits } = chain.ok([close({ slot: 1 })], chain.admin, owner);
    expect(computeUnits).toBeLessThanOrEqual(CEILING_KNOWN);
    expect(claimed().amount).toBe(350n);
    expect(chain.lamportsOf(claim)).toBe(2n * chain.rent(program.SIZES.claim));
    expect(chain.bank().slotRents).toBe(0n);
  });

  it('works for a payer whose key is lost and whose token account is gone, and lets the till be closed', () => {
    const tokens = program.creditAccountAddress(chain.programId, payer.publicKey);
    const mint = program.mintAddress(chain.programId);
    chain.ok(
      [
        createBurnInstruction(tokens, mint, payer.publicKey, chain.credits(payer.publicKey)),
        createCloseAccountInstruction(tokens, payer.publicKey, payer.publicKey),
      ],
      payer,
    );
    chain.ok([close(), close({ slot: 1 })], owner);
    chain.moveToSlot(10n);
    chain.ok([program.closeTill(chain.programId, { owner: owner.publicKey })], owner);
    expect(chain.account(till)).toBeNull();
    expect(claimed().amount).toBe(350n);
    chain.ok(
      [chain.createTokenAccount(payer.publicKey), program.payClaim(chain.programId, { payer: payer.publicKey })],
      chain.admin,
    );
    expect(chain.credits(payer.publicKey)).toBe(350n);
  });

  it('takes what was spent whole, and still returns the slot rent', () => {
    expect(settle(300n)).toBe('accepted');
    chain.ok([close()], owner);
    expect(claimed().amount).toBe(0n);
    expect(chain.lamportsOf(claim)).toBe(chain.rent(program.SIZES.claim));
  });

  it('kills the receipts that the payee has not settled, and no request of the payer stops it', () => {
    chain.ok([program.requestClose(chain.programId, { payer: payer.publicKey, till, slot: 0, generation: 1 })], payer);
    chain.ok([close()], owner);
    expect(settle(100n)).toBe('SlotNotOpen');
    chain.openChannel(payer, till, 0, 300n);
    expect(settle(100n)).toBe('WrongAggregate');
  });

  it("wins or loses a race with the payer's own close, and nobody gains by it", () => {
    const agreed = program.closeChannel(chain.programId, {
      payer: payer.publicKey,
      till,
      slot: 0,
      generation: 1,
      tillOwner: owner.publicKey,
    });
    const [credits, held] = [chain.credits(payer.publicKey), chain.lamportsOf(payer.publicKey)];
    chain.ok([close()], chain.admin, owner);
    expect(chain.refusal([agreed], chain.admin, payer, owner)).toBe('SlotNotOpen');
    chain.ok([program.payClaim(chain.programId, { payer: payer.publicKey })], chain.admin);
    const { rent } = chain.slot(till, 1);
    expect([chain.credits(payer.publicKey), chain.lamportsOf(payer.publicKey)]).toEqual([credits + 300n, held + rent]);
    chain.openChannel(payer, till, 0, 300n);
    const next = { generation: 2 };
    expect(chain.refusal([close()], owner)).toBe('WrongGeneration');
    chain.ok(
      [
        program.closeChannel(chain.programId, {
          payer: payer.publicKey,
          till,
          slot: 0,
          tillOwner: owner.publicKey,
          ...next,
        }),
      ],
      payer,
      owner,
    );
    expect(chain.refusal([close(next)], owner)).toBe('SlotNotOpen');
  });

  it('asks the owner for the difference when the cluster asks more rent by now; the payer gets that too', () => {
    const { rent } = chain.slot(till, 0);
    chain.raiseRent(2n);
    const held = chain.lamportsOf(owner.publicKey);
    chain.ok([close()], chain.admin, owner);
    expect(chain.lamportsOf(claim)).toBe(2n * rent);
    expect(held - chain.lamportsOf(owner.publicKey)).toBe(rent);
  });

  it('gives everything that was put down when the cluster asks less by now', () => {
    const { rent } = chain.slot(till, 0);
    chain.raiseRent(0n);
    chain.ok([close()], owner);
    expect(chain.lamportsOf(claim)).toBe(rent);
  });

  it('takes a claim address that somebody sent lamports to before', () => {
    chain.put(claim, SYSTEM, new Uint8Array(), 7n);
    chain.ok([close()], owner);
    expect(claimed().amount).toBe(300n);
    expect(chain.lamportsOf(claim)).toBe(chain.rent(program.SIZES.claim) + 7n);
  });

  it("refuses anybody but the till's owner, the payer too", () => {
    for (const who of [payer, chain.wallet('stranger')]) {
      const foreign = withAccounts(close({ owner: who.publicKey }), { 1: { pubkey: till } });
      expect(chain.refusal([foreign], who)).toBe('NotTillOwner');
    }
  });

  it("refuses another payer's claim, new or old", () => {
    const other = chain.wallet('other payer', 100n);
    const wrong = close({ payer: other.publicKey });
    expect(chain.refusal([wrong], owner)).toBe('WrongAddress');
    chain.openChannel(other, till, 2, 100n);
    chain.ok([close({ payer: other.publicKey, slot: 2 })], owner);
    expect(chain.refusal([wrong], owner)).toBe('WrongAddress');
  });

  it('refuses an account of another kind in place of the claim', () => {
    chain.put(claim, SYSTEM, new Uint8Array(4));
    expect(chain.refusal([close()], owner)).toBe('WrongAccountType');
  });

  it('refuses a free slot, one that does not exist, and another generation', () => {
    expect(chain.refusal([close({ slot: 2 })], owner)).toBe('SlotNotOpen');
    expect(chain.refusal([close({ slot: 3 })], owner)).toBe('SlotOutOfRange');
    expect(chain.refusal([close({ generation: 2 })], owner)).toBe('WrongGeneration');
  });

  const instruction = (): ReturnType<typeof close> => close({ slot: 1 });
  describe('with a new claim', () => {
    checkAccounts(() => ({ chain, instruction: instruction(), signers: [owner] }), {
      signers: [0],
      writable: [0],
      till: 1,
      bank: 2,
      systemProgram: 4,
    });
  });
  describe('with an old claim', () => {
    let old: Buffer;
    beforeEach(() => {
      chain.ok([close()], owner);
      old = chain.data(claim);
    });
    const forged = (data: Uint8Array, key: PublicKey = keypair('forged claim').publicKey): string => {
      chain.put(key, chain.programId, data);
      return chain.refusal([withAccounts(instruction(), { 3: { pubkey: key } })], owner);
    };

    it('refuses one that is read-only', () => {
      const readOnly = withAccounts(instruction(), { 3: { isWritable: false } });
      expect(chain.refusal([readOnly], chain.admin, owner)).toBe('NotWritable');
    });

    it('refuses one at another address', () => {
      expect(forged(old)).toBe('WrongAddress');
    });

    it.each([3, 7])('refuses one of another kind or version: byte %d', (at) => {
      const changed = Buffer.from(old);
      changed.writeUInt8(changed.readUInt8(at) ^ 3, at);
      expect(forged(changed, claim)).toBe('WrongAccountType');
    });

    it('refuses one of another length', () => {
      expect(forged(old.subarray(0, 48), claim)).toBe('WrongAccountType');
      expect(forged(Buffer.concat([old, Buffer.alloc(8)]), claim)).toBe('WrongAccountType');
    });

    it('refuses a sum beyond 64 bits', () => {
      const full = Buffer.from(old);
      full.writeBigUInt64LE(2n ** 64n - 50n, 48);
      expect(forged(full, claim)).toBe('Overflow');
    });
  });
});
