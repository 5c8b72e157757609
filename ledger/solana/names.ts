/** A wallet's operations on names. Registering is two transactions and a wait; it can be interrupted anywhere. */
import type { PublicKey, TransactionInstruction } from '@solana/web3.js';
import { assertNotAborted } from '../../core/abort.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import { formatCredits, unixSeconds } from '../../core/units.ts';
import type { Amount } from '../../core/units.ts';
import type {
  BankState,
  LedgerWallet,
  NameCommitment,
  NamePurchase,
  NameRecord,
  NameRegistration,
  RegistrationOptions,
  Split,
  TransactionResult,
} from '../contract.ts';
import { COMMITMENT_LIFE_SECONDS, namePrice } from '../term.ts';
import { walletAddress } from './keys.ts';
import type { WalletKey } from './keys.ts';
import { nameSalt } from './name-salt.ts';
import { Payouts } from './payouts.ts';
import type { Payout } from './payouts.ts';
import * as program from './program/index.ts';
import type { SolanaReader } from './reader.ts';
import { toKey } from './states.ts';

/** How often the chain's clock is asked in the last second of a wait; it tells whole seconds. */
const LAST_SECOND_MILLIS = 250;
/** A commitment with less time left than this is replaced by a new one: its reveal might come too late. */
const NEARLY_OVER_SECONDS = 600n;
/** Attempts of a reveal that comes a moment too early: a node may be ahead of the one that carries it out. */
const REVEALS = 5;

export interface WalletNamesParts {
  readonly ledger: SolanaReader;
  readonly key: WalletKey;
  readonly run: (instructions: readonly TransactionInstruction[]) => Promise<TransactionResult>;
  /** @throws RelaymintError INSUFFICIENT_FUNDS */
  readonly requireCredits: (amount: Amount) => Promise<void>;
  readonly createAccountOf: (owner: PublicKey) => TransactionInstruction;
}

/** A commitment as this wallet finds or makes it. */
interface OwnCommitment extends NameCommitment {
  readonly salt: Uint8Array;
}

export class WalletNames {
  readonly #parts: WalletNamesParts;
  readonly #address: LedgerAddress;

  constructor(parts: WalletNamesParts) {
    this.#parts = parts;
    this.#address = walletAddress(parts.key);
  }

