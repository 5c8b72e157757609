/** The log lines that indexers read: what is written, that nobody else can write it, and what cut logs say. */
import { PublicKey } from '@solana/web3.js';
import type { Keypair, TransactionInstruction } from '@solana/web3.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { assert as assertProperty, property, uint8Array } from 'fast-check';
import { isRelaymintError } from '../../../core/errors.ts';
import { amount, lamports } from '../../../core/units.ts';
import * as program from '../../../ledger/solana/program/index.ts';
import { COMMIT_SECONDS, Chain, SALT, keypair } from './svm.ts';

type Told = Pick<program.ProgramEvent, 'name' | 'channel'> & {
  readonly account: PublicKey;
  readonly who: PublicKey;
  readonly values: Readonly<Record<string, bigint>>;
};

describe('each instruction that changes something writes one line', () => {
  const chain = Chain.start(2n, 1_000n);
  const { programId } = chain;
  const payer = keypair('payer');
  const owner = keypair('owner');
  const bank = program.bankAddress(programId);
  const till = program.tillAddress(programId, owner.publicKey);
  const claim = program.claimAddress(programId, payer.publicKey);
  const name = program.nameAddress(programId, 'news.web3');
  const place = { payer: payer.publicKey, till, slot: 1, generation: 1 };
  const channel = { slot: 1, generation: 1 };
  const told = new Set<string>();
  const run = (instructions: readonly TransactionInstruction[], ...signers: readonly Keypair[]): readonly Told[] => {
    const { events, complete } = program.programEvents(programId, chain.ok(instructions, ...signers).logs);
    expect(complete).toBe(true);
    for (const event of events) told.add(event.name);
    return events;
  };
  const none = undefined;

  beforeAll(() => {
    chain.wallet('payer', 100_000n);
    chain.wallet('owner', 100_000n);
  });

  it('initialize', () => {
    const fresh = Chain.bare();
    const { events } = program.programEvents(programId, fresh.initialize().logs);
    const values = { unitsPerLamport: 2n, challengeSeconds: 3_600n, feeBps: 0n };
    expect(events).toEqual([{ name: 'initialize', channel: none, account: bank, who: fresh.admin.publicKey, values }]);
    told.add('initialize');
  });

  it('buy and redeem', () => {
    const { publicKey } = payer;
    const buy = program.buy(programId, { buyer: publicKey, lamports: lamports(5n) });
    const redeem = program.redeem(programId, { owner: publicKey, amount: amount(4n) });
    expect(run([buy, redeem], payer)).toEqual([
      { name: 'buy', channel: none, account: bank, who: publicKey, values: { lamports: 5n, units: 10n } },
      { name: 'redeem', channel: none, account: bank, who: publicKey, values: { amount: 4n, lamports: 2n } },
    ]);
  });

  it('a till that opens, grows, and changes its terms', () => {
    const { publicKey: who } = owner;
    const terms = { minDeposit: amount(3n), opening: amount(4n) };
    const steps = [
      program.openTill(programId, { owner: who, slots: 2, ...terms }),
      program.growTill(programId, { owner: who, slots: 3 }),
      program.setTillTerms(programId, { owner: who, minDeposit: amount(5n), opening: amount(6n) }),
    ];
    const about = { channel: none, account: till, who };
    expect(run(steps, owner)).toEqual([
      { name: 'openTill', ...about, values: { slots: 2n, ...terms } },
      { name: 'growTill', ...about, values: { slots: 3n } },
      { name: 'setTillTerms', ...about, values: { minDeposit: 5n, opening: 6n, slotRent: chain.rent(56) } },
    ]);
  });

  it('a channel that is opened, topped up, settled, and closed', () => {
    const about = { channel, account: till, who: payer.publicKey };
    const funds = { deposit: amount(100n), opening: amount(7n) };
    expect(run(chain.opening({ ...place, delegate: payer.publicKey, ...funds }), payer)).toEqual([
      { name: 'openChannel', ...about, values: { ...funds, rent: chain.rent(56) } },
    ]);
    const more = { amount: amount(20n), opening: amount(1n) };
    const topUp = program.topUp(programId, { funder: owner.publicKey, till, ...channel, ...more });
    expect(run([topUp], owner)).toEqual([
      { name: 'topUp', channel, account: till, who: owner.publicKey, values: { amount: 20n, opening: 1n } },
    ]);
    const settled = { channel: none, account: till, who: owner.publicKey };
    const receipt = (total: bigint): program.SignedReceiptBytes =>
      chain.receipt(payer, { till, slot: 1, amount: total });
    const batch = (total: bigint): TransactionInstruction[] => chain.settlement([receipt(total)], { till, slots: [1] });
    expect(run(batch(30n))).toEqual([{ name: 'settle', ...settled, values: { total: 30n, fee: 0n, royalties: 0n } }]);
    expect(run(chain.verifiedSettlement([receipt(50n)], { till, slots: [1] }))).toEqual([
      { name: 'settleVerified', ...settled, values: { total: 20n, fee: 0n, royalties: 0n } },
    ]);
    const now = chain.now();
    const closing = { closeAt: now + 3_600n, closeSlot: chain.svm.getClock().slot + 7_200n };
    expect(run([program.requestClose(programId, place)], payer)).toEqual([
      { name: 'requestClose', ...about, values: closing },
    ]);
    chain.passChallenge();
    expect(run([program.closeChannel(programId, place)], payer)).toEqual([
      { name: 'closeChannel', ...about, values: { settled: 50n, refund: 70n, rent: chain.rent(56) } },
    ]);
    expect(run([program.withdraw(programId, { owner: owner.publicKey, till })], owner)).toEqual([
      { name: 'withdraw', ...settled, values: { amount: 50n } },
    ]);
  });

  it('a channel that its payee closes, and the claim', () => {
    const funds = { deposit: amount(40n), opening: amount(6n) };
    run(chain.opening({ ...place, slot: 2, delegate: payer.publicKey, ...funds }), payer);
    const { generation } = chain.slot(till, 2);
    const args = { owner: owner.publicKey, payer: payer.publicKey, slot: 2, generation };
    const rent = chain.rent(56);
    const back = { owner: owner.publicKey, slot: 2, generation, amount: amount(4n) };
    expect(run([program.returnOpening(programId, back)], owner)).toEqual([
      {
        name: 'returnOpening',
        channel: { slot: 2, generation },
        account: till,
        who: payer.publicKey,
        values: { amount: 4n, kept: 2n, fee: 0n },
      },
    ]);
    expect(run([program.closeByPayee(programId, args)], owner)).toEqual([
      {
        name: 'closeByPayee',
        channel: { slot: 2, generation },
        account: till,
        who: payer.publicKey,
        values: { settled: 0n, rest: 44n, rent },
      },
    ]);
    expect(run([program.payClaim(programId, { payer: payer.publicKey })])).toEqual([
      {
        name: 'payClaim',
        channel: none,
        account: claim,
        who: payer.publicKey,
        values: { amount: 44n, lamports: rent },
      },
    ]);
  });

  it('a till that closes', () => {
    chain.moveToSlot(chain.svm.getClock().slot + 100n);
    const held = chain.lamportsOf(till);
    expect(run([program.closeTill(programId, { owner: owner.publicKey })], owner)).toEqual([
      { name: 'closeTill', channel: none, account: till, who: owner.publicKey, values: { lamports: held } },
    ]);
  });

  it('names, commitments, fees and settings', () => {
    const { publicKey: who } = owner;
    const hash = program.commitmentHash(who, SALT, 'news.web3');
    const commitment = program.commitmentAddress(programId, who, hash);
    const commit = program.commitName(programId, { committer: who, hash });
    const since = chain.now();
    const made = { channel: none, account: commitment, who };
    expect(run([commit], owner)).toEqual([{ name: 'commitName', ...made, values: { committedAt: since } }]);
    const drop = program.dropCommitment(programId, { signer: who, committer: who, hash });
    expect(run([drop], owner)).toEqual([
      { name: 'dropCommitment', ...made, values: { lamports: chain.rent(program.SIZES.commitment) } },
    ]);
    run([commit], owner);
    chain.pass(COMMIT_SECONDS);
    const year = 31_536_000n;
    const expiresAt = chain.now() + year;
    const about = { channel: none, account: name, who };
    expect(run([chain.reveal(owner, { name: 'news.web3' })], owner)).toEqual([
      { name: 'registerName', ...about, values: { price: 1_000n, expiresAt, seq: 0n } },
    ]);
    const renew = program.renewName(programId, {
      payer: payer.publicKey,
      name: 'news.web3',
      years: 1,
      maxPrice: amount(1_000n),
    });
    expect(run([renew], payer)).toEqual([
      { name: 'renewName', ...about, values: { price: 1_000n, expiresAt: expiresAt + year, seq: 0n } },
    ]);
    const update = program.updateName(programId, { signer: who, name: 'news.web3', seq: 0n, royaltyBps: 10_000 });
    expect(run([update], owner)).toEqual([{ name: 'updateName', ...about, values: { seq: 1n, flags: 4n } }]);

    chain.openTill(owner, 1);
    chain.openChannel(payer, till, 0, 100n);
    const { generation } = chain.slot(till, 0);
    const receipt = chain.receipt(payer, { till, slot: 0, amount: 60n, generation });
    const shares = [{ name: 'news.web3', gross: amount(60n), maxRoyaltyBps: 5_000 }];
    expect(run(chain.settlement([receipt], { till, slots: [0], owner: who, shares }), owner)).toEqual([
      {
        name: 'nameEarned',
        channel: none,
        account: name,
        who: PublicKey.default,
        values: { gross: 60n, royalty: 30n, referred: 0n },
      },
      {
        name: 'settle',
        channel: none,
        account: till,
        who,
        values: { total: 60n, fee: 0n, royalties: 30n },
      },
    ]);
    const splits = [{ account: who }];
    expect(run([program.distributeName(programId, { name: 'news.web3', splits })])).toEqual([
      { name: 'distributeName', ...about, values: { divided: 30n, paid: 30n, accrued: 0n } },
    ]);
    const key = payer.publicKey;
    const named = { name: 'news.web3' };
    const set = program.setRecovery(programId, { ...named, owner: who, key, delay: 86_400 });
    expect(run([set], owner)).toEqual([
      { name: 'setRecovery', channel: none, account: name, who: key, values: { delay: 86_400n, seq: 2n } },
    ]);
    const [at, slot] = [chain.now() + 86_400n, chain.svm.getClock().slot + 172_800n];
    const begin = program.beginRecovery(programId, { ...named, key, newOwner: who });
    const due = { recoverAt: at, recoverSlot: slot };
    expect(run([begin], payer)).toEqual([{ name: 'beginRecovery', ...about, values: { ...due, seq: 3n } }]);
    const cancel = program.cancelRecovery(programId, { ...named, signer: key });
    expect(run([cancel], payer)).toEqual([
      { name: 'cancelRecovery', channel: none, account: name, who: key, values: { seq: 4n } },
    ]);
    run([begin], payer);
    chain.pass(86_400n);
    chain.moveToSlot(slot);
    expect(run([program.finishRecovery(programId, named)])).toEqual([
      { name: 'finishRecovery', ...about, values: { seq: 6n } },
    ]);
    const transfer = program.transferName(programId, { owner: who, name: 'news.web3', newOwner: payer.publicKey });
    expect(run([transfer], owner)).toEqual([
      { name: 'transferName', channel: none, account: name, who: payer.publicKey, values: { seq: 7n } },
    ]);
    const admin = chain.admin.publicKey;
    const collect = program.collectFees(programId, { treasury: admin });
    expect(run([chain.createTokenAccount(admin), collect])).toEqual([
      { name: 'collectFees', channel: none, account: bank, who: admin, values: { amount: 2_000n } },
    ]);
    expect(run([program.configure(programId, { admin, feeBps: 3 })], chain.admin)).toEqual([
      { name: 'configure', channel: none, account: bank, who: admin, values: { flags: 1n } },
    ]);
  });

  it('a settlement, for each of its shares before that of the whole', () => {
    const own = Chain.start(1n, 1_000n);
    own.wallet('owner', 100_000n);
    own.wallet('payer', 100_000n);
    for (const each of ['pic.image', 'news.web3']) own.registerName(owner, { name: each, royaltyBps: 5_000 });
    const at = (each: string): PublicKey => program.nameAddress(own.programId, each);
    const { publicKey: who } = owner;
    own.ok([program.updateName(own.programId, { signer: who, name: 'pic.image', seq: 0n, referrerBps: 2_500 })], owner);
    const ownTill = own.openTill(owner, 1);
    own.openChannel(payer, ownTill, 0, 100n);
    const receipt = own.receipt(payer, { till: ownTill, slot: 0, amount: 90n });
    const terms = { maxRoyaltyBps: 10_000 };
    const shares = [
      { name: 'pic.image', referrer: 'news.web3', gross: amount(40n), ...terms },
      { name: 'pic.image', gross: amount(20n), ...terms },
      { name: 'news.web3', gross: amount(30n), ...terms },
    ];
    const settling = own.settlement([receipt], { till: ownTill, slots: [0], owner: who, shares });
    const { events } = program.programEvents(own.programId, own.ok(settling, owner).logs);
    const line = (each: string, referrer: PublicKey, gross: bigint, royalty: bigint, referred: bigint): Told => ({
      name: 'nameEarned',
      channel: none,
      account: at(each),
      who: referrer,
      values: { gross, royalty, referred },
    });
    expect(events).toEqual([
      line('pic.image', at('news.web3'), 40n, 20n, 5n),
      line('pic.image', PublicKey.default, 20n, 10n, 0n),
      line('news.web3', PublicKey.default, 30n, 15n, 0n),
      { name: 'settle', channel: none, account: ownTill, who, values: { total: 90n, fee: 0n, royalties: 45n } },
    ]);
  });

  it('and none of them is left out here', () => {
    expect([...told].toSorted()).toEqual(Object.keys(program.EVENT_TAGS).toSorted());
  });

  it('what changes nothing writes nothing', () => {
    const receipt = chain.receipt(payer, { till, slot: 0, amount: 60n, generation: chain.slot(till, 0).generation });
    expect(run(chain.settlement([receipt], { till, slots: [0] }))).toEqual([]);
    const withdraw = program.withdraw(programId, { owner: owner.publicKey, till });
    run([withdraw], owner);
    expect(run([withdraw], owner)).toEqual([]);
    expect(run([program.collectFees(programId, { treasury: chain.admin.publicKey })])).toEqual([]);
    expect(
      run([program.distributeName(programId, { name: 'news.web3', splits: [{ account: owner.publicKey }] })]),
    ).toEqual([]);
  });
});

