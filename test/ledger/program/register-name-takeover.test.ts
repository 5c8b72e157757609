/** Registering a name whose grace period is over: what it costs, what passes on, and that nobody loses or blocks anything. */
import { AuthorityType, createSetAuthorityInstruction } from '@solana/spl-token';
import type { Keypair, PublicKey, TransactionInstruction } from '@solana/web3.js';
import { beforeEach, describe, expect, it } from 'vitest';
import { amount, unixSeconds } from '../../../core/units.ts';
import * as program from '../../../ledger/solana/program/index.ts';
import { GRACE_SECONDS, YEAR_SECONDS, namePrice } from '../../../ledger/term.ts';
import { tokenAccount } from './checks.ts';
import { COMMIT_SECONDS, Chain, keypair } from './svm.ts';

const CEILING = 9_000;
const NAME = 'news.web3';
const DAY = 86_400n;

/** Writes one field of the name's record past all rules. */
function write(chain: Chain, field: 'expiresAt' | 'accrued', value: bigint): void {
  const key = program.nameAddress(chain.programId, NAME);
  const data = Buffer.from(chain.data(key));
  data.writeBigUInt64LE(value, program.NAME_FIELDS.find(({ name }) => name === field)?.offset ?? -1);
  chain.put(key, chain.programId, data);
}

describe('an expired name', () => {
  let chain: Chain;
  const former = keypair('former');
  const next = keypair('next');
  const author = keypair('author');
  const take = (): TransactionInstruction => chain.reveal(next, { name: NAME, royaltyBps: 9, referrerBps: 11 });
  const distribute = (to?: PublicKey | null): TransactionInstruction =>
    program.distributeName(chain.programId, {
      name: NAME,
      splits: [{ account: author.publicKey, tokenAccount: to }],
    });
  /** What `name` earned in a settlement. */
  let settled = 0n;
  let till: PublicKey;
  const earn = (gross: bigint): void => {
    settled += gross;
    const receipt = chain.receipt(former, { till, slot: 0, amount: settled });
    const shares = [{ name: NAME, gross: amount(gross), maxRoyaltyBps: 10_000 }];
    chain.ok(chain.settlement([receipt], { till, slots: [0], owner: former.publicKey, shares }), former);
  };

  beforeEach(() => {
    settled = 0n;
    chain = Chain.start();
    chain.pass(1_800_000_000n);
    chain.wallet('former', 10_000n);
    chain.wallet('next', 10_000n);
    till = chain.openTill(former, 1);
    chain.openChannel(former, till, 0, 5_000n);
    const splits = [{ account: author.publicKey, bps: 10_000 }];
    const record = {
      root: new Uint8Array(36).fill(1),
      manifest: new Uint8Array(36).fill(2),
      royaltyBps: 5_000,
      splits,
    };
    chain.registerName(former, { name: NAME, ...record });
  });
  /** Until the first second in which anybody may take it; `next` is ready to. */
  const expire = (): void => {
    chain.pass(YEAR_SECONDS + GRACE_SECONDS - COMMIT_SECONDS);
    chain.commit(next, NAME);
    chain.pass(COMMIT_SECONDS);
  };

  it("is its owner's until the last second of its grace, and anybody's in the next", () => {
    chain.pass(YEAR_SECONDS + GRACE_SECONDS - COMMIT_SECONDS - 1n);
    chain.commit(next, NAME);
    chain.pass(COMMIT_SECONDS);
    expect(chain.refusal([take()], next)).toBe('NameTaken');
    chain.pass(1n);
    const { computeUnits } = chain.ok([take()], next);
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
  });

  it('is registered in its own account: everything new, the sequence and what it ever earned go on', () => {
    earn(8n);
    chain.ok([chain.createTokenAccount(author.publicKey), distribute()], chain.admin);
    const update = { signer: former.publicKey, name: NAME, seq: 0n, royaltyBps: 6_000 };
    chain.ok([program.updateName(chain.programId, update)], former);
    expire();
    const before = chain.name(NAME);
    chain.ok([take()], next);
    expect(chain.name(NAME)).toEqual({
      ...before,
      owner: next.publicKey,
      manager: next.publicKey,
      registeredAt: chain.now(),
      expiresAt: chain.now() + YEAR_SECONDS,
      seq: 2n,
      root: new Uint8Array(),
      manifest: new Uint8Array(),
      royaltyBps: 9,
      referrerBps: 11,
      splits: [{ account: next.publicKey, bps: 10_000, owed: 0n }],
    });
  });

  it('obeys neither its former owner nor anything but a registration', () => {
    expire();
    const { programId } = chain;
    const args = { name: NAME, seq: 0n, root: new Uint8Array() };
    const update = program.updateName(programId, { signer: former.publicKey, ...args });
    const renew = program.renewName(programId, { payer: former.publicKey, name: NAME, years: 1, maxPrice: amount(0n) });
    const give = program.transferName(programId, { owner: former.publicKey, name: NAME, newOwner: next.publicKey });
    for (const instruction of [update, renew, give]) {
      expect(chain.refusal([instruction], former)).toBe('NameExpired');
    }
    // Its former owner may register it like anybody else.
    chain.registerName(former, { name: NAME });
    expect(chain.name(NAME)).toMatchObject({ owner: former.publicKey, seq: 1n });
  });

  describe('with revenue that was not paid out', () => {
    it('cannot be taken before it is, and anybody can see to that within one transaction', () => {
      earn(2_000n);
      expire();
      expect(chain.refusal([take()], next)).toBe('SplitsPending');
      // Divided, and owed as long as the author has no token account.
      chain.ok([distribute(null)], next);
      expect(chain.name(NAME)).toMatchObject({ accrued: 0n, splits: [{ owed: 1_000n }] });
      expect(chain.refusal([take()], next)).toBe('SplitsPending');
      chain.ok([chain.createTokenAccount(author.publicKey), distribute(), take()], next, chain.admin);
      expect(chain.credits(author.publicKey)).toBe(1_000n);
      expect(chain.name(NAME).owner).toEqual(next.publicKey);
    });

    it('is paid although the split spoiled its own associated token account', () => {
      earn(2_000n);
      chain.fund(author.publicKey);
      const spoiled = program.creditAccountAddress(chain.programId, author.publicKey);
      const elsewhere = keypair('elsewhere').publicKey;
      const away = createSetAuthorityInstruction(spoiled, author.publicKey, AuthorityType.AccountOwner, elsewhere);
      chain.ok([chain.createTokenAccount(author.publicKey), away], author, chain.admin);
      expire();
      expect(chain.refusal([distribute(), take()], next)).toBe('SplitsPending');
      const other = tokenAccount(chain, { owner: author.publicKey });
      chain.ok([distribute(other), take()], next);
      expect(chain.data(other).readBigUInt64LE(64)).toBe(1_000n);
    });

    it('cannot be held back by earning more at the last moment', () => {
      chain.ok([chain.createTokenAccount(author.publicKey)], chain.admin);
      expire();
      earn(100n);
      expect(chain.refusal([take()], next)).toBe('SplitsPending');
      chain.ok([distribute(), take()], next);
      expect(chain.credits(author.publicKey)).toBe(50n);
    });

    it('keeps what could not be divided accounted for', () => {
      write(chain, 'accrued', 8n);
      expire();
      expect(chain.refusal([take()], next)).toBe('SplitsPending');
      write(chain, 'accrued', 7n);
      chain.ok([take()], next);
      expect(chain.name(NAME).accrued).toBe(7n);
    });

    it('goes on to earn for its former splits until somebody takes it', () => {
      chain.ok([chain.createTokenAccount(author.publicKey)], chain.admin);
      expire();
      earn(100n);
      chain.ok([distribute()], next);
      expect(chain.credits(author.publicKey)).toBe(50n);
    });
  });
});