  async commit(name: string): Promise<NameCommitment> {
    const [bank, record] = await Promise.all([this.#ledger.bank(), this.#freeName(name)]);
    const { committedAt, revealFrom, revealUntil } = await this.#commit(name, bank, record);
    return { committedAt, revealFrom, revealUntil };
  }

  async register(record: NameRegistration, { signal, onStep }: RegistrationOptions): Promise<NamePurchase> {
    const { name, years = 1 } = record;
    assertNotStopped(name, signal);
    const [bank, former, now] = await Promise.all([this.#ledger.bank(), this.#freeName(name), this.#ledger.now()]);
    const question = { yearPrice: bank.nameYearPrice, years, expiresAt: former?.expiresAt };
    const price = namePrice({ ...question, now });
    const maxPrice = record.maxPrice ?? price;
    if (price > maxPrice) throw tooDear(name, price, maxPrice);
    if (price > 0n) await this.#parts.requireCredits(price);

    onStep?.({ step: 'commit' });
    const commitment = await this.#commit(name, bank, former);
    await this.#wait(name, commitment, { signal, onStep });
    onStep?.({ step: 'reveal' });
    const reveal = program.registerName(this.#program, {
      owner: this.#owner,
      name,
      salt: commitment.salt,
      years,
      maxPrice,
      root: record.root,
      manifest: record.manifest,
      royaltyBps: record.royaltyBps,
      referrerBps: record.referrerBps,
      splits: record.splits === undefined ? undefined : splitShares(record.splits),
      manager: record.manager === undefined ? undefined : toKey(record.manager),
    });
    const result = await this.#reveal([...(await this.#payFormer(name)), reveal], signal);
    const registered = await this.#requireName(name);
    // Both from the chain's own time of the registration: exact, however long it took to get there.
    const paid = namePrice({ ...question, now: registered.registeredAt });
    return { ...result, paid, expiresAt: registered.expiresAt ?? registered.registeredAt };
  }

  async renew(name: string, years: number, maxPrice?: Amount): Promise<NamePurchase> {
    const [bank, { status }, now] = await Promise.all([
      this.#ledger.bank(),
      this.#requireName(name),
      this.#ledger.now(),
    ]);
    if (status === 'expired') throw expired(name);
    const price = namePrice({ yearPrice: bank.nameYearPrice, years, now });
    if (maxPrice !== undefined && price > maxPrice) throw tooDear(name, price, maxPrice);
    if (price > 0n) await this.#parts.requireCredits(price);
    const payer = this.#owner;
    const result = await this.#parts.run([
      program.renewName(this.#program, { payer, name, years, maxPrice: maxPrice ?? price }),
    ]);
    const { expiresAt } = await this.#requireName(name);
    return { ...result, paid: price, expiresAt: expiresAt ?? now };
  }

  async transfer(name: string, to: LedgerAddress): Promise<TransactionResult> {
    await this.#requireName(name);
    const args = { owner: this.#owner, name, newOwner: toKey(to) };
    return this.#parts.run([program.transferName(this.#program, args)]);
  }

  async setRecovery(name: string, recovery: Parameters<LedgerWallet['setRecovery']>[1]): Promise<TransactionResult> {
    await this.#requireName(name);
    const [key, delay] = recovery === undefined ? [undefined, 0] : [toKey(recovery.key), recovery.delay];
    return this.#parts.run([program.setRecovery(this.#program, { owner: this.#owner, name, key, delay })]);
  }

  async beginRecovery(name: string, to: LedgerAddress): Promise<TransactionResult> {
    await this.#requireName(name);
    const args = { key: this.#owner, name, newOwner: toKey(to) };
    return this.#parts.run([program.beginRecovery(this.#program, args)]);
  }

  async cancelRecovery(name: string): Promise<TransactionResult> {
    await this.#requireName(name);
    return this.#parts.run([program.cancelRecovery(this.#program, { signer: this.#owner, name })]);
  }

  async finishRecovery(name: string): Promise<TransactionResult> {
    await this.#requireName(name);
    return this.#parts.run([program.finishRecovery(this.#program, { name })]);
  }

  async update(name: string, change: Parameters<LedgerWallet['updateName']>[1]): Promise<TransactionResult> {
    const { seq } = await this.#requireName(name);
    const { root, manifest, royaltyBps, manager, splits, referrerBps } = change;
    return this.#parts.run([
      program.updateName(this.#program, {
        signer: this.#owner,
        name,
        seq,
        root,
        manifest,
        royaltyBps,
        manager: manager === undefined ? undefined : toKey(manager),
        splits: splits === undefined ? undefined : splitShares(splits),
        referrerBps,
      }),
    ]);
  }

  async distribute(name: string, createAccounts: boolean): Promise<TransactionResult> {
    const record = await this.#requireName(name);
    if (createAccounts) {
      const payouts = await this.#payouts(record);
      return this.#parts.run([...payouts.flatMap(({ create }) => create), this.#distribution(record, payouts)]);
    }
    const own = record.splits.some(({ account }) => account === this.#address);
    return this.#parts.run([...(own ? [this.#parts.createAccountOf(this.#owner)] : []), this.#distribution(record)]);
  }

  get #ledger(): SolanaReader {
    return this.#parts.ledger;
  }

  get #program(): PublicKey {
    return this.#parts.ledger.program;
  }

