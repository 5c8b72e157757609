/** Certificates of names, made when a browser asks for one, with a key that lives as long as the process. */
import { createSecureContext, type SecureContext } from 'node:tls';
import { LRUCache } from 'lru-cache';
import { MAX_LEAF_CERTIFICATES } from '../../core/limits.ts';
import type { Clock } from '../../core/ports.ts';
import type { UnixMillis } from '../../core/units.ts';
import { createP256, p256Public, p256Secret } from '../../platform/keys/p256.ts';
import { pem } from '../../platform/keys/pem.ts';
import type { Authority } from './authority.ts';

/** One that ends sooner is made anew, milliseconds: a page stays open for so long. */
const LEAST_LEFT_MILLIS = 86_400_000;

interface Leaf {
  readonly context: SecureContext;
  readonly until: UnixMillis;
}

export class Leaves {
  readonly #authority: Authority;
  readonly #clock: Clock;
  /** Of all names: whoever has one of them answers for all. */
  readonly #key = createP256();
  readonly #leaves = new LRUCache<string, Leaf>({ max: MAX_LEAF_CERTIFICATES });

  constructor(authority: Authority, clock: Clock) {
    this.#authority = authority;
    this.#clock = clock;
  }

  /** What TLS answers with for a name. */
  contextOf(name: string): SecureContext {
    const known = this.#leaves.get(name);
    if (known !== undefined && known.until - this.#clock.now() > LEAST_LEFT_MILLIS) return known.context;
    const { certificate, until } = this.#authority.issue(name, p256Public(this.#key));
    const der = p256Secret(this.#key);
    const key = pem('PRIVATE KEY', der);
    try {
      const context = createSecureContext({ key, cert: pem('CERTIFICATE', certificate), minVersion: 'TLSv1.3' });
      this.#leaves.set(name, { context, until });
      return context;
    } finally {
      der.fill(0);
      key.fill(0);
    }
  }
}
