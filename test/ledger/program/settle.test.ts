import { ComputeBudgetProgram } from '@solana/web3.js';
import type { PublicKey, TransactionInstruction } from '@solana/web3.js';
import { beforeEach, describe, expect, it } from 'vitest';
import { concatBytes } from '../../../core/codec.ts';
import { channelIdBytes } from '../../../core/ids.ts';
import { amount } from '../../../core/units.ts';
import { decodeReceipt } from '../../../ledger/receipt/index.ts';
import { settleUnits } from '../../../ledger/solana/settle-size.ts';
import * as program from '../../../ledger/solana/program/index.ts';
import { checkAccounts } from './checks.ts';
import { delegate, delegates, eightChannels, payer } from './eight-channels.ts';
import { CLUSTER_TAG, keypair, signReceipt, withData, type Chain } from './svm.ts';
import type { ReceiptFields } from './svm.ts';
import { ORDER, toBytes, toNumber } from './verdict.ts';

/** Compute units of a batch: the first receipt, and each further one. */
const CEILING_FIRST = 13_500;
const CEILING_EACH = 9_800;
/** The rare path: three doublings. */
const CEILING_DOUBLINGS = 1_800;

describe('settle', () => {
  let chain: Chain;
  let till: PublicKey;
  beforeEach(() => {
    ({ chain, till } = eightChannels());
  });

  const receipt = (total: bigint, change: Partial<ReceiptFields> = {}): program.SignedReceiptBytes =>
    chain.receipt(delegate, { till, slot: 0, amount: total, ...change });
  const ofSlot = (slot: number, total: bigint): program.SignedReceiptBytes => {
    const signing = delegates[slot];
    if (signing === undefined) throw new RangeError('no such delegate');
    return chain.receipt(signing, { till, slot, amount: total, up: 7n, down: 9n });
  };
  const batch = (...receipts: program.SignedReceiptBytes[]): TransactionInstruction => {
    const [instruction] = chain.settlement(receipts, { till, slots: receipts.map(() => 0) });
    if (instruction === undefined) throw new TypeError('no batch');
    return instruction;
  };
  /** Sends receipts of slot 0. */
  const settle = (...receipts: program.SignedReceiptBytes[]): string => chain.refusal([batch(...receipts)]);

  it('credits receipts of unrelated payers in one transaction, submitted by anybody', () => {
    const stranger = keypair('submitter');
    chain.fund(stranger.publicKey);
    const slots = [1, 3, 4];
    const receipts = slots.map((slot) => ofSlot(slot, BigInt(100 * slot)));
    const { computeUnits } = chain.ok(chain.settlement(receipts, { till, slots }), stranger);
    expect(computeUnits).toBeLessThanOrEqual(CEILING_FIRST + 2 * CEILING_EACH);
    expect(chain.slot(till, 3)).toMatchObject({ deposit: 1_000n, settled: 300n, up: 7n, down: 9n, open: true });
    expect(chain.slot(till, 0).settled).toBe(0n);
    expect(chain.till(till)).toMatchObject({ earned: 800n, lifetimeEarned: 800n });
    expect(chain.bank()).toMatchObject({ openDeposits: 7_200n, unminted: 800n, burned: 8_000n, minted: 0n });
  });

  it('stays within its compute units for one receipt', () => {
    expect(chain.ok([batch(receipt(10n))], chain.admin).computeUnits).toBeLessThanOrEqual(CEILING_FIRST);
  });

  it('takes only what is new of a later receipt, and the whole deposit', () => {
    expect(settle(receipt(400n))).toBe('accepted');
    expect(settle(receipt(1_000n))).toBe('accepted');
    expect(chain.till(till).earned).toBe(1_000n);
  });

  it('takes a receipt of the greatest counters, and of zero counters', () => {
    const most = (1n << 64n) - 1n;
    expect(settle(receipt(1n, { up: 0n, down: 0n }))).toBe('accepted');
    expect(settle(receipt(2n, { up: most, down: most }))).toBe('accepted');
    expect(chain.slot(till, 0)).toMatchObject({ up: most, down: most });
  });

  it.each([8n, 16n, 24n, 32n, 40n, 48n, 56n])('takes numbers of each length: %d bits', (bits) => {
    const [up, down] = [(1n << bits) - 1n, 1n << bits];
    expect(settle(receipt(1n, { up, down }))).toBe('accepted');
    expect(chain.slot(till, 0)).toMatchObject({ settled: 1n, up, down });
  });

  it('changes nothing when a batch is sent again, or an older receipt arrives later', () => {
    expect(settle(receipt(400n))).toBe('accepted');
    const [tillBefore, bankBefore] = [chain.data(till), chain.bank()];
    expect(settle(receipt(400n))).toBe('accepted');
    expect(settle(receipt(399n, { up: 1_000n, down: 0n }))).toBe('accepted');
    expect(chain.data(till)).toEqual(tillBefore);
    expect(chain.bank()).toEqual(bankBefore);
  });

  it('counts two receipts of one slot in a batch once', () => {
    expect(settle(receipt(100n), receipt(250n))).toBe('accepted');
    expect(settle(receipt(400n), receipt(300n))).toBe('accepted');
    expect(chain.till(till).earned).toBe(400n);
    expect(chain.slot(till, 0)).toMatchObject({ settled: 400n, up: 400n });
  });

  describe('a receipt', () => {
    const refuses = (title: string, reason: string, make: () => program.SignedReceiptBytes): void => {
      it(`is refused ${title}, and nothing changes, for its company neither`, () => {
        const [tillBefore, bankBefore] = [chain.data(till), chain.bank()];
        expect(settle(make())).toBe(reason);
        expect(chain.refusal(chain.settlement([ofSlot(1, 5n), make()], { till, slots: [1, 0] }))).toBe(reason);
        expect(chain.data(till)).toEqual(tillBefore);
        expect(chain.bank()).toEqual(bankBefore);
      });
    };
    refuses('over the deposit', 'DepositExceeded', () => receipt(1_001n));
    refuses('signed by another key', 'WrongAggregate', () => chain.receipt(payer, { till, slot: 0, amount: 10n }));
    refuses('of another slot', 'WrongAggregate', () => receipt(10n, { slot: 1 }));
    refuses('of another generation', 'WrongAggregate', () => receipt(10n, { generation: 2 }));
    refuses('of another till', 'WrongAggregate', () => receipt(10n, { till: keypair('other till').publicKey }));
    const foreign = (programId: PublicKey, clusterTag: Uint8Array, tag = 1): program.SignedReceiptBytes => {
      const id = program.channelId(programId, { clusterTag, till, slot: 0, generation: 1 });
      const counters = new Uint8Array(24).fill(1, 0, 1);
      return signReceipt(delegate, concatBytes(Uint8Array.of(tag), channelIdBytes(id), counters));
    };
    refuses('of another cluster', 'WrongAggregate', () => foreign(chain.programId, new Uint8Array(16)));
    refuses('of another program', 'WrongAggregate', () => foreign(keypair('other program').publicKey, CLUSTER_TAG));
    refuses('with another tag', 'WrongAggregate', () => {
      const { message } = receipt(10n);
      const other = signReceipt(delegate, Uint8Array.from([2, ...message.subarray(1)]));
      return { ...other, message };
    });
    refuses('whose R is not on the curve', 'MalformedAggregate', () => {
      const { message, signature, ...rest } = receipt(10n);
      // y = 2 belongs to no point.
      return { ...rest, message, signature: concatBytes(new Uint8Array(32).fill(2, 0, 1), signature.subarray(32)) };
    });

    it.each(['up', 'down'])('settles though its bytes %s went back: they are statistics', (counter) => {
      expect(settle(receipt(100n, { up: 50n, down: 50n }))).toBe('accepted');
      expect(settle(receipt(101n, { up: 50n, down: 50n, [counter]: 49n }))).toBe('accepted');
      expect(chain.slot(till, 0)).toMatchObject({ settled: 101n, up: 50n, down: 50n, [counter]: 49n });
    });

    it('settles, alone and in a batch, after its payer settled one with the greatest counts itself', () => {
      const most = (1n << 64n) - 1n;
      const held = receipt(900n, { up: 5_000n, down: 5_000n });
      const later = receipt(950n, { up: 5_001n, down: 5_001n });
      const poisoned = (total: bigint): TransactionInstruction => batch(receipt(total, { up: most, down: most }));
      chain.ok([poisoned(1n)], payer);
      const close = { payer: payer.publicKey, till, slot: 0, generation: 1 };
      chain.ok([program.requestClose(chain.programId, close)], payer);
      expect(settle(held)).toBe('accepted');
      chain.ok([poisoned(901n)], payer);
      chain.ok(chain.settlement([ofSlot(1, 700n), later], { till, slots: [1, 0] }), chain.admin);
      expect(chain.slot(till, 0)).toMatchObject({ settled: 950n, up: 5_001n, down: 5_001n });
      expect(chain.till(till).earned).toBe(1_650n);
    });

    it('is refused when a single base unit was added to it', () => {
      const genuine = receipt(100n);
      const changed = Uint8Array.from(genuine.message);
      changed[23] = 101;
      expect(settle({ ...genuine, message: changed })).toBe('WrongAggregate');
    });

    it('is refused when its channel has a key that is not a point', () => {
      const { publicKey } = keypair('not a point');
      const bytes = Uint8Array.from(publicKey.toBytes());
      bytes.fill(0).fill(2, 0, 1);
      const open = {
        payer: payer.publicKey,
        till,
        slot: 8,
        delegate: new (publicKey.constructor as typeof PublicKey)(bytes),
      };
      chain.ok(chain.opening({ ...open, deposit: amount(10n) }), payer);
      expect(chain.refusal(chain.settlement([receipt(1n)], { till, slots: [8] }))).toBe('MalformedAggregate');
    });
  });

  describe('the batch', () => {
    it('may have 64 receipts, and stays within the compute units that the client asks for', () => {
      const receipts = Array.from({ length: 64 }, () => receipt(10n));
      const { computeUnits, reason } = chain.sendLarge([batch(...receipts)], chain.admin);
      expect(reason).toBeUndefined();
      expect(computeUnits).toBeLessThanOrEqual(CEILING_FIRST + 63 * CEILING_EACH);
      expect(settleUnits(64, []) - computeUnits).toBeGreaterThan(CEILING_DOUBLINGS);
      expect(chain.till(till).earned).toBe(10n);
    });

    it.each([1, 5, 20])('of %d stays within the compute units that the client asks for', (count) => {
      const receipts = Array.from({ length: count }, () => receipt(10n));
      const limit = ComputeBudgetProgram.setComputeUnitLimit({ units: settleUnits(count, []) });
      const { computeUnits } = chain.ok([limit, batch(...receipts)], chain.admin);
      expect(settleUnits(count, []) - computeUnits).toBeGreaterThan(CEILING_DOUBLINGS);
      // An unused unit costs nothing today, but counts when a block is full.
      expect(settleUnits(count, []) - computeUnits).toBeLessThan(8_000);
    });

    it.each([
      ['of a free slot', 8, 'SlotNotOpen'],
      ['of a slot that does not exist', 9, 'SlotOutOfRange'],
      ['of the last slot there could be', 0x7fff, 'SlotOutOfRange'],
    ])('is refused %s', (_title, slot, reason) => {
      expect(chain.refusal(chain.settlement([receipt(10n)], { till, slots: [slot] }))).toBe(reason);
    });

    it('is refused when it is empty or too long', () => {
      const instruction = batch(receipt(10n));
      for (const count of [0, 65, 255]) {
        const data = Uint8Array.from(instruction.data);
        data[1] = count;
        expect(chain.refusal([withData(instruction, data)])).toBe('InvalidBatch');
      }
    });

    it('is refused when its data end within a receipt', () => {
      const instruction = batch(receipt(10n), receipt(11n));
      for (const length of [1, 2, 33, 34, 36, 37, 39, 71, 72, 74]) {
        expect(chain.refusal([withData(instruction, instruction.data.subarray(0, length))])).toBe('InvalidInstruction');
      }
    });

    it('is refused with another scalar, and with the same one written a second way', () => {
      const instruction = batch(receipt(10n));
      const scalar = toNumber(instruction.data.subarray(2, 34));
      const withScalar = (value: bigint): TransactionInstruction => {
        const data = Buffer.from(instruction.data);
        data.set(toBytes(value), 2);
        return withData(instruction, data);
      };
      expect(chain.refusal([withScalar((scalar + 1n) % ORDER)])).toBe('WrongAggregate');
      expect(chain.refusal([withScalar(0n)])).toBe('WrongAggregate');
      expect(chain.refusal([withScalar(scalar + ORDER)])).toBe('MalformedAggregate');
      expect(chain.refusal([withScalar(ORDER)])).toBe('MalformedAggregate');
      expect(chain.refusal([withScalar(scalar)])).toBe('accepted');
    });

    it('binds each signature to its place: swapped halves are refused', () => {
      const [first, second] = [ofSlot(0, 5n), ofSlot(1, 6n)];
      const [instruction] = chain.settlement([first, second], { till, slots: [0, 1] });
      if (instruction === undefined) throw new TypeError('no batch');
      const data = Buffer.from(instruction.data);
      const [r0, r1] = [first.signature.subarray(0, 32), second.signature.subarray(0, 32)];
      data.set(r1, data.indexOf(r0));
      data.set(r0, data.lastIndexOf(r1));
      expect(chain.refusal([withData(instruction, data)])).toBe('WrongAggregate');
    });
  });

  it('refuses a batch that the client can see is wrong before anything is sent', () => {
    const scalar = new Uint8Array(32);
    const { message, signature } = receipt(1n);
    const given = { ...decodeReceipt(message), slot: 0, r: signature.subarray(0, 32) };
    const build = (change: Partial<program.SettleArguments>): TransactionInstruction =>
      program.settle(chain.programId, { till, scalar, receipts: [given], ...change });
    expect(() => build({ receipts: [] })).toThrow(RangeError);
    expect(() => build({ receipts: Array.from({ length: 65 }, () => given) })).toThrow(RangeError);
    expect(() => build({ receipts: [{ ...given, slot: 0x8000 }] })).toThrow(RangeError);
    expect(() => build({ receipts: [{ ...given, up: 1n << 64n }] })).toThrow(RangeError);
    expect(() => build({ receipts: [{ ...given, r: signature }] })).toThrow(RangeError);
    expect(() => build({ scalar: new Uint8Array(31) })).toThrow(RangeError);
    const shares = [{ name: 'news.web3', gross: amount(1n), maxRoyaltyBps: 10_000 }];
    expect(() => build({ shares })).toThrow(RangeError);
    expect(() => build({ shares: Array.from({ length: 9 }, () => shares).flat(), owner: till })).toThrow(RangeError);
  });

  checkAccounts(() => ({ chain, instruction: batch(receipt(10n)), signers: [chain.admin] }), {
    till: 0,
    bank: 1,
    open: true,
  });
});
