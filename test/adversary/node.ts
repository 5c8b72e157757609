/** The nodes of a play, each with taps on its links: honest as they are, or with a bend in them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NodeId } from '../../core/ids.ts';
import { pricePerMiB } from '../../core/units.ts';
import {
  keysOf,
  openBareNode as openPlain,
  openNode,
  type BareNode as PlainNode,
  type Ground,
  type NodeParts,
  type TestNode,
  type Wares,
} from '../node/node.ts';
import { FEE, type Purse } from '../node/paper.ts';
import { serveSink, serveSource } from '../pattern.ts';
import type { Seed } from './seed.ts';
import { LinkTap } from './tap.ts';
import type { Bend } from './tap.ts';

export { hashOf, patternHash, u32 } from '../pattern.ts';

/** What a relay asks for itself, base units per MiB: the default of `relaymint relay`. */
export const PRICE = 10_000n;
/** What a till asks for the opening by default: one MiB of a circuit whose hops all ask the same. */
export const OPENING: bigint = 4n * PRICE;
export const DEPOSIT = 1_000_000n;

export interface NodeSettings extends Wares, Partial<Pick<NodeParts, 'deposit' | 'topUp' | 'nets' | 'timing'>> {
  /** Bends every link. */
  readonly bend?: Bend;
  /** Whose wallet pays and earns; a new one when absent. */
  readonly purse?: Purse;
}

/** Links, keys and an offer: all that a peer needs to speak the protocol by hand. */
export interface BareNode extends PlainNode {
  /** Every link it ever had, in order. */
  readonly taps: readonly LinkTap[];
  tapOf(peer: NodeId): LinkTap | undefined;
  /** Runs for each link when it opens, before any frame. */
  onTap: (tap: LinkTap) => void;
}

export type PlayNode = BareNode & TestNode;

/** No meter and no circuits: the links carry only what is written by hand. */
export async function openBareNode(ground: Ground, seed: Seed, settings: NodeSettings): Promise<BareNode> {
  const keys = keysOf(() => seed.next(), ground.ledger, settings.purse);
  const taps: LinkTap[] = [];
  const node: BareNode = Object.assign(await openPlain(ground, keys, settings), {
    taps,
    tapOf: (peer: NodeId) => taps.findLast((tap) => tap.peer === peer),
    onTap: () => {},
  });
  node.links.onLink((link) => {
    const tap = new LinkTap(link, settings.bend);
    taps.push(tap);
    node.onTap(tap);
  });
  return node;
}

export async function openPlayNode(ground: Ground, seed: Seed, settings: NodeSettings): Promise<PlayNode> {
  const bare = await openBareNode(ground, seed, settings);
  const books = await mkdtemp(join(tmpdir(), 'relaymint-adversary-'));
  const paying = { deposit: DEPOSIT, opening: OPENING, openingCost: OPENING + FEE, nets: false };
  const node = await openNode(ground, bare, { ...paying, ...settings, books });
  for (const [name, price] of Object.entries(settings.services ?? {})) {
    // Every service but `source` takes what it is sent.
    node.endpoint.register(name, { price: pricePerMiB(price) }, name === 'source' ? serveSource : serveSink);
  }
  const close = node.close.bind(node);
  node.close = async () => {
    await close();
    await rm(books, { recursive: true, force: true });
  };
  return node;
}
