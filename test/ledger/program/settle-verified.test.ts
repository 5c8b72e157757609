import { Ed25519Program, SystemProgram } from '@solana/web3.js';
import type { PublicKey, TransactionInstruction } from '@solana/web3.js';
import { beforeEach, describe, expect, it } from 'vitest';
import { concatBytes } from '../../../core/codec.ts';
import { channelIdBytes } from '../../../core/ids.ts';
import { amount } from '../../../core/units.ts';
import * as program from '../../../ledger/solana/program/index.ts';
import { checkAccounts } from './checks.ts';
import { delegate, delegates, eightChannels, owner, payer } from './eight-channels.ts';
import { CLUSTER_TAG, keypair, signReceipt, withAccounts, withData, type Chain } from './svm.ts';
import type { ReceiptFields } from './svm.ts';

/** Compute units of a batch: the first receipt, and each further one. */
const CEILING_FIRST = 1_500;
const CEILING_EACH = 560;

describe('settleVerified', () => {
  let chain: Chain;
  let till: PublicKey;
  beforeEach(() => {
    ({ chain, till } = eightChannels());
  });

  const receipt = (total: bigint, change: Partial<ReceiptFields> = {}): program.SignedReceiptBytes =>
    chain.receipt(delegate, { till, slot: 0, amount: total, ...change });
  const batch = (
    ...receipts: program.SignedReceiptBytes[]
  ): readonly [TransactionInstruction, TransactionInstruction] =>
    chain.verifiedSettlement(receipts, { till, slots: receipts.map(() => 0) });
  /** Sends one receipt of slot 0. */
  const settle = (...receipts: program.SignedReceiptBytes[]): string => chain.refusal(batch(...receipts));

  it('credits receipts of unrelated payers in one transaction, submitted by anybody', () => {
    const stranger = keypair('submitter');
    chain.fund(stranger.publicKey);
    const receipts = [1, 3, 4].map((slot) => {
      const signing = delegates[slot];
      if (signing === undefined) throw new RangeError('no such delegate');
      return chain.receipt(signing, { till, slot, amount: BigInt(100 * slot), up: 7n, down: 9n });
    });
    const { computeUnits } = chain.ok(chain.verifiedSettlement(receipts, { till, slots: [1, 3, 4] }), stranger);
    expect(computeUnits).toBeLessThanOrEqual(CEILING_FIRST + 2 * CEILING_EACH);
    expect(chain.slot(till, 3)).toMatchObject({ deposit: 1_000n, settled: 300n, up: 7n, down: 9n, open: true });
    expect(chain.slot(till, 0).settled).toBe(0n);
    expect(chain.till(till)).toMatchObject({ earned: 800n, lifetimeEarned: 800n });
    expect(chain.bank()).toMatchObject({ openDeposits: 7_200n, unminted: 800n, burned: 8_000n, minted: 0n });
  });

  it('stays within its compute units for one receipt', () => {
    expect(chain.ok(batch(receipt(10n)), chain.admin).computeUnits).toBeLessThanOrEqual(CEILING_FIRST);
  });

  it('takes only what is new of a later receipt, and the whole deposit', () => {
    expect(settle(receipt(400n))).toBe('accepted');
    expect(settle(receipt(1_000n))).toBe('accepted');
    expect(chain.till(till).earned).toBe(1_000n);
  });

  it('takes a receipt of the greatest counters', () => {
    const most = (1n << 64n) - 1n;
    expect(settle(receipt(1n, { up: most, down: most }))).toBe('accepted');
    expect(chain.slot(till, 0)).toMatchObject({ up: most, down: most });
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
      it(`is refused ${title}, and nothing changes`, () => {
        const [tillBefore, bankBefore] = [chain.data(till), chain.bank()];
        expect(settle(make())).toBe(reason);
        expect(chain.data(till)).toEqual(tillBefore);
        expect(chain.bank()).toEqual(bankBefore);
      });
    };
    refuses('over the deposit', 'DepositExceeded', () => receipt(1_001n));
    refuses('signed by another key', 'WrongDelegate', () => chain.receipt(payer, { till, slot: 0, amount: 10n }));
    refuses('of another slot', 'WrongChannel', () => receipt(10n, { slot: 1 }));
    refuses('of another generation', 'WrongChannel', () => receipt(10n, { generation: 2 }));
    refuses('of another till', 'WrongChannel', () => receipt(10n, { till: keypair('other till').publicKey }));
    const foreign = (programId: PublicKey, clusterTag: Uint8Array): program.SignedReceiptBytes => {
      const id = program.channelId(programId, { clusterTag, till, slot: 0, generation: 1 });
      const counters = new Uint8Array(24).fill(1, 0, 1);
      return signReceipt(delegate, concatBytes(Uint8Array.of(1), channelIdBytes(id), counters));
    };
    refuses('of another cluster', 'WrongChannel', () => foreign(chain.programId, new Uint8Array(16)));
    refuses('of another program', 'WrongChannel', () => foreign(keypair('other program').publicKey, CLUSTER_TAG));
    refuses('with another tag', 'InvalidReceipt', () => {
      const { message } = receipt(10n);
      return signReceipt(delegate, Uint8Array.from([2, ...message.subarray(1)]));
    });

    it.each(['up', 'down'])('settles though its bytes %s went back: they are statistics', (counter) => {
      expect(settle(receipt(100n, { up: 50n, down: 50n }))).toBe('accepted');
      expect(settle(receipt(101n, { up: 50n, down: 50n, [counter]: 49n }))).toBe('accepted');
      expect(chain.slot(till, 0)).toMatchObject({ settled: 101n, up: 50n, down: 50n, [counter]: 49n });
    });

    it('settles after its payer settled one with the greatest counts itself', () => {
      const most = (1n << 64n) - 1n;
      const held = receipt(900n, { up: 5_000n, down: 5_000n });
      chain.ok(batch(receipt(1n, { up: most, down: most })), payer);
      expect(settle(held)).toBe('accepted');
      expect(chain.slot(till, 0)).toMatchObject({ settled: 900n, up: 5_000n, down: 5_000n });
    });

    it('is refused when one bit of it was changed', () => {
      const genuine = receipt(100n);
      const changed = Uint8Array.from(genuine.message);
      changed[23] = 101;
      expect(settle({ ...genuine, message: changed })).not.toBe('accepted');
    });
  });

  describe('the slot list', () => {
    it('may have eight entries', () => {
      const [single] = batch(receipt(10n));
      // Eight entries over one receipt: what eight receipts look like to the program, in a transaction of today's size.
      const entry = Buffer.from(single.data.subarray(2, 16));
      for (const at of [0, 4, 8]) entry.writeUInt16LE(entry.readUInt16LE(at) + 7 * 14, at);
      const data = Buffer.concat([Uint8Array.of(8, 0), ...Array<Buffer>(8).fill(entry), single.data.subarray(16)]);
      const instruction = program.settleVerified(chain.programId, { till, slots: [0, 0, 0, 0, 0, 0, 0, 0] });
      chain.ok([withData(single, data), instruction], chain.admin);
      expect(chain.till(till).earned).toBe(10n);
    });

    it.each([
      ['of a free slot', 8, 'SlotNotOpen'],
      ['of a slot that does not exist', 9, 'SlotOutOfRange'],
    ])('is refused %s', (_title, slot, reason) => {
      const args = { till, slots: [slot] };
      expect(chain.refusal(chain.verifiedSettlement([receipt(10n)], args))).toBe(reason);
    });

    it('is refused when it is empty or too long', () => {
      const [precompile, instruction] = batch(receipt(10n));
      for (const count of [0, 9]) {
        const data = concatBytes(Uint8Array.of(13, count), new Uint8Array(2 * count), Uint8Array.of(0));
        expect(chain.refusal([precompile, withData(instruction, data)])).toBe('InvalidBatch');
      }
    });
  });

  describe('the signature instruction', () => {
    const parts = (): readonly [TransactionInstruction, TransactionInstruction] => batch(receipt(10n));
    /** The precompile's data with one 16-bit field of the first signature changed. */
    const field = (original: TransactionInstruction, number: number, value: number): TransactionInstruction => {
      const data = Buffer.from(original.data);
      data.writeUInt16LE(value, 2 + 2 * number);
      return withData(original, data);
    };
    const noop = (): TransactionInstruction =>
      SystemProgram.transfer({ fromPubkey: chain.admin.publicKey, toPubkey: chain.admin.publicKey, lamports: 0 });

    it('may have others before it', () => {
      expect(chain.refusal([noop(), ...parts(), noop()])).toBe('accepted');
    });

    it('is required', () => {
      expect(chain.refusal([parts()[1]])).toBe('MissingSignatures');
    });

    it('must stand right before', () => {
      const [precompile, instruction] = parts();
      expect(chain.refusal([precompile, noop(), instruction])).toBe('MissingSignatures');
      expect(chain.refusal([instruction, precompile])).toBe('MissingSignatures');
    });

    it('serves one settlement, not two', () => {
      const [precompile, instruction] = parts();
      expect(chain.refusal([precompile, instruction, instruction])).toBe('MissingSignatures');
    });

    it('must be the precompile', () => {
      const [precompile, instruction] = parts();
      const impostor = Object.assign(withAccounts(precompile, {}), { programId: SystemProgram.programId });
      expect(chain.refusal([impostor, instruction])).not.toBe('accepted');
      const memo = keypair('impostor program').publicKey;
      // A program of any other address that accepts everything would do: the address itself must be compared.
      chain.svm.addProgram(memo.toBase58() as never, ACCEPTS_ALL);
      const accepted = Object.assign(withAccounts(precompile, {}), { programId: memo });
      expect(chain.refusal([accepted, instruction])).toBe('MissingSignatures');
    });

    it('must have verified as many signatures as the batch has receipts', () => {
      const [precompile] = parts();
      const two = program.settleVerified(chain.programId, { till, slots: [0, 0] });
      expect(chain.refusal([precompile, two])).toBe('SignatureCount');
      const [more] = batch(receipt(10n), receipt(11n));
      expect(chain.refusal([more, parts()[1]])).toBe('SignatureCount');
    });

    it.each([
      ['signature', 1],
      ['key', 3],
      ['message', 6],
    ])('must not take its %s from a numbered instruction', (_title, number) => {
      const [precompile, instruction] = parts();
      // Instruction 0 is the precompile itself: the precompile accepts it, the program must not.
      expect(chain.refusal([field(precompile, number, 0), instruction])).toBe('ForeignSignatureData');
    });

    it.each([46, 48])('must sign 47 bytes, not %d', (length) => {
      const message = new Uint8Array(length).fill(1);
      const { signature } = signReceipt(delegate, message);
      const key = delegate.publicKey.toBytes();
      const lone = Ed25519Program.createInstructionWithPublicKey({ publicKey: key, message, signature });
      expect(chain.refusal([lone, parts()[1]])).toBe('InvalidReceipt');
    });

    it('must come with the instructions sysvar and no other account', () => {
      const [precompile, instruction] = parts();
      const pubkey = keypair('false sysvar').publicKey;
      chain.put(pubkey, SystemProgram.programId, new Uint8Array(64));
      expect(chain.refusal([precompile, withAccounts(instruction, { 2: { pubkey } })])).toBe('WrongAddress');
    });
  });

  it('shares what it earned with a name when the till owner signs', () => {
    const name = 'news.web3';
    chain.registerName(owner, { name, royaltyBps: 2_500 });
    const share = (total: bigint, gross: bigint, maxRoyaltyBps: number): TransactionInstruction[] => {
      const shares = [{ name, gross: amount(gross), maxRoyaltyBps }];
      return [...chain.verifiedSettlement([receipt(total)], { till, slots: [0], owner: owner.publicKey, shares })];
    };
    chain.ok(share(700n, 400n, 2_500), owner);
    expect(chain.name(name).accrued).toBe(100n);
    expect(chain.till(till).earned).toBe(600n);
    chain.ok(share(800n, 100n, 1_000), owner);
    expect(chain.name(name).accrued).toBe(110n);
    expect(chain.refusal(share(900n, 100n, 10_001), owner)).toBe('InvalidRoyalty');
  });

  checkAccounts(
    () => {
      const [precompile, instruction] = batch(receipt(10n));
      return { chain, instruction, signers: [chain.admin], before: [precompile] };
    },
    { till: 0, bank: 1, open: true },
  );

  it('refuses a batch that the client can see is wrong before anything is sent', () => {
    expect(() => program.settleVerified(chain.programId, { till, slots: [] })).toThrow(RangeError);
    expect(() => program.settleVerified(chain.programId, { till, slots: Array.from({ length: 9 }, () => 0) })).toThrow(
      RangeError,
    );
    const shares = [{ name: 'news.web3', gross: amount(1n), maxRoyaltyBps: 10_000 }];
    expect(() => program.settleVerified(chain.programId, { till, slots: [0], shares })).toThrow(RangeError);
    const nine = Array.from({ length: 9 }, () => ({ name: 'news.web3', gross: amount(1n), maxRoyaltyBps: 10_000 }));
    expect(() => program.settleVerified(chain.programId, { till, slots: [0], shares: nine, owner: till })).toThrow(
      RangeError,
    );
    expect(() => program.ed25519BatchInstruction([])).toThrow(RangeError);
    const short = { ...receipt(1n), message: new Uint8Array(46) };
    expect(() => program.ed25519BatchInstruction([short])).toThrow(RangeError);
  });
});

/** The smallest SBPF v3 program: returns 0. */
const ACCEPTS_ALL: Uint8Array = (() => {
  const file = Buffer.alloc(64 + 56 + 16);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  file.writeUInt16LE(3, 16);
  file.writeUInt16LE(247, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(1n << 32n, 24);
  file.writeBigUInt64LE(64n, 32);
  file.writeUInt32LE(3, 48);
  file.writeUInt16LE(64, 52);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(1, 56);
  file.writeUInt32LE(1, 64);
  file.writeUInt32LE(1, 68);
  file.writeBigUInt64LE(120n, 72);
  file.writeBigUInt64LE(1n << 32n, 80);
  file.writeBigUInt64LE(1n << 32n, 88);
  file.writeBigUInt64LE(16n, 96);
  file.writeBigUInt64LE(16n, 104);
  file.set([0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95], 120);
  return new Uint8Array(file);
})();
