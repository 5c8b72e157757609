import { SystemProgram } from '@solana/web3.js';
import type { PublicKey, TransactionInstruction } from '@solana/web3.js';
import { beforeEach, describe, expect, it } from 'vitest';
import * as program from '../../../ledger/solana/program/index.ts';
import { checkAccounts } from './checks.ts';
import { CLUSTER_TAG, Chain, keypair, withAccounts } from './svm.ts';

/** Four slots; each further one costs 14. */
const CEILING = 800;
const OPENED = 100n;

describe('closeTill', () => {
  let chain: Chain;
  let till: PublicKey;
  const payer = keypair('payer');
  const owner = keypair('owner');
  const close = (): TransactionInstruction => program.closeTill(chain.programId, { owner: owner.publicKey });
  const open = (slots = 4): TransactionInstruction =>
    program.openTill(chain.programId, { owner: owner.publicKey, slots });
  const closeChannel = (slot: number, generation = chain.slot(till, slot).generation): void => {
    const args = { payer: payer.publicKey, till, slot, generation, tillOwner: owner.publicKey };
    chain.ok([program.closeChannel(chain.programId, args)], chain.admin, payer, owner);
  };
  const settle = (receipt: program.SignedReceiptBytes, slot = 0): string =>
    chain.refusal(chain.settlement([receipt], { till, slots: [slot] }));
  const withdraw = (): void => {
    chain.ok([program.withdraw(chain.programId, { owner: owner.publicKey, till })], chain.admin, owner);
  };
  beforeEach(() => {
    chain = Chain.start();
    chain.wallet('payer', 10_000n);
    chain.wallet('owner');
    chain.moveToSlot(OPENED);
    till = chain.openTill(owner, 4);
    chain.moveToSlot(OPENED + 1n);
  });

  it('gives every lamport back and leaves no account', () => {
    const before = chain.lamportsOf(owner.publicKey);
    const gift = SystemProgram.transfer({ fromPubkey: chain.admin.publicKey, toPubkey: till, lamports: 5_000 });
    chain.ok([gift], chain.admin);
    const held = chain.lamportsOf(till);
    const { computeUnits } = chain.ok([close()], chain.admin, owner);
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
    expect(chain.account(till)).toBeNull();
    expect(chain.lamportsOf(owner.publicKey)).toBe(before + held);
  });

  it('closes a till of 1,024 slots within the compute units that one instruction gets', () => {
    const steps = Array.from({ length: 14 }, (_, index) => Math.min(74 * (index + 1), 1_024));
    const grow = (slots: number): TransactionInstruction =>
      program.growTill(chain.programId, { owner: owner.publicKey, slots });
    chain.ok(steps.map(grow), chain.admin, owner);
    chain.moveToSlot(OPENED + 2n);
    const { computeUnits } = chain.ok([close()], chain.admin, owner);
    expect(computeUnits).toBeLessThanOrEqual(18_000);
    expect(chain.account(till)).toBeNull();
  });

  it.each([0, 3])('refuses while slot %d holds a channel', (slot) => {
    chain.openChannel(payer, till, slot, 100n);
    expect(chain.refusal([close()], owner)).toBe('TillInUse');
  });

  it('refuses while earnings wait', () => {
    chain.openChannel(payer, till, 0, 100n);
    expect(settle(chain.receipt(payer, { till, slot: 0, amount: 1n, generation: 100 }))).toBe('accepted');
    closeChannel(0);
    chain.moveToSlot(OPENED + 2n);
    expect(chain.refusal([close()], owner)).toBe('TillNotEmpty');
    withdraw();
    expect(chain.refusal([close()], owner)).toBe('accepted');
  });

  it("refuses while a generation is not below the cluster's slot", () => {
    chain.moveToSlot(OPENED);
    expect(chain.refusal([close()], owner)).toBe('TillTooFresh');
    chain.moveToSlot(OPENED + 1n);
    // One open and close, and the last slot is at the generation that new slots would begin with.
    chain.openChannel(payer, till, 3, 100n);
    closeChannel(3);
    expect(chain.slot(till, 3).generation).toBe(Number(OPENED) + 1);
    expect(chain.refusal([close()], owner)).toBe('TillTooFresh');
    chain.moveToSlot(OPENED + 2n);
    expect(chain.refusal([close()], owner)).toBe('accepted');
  });

  it("refuses anybody but the till's owner", () => {
    const stranger = chain.wallet('stranger');
    const foreign = withAccounts(close(), { 0: { pubkey: stranger.publicKey } });
    expect(chain.refusal([foreign], stranger)).toBe('NotTillOwner');
  });

  it('refuses a second time', () => {
    chain.ok([close()], owner);
    expect(chain.refusal([close()], owner)).toBe('WrongOwner');
  });

  describe('and a till opened again', () => {
    it('takes no receipt of the old one: same owner, slot, payer and delegate', () => {
      chain.openChannel(payer, till, 0, 1_000n);
      const old = chain.receipt(payer, { till, slot: 0, amount: 900n, generation: Number(OPENED) });
      const ahead = chain.receipt(payer, { till, slot: 0, amount: 900n, generation: Number(OPENED) + 1 });
      expect(settle(old)).toBe('accepted');
      withdraw();
      closeChannel(0);
      chain.moveToSlot(OPENED + 2n);
      chain.ok([close()], owner);

      expect(settle(old)).toBe('WrongOwner');
      chain.ok([open()], owner);
      expect(settle(old)).toBe('SlotNotOpen');
      chain.openChannel(payer, till, 0, 1_000n);
      expect(settle(old)).toBe('WrongAggregate');
      expect(settle(ahead)).toBe('WrongAggregate');
      expect(chain.till(till).earned).toBe(0n);
      const { generation } = chain.slot(till, 0);
      expect(generation).toBe(Number(OPENED) + 2);
      expect(settle(chain.receipt(payer, { till, slot: 0, amount: 1n, generation }))).toBe('accepted');
    });

    it('never has a channel id that was there before, however fast they follow each other', () => {
      const seen = new Set<string>();
      const size = 3;
      let opened = 0;
      chain.ok([close()], owner);
      for (let round = 0; round < 12; round += 1) {
        chain.ok([open(1)], owner);
        chain.ok([program.growTill(chain.programId, { owner: owner.publicKey, slots: size })], owner);
        for (let slot = 0; slot < size; slot += 1) {
          for (let times = 0; times <= (round + slot) % 3; times += 1) {
            const { generation } = chain.slot(till, slot);
            chain.openChannel(payer, till, slot, 10n);
            seen.add(program.channelId(chain.programId, { clusterTag: CLUSTER_TAG, till, slot, generation }));
            opened += 1;
            closeChannel(slot, generation);
          }
        }
        // As early as the program lets it go, and at once anew.
        while (chain.refusal([close()], owner) !== 'accepted') {
          chain.moveToSlot(chain.svm.getClock().slot + 1n);
        }
      }
      expect(seen.size).toBe(opened);
    });

    it('begins higher even when both happen in one transaction', () => {
      chain.ok([close(), open(2)], chain.admin, owner);
      expect(chain.till(till).slots.map(({ generation }) => generation)).toEqual([101, 101]);
    });

    it('is not brought back by lamports sent there within the transaction', () => {
      const revive = SystemProgram.transfer({
        fromPubkey: chain.admin.publicKey,
        toPubkey: till,
        lamports: chain.lamportsOf(till),
      });
      const grow = program.growTill(chain.programId, { owner: owner.publicKey, slots: 5 });
      expect(chain.refusal([close(), revive, grow], chain.admin, owner)).toBe('WrongOwner');
      chain.ok([close(), revive], chain.admin, owner);
      expect(chain.account(till)).toMatchObject({ owner: SystemProgram.programId, data: Buffer.alloc(0) });
      chain.ok([open(1)], owner);
      expect(chain.till(till).slots).toHaveLength(1);
    });
  });

  checkAccounts(() => ({ chain, instruction: close(), signers: [owner] }), {
    signers: [0],
    writable: [0],
    till: 1,
  });
});
