import type { PublicKey } from '@solana/web3.js';
import { beforeAll, describe, expect, it } from 'vitest';
import * as program from '../../../ledger/solana/program/index.ts';
import { checkAccounts } from './checks.ts';
import { CHALLENGE_SECONDS, Chain, keypair } from './svm.ts';

const CEILING = 1_000;

describe('requestClose', () => {
  let chain: Chain;
  let till: PublicKey;
  const payer = keypair('payer');
  const request = (change: Partial<program.RequestCloseArguments> = {}): ReturnType<typeof program.requestClose> =>
    program.requestClose(chain.programId, { payer: payer.publicKey, till, slot: 0, generation: 1, ...change });
  beforeAll(() => {
    chain = Chain.start();
    chain.pass(1_800_000_000n);
    chain.wallet('payer', 1_000n);
    till = chain.openTill(chain.wallet('payee'), 3);
    chain.openChannel(payer, till, 0, 100n);
    chain.openChannel(payer, till, 1, 100n);
  });

  it('starts the challenge period', () => {
    const now = chain.svm.getClock().unixTimestamp;
    const { computeUnits } = chain.ok([request()], chain.admin, payer);
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
    expect(chain.slot(till, 0)).toMatchObject({ open: true, deposit: 100n, closeAt: now + CHALLENGE_SECONDS });
    expect(chain.slot(till, 0).closeSlot).toBe(chain.svm.getClock().slot + 2n * CHALLENGE_SECONDS);
  });

  it('refuses a second request', () => {
    chain.pass(1n);
    expect(chain.refusal([request()], payer)).toBe('ClosePending');
  });

  it("refuses anybody but the channel's payer", () => {
    const stranger = chain.wallet('stranger');
    expect(chain.refusal([request({ slot: 1, payer: stranger.publicKey })], stranger)).toBe('NotPayer');
  });

  it('refuses a free slot', () => {
    expect(chain.refusal([request({ slot: 2 })], payer)).toBe('SlotNotOpen');
  });

  it('refuses a slot that does not exist', () => {
    expect(chain.refusal([request({ slot: 3 })], payer)).toBe('SlotOutOfRange');
  });

  it('refuses another generation', () => {
    expect(chain.refusal([request({ slot: 1, generation: 2 })], payer)).toBe('WrongGeneration');
  });

  checkAccounts(() => ({ chain, instruction: request({ slot: 1 }), signers: [payer] }), {
    signers: [0],
    till: 1,
    bank: 2,
    bankReadOnly: true,
  });
});
