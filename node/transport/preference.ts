/**
 * Which addresses of a peer are tried, in which order: direct ones reveal where we are. The network's phase on its way
 * to onion addresses decides, the preference for this peer, and whether we are anonymous.
 */
import { isHiddenHost, parseAddress } from './address.ts';

/** How a network moves to onion addresses: they are optional, then the default, then the rule, then the only way. */
export type Phase = 'optional' | 'default' | 'deprecated' | 'tor-only';
export const PHASES: readonly Phase[] = ['optional', 'default', 'deprecated', 'tor-only'];

/** The preference for one peer. `tor` stands for every anonymizing network. */
export type Preference = 'direct' | 'tor' | 'hybrid';
export const PREFERENCES: readonly Preference[] = ['direct', 'tor', 'hybrid'];

export interface PlanOptions {
  readonly phase: Phase;
  /** Undefined: the phase decides. */
  readonly preference: Preference | undefined;
  /** If true, nothing is direct: addresses that are not hidden are dialled through the anonymizing network. */
  readonly anonymize: boolean;
}

export interface Attempt {
  readonly address: string;
  /** If true, the peer and everybody on the way see where we are. */
  readonly direct: boolean;
  /** `fallback`: direct, because no hidden address worked. `deprecated`: direct, which this phase is about to end. */
  readonly warning?: 'fallback' | 'deprecated';
}

/** True for addresses that do not tell where their node is, and whose dialling does not tell where we are. */
export function isHidden(address: string): boolean {
  return isAnonymizing(address) || parseAddress(address)?.kind === 'memory';
}

/** True for addresses of Tor and I2P: a first connection to one may take minutes. */
export function isAnonymizing(address: string): boolean {
  const destination = parseAddress(address);
  if (destination?.kind === 'tcp') return isHiddenHost(destination.host);
  return destination?.kind === 'onion' || destination?.kind === 'garlic';
}

/** The attempts in their order; empty when no address may be used. The order within each kind stays as given. */
export function planDial(addresses: readonly string[], { phase, preference, anonymize }: PlanOptions): Attempt[] {
  const hidden = addresses.filter(isHidden).map((address): Attempt => ({ address, direct: false }));
  const open = addresses.filter((address) => !isHidden(address));
  if (anonymize) return [...hidden, ...open.map((address): Attempt => ({ address, direct: false }))];
  if (phase === 'tor-only' || preference === 'tor') return hidden;
  const warned = (warning: Attempt['warning']): Attempt[] =>
    open.map((address) => ({ address, direct: true, ...(warning === undefined ? {} : { warning }) }));
  const late = phase === 'deprecated' ? 'deprecated' : undefined;
  if (preference === 'direct') return warned(late);
  if (preference === undefined && phase === 'optional') {
    const near = addresses.filter((address) => !isAnonymizing(address));
    return [
      ...near.map((address) => ({ address, direct: !isHidden(address) })),
      ...hidden.filter(({ address }) => isAnonymizing(address)),
    ];
  }
  return [...hidden, ...warned(late ?? (hidden.length > 0 ? 'fallback' : undefined))];
}
