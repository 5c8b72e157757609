/** Asks a host for blocks as a visitor does, and says whether it has them. */
import type { CID } from 'multiformats/cid';
import { assertNotAborted, deadline } from '../../core/abort.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import type { BlockReader } from '../blocks/index.ts';
import { inTurns } from '../../core/in-turns.ts';

/** `lacks`: it does not have a block, does not keep the name, or sent something else. `silent`: it did not deliver all in time. */
export type KeepingResult = 'keeps' | 'lacks' | 'silent';

export interface Challenged {
  readonly result: KeepingResult;
  /** Blocks that it was to deliver, that it delivered, and that it said it does not have. */
  readonly asked: number;
  readonly delivered: number;
  readonly missing: number;
  /** Of the blocks. */
  readonly bytes: number;
  /** Until it had answered, or failed. */
  readonly millis: number;
  /** What it did instead of delivering. */
  readonly why?: RelaymintError;
}

export interface ChallengeOptions {
  /** It gives blocks that it has checked against their CIDs. */
  readonly host: BlockReader;
  readonly blocks: readonly CID[];
  /** For all of them together. */
  readonly waitMillis: number;
  readonly signal: AbortSignal;
}

/** Blocks that it is asked for ahead of its answers. */
const AT_ONCE = 4;
const ASKING = 'Asking a host for blocks';

/** Nothing that it says tells it that this is no visitor. @throws RelaymintError ABORTED; whatever the host does is in the result. */
export async function challenge({ host, blocks, waitMillis, signal }: ChallengeOptions): Promise<Challenged> {
  assertNotAborted(signal, ASKING);
  const began = performance.now();
  const seen = { delivered: 0, missing: 0, bytes: 0 };
  let lacking: RelaymintError | undefined;
  let failed: RelaymintError | undefined;
  using limit = deadline(waitMillis, ASKING, signal);
  await inTurns(blocks, AT_ONCE, async (cid) => {
    if (failed !== undefined) return;
    try {
      const block = await host.get(cid, { signal: limit.signal });
      seen.delivered += 1;
      seen.bytes += block.length;
    } catch (error) {
      if (!(error instanceof RelaymintError)) throw error;
      if (isRelaymintError(error, 'CONTENT_NOT_FOUND')) {
        seen.missing += 1;
        lacking ??= error;
      } else failed ??= error;
    }
  });
  assertNotAborted(signal, ASKING);
  const millis = Math.round(performance.now() - began);
  const isFalse = failed !== undefined && isRelaymintError(failed, ...FALSE);
  const result = lacking !== undefined || isFalse ? 'lacks' : failed === undefined ? 'keeps' : 'silent';
  const why = isFalse ? failed : (lacking ?? failed);
  return { result, asked: blocks.length, ...seen, millis, ...(why !== undefined && { why }) };
}

/** What only the host itself can bring about: nobody else can seal its answers. */
const FALSE = ['CONTENT_REFUSED', 'CONTENT_CORRUPT', 'LIMIT_EXCEEDED', 'PROTOCOL_VIOLATION'] as const;
