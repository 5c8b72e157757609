/** Takes what is sent from a quota. When it is used up the answer is cut: the visitor has what was paid for, and fetches the rest by range. */
import type { Request, Response } from 'express';
import type { Quota } from '../pay/contract.ts';

export interface Metered {
  readonly quota: Pick<Quota, 'take'>;
  /** Asked when the head goes out. */
  readonly headers: () => Readonly<Record<string, string>>;
  /** Answers instead, where others have used up the quota before anything of this answer was sent. */
  readonly usedUp: () => void;
}

/**
 * From now on. Bytes are taken when they are given to the connection: a visitor that leaves is charged for what it was sent, and for what
 * waited in its connection, one block at most.
 */
export function countSent({ method }: Request, response: Response, { quota, headers, usedUp }: Metered): void {
  const original = {
    write: response.write.bind(response) as (...given: unknown[]) => boolean,
    end: response.end.bind(response) as (...given: unknown[]) => unknown,
    writeHead: response.writeHead.bind(response) as (...given: unknown[]) => unknown,
  };
  const isCounted = (): boolean => method === 'GET' && response.statusCode !== 304 && response.statusCode < 500;
  /** `counted` until the quota is used up; `open` for what is said then. */
  let state: 'counted' | 'open' | 'cut' = 'counted';
  /** @returns whether all of it may be sent; otherwise it has been dealt with. */
  const isPaid = (chunk: Uint8Array): boolean => {
    const granted = quota.take(chunk.length);
    if (granted === chunk.length) return true;
    if (granted === 0 && !response.headersSent) {
      state = 'open';
      usedUp();
    } else {
      if (granted > 0) original.write(chunk.subarray(0, granted));
      // What it has paid for still goes out.
      if (response.socket === null) response.destroy();
      else response.socket.destroySoon();
    }
    state = 'cut';
    return false;
  };
  const passing = (given: readonly unknown[]): boolean => {
    if (state !== 'counted') return state === 'open';
    const chunk = bytesOf(given);
    return chunk === undefined || !isCounted() || isPaid(chunk);
  };
  Object.assign(response, {
    writeHead: (...given: unknown[]): unknown => {
      if (!response.headersSent && state === 'counted')
        for (const [name, value] of Object.entries(headers())) response.setHeader(name, value);
      return original.writeHead(...given);
    },
    // Never drained: whoever writes waits until the connection is closed.
    write: (...given: unknown[]): boolean => passing(given) && original.write(...given),
    end: (...given: unknown[]): unknown => (passing(given) ? original.end(...given) : response),
  });
}

/** What is written; undefined for nothing. */
function bytesOf([chunk, encoding]: readonly unknown[]): Uint8Array | undefined {
  if (typeof chunk === 'string') {
    return Buffer.from(chunk, typeof encoding === 'string' && Buffer.isEncoding(encoding) ? encoding : 'utf8');
  }
  return chunk instanceof Uint8Array && chunk.length > 0 ? chunk : undefined;
}
