/** The nodes whose data folders lie in one folder, and what they say of themselves. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import {
  callControl,
  readControlFile,
  type ControlCall,
  type ControlResults,
  type NodeStats,
} from '../control/index.ts';
import { Glance, type RunningNode } from '../node/index.ts';

/** A node is asked at most this often for its figures, milliseconds. */
const STATS_MILLIS = 500;
/** A node whose last word is older is down, or hangs, milliseconds. */
const GONE_MILLIS = 3000;

type Caller = Pick<RunningNode, 'policy'>;

export class WatchedNodes {
  readonly #caller: Caller;
  readonly #root: string;
  /** By folder. */
  readonly #figures = new Map<string, Glance<NodeStats>>();

  constructor(caller: Caller, root: string) {
    this.#caller = caller;
    this.#root = root;
  }

  /** Of those that answer; nobody is waited for longer than so many milliseconds. */
  async stats(millis: number): Promise<NodeStats[]> {
    const folders = await this.#folders();
    for (const folder of this.#figures.keys()) if (!folders.includes(folder)) this.#figures.delete(folder);
    const seen = await Promise.all(folders.map((folder) => this.#figuresOf(folder).within(millis)));
    const since = Date.now() - GONE_MILLIS;
    return seen.flatMap((figures) => (figures === undefined || figures.at < since ? [] : [figures.value]));
  }

  #figuresOf(folder: string): Glance<NodeStats> {
    const known = this.#figures.get(folder) ?? new Glance(() => this.#call(folder, 'stats'), STATS_MILLIS);
    this.#figures.set(folder, known);
    return known;
  }

  async #call<C extends ControlCall>(folder: string, call: C): Promise<ControlResults[C]> {
    const control = await readControlFile(path.join(this.#root, folder));
    return callControl(this.#caller.policy.fetch('control'), control, call);
  }

  async #folders(): Promise<string[]> {
    const entries = await readdir(this.#root, { withFileTypes: true }).catch(() => []);
    return entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  }
}
