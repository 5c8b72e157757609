/** Our arithmetic of royalties beside the program's: whoever checks what the chain paid must come to the same base unit. */
import { describe, expect, it } from 'vitest';
import { amount } from '../../core/units.ts';
import { NO_CARRY, royaltyOf } from '../../ledger/royalty.ts';
import * as program from '../../ledger/solana/program/index.ts';
import { Chain, keypair } from './program/svm.ts';
import { Chance, SEED_TITLE } from '../chance.ts';

const owner = keypair('owner');
const payer = keypair('payer');
const TERMS = { feeBps: 77, royaltyBps: 3_333, referrerBps: 1_777 };
const SETTLEMENTS = 40;

describe('royalties', () => {
  it(`come to what the program gives, over any sequence of shares: nothing is lost, nothing is made (${SEED_TITLE})`, () => {
    const chance = new Chance();
    const chain = Chain.start(1n, 1_000n);
    const { programId } = chain;
    chain.wallet('owner', 1_000_000n);
    chain.wallet('payer', 1_000_000n);
    for (const name of ['pic.image', 'news.web3']) chain.registerName(owner, { name, royaltyBps: TERMS.royaltyBps });
    const signer = owner.publicKey;
    const terms = { signer, name: 'pic.image', seq: 0n, referrerBps: TERMS.referrerBps };
    chain.ok([program.updateName(programId, terms)], owner);
    chain.ok([program.configure(programId, { admin: chain.admin.publicKey, feeBps: TERMS.feeBps })], chain.admin);
    const till = chain.openTill(owner, 1);
    chain.openChannel(payer, till, 0, 900_000n);

    let carry = NO_CARRY;
    let [paid, accrued, referred] = [0n, 0n, 0n];
    for (let index = 0; index < SETTLEMENTS; index += 1) {
      const gross = amount(BigInt(chance.between(1, 500)));
      const rest = BigInt(chance.between(0, 20));
      const isReferred = chance.between(0, 2) === 0;
      paid += gross + rest;
      const share = royaltyOf(gross, isReferred, TERMS, carry);
      carry = share.carry;
      accrued += share.royalty - share.referred;
      referred += share.referred;
      const receipt = chain.receipt(payer, { till, slot: 0, amount: paid });
      const shares = [
        { name: 'pic.image', gross, maxRoyaltyBps: 10_000, ...(isReferred && { referrer: 'news.web3' }) },
      ];
      chain.ok(chain.settlement([receipt], { till, slots: [0], owner: signer, shares }), owner);
    }
    expect(chain.name('pic.image')).toMatchObject({
      lifetime: accrued,
      royaltyCarry: Number(carry.royalty),
      referrerCarry: Number(carry.referrer),
    });
    expect(chain.name('news.web3').lifetime).toBe(referred);
    // What is left is the seller's, once the fee of the whole is taken.
    const fee = (paid * BigInt(TERMS.feeBps)) / 10_000n;
    expect(chain.till(till).lifetimeEarned + accrued + referred + fee).toBe(paid);
  });
});
