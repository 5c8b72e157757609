/** Questions on a link that wait for their answer. */
import { RelaymintError } from '../../core/errors.ts';
import { MAX_PINGS_IN_FLIGHT } from '../../core/limits.ts';
import { abortError } from '../../core/abort.ts';

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
  ask(signal?: AbortSignal): Promise<number> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(abortError(signal, 'The ping'));
        return;
      }
      if (this.#waiting.size >= MAX_PINGS_IN_FLIGHT) {
        reject(
          new RelaymintError('LIMIT_EXCEEDED', `${MAX_PINGS_IN_FLIGHT} pings wait on this link already.`, {
            remedy: 'Wait for an answer before asking again.',
          }),
        );
        return;
      }
      const nonce = this.#next;
      this.#next += 1n;
      const started = performance.now();
      const settle = (): void => {
        this.#waiting.delete(nonce);
        signal?.removeEventListener('abort', onAbort);
      };
      const failed = (error: RelaymintError): void => {
        settle();
        reject(error);
      };
      const onAbort = (): void => {
        if (signal !== undefined) failed(abortError(signal, 'The ping'));
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      const answered = (): void => {
        settle();
        resolve(performance.now() - started);
      };
      this.#waiting.set(nonce, { answered, failed });
      const payload = Buffer.alloc(PING_BYTES);
      payload.writeBigUInt64LE(nonce);
      this.#send(payload);
    });
  }

  /** An answer nobody waits for any more is ignored. */
  answer(payload: Buffer): void {
    this.#waiting.get(payload.readBigUInt64LE())?.answered();
  }

  failAll(error: RelaymintError): void {
    for (const { failed } of this.#waiting.values()) failed(error);
  }
}
