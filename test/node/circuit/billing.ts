/** Who paid whom in a test network, and links on which a peer misbehaves. */
import { STRANGER_WINDOW } from '../../../core/limits.ts';
import { pricePerMiB } from '../../../core/units.ts';
import type { SignedOffer } from '../../../node/offer/index.ts';
import type { FrameType } from '../../../node/link/index.ts';
import type { Link } from '../../../node/link/index.ts';
import { PRICE } from './net.ts';
import type { TestNode } from './net.ts';

/** What a stranger may owe in the test network: a MiB of four hops at PRICE. */
export const WINDOW: bigint = 4n * PRICE * (BigInt(STRANGER_WINDOW) >> 20n);

/** That offer, for somebody who takes its services to cost that much. */
export function believing(offer: SignedOffer, price: bigint): SignedOffer {
  return { ...offer, services: offer.services.map(({ name }) => ({ name, price: pricePerMiB(price) })) };
}

export function linkBetween(from: TestNode, to: TestNode): Link {
  const link = from.links.get(to.id);
  if (link === undefined) throw new Error('no link');
  return link;
}

/** From now on the node says nothing of this type on the link. */
export function silence(link: Link, type: FrameType): void {
  const send = link.sendFrame.bind(link);
  link.sendFrame = (frame, frameType, circuit) => {
    if (frameType !== type) send(frame, frameType, circuit);
  };
}

/** From now on the node keeps back frames of this type, until what is returned is called. */
export function held(link: Link, type: FrameType): () => void {
  const send = link.sendFrame.bind(link);
  const kept: (() => void)[] = [];
  link.sendFrame = (frame, frameType, circuit) => {
    if (frameType === type) kept.push(() => send(frame, frameType, circuit));
    else send(frame, frameType, circuit);
  };
  return () => {
    link.sendFrame = send;
    for (const release of kept) release();
  };
}

/** Whole base units of a numerator. */
export function whole(numerator = 0n): bigint {
  return numerator >> 20n;
}

/** What it signed for, over all its links, base units. */
export function paid(node: TestNode): bigint {
  return sum(node, 'payer');
}

/** What others signed for to it. */
export function earned(node: TestNode): bigint {
  return sum(node, 'payee');
}

function sum(node: TestNode, role: 'payer' | 'payee'): bigint {
  let total = 0n;
  for (const pair of node.book.peers()) if (pair.role === role) total += pair.signed;
  return total;
}
