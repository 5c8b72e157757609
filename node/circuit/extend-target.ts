/**
 * Where an EXTEND may lead a relay. Its sender is a stranger, who must not choose what a relay dials in its operator's own
 * network, nor learn from the answers what is there.
 */
import { isIP } from 'node:net';
import { RelaymintError, isRelaymintError, messageOf } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { MAX_EXTEND_ADDRESSES } from '../../core/limits.ts';
import type { Log } from '../../core/ports.ts';
import { isPublicIp, parseAddress, tcpAddress } from '../transport/index.ts';
import type { ExtendRules } from './contract.ts';
import type { Extend } from './messages.ts';
import { DestroyReason, ending } from './reason.ts';
import type { Ending } from './reason.ts';

/**
 * The addresses at which the next hop may be dialled, two at most, none when it is linked. Those of the offer that our own book
 * holds for it, whatever the EXTEND names; if there is none, the first two that the EXTEND names. Names are looked up once,
 * here, so that what was judged is what is dialled. A node that hides goes to onion and I2P addresses only: else its sender could
 * have tor build circuits to exits of its own.
 * @throws RelaymintError POLICY_REFUSED when none of them leads where it may.
 */
export async function extendTarget(
  { node, addresses }: Pick<Extend, 'node' | 'addresses'>,
  rules: ExtendRules,
): Promise<readonly string[]> {
  if (rules.isLinked(node)) return [];
  const offer = rules.offers.get(node);
  const named = offer?.addresses ?? addresses.slice(0, MAX_EXTEND_ADDRESSES);
  const allowed: string[] = [];
  for (const address of named) allowed.push(...(await judged(address, rules)));
  if (allowed.length > 0) return allowed.slice(0, MAX_EXTEND_ADDRESSES);
  throw new RelaymintError('POLICY_REFUSED', `An EXTEND to ${node} names no address where circuits may lead.`, {
    remedy: 'In a private network of your own, let circuits lead there with --allow-private-hops.',
    details: { addresses: named.join(' ') },
  });
}

/** What of an address may be dialled: itself, the public IP addresses of a name, or nothing. */
async function judged(address: string, { allowPrivate, resolve }: ExtendRules): Promise<readonly string[]> {
  const destination = parseAddress(address);
  if (destination === undefined) return [];
  if (destination.kind === 'onion' || destination.kind === 'garlic') return [address];
  if (resolve === undefined) return [];
  if (allowPrivate) return [address];
  if (destination.kind === 'memory') return [];
  const { host, port } = destination;
  if (isIP(host) !== 0) return isPublicIp(host) ? [address] : [];
  const found = await resolve(host).catch((): readonly string[] => []);
  // A name with one private address is no public name: which of them is dialled must not be its owner's game.
  if (!found.every(isPublicIp)) return [];
  return found.slice(0, MAX_EXTEND_ADDRESSES).map((ip) => tcpAddress(ip, port));
}

/**
 * The one answer to an EXTEND that led nowhere: refused, closed, open but silent, and not paid for look alike from outside.
 * The cause goes to our log.
 */
export function extendFailure(node: NodeId, error: unknown, log: Log): Ending {
  const code = isRelaymintError(error) ? error.code : 'INTERNAL';
  log.debug({ node, code, reason: messageOf(error) }, 'An EXTEND led nowhere.');
  return ending(DestroyReason.UNREACHABLE, 'the next hop cannot be reached or paid');
}
