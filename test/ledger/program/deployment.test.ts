import { readFileSync } from 'node:fs';
import {
  PublicKey,
  SYSVAR_CLOCK_PUBKEY,
  SYSVAR_RENT_PUBKEY,
  SystemProgram,
  TransactionInstruction,
} from '@solana/web3.js';
import type { AccountMeta } from '@solana/web3.js';
import { FeatureSet } from 'litesvm';
import { expect, it } from 'vitest';
import * as program from '../../../ledger/solana/program/index.ts';
import { Chain, PROGRAM_FILE, keypair, machine } from './svm.ts';

const LOADER = new PublicKey('BPFLoaderUpgradeab1e11111111111111111111111');
const BUFFER_HEADER = 37;
const PROGRAM_SIZE = 36;
/** What fits a transaction with one signature. */
const CHUNK = 900;

const write = (pubkey: PublicKey, isSigner = false): AccountMeta => ({ pubkey, isSigner, isWritable: true });
const read = (pubkey: PublicKey, isSigner = false): AccountMeta => ({ pubkey, isSigner, isWritable: false });

function loader(tag: number, body: Uint8Array, keys: AccountMeta[]): TransactionInstruction {
  const data = Buffer.alloc(4 + body.length);
  data.writeUInt32LE(tag);
  data.set(body, 4);
  return new TransactionInstruction({ programId: LOADER, keys, data });
}

/** Deploys as `solana program deploy` does: buffer, writes, deploy. */
function deploy(chain: Chain, file: Uint8Array): void {
  const { admin, programId } = chain;
  const buffer = keypair('buffer');
  const authority = admin.publicKey;
  const rent = (space: number): number => Number(chain.svm.minimumBalanceForRentExemption(BigInt(space)));
  const space = BUFFER_HEADER + file.length;
  chain.ok(
    [
      SystemProgram.createAccount({
        fromPubkey: authority,
        newAccountPubkey: buffer.publicKey,
        lamports: rent(space),
        space,
        programId: LOADER,
      }),
      loader(0, new Uint8Array(), [write(buffer.publicKey), read(authority)]),
    ],
    admin,
    buffer,
  );
  for (let offset = 0; offset < file.length; offset += CHUNK) {
    const chunk = file.subarray(offset, offset + CHUNK);
    const body = Buffer.alloc(12 + chunk.length);
    body.writeUInt32LE(offset);
    body.writeBigUInt64LE(BigInt(chunk.length), 4);
    body.set(chunk, 12);
    chain.ok([loader(1, body, [write(buffer.publicKey), read(authority, true)])], admin);
  }
  const [programData] = PublicKey.findProgramAddressSync([programId.toBytes()], LOADER);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(file.length));
  chain.ok(
    [
      SystemProgram.createAccount({
        fromPubkey: authority,
        newAccountPubkey: programId,
        lamports: rent(PROGRAM_SIZE),
        space: PROGRAM_SIZE,
        programId: LOADER,
      }),
      loader(2, length, [
        write(authority, true),
        write(programData),
        write(programId),
        write(buffer.publicKey),
        read(SYSVAR_RENT_PUBKEY),
        read(SYSVAR_CLOCK_PUBKEY),
        read(SystemProgram.programId),
        read(authority, true),
      ]),
    ],
    admin,
    keypair('program'),
  );
  chain.svm.warpToSlot(chain.svm.getClock().slot + 1n);
}

it.each([
  ['the features of a cluster today', undefined],
  ['every feature there is', FeatureSet.allEnabled()],
])('the committed program deploys through the real loader with %s, and works', (_title, features) => {
  const chain = new Chain(machine(features));
  chain.fund(chain.admin.publicKey);
  deploy(chain, readFileSync(PROGRAM_FILE));
  expect(chain.account(chain.programId)).toMatchObject({ executable: true, owner: LOADER });
  chain.initialize();
  const payer = chain.wallet('payer', 1_000n);
  const payee = chain.wallet('payee');
  const till = chain.openTill(payee, 74);
  const owner = payee.publicKey;
  chain.ok([program.growTill(chain.programId, { owner, slots: 148 })], payee);
  chain.openChannel(payer, till, 147, 500n);
  const { generation } = chain.slot(till, 147);
  const receipt = chain.receipt(payer, { till, slot: 147, amount: 400n, generation });
  chain.ok(chain.settlement([receipt], { till, slots: [147] }), chain.admin);
  expect(chain.bank()).toMatchObject({ openDeposits: 100n, unminted: 400n });

  const close = { payer: payer.publicKey, till, slot: 147, generation, tillOwner: owner };
  chain.ok([program.closeChannel(chain.programId, close)], payer, payee);
  chain.ok([program.withdraw(chain.programId, { owner, till })], payee);
  chain.moveToSlot(BigInt(generation) + 2n);
  chain.ok([program.closeTill(chain.programId, { owner })], payee);
  expect(chain.account(till)).toBeNull();
});
