/** Blocks from an IPFS gateway that nobody has to trust: each is asked for by its address alone, and checked (IPFS trustless gateway specification). */
import type { CID } from 'multiformats/cid';
import { abortError, assertNotAborted, deadline, pause } from '../../core/abort.ts';
import { backoff } from '../../core/backoff.ts';
import { RelaymintError, isRelaymintError, messageOf } from '../../core/errors.ts';
import { BLOCK_WAIT_MILLIS } from '../../core/limits.ts';
import { checkBlockLength } from '../wire/index.ts';
import { blockMissing, checkCarried, verifyBlock, type BlockReader } from '../blocks/index.ts';

export interface TrustlessOptions {
  /** Where its paths begin: https://gateway.example, or with a path before /ipfs/. */
  readonly url: string;
  readonly fetch: typeof globalThis.fetch;
  /** Pauses between tries, milliseconds. */
  readonly retry?: { readonly first: number; readonly last: number };
}

const RAW = 'application/vnd.ipld.raw';
const TRIES = 5;
const RETRY = { first: 1_000, last: 30_000 };
/** It may do better later. */
const BUSY: readonly number[] = [408, 425, 429, 500, 502, 503, 504];
const MISSING: readonly number[] = [404, 410];
const FETCHING = 'Fetching a block from the gateway';

/** `get` @throws RelaymintError CONTENT_NOT_FOUND, CONTENT_CORRUPT, LIMIT_EXCEEDED, CONNECTION_LOST (it does not answer, or with an error), ABORTED. */
export function trustlessGateway({ url, fetch, retry = RETRY }: TrustlessOptions): BlockReader {
  const base = baseOf(url);
  return {
    async get(cid, { signal } = {}) {
      const address = `${base}/ipfs/${checkCarried(cid).toString()}?format=raw`;
      for (let tries = 1; ; tries += 1) {
        assertNotAborted(signal, FETCHING);
        try {
          return await fetchBlock(fetch, address, cid, signal);
        } catch (error) {
          assertNotAborted(signal, FETCHING);
          if (!(error instanceof Busy) || tries === TRIES) throw error instanceof Busy ? error.told : error;
          const millis = Math.min(retry.last, Math.max(error.afterMillis, backoff(tries, retry)));
          await pause(millis, signal ?? new AbortController().signal, FETCHING);
        }
      }
    },
  };
}

/** A failure that another try may not have. */
class Busy extends Error {
  readonly told: RelaymintError;
  readonly afterMillis: number;

  constructor(told: RelaymintError, afterMillis: number) {
    super(told.message, { cause: told });
    this.told = told;
    this.afterMillis = afterMillis;
  }
}

async function fetchBlock(
  fetch: typeof globalThis.fetch,
  address: string,
  cid: CID,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  using limit = deadline(BLOCK_WAIT_MILLIS, FETCHING, signal);
  const response = await orBusy(limit.signal, () =>
    fetch(address, { headers: { Accept: RAW }, redirect: 'manual', signal: limit.signal }),
  );
  if (response.status !== 200) {
    // That the rest did not end well changes nothing about the refusal.
    await response.body?.cancel().catch(() => undefined);
    throw refusalOf(response, cid);
  }
  const block = await orBusy(limit.signal, () => bodyOf(response));
  verifyBlock(cid, block);
  return block;
}

/** @throws Busy when the connection failed, broke off or took too long; RelaymintError POLICY_REFUSED, LIMIT_EXCEEDED. */
async function orBusy<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isRelaymintError(error, 'LIMIT_EXCEEDED', 'POLICY_REFUSED')) throw error;
    const cause = signal.aborted ? abortError(signal, FETCHING) : error;
    throw new Busy(failed(messageOf(cause).replace(/\.$/, ''), cause), 0);
  }
}

/** @throws RelaymintError LIMIT_EXCEEDED as soon as it is too long. */
async function bodyOf(response: Response): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  // The library's types know only what browsers have.
  for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    length += part.length;
    checkBlockLength(length);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function refusalOf(response: Response, cid: CID): Error {
  const { status, headers } = response;
  if (MISSING.includes(status)) return blockMissing(cid);
  const told = failed(`it answered with the status ${status}`);
  const seconds = Number(headers.get('retry-after') ?? 0);
  return BUSY.includes(status) ? new Busy(told, Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 0) : told;
}

function failed(why: string, cause?: unknown): RelaymintError {
  return new RelaymintError('CONNECTION_LOST', `The gateway does not deliver: ${why}.`, {
    remedy: 'Give another one with --from, or try again: what came is kept for a day.',
    cause,
  });
}

/** @throws RelaymintError INVALID_ARGUMENT */
function baseOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const isPlain = parsed?.search === '' && parsed.hash === '' && parsed.username === '' && parsed.password === '';
  if (parsed !== undefined && isPlain && (parsed.protocol === 'https:' || parsed.protocol === 'http:')) {
    return parsed.href.replace(/\/+$/, '');
  }
  throw new RelaymintError('INVALID_ARGUMENT', 'The address of the gateway is none.', {
    remedy: 'Give where its paths begin, for example https://gateway.example: "/ipfs/" follows.',
  });
}
