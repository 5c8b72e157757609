/** A small network of real nodes for circuit tests: real links over memory or loopback TCP, metered or not. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { expect } from 'vitest';
import { pricePerMiB } from '../../../core/units.ts';
import type { PricePerMiB } from '../../../core/units.ts';
import type { LinkMeter, Metering } from '../../../node/meter/index.ts';
import type { SignedOffer } from '../../../node/offer/index.ts';
import { TestNodes, newIdentity, type TestTransport } from '../link/nodes.ts';
import { keysOf, openBareNode, openNode, type Keys, type NodeParts, type TestNode } from '../node.ts';
import { PaperLedger } from '../paper.ts';
import { serveSink, serveSource } from '../../pattern.ts';

export { hashOf, patternHash, sendPattern, u32 } from '../../pattern.ts';
export type { TestNode } from '../node.ts';

export const PRICE: PricePerMiB = pricePerMiB(1000n);
const USUAL = { relayPrice: PRICE, deposit: 10n ** 12n, openingCost: 100n, nets: true } as const;

/** What it says of itself; the rest is as usual. */
export interface NodeSettings extends Partial<Omit<NodeParts, 'books' | 'metered'>> {
  /** Another node on each link that it dials, as one that sells nothing is. Default false. */
  readonly stranger?: boolean;
}

/** What a node is again after a restart. */
interface Kept {
  readonly settings: NodeSettings;
  readonly keys: Keys;
  readonly books: string;
}

export interface NetSettings {
  readonly transport?: TestTransport;
  readonly metered?: boolean;
}

export class TestNet {
  readonly ledger: PaperLedger = new PaperLedger();
  readonly nodes: TestNode[] = [];
  readonly #settings: Required<NetSettings>;
  readonly #links = new TestNodes();
  readonly #kept = new Map<TestNode, Kept>();

  constructor({ transport = 'memory', metered = false }: NetSettings = {}) {
    this.#settings = { transport, metered };
  }

  async node(settings: NodeSettings = {}): Promise<TestNode> {
    const books = await mkdtemp(join(tmpdir(), 'relaymint-circuit-'));
    return this.#start({ settings, keys: keysOf(() => randomBytes(32), this.ledger), books });
  }

  /** Stops a node and starts it with the same keys and books. */
  async restart(node: TestNode): Promise<TestNode> {
    const kept = this.#kept.get(node);
    if (kept === undefined) throw new TypeError('not a node of this net');
    await node.close();
    return this.#start(kept);
  }

  async #start(kept: Kept): Promise<TestNode> {
    const { settings, keys, books } = kept;
    const { transport, metered } = this.#settings;
    const parts = { ...USUAL, ...settings, metered, books };
    const ground = { nodes: this.#links, ledger: this.ledger };
    const dialAs = settings.stranger === true ? { dialAs: newIdentity } : {};
    const node = await openNode(ground, await openBareNode(ground, keys, parts, { transport, ...dialAs }), parts);
    this.nodes.push(node);
    this.#kept.set(node, kept);
    return node;
  }

  /** A client, `relays` relays and a host that offers `echo` and `sink`. */
  async path(
    relays: number,
    host: NodeSettings = {},
  ): Promise<{ client: TestNode; relays: TestNode[]; host: TestNode; offers: SignedOffer[] }> {
    const client = await this.node({ relayPrice: undefined });
    const hops: TestNode[] = [];
    for (let index = 0; index < relays; index += 1) hops.push(await this.node());
    const last = await this.node({
      relayPrice: undefined,
      services: { echo: PRICE, sink: PRICE, source: PRICE },
      ...host,
    });
    serveEcho(last);
    return { client, relays: hops, host: last, offers: [...hops, last].map((node) => node.offer) };
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.splice(0).map((node) => node.close()));
    for (const { books } of this.#kept.values()) await rm(books, { recursive: true, force: true });
  }
}

/** For `wrapMetering`: shows each meter of a node when its link opens, to be watched or changed. */
export function eachMeter(show: (meter: LinkMeter) => void): (metering: Metering) => Metering {
  return (metering) => {
    const attach = metering.attach.bind(metering);
    metering.attach = (link) => {
      const meter = attach(link);
      show(meter);
      return meter;
    };
    return metering;
  };
}

/** What meters a node attached, the newest last. */
export function watching(): { readonly meters: LinkMeter[]; readonly wrapMetering: (metering: Metering) => Metering } {
  const meters: LinkMeter[] = [];
  return { meters, wrapMetering: eachMeter((meter) => void meters.push(meter)) };
}

/** What a node's meters attribute to each name, bytes. */
export function attributing(): {
  readonly attributed: ReadonlyMap<string, number>;
  readonly wrapMetering: (metering: Metering) => Metering;
} {
  const attributed = new Map<string, number>();
  const wrapMetering = eachMeter((meter) => {
    const attribute = meter.attribute.bind(meter);
    meter.attribute = (shares, bytes, price) => {
      for (const { name } of shares) attributed.set(name, (attributed.get(name) ?? 0) + bytes);
      attribute(shares, bytes, price);
    };
  });
  return { attributed, wrapMetering };
}

/** `echo` returns what it gets; `source` and `sink` are those of the pattern. */
export function serveEcho(node: TestNode): void {
  node.endpoint.register('echo', { price: PRICE }, (stream) => stream.pipe(stream));
  node.endpoint.register('source', { price: PRICE }, serveSource);
  node.endpoint.register('sink', { price: PRICE }, serveSink);
}

export async function readAll(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(stream, 'end');
  return Buffer.concat(chunks);
}

/** Asks again and again until it is so; patient, for a loaded machine. */
export function eventually<T>(read: () => T): ReturnType<typeof expect.poll<T>> {
  return expect.poll(read, { timeout: 30_000, interval: 10 });
}
