/** What a deployment still has to do, and what that costs. Pure: what is there in, steps and lamports out. */
import { lamports } from '../../../core/units.ts';
import type { Lamports } from '../../../core/units.ts';
import { BANK_RENT_CUSHION, SIZES } from '../program/index.ts';
import { BUFFER_HEADER_BYTES, CHUNK_BYTES, PROGRAM_BYTES, PROGRAM_DATA_HEADER_BYTES } from './loader.ts';

/** The base fee of one signature. What a busy cluster takes for a better place in the queue comes on top. */
const FEE_LAMPORTS = 5000n;
/** Of an SPL Token mint. */
const MINT_BYTES = 82;

/** What is on the chain beforehand. */
export interface DeploymentState {
  readonly program: 'missing' | 'deployed';
  readonly bank: 'missing' | 'initialized';
  /** Of the buffer under its key; `unusable`: its code has another length. */
  readonly buffer: 'missing' | 'unusable' | 'usable';
  /** Chunks whose bytes are not in the buffer yet. */
  readonly missingChunks: readonly number[];
  /** The program can still be changed and is to be made final. */
  readonly finalize: boolean;
}

export interface DeploymentPlan extends DeploymentState {
  /** Of the program file. */
  readonly codeBytes: number;
  readonly chunks: number;
  readonly transactions: number;
  readonly feeLamports: Lamports;
  /** Locked for as long as the accounts exist: program, its code, bank and mint, as far as they are missing. */
  readonly rentLamports: Lamports;
  /** What the wallet must hold at the start: the most that is locked at once, the fees, and its own rent. */
  readonly neededLamports: Lamports;
}

/** Bytes of every account that a deployment makes; their rents are asked for in this order. */
export function accountSizes(
  codeBytes: number,
): Readonly<Record<'buffer' | 'program' | 'code' | 'bank' | 'mint' | 'wallet', number>> {
  return {
    buffer: BUFFER_HEADER_BYTES + codeBytes,
    program: PROGRAM_BYTES,
    code: PROGRAM_DATA_HEADER_BYTES + codeBytes,
    bank: SIZES.bank,
    mint: MINT_BYTES,
    // The payer's own account holds no data, but must not fall below its rent either.
    wallet: 0,
  };
}

export function chunkCount(codeBytes: number): number {
  return Math.ceil(codeBytes / CHUNK_BYTES);
}

/** `rent` says what an account of each kind locks. */
export function planDeployment(
  state: DeploymentState,
  codeBytes: number,
  rent: Readonly<Record<keyof ReturnType<typeof accountSizes>, bigint>>,
): DeploymentPlan {
  const deploys = state.program === 'missing';
  const initializes = state.bank === 'missing';
  // Each transaction by the number of its signatures.
  const signatures = [
    ...(state.buffer === 'unusable' || (!deploys && state.buffer !== 'missing') ? [1] : []),
    ...(deploys && state.buffer !== 'usable' ? [2] : []),
    ...(deploys ? state.missingChunks.map(() => 1) : []),
    ...(deploys ? [2] : []),
    ...(initializes ? [1] : []),
    ...(state.finalize ? [1] : []),
  ];
  const fees = FEE_LAMPORTS * BigInt(signatures.reduce((sum, count) => sum + count, 0));
  const programRent = deploys ? rent.program + rent.code : 0n;
  const bankRent = initializes ? rent.bank * BANK_RENT_CUSHION + rent.mint : 0n;
  // The loader returns the buffer's lamports before it takes those for the code, after the program account was paid.
  const bufferRent = deploys && state.buffer !== 'usable' ? rent.buffer : 0n;
  const returned = deploys ? rent.buffer : 0n;
  const whileWriting = deploys ? bufferRent + rent.program : 0n;
  const atTheEnd = bufferRent - returned + programRent + bankRent;
  const most = [whileWriting, atTheEnd, 0n].reduce((a, b) => (a > b ? a : b));
  return {
    ...state,
    codeBytes,
    chunks: chunkCount(codeBytes),
    transactions: signatures.length,
    feeLamports: lamports(fees),
    rentLamports: lamports(programRent + bankRent),
    neededLamports: lamports(signatures.length === 0 ? 0n : fees + most + rent.wallet),
  };
}
