/** Where the channels of a play stand: on paper where the chain plays no part, or on the embedded ledger (`chain.ts`). */
import { createHash } from 'node:crypto';
import { channelId, ledgerAddress } from '../../core/ids.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import { amount } from '../../core/units.ts';
import type { ChannelState, LedgerReader } from '../../ledger/contract.ts';
import { identityFromSeed } from '../../platform/keys/identity.ts';

export interface Funds {
  readonly deposit: bigint;
  /** Burned for good. */
  readonly opening: bigint;
}

/** A wallet of the play. */
export interface Purse {
  readonly address: LedgerAddress;
  sign(message: Uint8Array): Uint8Array;
  /** The open channel to that payee, when there is one. */
  find(payee: LedgerAddress, delegate: LedgerAddress): Promise<ChannelState | undefined>;
  open(payee: LedgerAddress, delegate: LedgerAddress, funds: Funds): Promise<ChannelState>;
  topUp(channel: ChannelState, value: bigint): Promise<ChannelState>;
  /** Opening payments and transaction fees so far, base units. */
  spent(): Promise<bigint>;
}

export interface Money extends AsyncDisposable {
  readonly reader: Pick<LedgerReader, 'channel' | 'tillAddress'>;
  /** What one transaction costs, base units. */
  readonly fee: bigint;
  purse(seed: Uint8Array): Promise<Purse>;
  /** As a payee closes a channel with nothing in it to settle. */
  close(channel: ChannelState): void;
}

/** A fee of one signature at the bank's default price: one base unit a lamport. */
const FEE = 5000n;

/** Channels in memory: what a ledger would show. */
export class PaperMoney implements Money {
  readonly fee: bigint = FEE;
  readonly reader: Money['reader'] = {
    // On paper a till stands at its owner's address.
    tillAddress: (owner) => owner,
    channel: async (till, slot) => this.#channels.get(`${till}/${slot}`),
  };
  readonly #channels = new Map<string, ChannelState>();
  #opened = 0;

  async purse(seed: Uint8Array): Promise<Purse> {
    const key = identityFromSeed(seed);
    const address = ledgerAddress(key.publicKey);
    let spent = 0n;
    return {
      address,
      sign: (message) => key.sign(message),
      find: async (payee, delegate) =>
        [...this.#channels.values()].find(
          (channel) => channel.payer === address && channel.payee === payee && channel.delegate === delegate,
        ),
      open: async (payee, delegate, { deposit, opening }) => {
        spent += opening + FEE;
        const slot = this.#opened;
        this.#opened += 1;
        return this.#keep({
          id: channelId(createHash('sha256').update(`${payee}/${slot}`).digest().subarray(0, 22)),
          till: payee,
          payee,
          slot,
          generation: 1,
          payer: address,
          delegate,
          deposit: amount(deposit),
          opening: amount(opening),
          settled: amount(0n),
          settledUp: 0n,
          settledDown: 0n,
          closeAt: undefined,
        });
      },
      topUp: async (channel, value) => {
        spent += FEE;
        const known = this.#channels.get(`${channel.till}/${channel.slot}`) ?? channel;
        return this.#keep({ ...known, deposit: amount(known.deposit + value) });
      },
      spent: async () => spent,
    };
  }

  close({ till, slot }: ChannelState): void {
    this.#channels.delete(`${till}/${slot}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#channels.clear();
  }

  #keep(channel: ChannelState): ChannelState {
    this.#channels.set(`${channel.till}/${channel.slot}`, channel);
    return channel;
  }
}
