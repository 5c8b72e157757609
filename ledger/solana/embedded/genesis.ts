/** The first moments of a ledger: its keys, its faucet, and the initialized bank. */
import { createHash, hkdfSync, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Keypair, PublicKey, SystemProgram, Transaction, TransactionInstruction } from '@solana/web3.js';
import bs58 from 'bs58';
import { RelaymintError } from '../../../core/errors.ts';
import type { Clock } from '../../../core/ports.ts';
import { withUpgradeAuthority } from '../deployment/loader.ts';
import { bankAddress, initialize, programDataAddress } from '../program/index.ts';
import type { Chain, Genesis } from './chain.ts';
import type { AccountState } from './machine.ts';
import type { EmbeddedLedgerOptions } from './options.ts';
import { RpcError } from './rpc-error.ts';
import { decodeTransaction } from './wire.ts';

const SYSTEM_PROGRAM = SystemProgram.programId.toBase58();
const MEMO_PROGRAM = new PublicKey('MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr');
/** As much SOL as there ever was on mainnet: it does not run out. */
const FAUCET_LAMPORTS = 500_000_000_000_000_000n;
/** Pays the bank's and the mint's rent and one fee. */
const ADMIN_LAMPORTS = 10_000_000_000n;
const COMMIT_SECONDS = 1;
const SECRET_BYTES = 32;
const CLUSTER_TAG_BYTES = 16;
/** A program is at most 10 MiB on any cluster. */
const MAX_PROGRAM_BYTES = 10 * 1024 * 1024;

export function newGenesis(seed: string | undefined, clock: Clock): Genesis {
  const secret =
    seed === undefined ? randomBytes(SECRET_BYTES) : Buffer.from(derive(Buffer.from(seed, 'utf8'), 'ledger'));
  return {
    genesisHash: bs58.encode(createHash('sha256').update('relaymint:genesis:v1').update(secret).digest()),
    genesisMillis: clock.now(),
    secret: secret.toString('hex'),
  };
}

export function genesisAccounts(genesis: Genesis): ReadonlyMap<string, AccountState> {
  return new Map([
    [faucetKey(genesis).publicKey.toBase58(), wallet(FAUCET_LAMPORTS)],
    [adminKey(genesis).publicKey.toBase58(), wallet(ADMIN_LAMPORTS)],
  ]);
}

/** @throws RelaymintError FILE_NOT_FOUND; INVALID_CONFIG if only one of path and id is given, or the file is not a program. */
export async function readProgram(options: EmbeddedLedgerOptions): Promise<ReadonlyMap<string, Uint8Array>> {
  const { programPath, programId } = options;
  if (programPath === undefined && programId === undefined) return new Map();
  if (programPath === undefined || programId === undefined) {
    throw new RelaymintError('INVALID_CONFIG', 'A program needs both a file and an address.', {
      remedy: 'Give programPath and programId, or neither.',
    });
  }
  let program: Buffer;
  try {
    program = await readFile(programPath);
  } catch (cause) {
    throw new RelaymintError('FILE_NOT_FOUND', `The program ${programPath} cannot be read.`, {
      remedy: 'Build it with "npm run program:build", or check the path.',
      cause,
    });
  }
  // The SVM ends the process if the file is not ELF.
  if (program.length > MAX_PROGRAM_BYTES || program.subarray(0, 4).toString('latin1') !== '\x7fELF') {
    throw new RelaymintError('INVALID_CONFIG', `${programPath} is not a Solana program.`, {
      remedy: 'Give the path of the .so file.',
    });
  }
  return new Map([[programId, Uint8Array.from(program)]]);
}

/** Initializes the bank unless an earlier start did. */
export function ensureBank(chain: Chain, options: EmbeddedLedgerOptions): void {
  if (options.programId === undefined) return;
  const programId = new PublicKey(options.programId);
  if (chain.account(bankAddress(programId).toBase58()) !== undefined) return;
  const admin = adminKey(chain.genesis);
  ownProgram(chain, programId, admin);
  const instruction = initialize(programId, {
    admin: admin.publicKey,
    clusterTag: derive(Buffer.from(chain.genesis.secret, 'hex'), 'cluster tag').subarray(0, CLUSTER_TAG_BYTES),
    unitsPerLamport: options.bank?.unitsPerLamport ?? 1n,
    challengeSeconds: options.bank?.challengeSeconds ?? 3600n,
    feeBps: options.bank?.feeBps,
    nameYearPrice: options.bank?.nameYearPrice,
    commitSeconds: options.bank?.commitSeconds ?? COMMIT_SECONDS,
    treasury: options.bank?.treasury === undefined ? undefined : new PublicKey(options.bank.treasury),
  });
  try {
    execute(chain, admin, [instruction]);
  } catch (cause) {
    if (!(cause instanceof RpcError)) throw cause;
    throw new RelaymintError('PROGRAM_ERROR', `The program refused to initialize its bank: ${cause.message}.`, {
      remedy: 'Check that the program file is from this release, and check the bank settings.',
      cause,
    });
  }
}

/**
 * The SVM deploys a program as if nobody could upgrade it. Only the upgrade authority may initialize the bank, so the loader's record
 * names the ledger's own admin. Only the operator of the ledger can replace the code anyway.
 */
function ownProgram(chain: Chain, programId: PublicKey, admin: Keypair): void {
  const address = programDataAddress(programId).toBase58();
  const found = chain.account(address);
  if (found === undefined) return;
  chain.machine.setAccount(address, { ...found, data: withUpgradeAuthority(found.data, admin.publicKey) });
}

/** A transfer out of the faucet, an ordinary transaction. Returns its signature. @throws RpcError as `Chain.send`. */
export function airdrop(chain: Chain, to: string, lamports: bigint): string {
  const faucet = faucetKey(chain.genesis);
  return execute(chain, faucet, [
    SystemProgram.transfer({ fromPubkey: faucet.publicKey, toPubkey: new PublicKey(to), lamports }),
    // Two equal airdrops within one slot would otherwise be the same transaction.
    new TransactionInstruction({
      keys: [],
      programId: MEMO_PROGRAM,
      data: Buffer.from(`airdrop ${chain.history.total + 1}`),
    }),
  ]);
}

function execute(chain: Chain, payer: Keypair, instructions: readonly TransactionInstruction[]): string {
  const { blockhash, lastValidBlockHeight } = chain.timeline.latestBlockhash();
  const transaction = new Transaction({ feePayer: payer.publicKey, blockhash, lastValidBlockHeight });
  transaction.add(...instructions).sign(payer);
  return chain.send(decodeTransaction(Uint8Array.from(transaction.serialize())), { preflight: true });
}

function faucetKey(genesis: Genesis): Keypair {
  return Keypair.fromSeed(derive(Buffer.from(genesis.secret, 'hex'), 'faucet'));
}

/** Pays for the bank at genesis and is its first admin. */
export function adminKey(genesis: Genesis): Keypair {
  return Keypair.fromSeed(derive(Buffer.from(genesis.secret, 'hex'), 'admin'));
}

function derive(secret: Uint8Array, label: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, 'relaymint:embedded-ledger:v1', label, SECRET_BYTES));
}

function wallet(lamports: bigint): AccountState {
  return { lamports, owner: SYSTEM_PROGRAM, executable: false, data: new Uint8Array() };
}
