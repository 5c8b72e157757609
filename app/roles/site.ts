/** A publisher: a node of somebody who brings a site to hosts. It runs as long as that takes. */
import type { NodeId } from '../../core/ids.ts';
import type { BasisPoints } from '../../core/units.ts';
import { MAX_RELAYS, MAX_REPLICAS } from '../../core/limits.ts';
import { MAX_YEARS } from '../../ledger/term.ts';
import { DEFAULT_ROYALTY, count, list, node, share, standard, type Section } from '../config/index.ts';
import type { Role } from './role.ts';

export interface SiteValues {
  readonly royalty: BasisPoints;
  readonly years: number;
  /** None: those that keep the name, then others by chance. */
  readonly host: readonly NodeId[];
  readonly replicas: number;
  readonly relays: number;
}

/** On how many hosts it is to be: all those that are named, if they are more than the replicas asked for. */
export function hostsWanted({ host, replicas }: Pick<SiteValues, 'host' | 'replicas'>): number {
  return Math.max(replicas, host.length);
}

export const site: Pick<Role<SiteValues>, 'name' | 'earns' | 'terms'> & { readonly settings: Section<SiteValues> } = {
  name: 'site',
  earns: false,
  settings: {
    royalty: standard(
      '--royalty <share>',
      share,
      'your share of what hosts earn with it, when the name is new: 20% or 2000bps',
      DEFAULT_ROYALTY,
    ),
    years: standard('--years <n>', count(1, MAX_YEARS), 'years to pay for, 1 to 10, when the name is new', '1'),
    host: list(
      '--host <node>',
      node,
      'store it on this host (repeatable; default: hosts that keep the name, then others at random)',
    ),
    replicas: standard(
      '--replicas <n>',
      count(1, MAX_REPLICAS),
      `number of hosts that store it, 1 to ${MAX_REPLICAS}; when one is gone, the others serve visitors`,
      '1',
    ),
    relays: standard(
      '--relays <n>',
      count(0, MAX_RELAYS),
      `paid relays between you and the host, 0 to ${MAX_RELAYS}`,
      '0',
    ),
  },
  terms: () => ({}),
};
