/** Steps as instructions, by idl.json. Nothing of the product's client is used. */
import { Ed25519Program } from '@solana/web3.js';
import { ASSOCIATED_TOKEN_PROGRAM_ID } from '@solana/spl-token';
import type { Call, Claim, Foreign, Label, SignedReceipt, Step } from '../model/calls.ts';
import { purseOf } from '../model/wallets.ts';
import type { Book } from './book.ts';
import { INSTRUCTIONS } from './idl.ts';
import type { ArgumentType } from './idl.ts';

/** Who pays the fees, and the rent of token accounts. Takes no part in the play. */
export const SPONSOR = 'the sponsor';
/** What is made wrong in the last step of an otherwise good transaction. */
export type Flaw =
  | { readonly kind: 'unsigned' | 'read-only'; readonly account: string }
  | { readonly kind: 'an account too few' | 'a byte too few' | 'a byte too many' | 'another mint' };

export interface Meta {
  readonly label: Label;
  readonly isSigner: boolean;
  readonly isWritable: boolean;
}

export interface Instruction {
  readonly program: Uint8Array;
  readonly metas: readonly Meta[];
  readonly data: Uint8Array;
}

/** What idl.json's account names stand for unless the call says otherwise. */
const FIXED: Readonly<Record<string, Label>> = {
  bank: 'bank',
  mint: 'mint',
  tokenProgram: 'token program',
  systemProgram: 'system program',
  programData: 'program data',
  instructions: 'instructions',
};

/** The accounts of a call in order, with what idl.json says of them. */
export function metasOf(call: Call): readonly (Meta & { readonly account: string })[] {
  const { accounts } = describe(call.instruction);
  const given: Readonly<Record<string, Label | readonly (Label | undefined)[] | undefined>> = call.accounts;
  return accounts.flatMap(({ name: account, signer: isSigner = false, writable: isWritable = false }) => {
    const found = given[account] ?? FIXED[account];
    const labels = Array.isArray(found) ? found : [found];
    return labels.map((label: Label | undefined) =>
      label === undefined
        ? { account, label: 'program', isSigner: false, isWritable: false }
        : { account, label, isSigner, isWritable },
    );
  });
}

export function instructionOf(book: Book, step: Step, flaw?: Flaw): Instruction {
  return 'foreign' in step ? foreignInstruction(book, step) : ownInstruction(book, step, flaw);
}

/** Labels a transaction may change, the sponsor left out. */
export function writable(steps: readonly Step[]): ReadonlySet<Label> {
  const labels = steps.flatMap((step) => {
    if (!('foreign' in step)) {
      return metasOf(step)
        .filter(({ isWritable }) => isWritable)
        .map(({ label }) => label);
    }
    if (step.foreign === 'gift') return [step.from, step.to];
    if (step.foreign === 'burn') return [purseOf(step.owner), 'mint'];
    return step.foreign === 'verify' ? [] : [purseOf(step.owner)];
  });
  return new Set(labels);
}

function describe(name: string): NonNullable<ReturnType<typeof INSTRUCTIONS.get>> {
  const found = INSTRUCTIONS.get(name);
  if (found === undefined) throw new RangeError(`idl.json has no ${name}`);
  return found;
}

function ownInstruction(book: Book, call: Call, flaw: Flaw | undefined): Instruction {
  const { tag, args } = describe(call.instruction);
  const given: Readonly<Record<string, unknown>> = call.args;
  const flags = typeof given['flags'] === 'number' ? given['flags'] : 0;
  const parts: Uint8Array[] = [Uint8Array.of(tag)];
  for (const { name, type, flag } of args) {
    if (flag === undefined || (flags >> flag) & 1) encode(book, parts, type, given[name]);
  }
  let data: Uint8Array = Buffer.concat(parts);
  let metas: readonly Meta[] = metasOf(call);
  switch (flaw?.kind) {
    case 'unsigned':
      metas = metasOf(call).map((meta) => (meta.account === flaw.account ? { ...meta, isSigner: false } : meta));
      break;
    case 'read-only':
      metas = metasOf(call).map((meta) => (meta.account === flaw.account ? { ...meta, isWritable: false } : meta));
      break;
    case 'another mint':
      metas = metas.map((meta) => (meta.label === 'mint' ? { ...meta, label: SPONSOR } : meta));
      break;
    case 'an account too few':
      metas = metas.slice(0, -1);
      break;
    case 'a byte too few':
      data = data.subarray(0, -1);
      break;
    case 'a byte too many':
      data = Buffer.concat([data, Uint8Array.of(0)]);
      break;
    default:
  }
  return { program: book.key('program'), metas, data };
}

