/** How long a transaction the cluster accepts: found by a trial run, remembered, and revised when one is refused. */
import type { PublicKey } from '@solana/web3.js';
import { z } from 'zod';
import { isRelaymintError } from '../../core/errors.ts';
import { silentLog, systemClock } from '../../core/ports.ts';
import type { Clock, Log } from '../../core/ports.ts';
import type { Rpc } from './rpc.ts';
import { trialOfVersionOne } from './version-one.ts';

/** Bytes of a transaction that reaches every cluster. */
export const MAX_PACKET_BYTES = 1232;
/** Bytes of a transaction of version 1. */
export const MAX_VERSION_ONE_BYTES = 4096;

/** A cluster or its node may be upgraded: after a no, it is asked again after this time. */
const ASK_AGAIN_MILLIS = 60 * 60 * 1000;
/** A wallet without lamports cannot try anything: that says nothing about the cluster. */
const NO_ANSWER: readonly unknown[] = ['AccountNotFound', 'InsufficientFundsForFee', 'BlockhashNotFound'];

const trialResult = z.object({ value: z.object({ err: z.unknown() }) });

export class TransactionSize {
  readonly #rpc: Rpc;
  readonly #clock: Clock;
  readonly #log: Log;
  /** `until`: when a no is worth asking again; a yes holds until a transaction is refused. */
  #known: { readonly large: true } | { readonly large: false; readonly until: number } | undefined;
  #asking: Promise<void> | undefined;

  constructor(rpc: Rpc, { clock, log }: { readonly clock?: Clock | undefined; readonly log?: Log | undefined }) {
    this.#rpc = rpc;
    this.#clock = clock ?? systemClock;
    this.#log = log ?? silentLog;
  }

  /** Does the cluster take transactions of version 1, by what is known now? No, until it was asked. */
  get large(): boolean {
    return this.#known?.large === true;
  }

  /** The most bytes that a transaction may have, by what is known now. */
  get bytes(): number {
    return this.large ? MAX_VERSION_ONE_BYTES : MAX_PACKET_BYTES;
  }

  /** Asks, unless it is known. `payer` must have lamports, or nothing is learned. @throws RelaymintError LEDGER_UNREACHABLE, CLOSED. */
  async learn(payer: PublicKey): Promise<void> {
    if (this.#known !== undefined && (this.#known.large || this.#clock.now() < this.#known.until)) return;
    this.#asking ??= this.#ask(payer).finally(() => {
      this.#asking = undefined;
    });
    await this.#asking;
  }

  /** A transaction of version 1 was refused, or not answered while it could get in: no more of them for an hour. */
  refused(reason: string): void {
    if (this.large) {
      this.#log.warn(
        { reason },
        'the ledger refused a transaction of 4,096 bytes: for an hour, transactions are limited to 1,232 bytes',
      );
    }
    this.#rememberNo();
  }

  async #ask(payer: PublicKey): Promise<void> {
    const wire = Buffer.from(trialOfVersionOne(payer)).toString('base64');
    const config = { encoding: 'base64', sigVerify: false, replaceRecentBlockhash: true, commitment: 'confirmed' };
    let err: unknown;
    try {
      ({ err } = (await this.#rpc.call('simulateTransaction', [wire, config], trialResult)).value);
    } catch (error) {
      // It does not know the format, or not the question.
      if (!isRelaymintError(error, 'LEDGER_REJECTED')) throw error;
      this.#rememberNo();
      return;
    }
    if (err === null) this.#known = { large: true };
    else if (!NO_ANSWER.includes(err)) this.#rememberNo();
  }

  #rememberNo(): void {
    this.#known = { large: false, until: this.#clock.now() + ASK_AGAIN_MILLIS };
  }
}
