/** A host that is asked for blocks of a site, over a circuit that is paid; and several of them, one after the other. */
import type { CID } from 'multiformats/cid';
import { assertNotAborted, deadline } from '../../core/abort.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { MIB, amount, type Amount } from '../../core/units.ts';
import { CONTENT_SERVICE, type BlockReader } from '../../sites/blocks/index.ts';
import { createContentClient, encodeContentParams, type ContentClient } from '../../sites/serve/index.ts';
import type { Circuit } from '../../node/circuit/index.ts';
import type { CircuitPool } from '../../node/tunnel/index.ts';
import type { RunningNode } from '../node/index.ts';
import { poolTo } from './host-circuit.ts';

export interface LineOptions {
  readonly host: NodeId;
  readonly name: string;
  /** Paid relays in front of it. */
  readonly relays: number;
}

/** Opens its circuit when it is first asked. Dispose it: the circuit ends then. */
export class HostLine implements BlockReader, AsyncDisposable {
  readonly host: NodeId;
  readonly #options: LineOptions;
  readonly #pool: CircuitPool;
  readonly #circuits = new Set<Circuit>();
  #client: ContentClient | undefined;
  #opening: Promise<ContentClient> | undefined;

  constructor(node: RunningNode, options: LineOptions) {
    this.host = options.host;
    this.#options = options;
    this.#pool = poolTo(node, options.host, CONTENT_SERVICE);
  }

  /** What its circuits carried so far, base units; without what opening a channel takes. */
  get cost(): Amount {
    let units = 0n;
    for (const circuit of this.#circuits) units += BigInt(circuit.bytes) * (this.#pool.priceOf(circuit) ?? 0n);
    const mib = BigInt(MIB);
    return amount((units + mib - 1n) / mib);
  }

  /** @throws RelaymintError NO_ROUTE, PRICE_TOO_HIGH, .. (no circuit), and what a ContentClient throws. */
  async get(cid: CID, { signal }: { readonly signal?: AbortSignal } = {}): Promise<Uint8Array> {
    const options = signal === undefined ? {} : { signal };
    const client = await this.#open(options);
    return await client.get(cid, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client?.close();
    await this.#pool.close();
  }

  /** A stream for all who ask; another one once it broke. */
  async #open(options: { readonly signal?: AbortSignal }): Promise<ContentClient> {
    if (this.#client?.isOpen === false) {
      this.#client = undefined;
      this.#opening = undefined;
    }
    this.#opening ??= this.#connect(options);
    return await this.#opening;
  }

  async #connect(options: { readonly signal?: AbortSignal }): Promise<ContentClient> {
    try {
      await this.#pool.buildTunnels(this.#options.relays, options);
      const circuit = await this.#pool.circuit(options);
      this.#circuits.add(circuit);
      const params = encodeContentParams({ name: this.#options.name });
      this.#client = createContentClient(await circuit.openStream(CONTENT_SERVICE, params, options));
      return this.#client;
    } catch (error) {
      this.#opening = undefined;
      throw error;
    }
  }

  /** Opens them for all these hosts; disposing the stack ends them. */
  static each(
    node: RunningNode,
    hosts: readonly NodeId[],
    options: Omit<LineOptions, 'host'>,
    stack: AsyncDisposableStack,
  ): readonly HostLine[] {
    return hosts.map((host) => stack.use(new HostLine(node, { ...options, host })));
  }
}

/** A host that takes longer for a block is not asked for the next one, milliseconds: others may have it too. */
const BLOCK_MILLIS = 60_000;

/**
 * Asks one host after the other. One without a block goes on being asked for others; one that fails is not asked again.
 * `get` @throws RelaymintError CONTENT_NOT_FOUND: none of them has it, or is left. ABORTED.
 */
export function fromAnyOf(hosts: readonly BlockReader[]): BlockReader {
  const failed = new Set<BlockReader>();
  const asking = 'Asking hosts for a block';
  return {
    get: async (cid, { signal } = {}) => {
      let cause: unknown;
      for (const host of hosts) {
        if (failed.has(host)) continue;
        using limit = deadline(BLOCK_MILLIS, asking, signal);
        try {
          return await host.get(cid, { signal: limit.signal });
        } catch (error) {
          assertNotAborted(signal, asking);
          if (!(error instanceof RelaymintError)) throw error;
          if (!isRelaymintError(error, 'CONTENT_NOT_FOUND')) failed.add(host);
          cause = error;
        }
      }
      throw new RelaymintError('CONTENT_NOT_FOUND', `No host delivers the block ${cid.toString()}.`, {
        remedy: 'Publish the site again from the folder that it was made of.',
        cause,
      });
    },
  };
}
