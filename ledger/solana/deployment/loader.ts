/**
 * The upgradeable loader, Solana's own program that keeps programs: the instructions a deployment needs and the accounts
 * it makes. Numbers are little-endian; the first four bytes of an instruction are its tag, of an account its kind.
 */
import {
  PublicKey,
  SYSVAR_CLOCK_PUBKEY,
  SYSVAR_RENT_PUBKEY,
  SystemProgram,
  TransactionInstruction,
} from '@solana/web3.js';
import type { AccountMeta } from '@solana/web3.js';
import { Reader, Writer } from '../../../core/codec.ts';
import { RelaymintError } from '../../../core/errors.ts';
import { programDataAddress } from '../program/index.ts';

export const LOADER: PublicKey = new PublicKey('BPFLoaderUpgradeab1e11111111111111111111111');

/** Bytes before the code in a buffer, of a program account, and before the code in program data. */
export const BUFFER_HEADER_BYTES = 37;
export const PROGRAM_BYTES = 36;
export const PROGRAM_DATA_HEADER_BYTES = 45;
/** In program data: kind and slot before it, then one byte that tells whether there is an authority, then its key. */
const AUTHORITY_OFFSET = 12;
/** What fits a transaction of 1,232 bytes beside one signature, five accounts and a compute limit. */
export const CHUNK_BYTES = 960;

const TAG = { initializeBuffer: 0, write: 1, deploy: 2, setAuthority: 4, close: 5 } as const;
const KIND = { buffer: 1, program: 2, programData: 3 } as const;

/** `buffer` must have been created in the same transaction, for the loader. */
export function initializeBuffer(buffer: PublicKey, authority: PublicKey): TransactionInstruction {
  return loader(new Writer(4).u32(TAG.initializeBuffer), [write(buffer), read(authority)]);
}

export function writeBuffer(
  buffer: PublicKey,
  authority: PublicKey,
  offset: number,
  chunk: Uint8Array,
): TransactionInstruction {
  const data = new Writer(16 + chunk.length).u32(TAG.write).u32(offset).u64(BigInt(chunk.length)).bytes(chunk);
  return loader(data, [write(buffer), signer(authority)]);
}

export interface DeployAccounts {
  /** Pays, gets the buffer's lamports back and becomes the upgrade authority. */
  readonly payer: PublicKey;
  /** Must have been created in the same transaction, for the loader. */
  readonly program: PublicKey;
  readonly buffer: PublicKey;
}

/** Makes a program of the buffer's code, with room for `codeBytes`. It can be called from the next slot on. */
export function deployBuffer({ payer, program, buffer }: DeployAccounts, codeBytes: number): TransactionInstruction {
  return loader(new Writer(12).u32(TAG.deploy).u64(BigInt(codeBytes)), [
    { ...signer(payer), isWritable: true },
    write(programDataAddress(program)),
    write(program),
    write(buffer),
    read(SYSVAR_RENT_PUBKEY),
    read(SYSVAR_CLOCK_PUBKEY),
    read(SystemProgram.programId),
    signer(payer),
  ]);
}

/** Nobody can change the program any more. */
export function giveUpAuthority(program: PublicKey, authority: PublicKey): TransactionInstruction {
  return loader(new Writer(4).u32(TAG.setAuthority), [write(programDataAddress(program)), signer(authority)]);
}

/** Removes a buffer; its lamports go to its authority. */
export function closeBuffer(buffer: PublicKey, authority: PublicKey): TransactionInstruction {
  return loader(new Writer(4).u32(TAG.close), [write(buffer), write(authority), signer(authority)]);
}

export interface BufferAccount {
  /** undefined: nobody may write it any more. */
  readonly authority: PublicKey | undefined;
  readonly code: Uint8Array;
}

/** @throws RelaymintError INVALID_ENCODING when the data are not a buffer. */
export function decodeBuffer(data: Uint8Array): BufferAccount {
  const reader = open(data, KIND.buffer, BUFFER_HEADER_BYTES, 'deployment buffer');
  return { authority: optionalKey(reader), code: data.subarray(BUFFER_HEADER_BYTES) };
}

export interface ProgramDataAccount {
  /** Slot of the last deployment. */
  readonly slot: bigint;
  /** undefined: the program is final. */
  readonly authority: PublicKey | undefined;
  /** Filled up with zeros. */
  readonly code: Uint8Array;
}

/** @throws RelaymintError INVALID_ENCODING when the data are no program's code. */
export function decodeProgramData(data: Uint8Array): ProgramDataAccount {
  const reader = open(data, KIND.programData, PROGRAM_DATA_HEADER_BYTES, 'program data');
  const slot = reader.u64();
  return { slot, authority: optionalKey(reader), code: data.subarray(PROGRAM_DATA_HEADER_BYTES) };
}

/** A copy of a program's data account that says this key may replace the code. For virtual machines that put a program in place. */
export function withUpgradeAuthority(data: Uint8Array, authority: PublicKey): Uint8Array {
  const copy = Uint8Array.from(data);
  copy[AUTHORITY_OFFSET] = 1;
  copy.set(authority.toBytes(), AUTHORITY_OFFSET + 1);
  return copy;
}

/** Whether deployed code is that of a file, except for padding zeros. */
export function isCodeOf(code: Uint8Array, file: Uint8Array): boolean {
  if (code.length < file.length) return false;
  return (
    Buffer.compare(code.subarray(0, file.length), file) === 0 && code.subarray(file.length).every((byte) => byte === 0)
  );
}

function open(data: Uint8Array, kind: number, headerBytes: number, what: string): Reader {
  const reader = new Reader(data, what);
  if (data.length >= headerBytes && reader.u32() === kind) return reader;
  throw new RelaymintError('INVALID_ENCODING', `Malformed ${what}: it is another kind of account.`);
}

/** One byte that tells whether there is one, then room for it. */
function optionalKey(reader: Reader): PublicKey | undefined {
  const present = reader.u8() === 1;
  const key = reader.bytes(32);
  return present ? new PublicKey(key) : undefined;
}

function loader(data: Writer, keys: AccountMeta[]): TransactionInstruction {
  return new TransactionInstruction({ programId: LOADER, keys, data: Buffer.from(data.finish()) });
}

function read(pubkey: PublicKey): AccountMeta {
  return { pubkey, isSigner: false, isWritable: false };
}

function write(pubkey: PublicKey): AccountMeta {
  return { pubkey, isSigner: false, isWritable: true };
}

function signer(pubkey: PublicKey): AccountMeta {
  return { pubkey, isSigner: true, isWritable: false };
}
