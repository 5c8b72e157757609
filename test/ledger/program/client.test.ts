import { PublicKey, SendTransactionError } from '@solana/web3.js';
import { describe, expect, it } from 'vitest';
import { RelaymintError } from '../../../core/errors.ts';
import { amount } from '../../../core/units.ts';
import * as program from '../../../ledger/solana/program/index.ts';
import { CLUSTER_TAG, Chain, SALT, keypair } from './svm.ts';

const programId = keypair('program').publicKey;
const owner = keypair('owner').publicKey;

describe('addresses', () => {
  it('are the same for ever', () => {
    expect({
      bank: program.bankAddress(programId).toBase58(),
      mint: program.mintAddress(programId).toBase58(),
      till: program.tillAddress(programId, owner).toBase58(),
      name: program.nameAddress(programId, 'news.web3').toBase58(),
      claim: program.claimAddress(programId, owner).toBase58(),
      data: program.programDataAddress(programId).toBase58(),
      commitment: program
        .commitmentAddress(programId, owner, program.commitmentHash(owner, SALT, 'news.web3'))
        .toBase58(),
    }).toMatchInlineSnapshot(`
      {
        "bank": "C2VXRaZpxmcG2fvvadSoziqcs1H9fnza53aotvWFqUwq",
        "claim": "8QRtM9gJNdeUszjpq1FeqtFt2peiTgayaMCribzoPoBn",
        "commitment": "F4gLhWP6uvnCT1JRd4PUWr5ADpXPDzzXSJrSrrikmTtP",
        "data": "CJgLjGH5yRUmkJ5WNvKcuaSFV6uWF88KjQ8AGv8TaPBL",
        "mint": "8jFXLfQqWz3MNvPXQver9LmeRRcjaCTyHxRiJ2NhcETL",
        "name": "AhkdkXi7xcecTY9mSLXjBoHhAza7SLEnypEkvHP4Qv5U",
        "till": "HaLMj4NuvNN7VEv7nw7xNVKXT1bXcgAW3tPPoXuhXv35",
      }
    `);
    expect(
      program.channelId(programId, { clusterTag: CLUSTER_TAG, till: owner, slot: 258, generation: 16_909_060 }),
    ).toMatchInlineSnapshot(`"c7e6e2e26d24ee6b027df747050d8e08454b06e997a7"`);
  });

  it('differ by owner, name, slot, generation, till, cluster and program', () => {
    const base = { clusterTag: CLUSTER_TAG, till: owner, slot: 1, generation: 1 };
    const ids = [
      program.channelId(programId, base),
      program.channelId(programId, { ...base, slot: 2 }),
      program.channelId(programId, { ...base, generation: 2 }),
      program.channelId(programId, { ...base, till: programId }),
      program.channelId(programId, { ...base, clusterTag: new Uint8Array(16) }),
      program.channelId(owner, base),
    ];
    expect(new Set(ids).size).toBe(ids.length);
    expect(program.nameAddress(programId, 'a.web3')).not.toEqual(program.nameAddress(programId, 'b.web3'));
  });
});