  get #owner(): PublicKey {
    return this.#parts.key.publicKey;
  }

  /** An existing record that anybody may take over; undefined if there is no record. @throws NAME_TAKEN */
  async #freeName(name: string): Promise<NameRecord | undefined> {
    const record = await this.#ledger.name(name);
    if (record === undefined || record.status === 'expired') return record;
    const own = record.owner === this.#address;
    throw new RelaymintError('NAME_TAKEN', `${name} belongs to ${own ? 'this wallet already' : 'another wallet'}.`, {
      remedy: own ? 'Renew or update it.' : 'Choose another name.',
    });
  }

  /** The wallet's commitment to the name: the existing one, or a new one. */
  async #commit(name: string, bank: BankState, former: NameRecord | undefined): Promise<OwnCommitment> {
    const tenure = former?.registeredAt ?? 0n;
    const { clusterTag } = bank;
    const salt = nameSalt(this.#parts.key, { programId: this.#ledger.programId, clusterTag, name, tenure });
    const committer = this.#owner;
    const hash = program.commitmentHash(committer, salt, name);
    const address = program.commitmentAddress(this.#program, committer, hash);
    const found = await this.#readCommitment(address, bank, salt);
    if (found.usable !== undefined) return found.usable;
    const drop = program.dropCommitment(this.#program, { signer: committer, committer, hash });
    try {
      await this.#parts.run([...(found.exists ? [drop] : []), program.commitName(this.#program, { committer, hash })]);
    } catch (error) {
      // Another process of this wallet was faster: its commitment serves as well.
      if (!(isRelaymintError(error) && error.details['program'] === 'AlreadyExists')) throw error;
    }
    const made = (await this.#readCommitment(address, bank, salt)).usable;
    if (made !== undefined) return made;
    throw new RelaymintError('LEDGER_REJECTED', `The commitment to ${name} is already gone.`, {
      remedy: 'Another process of this wallet used or dropped it: check whether the name is registered.',
    });
  }

  async #readCommitment(
    address: PublicKey,
    { commitSeconds }: BankState,
    salt: Uint8Array,
  ): Promise<{ readonly exists: boolean; readonly usable?: OwnCommitment }> {
    const [[info], now] = await Promise.all([this.#ledger.accounts([address]), this.#ledger.now()]);
    if (info?.owner.equals(this.#program) !== true) return { exists: false };
    const { committedAt } = program.decodeCommitment(info.data);
    const revealUntil = unixSeconds(committedAt + COMMITMENT_LIFE_SECONDS);
    if (now + NEARLY_OVER_SECONDS > revealUntil) return { exists: true };
    const revealFrom = unixSeconds(committedAt + BigInt(commitSeconds));
    return { exists: true, usable: { committedAt, revealFrom, revealUntil, salt } };
  }

  /** By the chain's clock, which may run beside this machine's. */
  async #wait(name: string, { revealFrom }: NameCommitment, { signal, onStep }: RegistrationOptions): Promise<void> {
    for (;;) {
      assertNotStopped(name, signal);
      const left = Number(revealFrom - (await this.#ledger.now()));
      if (left <= 0) return;
      onStep?.({ step: 'wait', seconds: left });
      const pause = left > 1 ? (left - 1) * 1000 : LAST_SECOND_MILLIS;
      try {
        await this.#ledger.rpc.wait(pause, signal);
      } catch (error) {
        assertNotStopped(name, signal);
        throw error;
      }
    }
  }

  async #reveal(instructions: readonly TransactionInstruction[], signal?: AbortSignal): Promise<TransactionResult> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#parts.run(instructions);
      } catch (error) {
        const early = isRelaymintError(error) && error.details['program'] === 'CommitmentTooYoung';
        if (!early || attempt === REVEALS) throw error;
        await this.#ledger.rpc.wait(LAST_SECOND_MILLIS * attempt, signal);
      }
    }
  }

  /**
   * What the former splits earned is theirs before the name is somebody else's: their missing token accounts are
   * created, and they are paid in the transaction that takes the name, so that nothing can be earned in between.
   */
  async #payFormer(name: string): Promise<readonly TransactionInstruction[]> {
    const former = await this.#freeName(name);
    if (former === undefined) return [];
    const waiting = former.accrued > 0n || former.splits.some(({ owed }) => owed > 0n);
    if (!waiting) return [this.#distribution(former)];
    const payouts = await this.#payouts(former);
    const create = payouts.flatMap((payout) => payout.create);
    if (create.length > 0) await this.#parts.run(create);
    return [this.#distribution(former, payouts)];
  }

  #payouts({ splits }: NameRecord): Promise<readonly Payout[]> {
    const payouts = new Payouts(this.#ledger, this.#owner, this.#parts.createAccountOf);
    return payouts.of(splits.map(({ account }) => toKey(account)));
  }

  /** Into the usual token accounts by default. */
  #distribution({ name, splits }: NameRecord, payouts: readonly Payout[] = []): TransactionInstruction {
    return program.distributeName(this.#program, {
      name,
      splits: splits.map(({ account }, index) => ({ account: toKey(account), tokenAccount: payouts[index]?.account })),
    });
  }

  async #requireName(name: string): Promise<NameRecord> {
    const record = await this.#ledger.name(name);
    if (record !== undefined) return record;
    throw new RelaymintError('NAME_UNKNOWN', `The name ${name} is not registered.`, {
      remedy: 'Register it, or check its spelling.',
    });
  }
}

function splitShares(splits: readonly Split[]): readonly program.SplitShare[] {
  return splits.map(({ account, bps }) => ({ account: toKey(account), bps }));
}

function tooDear(name: string, price: Amount, maxPrice: Amount): RelaymintError {
  return new RelaymintError(
    'INVALID_ARGUMENT',
    `${name} costs ${formatCredits(price)} credits now, more than the ${formatCredits(maxPrice)} allowed.`,
    { remedy: 'Allow more, or wait until it costs less.', details: { price: String(price) } },
  );
}

function expired(name: string): RelaymintError {
  return new RelaymintError('NAME_EXPIRED', `${name} has expired and its grace period is over.`, {
    remedy: 'Register it again: anybody may.',
  });
}

function assertNotStopped(name: string, signal: AbortSignal | undefined): void {
  assertNotAborted(signal, `Registering ${name}`, 'Run it again within a day to continue where it stopped.');
}
