/** The client's instructions against idl.json: every field of the data, every account with its rights. */
import { readFileSync } from 'node:fs';
import { TOKEN_PROGRAM_ID } from '@solana/spl-token';
import { SYSVAR_INSTRUCTIONS_PUBKEY, SystemProgram } from '@solana/web3.js';
import type { PublicKey, TransactionInstruction } from '@solana/web3.js';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { toHex, utf8 } from '../../../core/codec.ts';
import { amount } from '../../../core/units.ts';
import * as program from '../../../ledger/solana/program/index.ts';
import { CLUSTER_TAG, SALT, keypair } from './svm.ts';

const number = z.enum(['u8', 'u16', 'u32', 'u64']);
const plain = z.union([number, z.literal('pubkey')]);
const type = z.union([
  plain,
  z.strictObject({ bytes: z.number() }),
  z.strictObject({ bytes: number, max: z.number() }),
  z.strictObject({
    list: z.union([plain, z.literal('settleReceipt'), z.record(z.string(), plain)]),
    /** The type of the number before it, or the argument that says how many there are. */
    count: z.string(),
    max: z.number(),
  }),
]);
type Type = z.infer<typeof type>;
const { instructions } = z
  .object({
    instructions: z.array(
      z.object({
        name: z.string(),
        tag: z.number(),
        args: z.array(z.strictObject({ name: z.string(), type, flag: z.number().optional() })),
        accounts: z.array(
          z.strictObject({
            name: z.string(),
            writable: z.literal(true).optional(),
            signer: z.literal(true).optional(),
            optional: z.literal(true).optional(),
            repeated: z.string().optional(),
          }),
        ),
      }),
    ),
  })
  .parse(JSON.parse(readFileSync(new URL('../../../ledger/program/idl.json', import.meta.url), 'utf8')));
type Instruction = (typeof instructions)[number];

const programId = keypair('program').publicKey;
const key = (label: string): PublicKey => keypair(label).publicKey;
type Values = Readonly<Record<string, unknown>>;

const place = { slot: 0x0102, generation: 0x03040506 };
const NAME = 'field.web3';
const shares: readonly program.SettleShare[] = [
  { name: NAME, gross: amount(0x1112131415161718n), maxRoyaltyBps: 0x2122 },
  { name: 'other.web3', referrer: NAME, gross: amount(5n), maxRoyaltyBps: 6 },
  { name: NAME, referrer: 'third.web3', gross: amount(7n), maxRoyaltyBps: 8 },
];
/** Each once, in the order in which they come. */
const NAMES = [NAME, 'other.web3', 'third.web3'];
const receipts = [
  { slot: 0x0203, amount: 0x0405n, up: 0x06n, down: 0x0708090a0b0c0d0en, r: new Uint8Array(32).fill(7) },
  { slot: 1, amount: 0n, up: 0x010000n, down: 9n, r: new Uint8Array(32).fill(8) },
];
const splits = [
  { account: key('author'), bps: 7_500, tokenAccount: key('purse') },
  { account: key('editor'), bps: 2_500, tokenAccount: key('other purse') },
];
const record = {
  root: Uint8Array.of(1, 2, 3),
  manifest: Uint8Array.of(4),
  royaltyBps: 0x0506,
  referrerBps: 0x0708,
  manager: key('manager'),
};

