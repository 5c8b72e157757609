/** How a long-running command ends: on SIGINT, SIGTERM, with its terminal, or when the process that started it is gone. */
import { onAbort } from '../core/abort.ts';
import { RelaymintError } from '../core/errors.ts';

/** Set by the marketplace for its children: standard input is a pipe whose end means that the parent died. */
export const ATTACHED = 'RELAYMINT_ATTACHED';

/** SIGHUP comes when the terminal is closed, also under nohup: Node does not keep it ignored. */
const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

export interface Lifecycle extends Disposable {
  /** Aborted when the command should finish; the reason is a RelaymintError ABORTED naming the cause. */
  readonly signal: AbortSignal;
  /** Resolves when the command should finish. */
  readonly ended: Promise<void>;
  /** Ends it from inside. */
  end(why: string): void;
  /** `say`: what a second signal leaves undone, for the terminal. */
  leaves(say: () => string): void;
}

/** A first signal ends the command cleanly, a second one at once (exit code 130), saying on stderr what is left. */
export function watchLifecycle(): Lifecycle {
  const controller = new AbortController();
  const end = (why: string): void => {
    if (!controller.signal.aborted) controller.abort(new RelaymintError('ABORTED', `Stopped: ${why}.`));
  };
  let left: (() => string) | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (controller.signal.aborted) {
      if (left !== undefined) process.stderr.write(`relaymint: ${left()}\n`);
      process.exit(130);
    }
    end(`received ${signal}`);
  };
  const onParentGone = (): void => end('the parent process is gone');
  for (const signal of SIGNALS) process.on(signal, onSignal);
  const attached = process.env[ATTACHED] === '1';
  if (attached) {
    process.stdin.on('end', onParentGone).on('error', onParentGone);
    process.stdin.resume();
  }
  return {
    signal: controller.signal,
    ended: new Promise((resolve) => {
      onAbort(controller.signal, resolve);
    }),
    end,
    leaves: (say) => {
      left = say;
    },
    [Symbol.dispose]() {
      for (const signal of SIGNALS) process.off(signal, onSignal);
      if (attached) {
        process.stdin.off('end', onParentGone).off('error', onParentGone);
        process.stdin.pause();
        process.stdin.unref?.();
      }
    },
  };
}