/** Written as one would explain it: what n halvings leave, less the part of the day's drop that has passed. */
function modelled(yearPrice: bigint, elapsed: bigint): bigint {
  if (elapsed >= 21n * DAY) return 0n;
  let today = 1024n * yearPrice;
  let seconds = elapsed;
  while (seconds >= DAY) {
    today = (today - (today % 2n)) / 2n;
    seconds -= DAY;
  }
  const tomorrow = (today - (today % 2n)) / 2n;
  return today - ((today - tomorrow) * seconds) / DAY;
}

describe('the premium', () => {
  const elapsed = [
    0n, 1n, DAY / 2n, DAY - 1n, DAY, DAY + 1n, 3n * DAY + 77n, 10n * DAY + 12_345n, 20n * DAY, 21n * DAY - 1n,
    21n * DAY, 22n * DAY, 10_000n * DAY,
  ]; // prettier-ignore
  const yearPrices = [0n, 1n, 3n, 999_983n, 1_000_000n, 1n << 40n];
  const chain = Chain.start(1n << 21n);
  chain.pass(3_000_000_000n);
  const owner: Keypair = keypair('rich');
  chain.fund(owner.publicKey, 1n << 41n);
  chain.wallet('rich', 1n << 60n);
  chain.registerName(owner, { name: NAME });
  chain.commit(owner, NAME);
  const bankKey = program.bankAddress(chain.programId);
  const priceOffset = program.BANK_FIELDS.find(({ name }) => name === 'nameYearPrice')?.offset ?? -1;
  const bankLamports = chain.lamportsOf(bankKey);

  it.each(yearPrices)('of a name of %d a year is what the model says, on chain and in the client', (yearPrice) => {
    const bank = Buffer.from(chain.data(bankKey));
    bank.writeBigUInt64LE(yearPrice, priceOffset);
    chain.put(bankKey, chain.programId, bank, bankLamports);
    for (const [index, seconds] of elapsed.entries()) {
      const years = 1 + (index % 10);
      chain.pass(COMMIT_SECONDS);
      const expiresAt = chain.now() - GRACE_SECONDS - seconds;
      write(chain, 'expiresAt', expiresAt);
      const expected = BigInt(years) * yearPrice + modelled(yearPrice, seconds);
      const now = unixSeconds(chain.now());
      const question = { yearPrice: amount(yearPrice), years, now, expiresAt: unixSeconds(expiresAt) };
      expect(namePrice(question)).toBe(expected);
      const before = chain.credits(owner.publicKey);
      const price = amount(expected);
      const less = amount(expected === 0n ? 0n : expected - 1n);
      const refusal = chain.refusal([chain.reveal(owner, { name: NAME, years, maxPrice: less })], owner);
      expect(refusal).toBe(expected === 0n ? 'accepted' : 'PriceAboveMaximum');
      if (expected === 0n) {
        chain.commit(owner, NAME);
        continue;
      }
      chain.ok([chain.reveal(owner, { name: NAME, years, maxPrice: price })], owner);
      expect(before - chain.credits(owner.publicKey)).toBe(expected);
      chain.commit(owner, NAME);
    }
  });

  it('is 0 before the grace has ended: a renewal costs its years', () => {
    const now = unixSeconds(2_000_000_000n);
    const question = { yearPrice: amount(5n), years: 3, now };
    expect(namePrice(question)).toBe(15n);
    expect(namePrice({ ...question, expiresAt: unixSeconds(now - GRACE_SECONDS + 1n) })).toBe(15n);
    expect(namePrice({ ...question, expiresAt: unixSeconds(now + 1n) })).toBe(15n);
  });
});
