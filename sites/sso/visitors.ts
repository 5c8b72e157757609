/**
 * How much strangers may have an issuer keep: a sign-in that is begun and a client that registers are records on its disk. Counted by address, an
 * IPv4 address or an IPv6 /64 (whoever has one address there has them all), and all together.
 */
import type { IncomingMessage } from 'node:http';
import { isIPv4, isIPv6 } from 'node:net';
import { RelaymintError } from '../../core/errors.ts';
import {
  MAX_COUNTED_ADDRESSES,
  MAX_REGISTRATIONS,
  MAX_REGISTRATIONS_PER_ADDRESS,
  MAX_SIGN_INS,
  MAX_SIGN_INS_PER_ADDRESS,
  SIGN_IN_COUNT_MILLIS,
} from '../../core/limits.ts';
import type { Clock } from '../../core/ports.ts';

/** What those share that no longer have a count of their own. */
const OTHERS = 'others';
const V4_IN_V6 = '::ffff:';

interface Bounds {
  readonly ofOne: number;
  readonly ofAll: number;
}

const BOUNDS = {
  'sign-in': { ofOne: MAX_SIGN_INS_PER_ADDRESS, ofAll: MAX_SIGN_INS },
  registration: { ofOne: MAX_REGISTRATIONS_PER_ADDRESS, ofAll: MAX_REGISTRATIONS },
  // A site's server asks for all its visitors.
  token: { ofOne: MAX_SIGN_INS, ofAll: 4 * MAX_SIGN_INS },
  // One that asks here for each request of theirs must not run out of sign-ins.
  'look-up': { ofOne: MAX_SIGN_INS, ofAll: 4 * MAX_SIGN_INS },
} as const satisfies Record<string, Bounds>;
type Deed = keyof typeof BOUNDS;

export interface VisitorsOptions {
  /** The last entry of X-Forwarded-For is whom a proxy of ours saw. */
  readonly isBehindProxy: boolean;
  readonly clock: Clock;
}

export class Visitors {
  readonly #isBehindProxy: boolean;
  readonly #counts: Readonly<Record<Deed, Count>>;

  constructor({ isBehindProxy, clock }: VisitorsOptions) {
    this.#isBehindProxy = isBehindProxy;
    this.#counts = {
      'sign-in': new Count(BOUNDS['sign-in'], clock),
      registration: new Count(BOUNDS.registration, clock),
      token: new Count(BOUNDS.token, clock),
      'look-up': new Count(BOUNDS['look-up'], clock),
    };
  }

  /** Before headers of proxies are taken away. @throws RelaymintError LIMIT_EXCEEDED. */
  count(request: IncomingMessage): void {
    const deed = deedOf(request);
    if (deed === undefined) return;
    this.#counts[deed].add(networkOf(this.#addressOf(request)));
  }

  #addressOf({ socket, headers }: IncomingMessage): string {
    const direct = socket.remoteAddress ?? '';
    if (!this.#isBehindProxy) return direct;
    // What stands before the last entry was written by whoever came to the proxy.
    const said = String(headers['x-forwarded-for'] ?? '');
    return said.split(',').at(-1)?.trim() || direct;
  }
}

function deedOf({ method, url = '' }: IncomingMessage): Deed | undefined {
  const [path = ''] = url.split('?');
  const plain = path.toLowerCase().replace(/\/+$/, '');
  if (method === 'POST' && plain === '/reg') return 'registration';
  if (['/auth', '/account', '/permit', '/permit/login', '/session/end'].includes(plain)) return 'sign-in';
  // Each names a client, which may have to be read elsewhere.
  if (plain === '/token') return 'token';
  if (/^\/(?:token|reg)\//.test(plain) || plain === '/session/end/success') return 'look-up';
  return undefined;
}

/** undefined: this machine itself, on which a proxy may stand that nobody told us of. */
export function networkOf(address: string): string | undefined {
  const plain = address.toLowerCase().startsWith(V4_IN_V6) ? address.slice(V4_IN_V6.length) : address;
  if (isIPv4(plain)) return plain.startsWith('127.') ? undefined : plain;
  if (!isIPv6(plain)) return OTHERS;
  // The URL parser writes all forms of an address as one.
  const host = new URL(`http://[${plain.split('%')[0] ?? ''}]`).hostname.slice(1, -1);
  if (host === '::1') return undefined;
  const [head = '', tail] = host.split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: Math.max(0, 8 - front.length - back.length) }, () => '0');
  return [...front, ...(tail === undefined ? [] : zeros), ...back].slice(0, 4).join(':');
}

/** In windows of time, each from nothing. */
class Count {
  readonly #bounds: Bounds;
  readonly #clock: Clock;
  readonly #ofOne = new Map<string, number>();
  #all = 0;
  #until = 0;

  constructor(bounds: Bounds, clock: Clock) {
    this.#bounds = bounds;
    this.#clock = clock;
  }

  add(network: string | undefined): void {
    const now = this.#clock.now();
    if (now >= this.#until) {
      this.#ofOne.clear();
      this.#all = 0;
      this.#until = now + SIGN_IN_COUNT_MILLIS;
    }
    const isFull = this.#ofOne.size >= MAX_COUNTED_ADDRESSES;
    const key = network === undefined || this.#ofOne.has(network) || !isFull ? network : OTHERS;
    const of = key === undefined ? 0 : (this.#ofOne.get(key) ?? 0);
    if (of >= this.#bounds.ofOne || this.#all >= this.#bounds.ofAll) throw tooMany(this.#until - now);
    if (key !== undefined) this.#ofOne.set(key, of + 1);
    this.#all += 1;
  }
}

function tooMany(millis: number): RelaymintError {
  const seconds = Math.ceil(millis / 1000);
  return new RelaymintError('LIMIT_EXCEEDED', 'This was done too often from where you are, or by all together.', {
    remedy: `Wait ${seconds} seconds.`,
    details: { retryAfterSeconds: seconds },
  });
}