function encode(book: Book, out: Uint8Array[], type: ArgumentType, value: unknown): void {
  if (typeof type === 'string') {
    if (type === 'pubkey') out.push(typeof value === 'string' ? book.key(value) : new Uint8Array(32));
    else out.push(integer(Number(type.slice(1)) / 8, value));
  } else if ('bytes' in type) {
    const bytes = typeof value === 'string' ? Buffer.from(value) : value;
    if (!(bytes instanceof Uint8Array)) throw new TypeError('bytes are wanted');
    if (type.bytes === 'u8') out.push(Uint8Array.of(bytes.length));
    out.push(bytes);
  } else {
    if (!Array.isArray(value)) throw new TypeError('a list is wanted');
    if (type.count === 'u8') out.push(Uint8Array.of(value.length));
    for (const each of value as readonly unknown[]) {
      if (type.list === 'settleReceipt') out.push(settleReceipt(each as Claim));
      else if (typeof type.list === 'string') encode(book, out, type.list, each);
      else for (const [name, field] of Object.entries(type.list)) encode(book, out, field, fieldOf(each, name));
    }
  }
}

function fieldOf(value: unknown, name: string): unknown {
  return (value as Readonly<Record<string, unknown>>)[name];
}

/** Little-endian. */
function integer(size: number, value: unknown): Uint8Array {
  const out = Buffer.alloc(8);
  out.writeBigUInt64LE(BigInt(value as bigint | number));
  return out.subarray(0, size);
}

function settleReceipt({ slot, amount, up, down, signed }: Claim): Uint8Array {
  const numbers = [amount, up, down].map((value) => integer(Math.ceil(value.toString(16).length / 2), value));
  const header = numbers.reduce((bits, { length }, index) => bits | ((length - 1) << (15 + 3 * index)), slot);
  return Buffer.concat([integer(3, header), ...numbers, signed.signature.subarray(0, 32)]);
}

function foreignInstruction(book: Book, step: Foreign): Instruction {
  const writes = (label: Label, isSigner = false): Meta => ({ label, isSigner, isWritable: true });
  const reads = (label: Label, isSigner = false): Meta => ({ label, isSigner, isWritable: false });
  switch (step.foreign) {
    case 'verify':
      return { program: Ed25519Program.programId.toBytes(), metas: [], data: precompileData(book, step.receipts) };
    case 'gift':
      return {
        program: book.key('system program'),
        metas: [writes(step.from, true), writes(step.to)],
        data: Buffer.concat([integer(4, 2), integer(8, step.lamports)]),
      };
    case 'burn':
      return {
        program: book.key('token program'),
        metas: [writes(purseOf(step.owner)), writes('mint'), reads(step.owner, true)],
        data: Buffer.concat([integer(1, 8), integer(8, step.amount)]),
      };
    case 'make purse':
      return {
        program: ASSOCIATED_TOKEN_PROGRAM_ID.toBytes(),
        metas: [
          writes(SPONSOR, true),
          writes(purseOf(step.owner)),
          reads(step.owner),
          reads('mint'),
          reads('system program'),
          reads('token program'),
        ],
        // Idempotent.
        data: Uint8Array.of(1),
      };
    default:
      return {
        program: book.key('token program'),
        metas: [writes(purseOf(step.owner)), writes(SPONSOR), reads(step.owner, true)],
        data: Uint8Array.of(9),
      };
  }
}

/** Count, a byte, then seven u16 each: where signature, key and message lie, all in this instruction. */
function precompileData(book: Book, receipts: readonly SignedReceipt[]): Uint8Array {
  const start = 2 + 14 * receipts.length;
  const each = 32 + 64 + 47;
  const table = receipts.flatMap((_, index) => {
    const at = start + each * index;
    return [at + 32, 0xffff, at, 0xffff, at + 96, 47, 0xffff].map((value) => integer(2, value));
  });
  const content = receipts.flatMap(({ delegate, signature, message }) => [book.key(delegate), signature, message]);
  return Buffer.concat([Uint8Array.of(receipts.length, 0), ...table, ...content]);
}
