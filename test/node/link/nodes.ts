/** Real nodes for tests: identities, signed offers and link managers over loopback TCP or one process's memory. */
import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { silentLog, systemClock } from '../../../core/ports.ts';
import { ledgerAddress } from '../../../core/ids.ts';
import { pricePerMiB, unixMillis } from '../../../core/units.ts';
import { signOffer, type OfferFields, type SignedOffer } from '../../../node/offer/index.ts';
import { walletBindingMessage } from '../../../platform/keys/binding.ts';
import { identityFromSeed, type NodeIdentity } from '../../../platform/keys/identity.ts';
import { createLinkManager, type Link, type LinkManager, type LinkManagerOptions } from '../../../node/link/index.ts';
import {
  createMemoryNetwork,
  createMemoryTransport,
  createPolicy,
  createTcpTransport,
  type MemoryNetwork,
  type Policy,
  type Transport,
} from '../../../node/transport/index.ts';
import { memoryPair } from '../../../node/transport/memory.ts';

export interface TestNode {
  readonly identity: NodeIdentity;
  readonly links: LinkManager;
  readonly policy: Policy;
  readonly addresses: string[];
}

export type TestTransport = 'tcp' | 'memory';

export interface NodeOptions extends Partial<LinkManagerOptions> {
  readonly transport?: TestTransport;
  /** Where it listens. Default: somewhere free on that transport. */
  readonly address?: string;
  /** What happens to every connection this node dials. */
  readonly wire?: Wire;
}

/** The wire of a dialled connection, for faults that no node commits by itself. */
export class Wire {
  readonly #ends: Duplex[] = [];
  #frozen = false;
  #chunks = 0;
  #onChunk: (() => void) | undefined;

  /** Resolves once so many more chunks have gone by, in either direction. */
  passed(chunks: number): Promise<void> {
    const enough = this.#chunks + chunks;
    return new Promise((resolve) => {
      this.#onChunk = () => {
        if (this.#chunks >= enough) resolve();
      };
    });
  }

  /** The connection is gone at once, without a farewell: what a killed process leaves behind. */
  cut(): void {
    for (const end of this.#ends.splice(0)) end.destroy();
  }

  /** Nothing arrives any more, either way, and nobody is told: a pulled plug. */
  freeze(): void {
    this.#frozen = true;
  }

  lead(transport: Transport): Transport {
    return {
      ...transport,
      dial: async (address, options) => {
        const far = await transport.dial(address, options);
        const [near, middle] = memoryPair();
        this.#ends.push(near, middle, far);
        for (const [from, to] of [
          [middle, far],
          [far, middle],
        ] as const) {
          from.on('data', (chunk: Buffer) => {
            if (this.#frozen) return;
            this.#chunks += 1;
            this.#onChunk?.();
            to.write(chunk);
          });
          from.on('end', () => to.end());
          from.on('close', () => {
            if (!this.#frozen) to.destroy();
          });
        }
        return near;
      },
    };
  }
}

/** A set of nodes that can reach each other; close() ends them all. */
export class TestNodes {
  readonly network: MemoryNetwork = createMemoryNetwork();
  readonly #nodes: TestNode[] = [];
  #names = 0;

  async start({ transport = 'tcp', address, wire, ...options }: NodeOptions = {}): Promise<TestNode> {
    const identity = options.identity ?? newIdentity();
    const transports = [createTcpTransport(), createMemoryTransport(this.network)];
    const policy = createPolicy({
      transports: wire === undefined ? transports : transports.map((plain) => wire.lead(plain)),
      outbound: 'loopback',
    });
    const links = createLinkManager({ identity, policy, clock: systemClock, log: silentLog, ...options });
    this.#names += 1;
    const free = transport === 'tcp' ? '/ip4/127.0.0.1/tcp/0' : `/memory/node-${this.#names}`;
    const node = { identity, links, policy, addresses: await links.listen([address ?? free]) };
    this.#nodes.push(node);
    return node;
  }

  /** Two nodes and both ends of the link between them. */
  async pair(options: NodeOptions = {}): Promise<{ near: Link; far: Link; dialer: TestNode; listener: TestNode }> {
    const { wire: _dialersOnly, ...listening } = options;
    const dialer = await this.start(options);
    const listener = await this.start(listening);
    const { near, far } = await linkBetween(dialer, listener);
    return { near, far, dialer, listener };
  }

  async close(): Promise<void> {
    await Promise.all(this.#nodes.splice(0).map((node) => node.links.close()));
  }
}

export async function linkBetween(dialer: TestNode, listener: TestNode): Promise<{ near: Link; far: Link }> {
  const arrived = nextLink(listener.links);
  const near = await dialer.links.connect(listener.identity.nodeId, listener.addresses);
  return { near, far: await arrived };
}

export function nextLink(links: LinkManager): Promise<Link> {
  return new Promise((resolve) => {
    const stop = links.onLink((link) => {
      stop();
      resolve(link);
    });
  });
}

export function newIdentity(): NodeIdentity {
  return identityFromSeed(randomBytes(32));
}

/** Two identities, the one with the smaller node id first: that one decides between connections. */
export function orderedIdentities(): [NodeIdentity, NodeIdentity] {
  const [a, b] = [newIdentity(), newIdentity()];
  return a.nodeId < b.nodeId ? [a, b] : [b, a];
}

/** An offer of `identity`, valid for an hour; any field can be replaced. */
export function offerOf(identity: NodeIdentity, changes: Partial<OfferFields> = {}): SignedOffer {
  const wallet = newIdentity();
  return signOffer(
    {
      onionKey: new Uint8Array(32).fill(9),
      wallet: ledgerAddress(wallet.publicKey),
      walletBinding: wallet.sign(walletBindingMessage(identity.nodeId)),
      addresses: ['/ip4/127.0.0.1/tcp/4001'],
      services: [{ name: 'relay', price: pricePerMiB(1000n) }],
      sequence: 1n,
      expires: unixMillis(Date.now() + 3_600_000),
      ...changes,
    },
    identity,
  );
}

/** What `action` threw, undefined when nothing. */
export function thrownBy(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}
