/** Pings on a link that wait for their answer. */
import { RelaymintError } from '../../core/errors.ts';
import { MAX_PINGS_IN_FLIGHT } from '../../core/limits.ts';
import { abortError, orAborted } from '../../core/abort.ts';

/** A ping's payload: u64 that the answer repeats. */
export const PING_BYTES = 8;

interface Waiting {
  readonly answered: () => void;
  readonly failed: (error: RelaymintError) => void;
}

export class Pings {
  readonly #waiting = new Map<bigint, Waiting>();
  readonly #send: (payload: Buffer) => void;
  #next = 1n;

  constructor(send: (payload: Buffer) => void) {
    this.#send = send;
  }

  /** @returns the round trip in milliseconds. */
  async ask(signal?: AbortSignal): Promise<number> {
    if (signal?.aborted === true) throw abortError(signal, 'The ping');
    if (this.#waiting.size >= MAX_PINGS_IN_FLIGHT) {
      throw new RelaymintError('LIMIT_EXCEEDED', `${MAX_PINGS_IN_FLIGHT} pings are already waiting on this link.`, {
        remedy: 'Wait for an answer before sending another.',
      });
    }
    const nonce = this.#next;
    this.#next += 1n;
    const payload = Buffer.alloc(PING_BYTES);
    payload.writeBigUInt64LE(nonce);
    const started = performance.now();
    const answer = new Promise<number>((resolve, reject) => {
      this.#waiting.set(nonce, { answered: () => resolve(performance.now() - started), failed: reject });
    });
    try {
      this.#send(payload);
      return await orAborted(answer, signal, 'The ping');
    } finally {
      this.#waiting.delete(nonce);
    }
  }

  /** An answer that nobody waits for any more is ignored. */
  answer(payload: Buffer): void {
    this.#waiting.get(payload.readBigUInt64LE())?.answered();
  }

  failAll(error: RelaymintError): void {
    for (const { failed } of this.#waiting.values()) failed(error);
  }
}