/** What each is called with; each number has other bytes, so that two that changed places show. */
const CALLS: Readonly<Record<string, readonly Values[]>> = {
  initialize: [
    {
      admin: key('admin'),
      clusterTag: CLUSTER_TAG,
      unitsPerLamport: 0x0102030405060708n,
      challengeSeconds: 0x1112131415161718n,
      nameYearPrice: 0x2122232425262728n,
      commitSeconds: 0x31323334,
      feeBps: 0x4142,
      treasury: key('treasury'),
    },
  ],
  buy: [{ buyer: key('buyer'), lamports: 0x0102030405060708n, destination: key('purse') }],
  redeem: [{ owner: key('owner'), amount: 0x0102030405060708n, source: key('purse') }],
  openTill: [{ owner: key('owner'), slots: 0x0102, minDeposit: 0x1112131415161718n, opening: 0x2122232425262728n }],
  openChannel: [
    {
      ...place,
      payer: key('payer'),
      till: key('till'),
      delegate: key('delegate'),
      deposit: 0x1112131415161718n,
      opening: 0x2122232425262728n,
      source: key('purse'),
    },
  ],
  topUp: [
    {
      ...place,
      funder: key('funder'),
      till: key('till'),
      amount: 0x1112131415161718n,
      opening: 0x2122n,
      source: key('purse'),
    },
  ],
  settle: [
    {
      till: key('till'),
      receipts,
      receiptCount: receipts.length,
      scalar: new Uint8Array(32).fill(9),
      owner: key('owner'),
      shares,
    },
    { till: key('till'), receipts, receiptCount: receipts.length, scalar: new Uint8Array(32).fill(9), shares: [] },
  ],
  withdraw: [{ owner: key('owner'), till: key('till'), destination: key('purse') }],
  requestClose: [{ ...place, payer: key('payer'), till: key('till') }],
  closeChannel: [
    { ...place, payer: key('payer'), till: key('till'), destination: key('purse'), tillOwner: key('owner') },
    { ...place, payer: key('payer'), till: key('till'), destination: key('purse') },
  ],
  registerName: [
    { ...record, owner: key('owner'), name: NAME, salt: SALT, years: 3, maxPrice: 0x1112131415161718n, splits },
  ],
  updateName: [
    { ...record, signer: key('signer'), name: NAME, seq: 0x1112131415161718n, splits },
    { signer: key('signer'), name: NAME, seq: 1n, royaltyBps: 0x0506 },
  ],
  distributeName: [{ name: NAME, splits }],
  settleVerified: [
    { till: key('till'), slots: [0x0102, 3], owner: key('owner'), shares },
    { till: key('till'), slots: [0x0102], shares: [] },
  ],
  growTill: [{ owner: key('owner'), slots: 0x0102 }],
  closeTill: [{ owner: key('owner') }],
  configure: [
    {
      admin: key('admin'),
      feeBps: 0x0102,
      treasury: key('treasury'),
      nameYearPrice: 0x1112131415161718n,
      commitSeconds: 0x21222324,
      newAdmin: key('new admin'),
    },
    { admin: key('admin'), nameYearPrice: 3n },
  ],
  collectFees: [{ treasury: key('treasury'), destination: key('purse') }],
  commitName: [{ committer: key('committer'), hash: new Uint8Array(32).fill(5) }],
  renewName: [{ payer: key('payer'), name: NAME, years: 3, maxPrice: 0x1112131415161718n }],
  transferName: [{ owner: key('owner'), name: NAME, newOwner: key('new owner') }],
  dropCommitment: [{ signer: key('signer'), committer: key('committer'), hash: new Uint8Array(32).fill(5) }],
  setTillTerms: [{ owner: key('owner'), minDeposit: 0x1112131415161718n, opening: 0x2122232425262728n }],
  closeByPayee: [{ ...place, owner: key('owner'), payer: key('payer') }],
  payClaim: [{ payer: key('payer'), destination: key('purse') }],
  returnOpening: [{ ...place, owner: key('owner'), amount: 0x1112131415161718n }],
  setRecovery: [{ owner: key('owner'), name: NAME, key: key('recovery'), delay: 0x01020304 }],
  beginRecovery: [{ key: key('recovery'), name: NAME, newOwner: key('new owner') }],
  cancelRecovery: [{ signer: key('signer'), name: NAME }],
  finishRecovery: [{ name: NAME }],
};

const rows = instructions.flatMap((one) =>
  (CALLS[one.name] ?? []).map((values, call) => [`${one.name} ${call + 1}`, one, values] as const),
);

it('every instruction is called', () => {
  expect(Object.keys(CALLS)).toEqual(instructions.map(({ name }) => name));
});

it.each(rows)('the data of %s, field by field', (_title, one, values) => {
  const flags = one.args.reduce(
    (bits, { name, flag }) => (flag !== undefined && values[name] !== undefined ? bits | (1 << flag) : bits),
    0,
  );
  const all: Values = { flags, ...values };
  const fields = one.args.filter(({ name, flag }) => flag === undefined || values[name] !== undefined);
  const expected = Buffer.concat([Buffer.of(one.tag), ...fields.map(({ name, type }) => encoded(type, all[name]))]);
  expect(toHex(built(one, values).data)).toBe(toHex(expected));
});

it.each(rows)('the accounts of %s, one by one', (_title, one, values) => {
  const expected = one.accounts.flatMap(({ name, writable, signer, optional, repeated }) => {
    const addresses = repeated === undefined ? [addressOf(name, values)] : repeatedOf(name, values);
    return addresses.map((address) => {
      // An optional account that is absent is the program's id, without rights.
      if (address === undefined) return optional === true ? shown(programId, false, false) : `${name} is not optional`;
      return shown(address, signer === true, writable === true);
    });
  });
  expect(
    built(one, values).keys.map(({ pubkey, isSigner, isWritable }) => shown(pubkey, isSigner, isWritable)),
  ).toEqual(expected);
});

