/** Everything there is on the chain, as plain records that are replaced and never changed, with one level of undo. */
import type { Label, Step } from './calls.ts';

/** A refusal: the error's name in idl.json, or what another program or the runtime says. */
export class Refusal extends Error {}

export function refuse(reason: string): never {
  throw new Refusal(reason);
}

export const U64: bigint = 1n << 64n;

/** A sum or product that must fit 64 bits. */
export function fits(value: bigint): bigint {
  return value < 0n || value >= U64 ? refuse('Overflow') : value;
}

/** A total that only ever rises, and wraps at 2^64. */
export function wraps(value: bigint): bigint {
  return value & (U64 - 1n);
}

/** Records by label. What a transaction changes is a draft until it is kept. */
export class Table<T> {
  readonly #kept = new Map<Label, T>();
  readonly #draft = new Map<Label, T | undefined>();

  get(label: Label): T | undefined {
    return this.#draft.has(label) ? this.#draft.get(label) : this.#kept.get(label);
  }

  set(label: Label, value: T): void {
    this.#draft.set(label, value);
  }

  delete(label: Label): void {
    this.#draft.set(label, undefined);
  }

  /** As it was before the transaction. */
  before(label: Label): T | undefined {
    return this.#kept.get(label);
  }

  changed(): readonly Label[] {
    return [...this.#draft.keys()];
  }

  keep(): void {
    for (const [label, value] of this.#draft) {
      if (value === undefined) this.#kept.delete(label);
      else this.#kept.set(label, value);
    }
    this.#draft.clear();
  }

  drop(): void {
    this.#draft.clear();
  }

  /** Kept ones only. */
  labels(): readonly Label[] {
    return [...this.#kept.keys()];
  }

  values(): readonly T[] {
    return [...this.#kept.values()];
  }
}

export interface Bank {
  /** null: given up. */
  readonly admin: Label | null;
  readonly clusterTag: Uint8Array;
  readonly unitsPerLamport: bigint;
  readonly challengeSeconds: bigint;
  readonly bought: bigint;
  readonly redeemed: bigint;
  readonly burned: bigint;
  readonly minted: bigint;
  readonly openDeposits: bigint;
  readonly unminted: bigint;
  readonly reserve: bigint;
  readonly treasury: Label;
  readonly fees: bigint;
  readonly nameYearPrice: bigint;
  readonly feeBps: number;
  readonly feeCarry: number;
  readonly commitSeconds: number;
  readonly lifetimeFees: bigint;
  readonly forgone: bigint;
  /** Lamports of its own, and those that openers of channels put down. */
  readonly rent: bigint;
  readonly slotRents: bigint;
}

export interface Slot {
  /** null while the slot is free. */
  readonly payer: Label | null;
  readonly delegate: Label | null;
  readonly deposit: bigint;
  readonly settled: bigint;
  readonly up: bigint;
  readonly down: bigint;
  readonly generation: number;
  /** 1: holds an open channel. */
  readonly flags: 0 | 1;
  /** Seconds; 0 while no close was requested. */
  readonly closeAt: bigint;
  /** The cluster's slot that must be there too. */
  readonly closeSlot: bigint;
  readonly opening: bigint;
  readonly rent: bigint;
}

export interface Till {
  readonly owner: Label;
  readonly earned: bigint;
  readonly lifetimeEarned: bigint;
  readonly minDeposit: bigint;
  readonly opening: bigint;
  readonly slotRent: bigint;
  readonly slots: readonly Slot[];
}

export interface Split {
  readonly account: Label;
  readonly bps: number;
  readonly owed: bigint;
}

export interface Name {
  readonly name: string;
  readonly owner: Label;
  /** null: an address of zeros, which nobody signs for. */
  readonly manager: Label | null;
  readonly registeredAt: bigint;
  readonly expiresAt: bigint;
  readonly seq: bigint;
  readonly root: Uint8Array;
  readonly manifest: Uint8Array;
  readonly royaltyBps: number;
  readonly royaltyCarry: number;
  readonly referrerBps: number;
  readonly referrerCarry: number;
  readonly splits: readonly Split[];
  readonly accrued: bigint;
  readonly lifetime: bigint;
  readonly transfers: number;
  /** null: none. */
  readonly recoveryKey: Label | null;
  /** Seconds; 0 without a key. */
  readonly recoveryDelay: number;
  /** null while no recovery was begun; then the two times are 0. */
  readonly newOwner: Label | null;
  readonly recoverAt: bigint;
  readonly recoverSlot: bigint;
}

export interface Commitment {
  readonly committer: Label;
  readonly hash: Uint8Array;
  readonly committedAt: bigint;
}

/** What a payer gets of channels that their payees closed. */
export interface Claim {
  readonly payer: Label;
  readonly amount: bigint;
}

/** What no account of ours says: sums since the beginning. */
export type Tally = 'gifts to the bank' | 'slot rents taken' | 'burned by holders';

/** A token account of the credit mint. */
export interface Purse {
  readonly owner: Label;
  readonly credits: bigint;
}

export class World {
  readonly banks: Table<Bank> = new Table();
  readonly tills: Table<Till> = new Table();
  readonly names: Table<Name> = new Table();
  readonly commitments: Table<Commitment> = new Table();
  readonly claims: Table<Claim> = new Table();
  readonly purses: Table<Purse> = new Table();
  readonly tallies: Table<bigint> = new Table();
  /** Of the mint, under its own label. */
  readonly supply: Table<bigint> = new Table();
  /** Of every address the play knows; 0 is left out. */
  readonly lamports: Table<bigint> = new Table();
  /** Seconds since 1970 by the chain's clock, and the cluster's slot. */
  time = 0n;
  slot = 0n;
  /** The instruction before the present one in its transaction. */
  previous: Step | undefined;
  /** What an account pays for each of its bytes and of the 128 that every account counts. */
  readonly rentPerByte: bigint;

  constructor(rentPerByte: bigint) {
    this.rentPerByte = rentPerByte;
  }

  get tables(): readonly Table<unknown>[] {
    const { banks, tills, names, commitments, claims, purses, supply, lamports, tallies } = this;
    return [banks, tills, names, commitments, claims, purses, supply, lamports, tallies];
  }

  get bank(): Bank {
    return this.banks.get('bank') ?? refuse('WrongOwner');
  }

  /** Changes some of the bank's fields. */
  setBank(changes: Partial<Bank>): void {
    this.banks.set('bank', { ...this.bank, ...changes });
  }

  tally(of: Tally): bigint {
    return this.tallies.get(of) ?? 0n;
  }

  count(of: Tally, more: bigint): void {
    this.tallies.set(of, this.tally(of) + more);
  }

  rent(size: number): bigint {
    return this.rentPerByte * BigInt(size + 128);
  }

  /** Another account of the program in the place of the wanted one, or none of it. */
  missing(label: Label): never {
    const { banks, tills, names, commitments, claims } = this;
    const ours = [banks, tills, names, commitments, claims].some((table) => table.get(label) !== undefined);
    return refuse(ours ? 'WrongAccountType' : 'WrongOwner');
  }
}