describe('the lines of a transaction', () => {
  const ours = keypair('program').publicKey;
  const other = keypair('another program').publicKey.toBase58();
  const line = (tag: number): string => {
    const bytes = Buffer.alloc(program.EVENT_SIZE);
    bytes.writeUInt8(tag, 0);
    bytes.writeUInt8(1, 1);
    return `Program data: ${bytes.toString('base64')}`;
  };
  const names = (logs: readonly string[]): readonly string[] =>
    program.programEvents(ours, logs).events.map(({ name }) => name);

  it('are only those of the program itself', () => {
    const logs = [
      `Program ${other} invoke [1]`,
      line(1),
      `Program ${ours.toBase58()} invoke [2]`,
      line(2),
      `Program ${other} invoke [3]`,
      line(3),
      `Program ${other} success`,
      line(4),
      `Program ${ours.toBase58()} success`,
      line(5),
      `Program log: Program ${ours.toBase58()} invoke [2]`,
      line(6),
      `Program ${other} failed: custom program error: 0x1`,
      line(7),
    ];
    expect(names(logs)).toEqual(['redeem', 'openChannel']);
  });

  it('end where the node cut the log, and that is said', () => {
    const logs = [`Program ${ours.toBase58()} invoke [1]`, line(2), 'Log truncated'];
    expect(program.programEvents(ours, logs)).toMatchObject({ complete: false, events: [{ name: 'redeem' }] });
  });

  it('of another length, tag or version are refused, and nothing else is thrown', () => {
    assertProperty(
      property(uint8Array({ minLength: 0, maxLength: 120 }), (bytes) => {
        try {
          const event = program.decodeEvent(bytes);
          return bytes.length === program.EVENT_SIZE && bytes[1] === 1 && program.EVENT_TAGS[event.name] === bytes[0];
        } catch (error) {
          return isRelaymintError(error, 'INVALID_ENCODING');
        }
      }),
    );
    const good = new Uint8Array(program.EVENT_SIZE);
    good.set([4, 1]);
    expect(program.decodeEvent(good).name).toBe('openChannel');
    for (const [at, value] of [
      [0, 30],
      [1, 2],
    ] as const) {
      const bad = Uint8Array.from(good);
      bad[at] = value;
      expect(() => program.decodeEvent(bad)).toThrow(/unknown/);
    }
  });
});