function built({ name }: Instruction, values: Values): TransactionInstruction {
  const builder = (program as Readonly<Record<string, unknown>>)[name] as (
    id: PublicKey,
    args: Values,
  ) => TransactionInstruction;
  return builder(programId, values);
}

function shown(address: PublicKey, signer: boolean, writable: boolean): string {
  return `${address.toBase58()}${signer ? ' signs' : ''}${writable ? ' writable' : ''}`;
}

function encoded(type: Type, value: unknown): Buffer {
  if (type === 'pubkey') return Buffer.from((value as PublicKey).toBytes());
  if (typeof type === 'string') return littleEndian(type, value as number | bigint);
  if ('bytes' in type) {
    const bytes = typeof value === 'string' ? utf8(value) : (value as Uint8Array);
    if (typeof type.bytes === 'string') return Buffer.concat([littleEndian(type.bytes, bytes.length), bytes]);
    return Buffer.concat([bytes, Buffer.alloc(type.bytes)], type.bytes);
  }
  const items = value as readonly unknown[];
  const isNumber = number.safeParse(type.count);
  const count = isNumber.success ? [littleEndian(isNumber.data, items.length)] : [];
  return Buffer.concat([...count, ...items.map((item) => listed(type.list, item))]);
}

function listed(type: Extract<Type, { list: unknown }>['list'], item: unknown): Buffer {
  if (type === 'settleReceipt') return settleReceipt(item as (typeof receipts)[number]);
  if (typeof type === 'string') return encoded(type, item);
  const fields = 'gross' in type ? placed(item as (typeof shares)[number]) : (item as Values);
  return Buffer.concat(Object.entries(type).map(([name, each]) => encoded(each, fields[name])));
}

/** A share says where its name and its referrer are among the accounts. */
function placed({ name, referrer, ...rest }: (typeof shares)[number]): Values {
  return { name: NAMES.indexOf(name), referrer: referrer === undefined ? 255 : NAMES.indexOf(referrer), ...rest };
}

/** As the IDL says in words: slot, the lengths of the three numbers less one, the numbers without leading zeros, R. */
function settleReceipt({ slot, amount, up, down, r }: (typeof receipts)[number]): Buffer {
  const numbers = [amount, up, down].map((value) => {
    const hex = value.toString(16);
    const bigEndian = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
    return bigEndian.toReversed();
  });
  const header = numbers.reduce((bits, { length }, index) => bits | ((length - 1) << (15 + 3 * index)), slot);
  return Buffer.concat([Buffer.of(header & 255, (header >> 8) & 255, header >> 16), ...numbers, r]);
}

function littleEndian(type: z.infer<typeof number>, value: number | bigint): Buffer {
  const all = Buffer.alloc(8);
  all.writeBigUInt64LE(BigInt(value));
  return all.subarray(0, Number(type.slice(1)) / 8);
}

const FIXED: Readonly<Record<string, PublicKey>> = {
  bank: program.bankAddress(programId),
  mint: program.mintAddress(programId),
  tokenProgram: TOKEN_PROGRAM_ID,
  systemProgram: SystemProgram.programId,
  programData: program.programDataAddress(programId),
  instructions: SYSVAR_INSTRUCTIONS_PUBKEY,
};

function addressOf(account: string, values: Values): PublicKey | undefined {
  const { owner, payer, committer = owner } = values as Readonly<Record<string, PublicKey>>;
  const given = values[account] as PublicKey | undefined;
  if (account === 'name') return program.nameAddress(programId, String(values['name']));
  if (account === 'till') return given ?? program.tillAddress(programId, owner as PublicKey);
  if (account === 'source') return given ?? program.creditAccountAddress(programId, (owner ?? payer) as PublicKey);
  if (account === 'claim') return program.claimAddress(programId, payer as PublicKey);
  if (account === 'commitment') return program.commitmentAddress(programId, committer as PublicKey, hashOf(values));
  // It signs for shares, where there are some.
  if (account === 'tillOwner') return given ?? owner;
  return FIXED[account] ?? given;
}

function hashOf({ hash, owner, name }: Values): Uint8Array {
  return hash === undefined ? program.commitmentHash(owner as PublicKey, SALT, String(name)) : (hash as Uint8Array);
}

function repeatedOf(account: string, values: Values): readonly PublicKey[] {
  if (account === 'destinations') return splits.map(({ tokenAccount }) => tokenAccount);
  const named = values['shares'] as typeof shares;
  return named.length === 0 ? [] : NAMES.map((name) => program.nameAddress(programId, name));
}
