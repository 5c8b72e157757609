/** The nodes whose data folders are in one folder: reads their figures and sends them commands. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { deadline, orAborted } from '../../core/abort.ts';
import { RelaymintError, messageOf } from '../../core/errors.ts';
import type { MarketSettled } from '../../sites/gateway/index.ts';
import {
  callControl,
  readControlFile,
  type ControlQuestion,
  type ControlResults,
  type NodeStats,
} from '../control/index.ts';
import { Glance, type RunningNode } from '../node/index.ts';

/** A node is asked at most this often for its figures, milliseconds. */
const STATS_MILLIS = 500;
/** A node whose last answer is older is down, or hangs, milliseconds. */
const GONE_MILLIS = 3000;
/** A settlement is final after 13 seconds, and a person does not wait for ever, milliseconds. */
const SETTLE_MILLIS = 60_000;

type Caller = Pick<RunningNode, 'policy'>;

export class WatchedNodes {
  readonly #caller: Caller;
  readonly #root: string;
  /** By folder. */
  readonly #figures = new Map<string, Glance<NodeStats>>();
  #settling: Promise<MarketSettled> | undefined;

  constructor(caller: Caller, root: string) {
    this.#caller = caller;
    this.#root = root;
  }

  /** Figures of the nodes that answer within this many milliseconds. */
  async stats(millis: number): Promise<NodeStats[]> {
    const folders = await this.#folders();
    for (const folder of this.#figures.keys()) if (!folders.includes(folder)) this.#figures.delete(folder);
    const seen = await Promise.all(folders.map((folder) => this.#figuresOf(folder).within(millis)));
    const since = Date.now() - GONE_MILLIS;
    return seen.flatMap((figures) => (figures === undefined || figures.at < since ? [] : [figures.value]));
  }

  /**
   * Makes every node sign for what it owes and settle what it holds, whatever that is worth; calls while it is under way get the
   * same answer. @throws RelaymintError of a node that could not settle, when none could; TIMEOUT after a minute, and the nodes go on.
   */
  async settle(): Promise<MarketSettled> {
    this.#settling ??= this.#settleAll().finally(() => {
      this.#settling = undefined;
    });
    using limit = deadline(SETTLE_MILLIS, 'Settling');
    return await orAborted(this.#settling, limit.signal, 'Settling');
  }

  async #settleAll(): Promise<MarketSettled> {
    const folders = await this.#folders();
    await Promise.allSettled(folders.map((folder) => this.#call(folder, 'flush')));
    const answers = await Promise.allSettled(folders.map((folder) => this.#call(folder, 'settle')));
    const settled = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
    // A folder without a running node has no control file, and nothing to settle.
    const failures = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason as unknown] : []));
    const failed = failures.filter(
      (failure) => !(failure instanceof RelaymintError && failure.code === 'FILE_NOT_FOUND'),
    );
    if (settled.length === 0 && failed.length > 0) {
      throw new RelaymintError('LEDGER_UNREACHABLE', `Nothing was settled: ${messageOf(failed[0])}`, {
        cause: failed[0],
      });
    }
    return {
      transactions: settled.reduce((sum, { transactions }) => sum + transactions, 0),
      receipts: settled.reduce((sum, { receipts }) => sum + receipts, 0),
      failed: failed.length,
    };
  }

  #figuresOf(folder: string): Glance<NodeStats> {
    const known = this.#figures.get(folder) ?? new Glance(() => this.#call(folder, 'stats'), STATS_MILLIS);
    this.#figures.set(folder, known);
    return known;
  }

  async #call<C extends ControlQuestion>(folder: string, call: C): Promise<ControlResults[C]> {
    const control = await readControlFile(path.join(this.#root, folder));
    return callControl(this.#caller.policy.fetch('control'), control, call);
  }

  async #folders(): Promise<string[]> {
    const entries = await readdir(this.#root, { withFileTypes: true }).catch(() => []);
    return entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  }
}
