/** Chooses hosts for a site and keeps circuits to them: what the gateway's content source asks for. */
import { RelaymintError, isRelaymintError, messageOf } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { MAX_BLOCK_BYTES } from '../../core/limits.ts';
import { MIB, amount, type Amount, type PricePerMiB } from '../../core/units.ts';
import type { Budget } from '../../ledger/budget/index.ts';
import { CONTENT_SERVICE } from '../../sites/blocks/index.ts';
import type { ContentRoute, ContentSourceOptions } from '../../sites/serve/index.ts';
import { type Circuit } from '../../node/circuit/index.ts';
import { TokenBucket } from '../../core/rate.ts';
import { SiteHosts } from './hosts.ts';
import type { RunningNode } from '../node/index.ts';
import { createCircuitPool, type CircuitPool, type CircuitPoolSettings } from '../../node/tunnel/index.ts';

export interface Routes extends AsyncDisposable {
  readonly route: ContentSourceOptions['route'];
  /** A host failed to deliver this name: it is asked later, or not again. */
  readonly failed: (host: NodeId, error: RelaymintError, name: string) => void;
  /** Ready circuits over all hosts. */
  readonly circuits: number;
}

export interface RoutesOptions {
  readonly node: RunningNode;
  /** Paid relays in front of the host, 0 .. MAX_RELAYS. */
  readonly hops: number;
  readonly pool?: CircuitPoolSettings;
}

/** What a block may come to on its circuit: itself, and a sixteenth for cells, layers and the request. */
const MAX_BLOCK_FRAMES = (MAX_BLOCK_BYTES / 16) * 17;
/** Hosts tried for one visitor. */
const MAX_HOSTS_TRIED = 16;
/** Hosts to which circuits are kept; the least recently used pool is closed for a new one. */
const MAX_POOLS = 32;
/**
 * Rounds of questions for offers because nobody is known who keeps a site: at once, and how long each takes to be allowed again,
 * milliseconds. Peers tell a whole book of offers only so often (OFFER_BYTES_PER_SECOND).
 */
const ROUNDS_AT_ONCE = 4;
const ROUND_REST_MILLIS = 15_000;

export function createRoutes(options: RoutesOptions): Routes {
  const { node, hops } = options;
  const { book } = node.discovery;
  const pools = new Map<NodeId, CircuitPool>();

  const poolOf = (host: NodeId): CircuitPool => {
    const known = pools.get(host);
    pools.delete(host);
    const pool =
      known ??
      createCircuitPool({
        endpoint: node.circuits,
        nodeId: node.keys.identity.nodeId,
        offers: book,
        guards: node.guards,
        service: CONTENT_SERVICE,
        target: host,
        ...(node.settings.maxPrice === undefined ? {} : { maxPrice: node.settings.maxPrice }),
        ...(options.pool === undefined ? {} : { settings: options.pool }),
        log: node.settings.log,
      });
    pools.set(host, pool);
    const [oldest] = pools;
    if (pools.size > MAX_POOLS && oldest !== undefined) {
      pools.delete(oldest[0]);
      oldest[1].close().catch((error: unknown) => {
        node.settings.log.warn({ error: messageOf(error) }, 'closing an idle pool of circuits failed');
      });
    }
    return pool;
  };

  const known = new SiteHosts(book);
  const rounds = new TokenBucket(1000 / ROUND_REST_MILLIS, () => performance.now(), ROUNDS_AT_ONCE);
  /** Nobody else is told what a visitor asks for. */
  const hostsOf = async (name: string, avoid: ReadonlySet<NodeId>, signal: AbortSignal): Promise<readonly NodeId[]> => {
    const left = (hosts: readonly NodeId[]): NodeId[] =>
      hosts.filter((host) => !avoid.has(host)).slice(0, MAX_HOSTS_TRIED);
    const hosts = left(known.thatKeep(name));
    if (hosts.length > 0) return hosts;
    // It may have been published since we last asked for offers; that question names no site.
    if (rounds.take()) await node.discovery.refresh(signal);
    const now = left(known.thatKeep(name));
    return now.length > 0 ? now : left(known.thatMayKeep(name));
  };
  const usage = new SiteUsage(node.budget);

  return {
    get circuits() {
      let ready = 0;
      for (const pool of pools.values()) ready += pool.activeDataCircuits().length;
      return ready;
    },
    async route(site, { avoid, signal }): Promise<ContentRoute> {
      const hosts = await hostsOf(site.name, avoid, signal);
      let failure: unknown;
      for (const host of hosts) {
        const pool = poolOf(host);
        try {
          await pool.buildTunnels(hops);
          const circuit = await pool.circuit({ signal });
          const price = pool.priceOf(circuit);
          return {
            host,
            get isOpen() {
              return circuit.isOpen && circuit.acceptsStreams;
            },
            openStream: (service, params, streamOptions) => circuit.openStream(service, params, streamOptions),
            ...(price === undefined ? {} : { begin: () => usage.begin(site.name, circuit, price) }),
          };
        } catch (error) {
          signal.throwIfAborted();
          failure = error;
          if (pool.activeDataCircuits().length === 0 && !isTooDear(error)) {
            known.unreached(host);
            pools.delete(host);
            await pool.close();
          }
        }
      }
      if (isRelaymintError(failure, 'BUDGET_EXHAUSTED', 'PRICE_TOO_HIGH') || isTooDear(failure)) throw failure;
      throw new RelaymintError(
        'NO_ROUTE',
        failure === undefined
          ? `No host is known that says it keeps ${site.name}.`
          : `No way to ${site.name}: ${messageOf(failure)}`,
        {
          remedy: 'Try again shortly; if it stays so, check --bootstrap and that enough relays are up.',
          cause: failure,
        },
      );
    },
    failed: (host, error, name) => known.failed(host, name, error),
    async [Symbol.asyncDispose]() {
      await Promise.all([...pools.values()].map((pool) => pool.close()));
    },
  };
}

/** Paths were known, and each cost more than is allowed. */
function isTooDear(error: unknown): error is RelaymintError {
  return isRelaymintError(error, 'NO_ROUTE') && error.details['limit'] !== undefined;
}

/**
 * Takes what circuits carry out of the budgets of the sites that they carry it for. Sites share circuits: what one carried since
 * it was last looked at is charged to the site whose block has just come, so that every byte is charged to one of them.
 */
export class SiteUsage {
  readonly #budget: Pick<Budget, 'reserveSite'>;
  /** Bytes of a circuit that were charged. */
  readonly #charged = new WeakMap<Pick<Circuit, 'bytes'>, number>();

  constructor(budget: Pick<Budget, 'reserveSite'>) {
    this.#budget = budget;
  }

  /** Before a block is asked for; call what it resolves with when the block came or failed. @throws RelaymintError BUDGET_EXHAUSTED. */
  async begin(site: string, circuit: Pick<Circuit, 'bytes'>, price: PricePerMiB): Promise<() => void> {
    const reservation = await this.#budget.reserveSite(site, costOf(MAX_BLOCK_FRAMES, price));
    return () => {
      const carried = circuit.bytes - (this.#charged.get(circuit) ?? 0);
      this.#charged.set(circuit, circuit.bytes);
      reservation.settle(costOf(carried, price));
    };
  }
}

function costOf(frameBytes: number, price: PricePerMiB): Amount {
  const mib = BigInt(MIB);
  return amount((BigInt(frameBytes) * price + mib - 1n) / mib);
}
