/** Waits a little for hosts to be known: right after a start a node, or whom it asks for offers, may not have heard of any yet. */
import { assertNotAborted, deadline, elapsed } from '../../core/abort.ts';
import { TokenBucket } from '../../core/rate.ts';
import type { RunningNode } from '../node/index.ts';

export interface HostsAwaited {
  /** How long is waited for a first host at most, and how often is asked meanwhile, milliseconds. */
  readonly waitMillis: number;
  readonly askMillis: number;
}

/** Hosts tell of themselves within seconds (REDIAL_LAST_MILLIS of node/discovery): who waits for that is spared an error. */
const USUAL: HostsAwaited = { waitMillis: 15_000, askMillis: 2_000 };

const ASKING = 'Asking for offers';

/**
 * Resolves at once where `areKnown`, and else once they are, or nothing came of it in time. All who wait on one of these share its
 * questions. @throws the signal's reason.
 */
export function awaitHosts(
  discovery: Pick<RunningNode['discovery'], 'refresh'>,
  areKnown: () => boolean,
  { waitMillis, askMillis }: HostsAwaited = USUAL,
): (signal: AbortSignal) => Promise<void> {
  const questions = new TokenBucket(1000 / askMillis, () => performance.now(), 1);
  return async (signal) => {
    using limit = deadline(waitMillis, ASKING, signal);
    while (!areKnown() && (await elapsed(askMillis, limit.signal))) {
      if (questions.take()) await discovery.refresh(limit.signal).catch(() => undefined);
    }
    assertNotAborted(signal, ASKING);
  };
}
