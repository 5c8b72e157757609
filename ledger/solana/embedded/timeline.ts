/**
 * The chain's time. Slots are not produced by a timer: they follow from real time whenever somebody asks, 400 ms each,
 * and so do their blockhashes. An idle ledger costs nothing and a restarted one is as old as it should be.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import bs58 from 'bs58';
import { Writer, concatBytes, utf8 } from '../../../core/codec.ts';
import type { Clock } from '../../../core/ports.ts';

export const SLOT_MILLIS = 400;
export const SLOTS_PER_EPOCH = 432_000;
/** A transaction may name the blockhash of any of this many last slots (a minute), as on every Solana cluster. */
export const BLOCKHASH_SLOTS = 150;
/** Entries of the SlotHashes sysvar; address lookup tables are created against one of them. */
const SLOT_HASHES = 512;

export interface TimelineStart {
  readonly genesisHash: string;
  /** Real time of slot 1, milliseconds since 1970. */
  readonly genesisMillis: number;
  /** By how much the chain is ahead of real time. */
  readonly warpMillis: number;
  /** The latest chain time that was ever stored: never goes back behind it. */
  readonly reachedMillis: number;
}

export class Timeline {
  readonly genesisHash: string;
  readonly #genesis: Uint8Array;
  readonly #genesisMillis: number;
  readonly #clock: Clock;
  #warpMillis: number;
  #reachedMillis: number;
  /** Slot -> blockhash of the last SLOT_HASHES slots, oldest first, and its inverse. */
  readonly #hashes = new Map<number, string>();
  readonly #slots = new Map<string, number>();
  #newest = 0;

  constructor(start: TimelineStart, clock: Clock) {
    this.genesisHash = start.genesisHash;
    this.#genesis = bs58.decode(start.genesisHash);
    this.#genesisMillis = start.genesisMillis;
    this.#warpMillis = start.warpMillis;
    this.#reachedMillis = Math.max(start.reachedMillis, start.genesisMillis);
    this.#clock = clock;
  }

  /** Chain time, milliseconds since 1970. Never goes back, even when the machine's clock does. */
  now(): number {
    this.#reachedMillis = Math.max(this.#reachedMillis, this.#clock.now() + this.#warpMillis);
    return this.#reachedMillis;
  }

  /** How the timeline is restored later. */
  state(): TimelineStart {
    return {
      genesisHash: this.genesisHash,
      genesisMillis: this.#genesisMillis,
      warpMillis: this.#warpMillis,
      reachedMillis: this.now(),
    };
  }

  warp(seconds: number): void {
    if (!Number.isSafeInteger(seconds) || seconds < 0) {
      throw new RangeError(`a warp takes whole seconds >= 0, got ${seconds}`);
    }
    this.#warpMillis += seconds * 1000;
  }

  /** The latest finished slot; the first is 1. Every slot has a block, so it is the block height as well. */
  slot(): number {
    return 1 + Math.floor((this.now() - this.#genesisMillis) / SLOT_MILLIS);
  }

  /** When a slot's block was made, seconds since 1970. */
  blockTime(slot: number): number {
    return Math.floor((this.#genesisMillis + (slot - 1) * SLOT_MILLIS) / 1000);
  }

  /** What programs read as the time, seconds since 1970. */
  unixTimestamp(): number {
    return Math.floor(this.now() / 1000);
  }

  latestBlockhash(): { readonly blockhash: string; readonly lastValidBlockHeight: number } {
    const slot = this.#advance();
    return { blockhash: this.#hashOf(slot), lastValidBlockHeight: slot + BLOCKHASH_SLOTS };
  }

  /** The slot of a blockhash that a transaction may still name; undefined once it has expired. */
  slotOfBlockhash(blockhash: string): number | undefined {
    const now = this.#advance();
    const slot = this.#slots.get(blockhash);
    return slot === undefined || slot + BLOCKHASH_SLOTS < now ? undefined : slot;
  }

  /** For the SlotHashes sysvar, newest first. */
  slotHashes(): readonly { readonly slot: bigint; readonly hash: string }[] {
    this.#advance();
    return [...this.#hashes].map(([slot, hash]) => ({ slot: BigInt(slot), hash })).toReversed();
  }

  #advance(): number {
    const slot = this.slot();
    for (let next = Math.max(this.#newest + 1, slot - SLOT_HASHES + 1, 1); next <= slot; next += 1) {
      const hash = bs58.encode(
        sha256(concatBytes(utf8('relaymint:block:v1'), this.#genesis, new Writer(8).u64(BigInt(next)).finish())),
      );
      this.#hashes.set(next, hash);
      this.#slots.set(hash, next);
    }
    this.#newest = slot;
    for (const [old, hash] of this.#hashes) {
      if (old > slot - SLOT_HASHES) break;
      this.#hashes.delete(old);
      this.#slots.delete(hash);
    }
    return slot;
  }

  #hashOf(slot: number): string {
    const hash = this.#hashes.get(slot);
    if (hash === undefined) throw new Error(`slot ${slot} has no blockhash`);
    return hash;
  }
}
