/** Whoever names what is fetched, and then lets it wait. */
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { declarePurpose, fetchFromStrangers } from '../../../node/transport/index.ts';
import { Internet } from '../../strangers/internet.ts';

const PURPOSE = declarePurpose('strangers');
const SHOP = 'shop.example';
const AT = '93.184.216.34';
const get = { method: 'GET', headers: {} } as const;

let internet: Internet;
beforeEach(() => {
  internet = new Internet([SHOP]);
});
afterEach(async () => {
  await internet[Symbol.asyncDispose]();
});

describe('what strangers name', () => {
  it.each(['never answers', 'answers a byte at a time'])('is over in 2.5 seconds where it %s', async (how) => {
    let closed: Promise<unknown> | undefined;
    await internet.site(SHOP, AT, ({ socket }, response) => {
      closed = once(socket, 'close');
      if (how === 'answers a byte at a time') response.write('{');
    });
    const { authorities } = internet;
    const fetch = fetchFromStrangers({ policy: internet, purpose: PURPOSE, authorities });
    await expect(fetch(new URL(`https://${SHOP}/`), get)).rejects.toMatchObject({ code: 'TIMEOUT' });
    await closed;
  });

  it('takes no more of the resolver than two look-ups, and waits no longer for them', async () => {
    let looking = 0;
    const resolve = (): Promise<never> => {
      looking += 1;
      return new Promise(() => {});
    };
    const policy = { anonymize: false, resolve, connect: () => Promise.reject(new Error('it is never known where')) };
    const shared = fetchFromStrangers({ policy, purpose: PURPOSE });
    const asked = await Promise.allSettled(
      Array.from({ length: 5 }, (_, at) => shared(new URL(`https://slow${at}.example/`), get)),
    );
    expect(asked.map((one) => one.status === 'rejected' && (one.reason as { code: string }).code)).toEqual(
      Array.from({ length: 5 }, () => 'TIMEOUT'),
    );
    expect(looking).toBe(2);
  });
});
