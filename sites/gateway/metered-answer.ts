/**
 * Takes from a quota what is fetched for an answer, or what is sent of it where that is more. When it is used up the answer is cut: the
 * visitor has what was paid for, and fetches the rest by range.
 */
import type { Request, Response } from 'express';
import { RelaymintError } from '../../core/errors.ts';
import type { BlockReader } from '../blocks/index.ts';
import type { Quota } from '../pay/contract.ts';

export interface Metered {
  readonly quota: Pick<Quota, 'left' | 'take'>;
  /** Asked when the head goes out. */
  readonly headers: () => Readonly<Record<string, string>>;
  /** Answers instead, where others have used up the quota before anything of this answer was sent. */
  readonly usedUp: () => void;
}

class QuotaUsedUp extends RelaymintError {
  constructor() {
    super('LIMIT_EXCEEDED', 'What was bought is used up.', { remedy: 'Buy more, and go on where the answer ended.' });
  }
}

/** What one answer takes from its quota. */
class Meter {
  readonly #quota: Metered['quota'];
  #fetched = 0;
  #sent = 0;
  /** Of the quota: the greater of the two, as far as it went. */
  #taken = 0;

  constructor(quota: Metered['quota']) {
    this.#quota = quota;
  }

  /** @throws RelaymintError LIMIT_EXCEEDED when nothing is left to fetch from. */
  of(blocks: BlockReader): BlockReader {
    return {
      get: async (cid, options) => {
        if (this.#quota.left === 0) throw new QuotaUsedUp();
        const block = await blocks.get(cid, options);
        this.#fetched += block.length;
        this.#take(this.#fetched);
        return block;
      },
    };
  }

  /** @returns how many of them may be sent */
  send(bytes: number): number {
    this.#take(this.#sent + bytes);
    const granted = Math.min(bytes, this.#taken - this.#sent);
    this.#sent += granted;
    return granted;
  }

  #take(inAll: number): void {
    if (inAll > this.#taken) this.#taken += this.#quota.take(inAll - this.#taken);
  }
}

export interface MeteredAnswer {
  /** The same blocks, taken from the quota as they come. */
  readonly counted: (blocks: BlockReader) => BlockReader;
  /** Ends the answer if it failed because the quota is used up. @returns whether it did */
  readonly end: (error: unknown) => boolean;
}

/**
 * From now on. Blocks are taken when they are here, whatever is sent of them: they have been paid for. Bytes are taken when they are given
 * to the connection: a visitor that leaves is charged for what was fetched for it, and for what waited in its connection.
 */
export function meter({ method }: Request, response: Response, { quota, headers, usedUp }: Metered): MeteredAnswer {
  const taken = new Meter(quota);
  const original = {
    write: response.write.bind(response) as (...given: unknown[]) => boolean,
    end: response.end.bind(response) as (...given: unknown[]) => unknown,
    writeHead: response.writeHead.bind(response) as (...given: unknown[]) => unknown,
  };
  const isCounted = (): boolean => method === 'GET' && response.statusCode !== 304 && response.statusCode < 500;
  /** `counted` until the quota is used up; `open` for what is said then. */
  let state: 'counted' | 'open' | 'cut' = 'counted';
  const cut = (): void => {
    if (response.headersSent) {
      // What it has paid for still goes out.
      if (response.socket === null) response.destroy();
      else response.socket.destroySoon();
    } else {
      state = 'open';
      usedUp();
    }
    state = 'cut';
  };
  /** @returns whether all of it may be sent; otherwise it has been dealt with. */
  const isPaid = (chunk: Uint8Array): boolean => {
    const granted = taken.send(chunk.length);
    if (granted === chunk.length) return true;
    if (granted > 0) original.write(chunk.subarray(0, granted));
    cut();
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
  return {
    counted: (blocks) => taken.of(blocks),
    end: (error) => {
      if (!(error instanceof QuotaUsedUp)) return false;
      if (state === 'counted') cut();
      return true;
    },
  };
}

/** What is written; undefined for nothing. */
function bytesOf([chunk, encoding]: readonly unknown[]): Uint8Array | undefined {
  if (typeof chunk === 'string') {
    return Buffer.from(chunk, typeof encoding === 'string' && Buffer.isEncoding(encoding) ? encoding : 'utf8');
  }
  return chunk instanceof Uint8Array && chunk.length > 0 ? chunk : undefined;
}
