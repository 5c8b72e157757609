/** An attempt to reach a peer, shared by everybody who wants that link. */
import { RelaymintError } from '../../core/errors.ts';
import { shortId, type NodeId } from '../../core/ids.ts';
import { abortError, onAbort } from '../../core/abort.ts';
import type { Link } from './contract.ts';

interface Waiter {
  readonly resolve: (link: Link) => void;
  readonly reject: (error: RelaymintError) => void;
}

/** Failures that say little about the peer, if another address failed with more. */
const LOCAL_FAILURES: readonly string[] = ['ADDRESS_UNSUPPORTED', 'POLICY_REFUSED'];

export class Dial {
  readonly #peer: NodeId;
  readonly #controller = new AbortController();
  readonly #waiters = new Set<Waiter>();
  #settled = false;

  constructor(peer: NodeId) {
    this.#peer = peer;
  }

  /** Aborted once the dial has settled. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** The dial goes on until the last caller that waits for it gives up. */
  wait(signal: AbortSignal | undefined): Promise<Link> {
    return new Promise((resolve, reject) => {
      let tie: Disposable | undefined = undefined;
      const done = (): void => {
        this.#waiters.delete(waiter);
        tie?.[Symbol.dispose]();
      };
      const waiter: Waiter = {
        resolve: (link) => {
          done();
          resolve(link);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      };
      const giveUp = (): void => {
        if (signal === undefined) return;
        const error = abortError(signal, `Connecting to ${shortId(this.#peer)}`);
        waiter.reject(error);
        if (this.#waiters.size === 0) this.fail(error);
      };
      this.#waiters.add(waiter);
      tie = onAbort(signal, giveUp);
    });
  }

  succeed(link: Link): void {
    if (!this.#settle()) return;
    for (const waiter of this.#waiters) waiter.resolve(link);
  }

  fail(error: RelaymintError): void {
    if (!this.#settle(error)) return;
    for (const waiter of this.#waiters) waiter.reject(error);
  }

  #settle(reason?: RelaymintError): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.#controller.abort(reason ?? new RelaymintError('CLOSED', 'Another connection became the link.'));
    return true;
  }
}

/** One error for all the addresses that failed, with the code of the one that says most. */
export function dialError(
  peer: NodeId,
  failures: readonly { readonly address: string; readonly error: RelaymintError }[],
): RelaymintError {
  const last = failures.findLast(({ error }) => !LOCAL_FAILURES.includes(error.code)) ?? failures.at(-1);
  if (last === undefined) {
    return new RelaymintError('ADDRESS_UNSUPPORTED', `No address of node ${shortId(peer)} is known.`, {
      remedy: 'Get its offer, or give its address as NODEID@MULTIADDR.',
    });
  }
  if (failures.length === 1) return last.error;
  const each = failures.map(({ address, error }) => `${address}: ${error.message}`).join(' ');
  return new RelaymintError(last.error.code, `Node ${shortId(peer)} cannot be reached at any address. ${each}`, {
    cause: last.error,
  });
}
