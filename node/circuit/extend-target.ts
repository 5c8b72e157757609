/**
 * Where an EXTEND may lead a relay. Its sender is a stranger, which must not choose what a relay dials in its operator's own
 * network, nor learn from the answers what is there.
 */
import { isIP } from 'node:net';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { EXTEND_DIALS_PER_MINUTE, MAX_EXTEND_ADDRESSES } from '../../core/limits.ts';
import type { Log } from '../../core/ports.ts';
import { TokenBucket, TokenBuckets } from '../../core/rate.ts';
import { isPublicIp, parseAddress, tcpAddress } from '../transport/index.ts';
import type { ExtendRules } from './contract.ts';
import type { Extend } from './messages.ts';
import { DestroyReason, ending } from './reason.ts';
import type { Ending } from './reason.ts';

/**
 * The addresses at which the next hop may be dialled, two at most, none if it is linked. They are those that it signed itself, in
 * the offer that our own book holds once the one in the EXTEND was added. Names are looked up once, here, so that the addresses
 * that were checked are dialled. A node that hides dials only onion and I2P addresses: otherwise the sender could make tor build
 * circuits to its own exits.
 * `peer` is the hop before us, which pays for it.
 * @throws RelaymintError POLICY_REFUSED if none of them is allowed, LIMIT_EXCEEDED (too many dials for this payer).
 */
export async function extendTarget(
  { node, offer }: Pick<Extend, 'node' | 'offer'>,
  peer: NodeId,
  rules: ExtendRules,
): Promise<readonly string[]> {
  const { offers } = rules;
  if (rules.isLinked(node)) return [];
  // First: what is not dialled is neither verified nor kept.
  if (!rules.mayDial(offers.wasReached(node))) {
    throw new RelaymintError('LIMIT_EXCEEDED', `${peer} has had ${EXTEND_DIALS_PER_MINUTE} dials in a minute.`, {
      remedy: 'Try again within a minute.',
    });
  }
  rules.introduce(offer, peer);
  const signed = offers.get(node)?.addresses ?? [];
  const allowed: string[] = [];
  let asked = 0;
  /** Each look-up goes to a server of the signer's choice, so there are no more of them than of dials. */
  const resolve =
    rules.resolve &&
    (async (host: string): Promise<readonly string[]> => {
      asked += 1;
      return asked > MAX_EXTEND_ADDRESSES ? [] : ((await rules.resolve?.(host)) ?? []);
    });
  for (const address of signed) {
    allowed.push(...(await judged(address, { ...rules, resolve })));
    if (allowed.length >= MAX_EXTEND_ADDRESSES) break;
  }
  if (allowed.length > 0) return allowed.slice(0, MAX_EXTEND_ADDRESSES);
  offers.dropPassing(node);
  throw new RelaymintError('POLICY_REFUSED', `${node} signed for no address where circuits may lead.`, {
    remedy: 'In a private network of your own, let circuits lead there with --allow-private-hops.',
    details: { addresses: signed.join(' ') },
  });
}

/** What of an address may be dialled: itself, the public IP addresses of a name, or nothing. */
async function judged(
  address: string,
  { allowPrivate, resolve }: Pick<ExtendRules, 'allowPrivate' | 'resolve'>,
): Promise<readonly string[]> {
  const destination = parseAddress(address);
  if (destination === undefined) return [];
  if (destination.kind === 'onion' || destination.kind === 'garlic') return [address];
  if (resolve === undefined) return [];
  if (allowPrivate) return [address];
  if (destination.kind === 'memory') return [];
  const { host, port } = destination;
  if (isIP(host) !== 0) return isPublicIp(host) ? [address] : [];
  const found = await resolve(host).catch((): readonly string[] => []);
  // A name with one private address is not public: its owner must not choose which address is dialled.
  if (!found.every(isPublicIp)) return [];
  return found.slice(0, MAX_EXTEND_ADDRESSES).map((ip) => tcpAddress(ip, port));
}

/**
 * How often the circuits of each payer may make us dial: by its wallet, if it has one here. Many clients come through one payer, so
 * nodes that were reached before have as many dials of their own: circuits to made-up nodes take none of those.
 */
export class ExtendDials {
  readonly #toReached: TokenBuckets<string>;
  readonly #toOthers: TokenBuckets<string>;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    const make = (): TokenBucket => new TokenBucket(EXTEND_DIALS_PER_MINUTE / 60, now, EXTEND_DIALS_PER_MINUTE);
    this.#toReached = new TokenBuckets(make);
    this.#toOthers = new TokenBuckets(make);
  }

  take(payer: string, reached: boolean): boolean {
    return (reached ? this.#toReached : this.#toOthers).of(payer).take();
  }
}

/**
 * The one answer to an EXTEND that led nowhere: refused, closed, open but silent, and not paid for look alike from outside.
 * The cause goes to our log.
 */
export function extendFailure(node: NodeId, error: unknown, log: Log): Ending {
  const code = isRelaymintError(error) ? error.code : 'INTERNAL';
  log.debug({ node, code, err: error }, 'An EXTEND led nowhere.');
  return ending(DestroyReason.UNREACHABLE, 'the next hop cannot be reached or paid');
}