describe('decodeProgramError', () => {
  const entry = program.PROGRAM_ERRORS.find(({ name }) => name === 'DepositExceeded');
  const number = entry?.number ?? -1;
  const line = `Program ${programId.toBase58()} failed: custom program error: 0x${number.toString(16)}`;

  it.each<[string, unknown, readonly string[]]>([
    ['a status', { InstructionError: [1, { Custom: number }] }, []],
    ['a status with wide integers', { InstructionError: [1n, { Custom: BigInt(number) }] }, []],
    ['a message', new Error(`Simulation failed: ${line}`), []],
    ['log lines', 'failed', ['Program log: x', line]],
    ['a list of log lines', [line], []],
    [
      'what a Connection throws',
      new SendTransactionError({ action: 'simulate', signature: '', transactionMessage: 'failed', logs: [line] }),
      [],
    ],
  ])('finds our error in %s', (_title, failure, logs) => {
    const error = program.decodeProgramError(failure, logs);
    expect(error).toBeInstanceOf(RelaymintError);
    expect(error).toMatchObject({ code: 'DEPOSIT_EXHAUSTED', details: { program: 'DepositExceeded', number } });
    expect(error.message).toBe(`${entry?.message} ${entry?.remedy}`);
  });

  it('tells a token program inside ours apart: the outermost line is what the chain reports', () => {
    const logs = [
      'Program TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA failed: custom program error: 0x1',
      `Program ${programId.toBase58()} failed: custom program error: 0x1`,
    ];
    expect(program.decodeProgramError('failed', logs)).toMatchObject({ code: 'INSUFFICIENT_FUNDS' });
  });

  it.each([
    [
      'a failure of the runtime',
      { InstructionError: [0, 'ComputationalBudgetExceeded'] },
      /ComputationalBudgetExceeded/,
    ],
    ['a failure before any program', 'BlockhashNotFound', /BlockhashNotFound/],
    ['another custom error', { InstructionError: [0, { Custom: 77 }] }, /77/],
    [
      'one past our last',
      { InstructionError: [0, { Custom: (program.PROGRAM_ERRORS.at(-1)?.number ?? 0) + 1 }] },
      /60/,
    ],
    ['wide integers', { InstructionError: [0n, 'Custom'] }, /Custom/],
    ['nothing', undefined, /no reason/],
    ['an error without a number', new Error('socket closed'), /socket closed/],
  ])('reports %s as refused by the ledger', (_title, failure, text) => {
    const error = program.decodeProgramError(failure);
    expect(error.code).toBe('LEDGER_REJECTED');
    expect(error.message).toMatch(text);
  });

  it('finds an error by its number although numbers have gaps', () => {
    for (const { number, name } of program.PROGRAM_ERRORS) expect(program.programError(number)?.name).toBe(name);
    expect(program.programError(5_999)).toBeUndefined();
  });

  it('every error says what to do', () => {
    for (const { message, remedy } of program.PROGRAM_ERRORS) {
      expect(message).toMatch(/\.$/);
      expect(remedy).toMatch(/\.$/);
    }
  });
});

describe('the program', () => {
  const chain = Chain.start();

  it.each([[[]], [[200]], [[255]]])('refuses instruction data %j', (data) => {
    const instruction = program.openTill(chain.programId, { owner: chain.admin.publicKey, slots: 1 });
    expect(chain.refusal([Object.assign(instruction, { data: Buffer.from(data) })])).toBe('InvalidInstruction');
  });

  it('refuses more accounts than any instruction has', () => {
    const instruction = program.openTill(chain.programId, { owner: chain.admin.publicKey, slots: 1 });
    const extra = Array.from({ length: 10 }, (_, index) => keypair(`extra ${index}`).publicKey);
    instruction.keys.push(...extra.map((pubkey) => ({ pubkey, isSigner: false, isWritable: false })));
    expect(chain.refusal([instruction])).toBe('WrongAccountCount');
  });

  it('reads an account that was passed twice', () => {
    // The owner stands in the place of the split accounts as well: a duplicate in the loader's list.
    const payee = chain.wallet('payee');
    const splits = [{ account: payee.publicKey, tokenAccount: program.mintAddress(chain.programId) }];
    chain.registerName(payee, { name: 'twice.web3' });
    chain.ok([program.distributeName(chain.programId, { name: 'twice.web3', splits })], payee);
    expect(chain.name('twice.web3').accrued).toBe(0n);
  });

  it('sells to itself at no gain: the same wallet pays, earns, owns the name and closes', () => {
    const self = chain.wallet('self', 1_000n);
    const till = chain.openTill(self, 1);
    const name = 'self.web3';
    chain.registerName(self, { name, royaltyBps: 5_000 });
    chain.openChannel(self, till, 0, 1_000n);
    const receipt = chain.receipt(self, { till, slot: 0, amount: 700n });
    const shares = [{ name, gross: amount(700n), maxRoyaltyBps: 10_000 }];
    chain.ok(chain.settlement([receipt], { till, slots: [0], owner: self.publicKey, shares }), self);
    const close = { payer: self.publicKey, till, slot: 0, generation: 1, tillOwner: self.publicKey };
    chain.ok(
      [
        program.closeChannel(chain.programId, close),
        program.withdraw(chain.programId, { owner: self.publicKey, till }),
        program.distributeName(chain.programId, { name, splits: [{ account: self.publicKey }] }),
      ],
      self,
    );
    expect(chain.credits(self.publicKey)).toBe(1_000n);
  });

  it('is where its addresses say', () => {
    expect(PublicKey.isOnCurve(program.bankAddress(chain.programId).toBytes())).toBe(false);
    expect(chain.account(program.bankAddress(chain.programId))?.owner).toEqual(chain.programId);
  });
});
