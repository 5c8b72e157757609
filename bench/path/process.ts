/** A process of a row, as the benchmark sees it. */
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { onAbort } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';
import { NODE_FLAGS } from '../../app/market/process.ts';
import { profileArgs } from '../profile.ts';
import type { CommandArgs, CommandName, CommandResult, PeerConfig, Question, Where, Word } from './protocol.ts';

const ENTRY = fileURLToPath(new URL('./peer.js', import.meta.url));
const STOP_MILLIS = 10_000;

interface Waiting {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** A peer in a process. */
export interface AskedPeer {
  /** Resolves once it can be used. @throws RelaymintError INTERNAL when its process ended, ABORTED. */
  where(): Promise<Where>;
  /** @throws RelaymintError INTERNAL (it failed at that, or ended), ABORTED. */
  ask<Name extends CommandName>(command: Name, ...args: CommandArgs<Name>): Promise<CommandResult<Name>>;
}

export class PeerProcess implements AsyncDisposable {
  readonly label: string;
  readonly #child: ChildProcess;
  readonly #tie: Disposable;
  readonly #exited: Promise<void>;
  readonly #waiting = new Map<number, Waiting>();
  readonly #ready: Promise<readonly Where[]>;
  #settleReady: Waiting | undefined;
  #newest = 0;
  #over: unknown;

  /** Starts it; `label` names it in errors. Aborting the signal fails whatever is asked of it. */
  constructor(label: string, config: PeerConfig, signal: AbortSignal) {
    this.label = label;
    this.#ready = new Promise((resolve, reject) => {
      this.#settleReady = { resolve: (value) => resolve(value as readonly Where[]), reject };
    });
    this.#ready.catch(() => {});
    this.#child = fork(ENTRY, [JSON.stringify(config)], {
      execArgv: [...NODE_FLAGS, ...profileArgs(label)],
      // A group of its own: Ctrl-C reaches the benchmark, which ends its processes. stdout belongs to the benchmark.
      detached: true,
      stdio: ['ignore', 2, 2, 'ipc'],
    });
    this.#exited = new Promise((resolve) => {
      this.#child.once('exit', (code, killedBy) => {
        this.#fail(failure(this.label, `ended with ${killedBy ?? `exit code ${code}`}`));
        resolve();
      });
      this.#child.once('error', (cause) => {
        this.#fail(failure(this.label, `could not be started: ${cause.message}`));
        resolve();
      });
    });
    this.#child.on('message', (word) => this.#onWord(word as Word));
    this.#tie = onAbort(signal, () => this.#fail(signal.reason));
  }

  /** One of the peers in it. */
  peer(index: number): AskedPeer {
    return {
      where: async () => {
        const where = (await this.#ready)[index];
        if (where === undefined) throw new TypeError(`${this.label} has no peer ${index}`);
        return where;
      },
      ask: (command, ...args) => this.#ask(index, command, args),
    };
  }

  #ask<Name extends CommandName>(peer: number, command: Name, args: CommandArgs<Name>): Promise<CommandResult<Name>> {
    return new Promise((resolve, reject) => {
      if (this.#over !== undefined) {
        reject(this.#over);
        return;
      }
      this.#newest += 1;
      const question: Question = { id: this.#newest, peer, command, args };
      this.#waiting.set(question.id, { resolve: (value) => resolve(value as CommandResult<Name>), reject });
      this.#child.send(question, () => {
        // What cannot be sent is answered by 'exit'.
      });
    });
  }

  /** Closes its channel, on which it ends; by force when it does not within 10 s. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#tie[Symbol.dispose]();
    if (this.#child.connected) this.#child.disconnect();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MILLIS);
    await this.#exited;
    clearTimeout(timer);
  }

  #onWord(word: Word): void {
    if (word.type === 'ready') {
      this.#settleReady?.resolve(word.where);
      return;
    }
    const waiting = this.#waiting.get(word.id);
    this.#waiting.delete(word.id);
    if (word.type === 'answer') waiting?.resolve(word.value);
    else waiting?.reject(failure(this.label, `failed: ${word.error}`));
  }

  #fail(error: unknown): void {
    this.#over ??= error;
    this.#settleReady?.reject(error);
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
  }
}

function failure(label: string, what: string): RelaymintError {
  return new RelaymintError('INTERNAL', `The benchmark's process ${label} ${what}.`);
}
