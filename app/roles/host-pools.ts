/** The circuits to hosts: a pool for each host that was asked lately. Nobody's pool is taken away while it is used. */
import type { NodeId } from '../../core/ids.ts';
import type { Log } from '../../core/ports.ts';
import type { CircuitPool } from '../../node/tunnel/index.ts';

/** Hosts to which circuits are kept; the least recently used pool that nobody waits for is retired for a new one. */
const MAX_POOLS = 32;

interface Held {
  readonly pool: CircuitPool;
  /** How many wait for a circuit of it. */
  users: number;
}

export class HostPools implements AsyncDisposable {
  readonly #open: (host: NodeId) => CircuitPool;
  readonly #log: Log;
  /** Least recently used first. */
  readonly #pools = new Map<NodeId, Held>();
  /** Their streams go on to their end. */
  readonly #retired = new Set<CircuitPool>();

  constructor(open: (host: NodeId) => CircuitPool, log: Log) {
    this.#open = open;
    this.#log = log;
  }

  /** Circuits that are ready, over all hosts. */
  get ready(): number {
    let ready = 0;
    for (const { pool } of this.#pools.values()) ready += pool.activeDataCircuits().length;
    return ready;
  }

  /** The pool stays until `work` is done with it. Circuits that it gave out go on after that. */
  async use<T>(host: NodeId, work: (pool: CircuitPool) => Promise<T>): Promise<T> {
    const held = this.#pools.get(host) ?? { pool: this.#open(host), users: 0 };
    this.#pools.delete(host);
    this.#pools.set(host, held);
    held.users += 1;
    try {
      return await work(held.pool);
    } finally {
      held.users -= 1;
      this.#makeRoom();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const pools = [...Array.from(this.#pools.values(), ({ pool }) => pool), ...this.#retired];
    this.#pools.clear();
    await Promise.all(pools.map((pool) => pool.close()));
  }

  #makeRoom(): void {
    for (const [host, { pool, users }] of this.#pools) {
      if (this.#pools.size <= MAX_POOLS) return;
      if (users > 0) continue;
      this.#pools.delete(host);
      this.#retired.add(pool);
      pool
        .retire()
        .catch((error: unknown) => this.#log.warn({ err: error }, 'retiring a pool of circuits failed'))
        .finally(() => this.#retired.delete(pool));
    }
  }
}
