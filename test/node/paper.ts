/** Channels on paper: what a ledger would show of them, for tests in which the chain plays no part. */
import { createHash } from 'node:crypto';
import { channelId, ledgerAddress, type LedgerAddress } from '../../core/ids.ts';
import { amount } from '../../core/units.ts';
import type { ChannelState, LedgerReader } from '../../ledger/contract.ts';
import { identityFromSeed, type NodeIdentity } from '../../platform/keys/identity.ts';

/** What one transaction costs, base units: one signature at the bank's default price, one base unit a lamport. */
export const FEE = 5000n;

export class PaperLedger implements Pick<LedgerReader, 'channel' | 'tillAddress'> {
  readonly channels: Map<string, ChannelState> = new Map();
  /** What the terms of a payee's till ask a payer to burn: a MiB of the usual circuit. */
  readonly openings: Map<LedgerAddress, bigint> = new Map();
  reads = 0;
  #slots = 0;

  /** Here a till stands at its owner's address. */
  tillAddress(owner: LedgerAddress): LedgerAddress {
    return owner;
  }

  async channel(till: LedgerAddress, slot: number): Promise<ChannelState | undefined> {
    this.reads += 1;
    return this.channels.get(`${till}/${slot}`);
  }

  find(payer: LedgerAddress, payee: LedgerAddress, delegate?: LedgerAddress): ChannelState | undefined {
    return [...this.channels.values()].find(
      (channel) =>
        channel.payer === payer && channel.payee === payee && channel.delegate === (delegate ?? channel.delegate),
    );
  }

  /** The payer's channel to `payee`, opened when there is none. Burns what the till asks, or as much as is said. */
  open(
    payer: LedgerAddress,
    payee: LedgerAddress,
    delegate: LedgerAddress,
    deposit: bigint,
    opening: bigint = this.openings.get(payee) ?? 0n,
  ): ChannelState {
    const known = this.find(payer, payee, delegate);
    if (known !== undefined) return known;
    const slot = this.#slots;
    this.#slots += 1;
    return this.#keep({
      id: channelId(createHash('sha256').update(`${payee}/${slot}`).digest().subarray(0, 22)),
      till: payee,
      payee,
      slot,
      generation: 1,
      payer,
      delegate,
      deposit: amount(deposit),
      opening: amount(opening),
      settled: amount(0n),
      settledUp: 0n,
      settledDown: 0n,
      closeAt: undefined,
    });
  }

  add(channel: ChannelState, value: bigint, burned = 0n): ChannelState {
    const known = this.channels.get(keyOf(channel)) ?? channel;
    const { deposit, opening } = known;
    return this.#keep({ ...known, deposit: amount(deposit + value), opening: amount(opening + burned) });
  }

  /** As a payee closes a channel with nothing in it to settle. */
  close(channel: ChannelState): void {
    this.channels.delete(keyOf(channel));
  }

  #keep(channel: ChannelState): ChannelState {
    this.channels.set(keyOf(channel), channel);
    return channel;
  }
}

function keyOf({ till, slot }: ChannelState): string {
  return `${till}/${slot}`;
}

/** A wallet, and what opening and filling channels cost it. */
export class Purse {
  readonly key: NodeIdentity;
  readonly address: LedgerAddress;
  readonly #ledger: PaperLedger;
  #spent = 0n;

  constructor(seed: Uint8Array, ledger: PaperLedger) {
    this.key = identityFromSeed(seed);
    this.address = ledgerAddress(this.key.publicKey);
    this.#ledger = ledger;
  }

  /** Opening payments and transaction fees so far, base units. */
  get spent(): bigint {
    return this.#spent;
  }

  find(payee: LedgerAddress, delegate: LedgerAddress): ChannelState | undefined {
    return this.#ledger.find(this.address, payee, delegate);
  }

  /** The channel to that payee, opened when there is none. */
  open(payee: LedgerAddress, delegate: LedgerAddress, deposit: bigint, opening?: bigint): ChannelState {
    const known = this.find(payee, delegate);
    const channel = this.#ledger.open(this.address, payee, delegate, deposit, opening);
    if (known === undefined) this.#spent += channel.opening + FEE;
    return channel;
  }

  topUp(channel: ChannelState, value: bigint): ChannelState {
    this.#spent += FEE;
    return this.#ledger.add(channel, value);
  }

  /** Burns as much again as was burned for it. */
  widen(channel: ChannelState): ChannelState {
    this.#spent += channel.opening + FEE;
    return this.#ledger.add(channel, 0n, channel.opening);
  }
}
