/** Whether another host delivers what a name points to now: an offer names names, not what they point to, and may be old or a lie. */
import type { CID } from 'multiformats/cid';
import { backoff, type Backoff } from '../../core/backoff.ts';
import type { NodeId } from '../../core/ids.ts';
import type { Clock } from '../../core/ports.ts';
import { challenge } from '../../sites/keeping/index.ts';
import type { RunningNode } from '../node/index.ts';
import { HostLine } from './host-line.ts';
import { isLeaving, keepersOf } from './keepers.ts';

export interface KeptElsewhereOptions {
  readonly node: RunningNode;
  readonly clock: Clock;
}

/** What a name points to now: without each of these blocks, nothing of it opens. */
export interface CurrentContent {
  readonly name: string;
  readonly blocks: readonly CID[];
}

/** When to ask again, by the clock, after so many failures. */
interface Pause {
  readonly until: number;
  readonly failures: number;
}

/** What is known of a name, for as long as it points to the same. */
interface Known {
  readonly what: string;
  /** Hosts that delivered it. */
  readonly delivered: Set<NodeId>;
  readonly lacking: Map<NodeId, Pause>;
}

/** A host may be brought what it lacks, and one that is away may come back. */
const PAUSES: Backoff = { first: 5 * 60_000, last: 60 * 60_000 };
/** How long a host has to deliver, and after how long a look asks no more: the next one goes on. Milliseconds. */
const WAIT_MILLIS = 30_000;
const LOOK_MILLIS = 30_000;

export class KeptElsewhere {
  readonly #options: KeptElsewhereOptions;
  readonly #known = new Map<string, Known>();
  readonly #silent = new Map<NodeId, Pause>();

  constructor(options: KeptElsewhereOptions) {
    this.#options = options;
  }

  /** Forgets all names but these. */
  retain(names: ReadonlySet<string>): void {
    for (const name of this.#known.keys()) if (!names.has(name)) this.#known.delete(name);
  }

  /**
   * Those of the names that a host that stays has delivered. Each is paid for its blocks once, and again only when the name points
   * elsewhere. What cannot be asked now does not count as kept.
   * @throws RelaymintError ABORTED
   */
  async of(contents: readonly CurrentContent[], signal: AbortSignal): Promise<ReadonlySet<string>> {
    const end = performance.now() + LOOK_MILLIS;
    const kept = new Set<string>();
    for (const content of contents) {
      if (await this.#isKept(content, end, signal)) kept.add(content.name);
    }
    return kept;
  }

  async #isKept(content: CurrentContent, end: number, signal: AbortSignal): Promise<boolean> {
    const { delivered, lacking } = this.#knownOf(content);
    const claiming = this.#claiming(content.name);
    for (const host of delivered) if (!claiming.includes(host)) delivered.delete(host);
    for (const host of lacking.keys()) if (!claiming.includes(host)) lacking.delete(host);
    if (delivered.size > 0) return true;
    for (const host of claiming) {
      if (performance.now() >= end) return false;
      if (this.#isResting(lacking.get(host)) || this.#isResting(this.#silent.get(host))) continue;
      const result = await this.#ask(host, content, signal);
      if (result === 'silent') {
        this.#silent.set(host, this.#longer(this.#silent.get(host)));
        continue;
      }
      this.#silent.delete(host);
      if (result === 'keeps') {
        delivered.add(host);
        return true;
      }
      lacking.set(host, this.#longer(lacking.get(host)));
    }
    return false;
  }

  #knownOf({ name, blocks }: CurrentContent): Known {
    const what = blocks.join(' ');
    const known = this.#known.get(name);
    if (known?.what === what) return known;
    const fresh = { what, delivered: new Set<NodeId>(), lacking: new Map<NodeId, Pause>() };
    this.#known.set(name, fresh);
    return fresh;
  }

  /** Others that say they keep the name, and stay. */
  #claiming(name: string): readonly NodeId[] {
    const { discovery, keys } = this.#options.node;
    const others = keepersOf(discovery.book, name).filter((host) => host !== keys.identity.nodeId);
    return others.filter((host) => !isLeaving(discovery.book, host));
  }

  /** As a visitor does; both are hosts, which anybody may see talk: no relays. */
  async #ask(host: NodeId, { name, blocks }: CurrentContent, signal: AbortSignal) {
    const { node } = this.#options;
    await using line = new HostLine(node, { host, name, relays: 0 });
    const { result, why } = await challenge({ host: line, blocks, waitMillis: WAIT_MILLIS, signal });
    if (why !== undefined)
      node.settings.log.debug({ host, name, result, err: why }, 'another host was asked for a name');
    return result;
  }

  #isResting(pause: Pause | undefined): boolean {
    return pause !== undefined && this.#options.clock.now() < pause.until;
  }

  #longer(pause: Pause | undefined): Pause {
    const failures = (pause?.failures ?? 0) + 1;
    return { failures, until: this.#options.clock.now() + backoff(failures, PAUSES) };
  }
}
