/** Which nodes a circuit goes through. */
import { randomInt } from 'node:crypto';
import { RelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import type { SignedOffer } from '../discovery/offer.ts';

const RANDOM_STEPS = 2 ** 32;

export interface PathChoice {
  readonly offers: { find(service: string): readonly SignedOffer[] };
  readonly service: string;
  readonly target: NodeId | undefined;
  /** Relays in front of the last hop. */
  readonly relays: number;
  readonly self: NodeId;
  /** Nodes that failed lately: used only when there are not enough others. */
  readonly avoid: ReadonlySet<NodeId>;
  readonly random: () => number;
}

/** 0 <= x < 1, from the system's generator: who is on a path must not be guessable. */
export function secureRandom(): number {
  return randomInt(RANDOM_STEPS) / RANDOM_STEPS;
}

/** Distinct random relays and a last hop. @throws RelaymintError NO_ROUTE. */
export function choosePath(choice: PathChoice): SignedOffer[] {
  const { offers, service, target, relays, self } = choice;
  const hosts = offers
    .find(service)
    .filter(({ nodeId }) => nodeId !== self && (target === undefined || nodeId === target));
  const [host] = preferred(hosts, choice);
  if (host === undefined) {
    const whom = target === undefined ? 'No node' : `The node ${target} is not known to be one that`;
    throw new RelaymintError('NO_ROUTE', `${whom} offers "${service}".`, {
      remedy: 'Wait for discovery, or name a bootstrap peer that knows one.',
    });
  }
  const candidates = offers.find('relay').filter(({ nodeId }) => nodeId !== self && nodeId !== host.nodeId);
  if (candidates.length < relays) {
    throw new RelaymintError('NO_ROUTE', `${relays} relays are wanted and ${candidates.length} are known.`, {
      remedy: 'Ask for fewer relays, or name bootstrap peers that know more.',
      details: { wanted: relays, known: candidates.length },
    });
  }
  return [...preferred(candidates, choice).slice(0, relays), host];
}

/** In random order, those to avoid last. */
function preferred(offers: readonly SignedOffer[], { avoid, random }: PathChoice): SignedOffer[] {
  const shuffled = [...offers];
  for (let last = shuffled.length - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    const [a, b] = [shuffled[last], shuffled[other]];
    if (a !== undefined && b !== undefined) [shuffled[last], shuffled[other]] = [b, a];
  }
  return [
    ...shuffled.filter(({ nodeId }) => !avoid.has(nodeId)),
    ...shuffled.filter(({ nodeId }) => avoid.has(nodeId)),
  ];
}
