import { afterEach, describe, expect, it } from 'vitest';
import { MAX_GATEWAY_REQUESTS } from '../../../core/limits.ts';
import type { NameHandler } from '../../../sites/gateway/index.ts';
import { targetOf } from '../../../sites/gateway/host.ts';
import { Cleanup } from '../kit.ts';
import { startFront, type AskOptions, type Front } from './kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const DOMAIN = 'sites.example.org';

async function publicFront(): Promise<Front> {
  const front = await startFront(cleanup, {
    domain: DOMAIN,
    settle: { token: 'secret', now: () => Promise.resolve({ transactions: 0, receipts: 0, failed: 0 }) },
  });
  await front.publish('demo.web3', { 'index.html': 'demo', 'a.png': 'pixels' });
  return front;
}

describe('a public gateway', () => {
  it.each([
    ['sites.example.org', 'domain'],
    ['SITES.example.org:8443', 'domain'],
    ['demo-web3.sites.example.org', 'site'],
    ['demo-web3.sites.example.org:8443', 'site'],
    ['demo.web3.sites.example.org', 'redirect'],
    ['what.sites.example.org', 'nowhere'],
    ['a.demo-web3.sites.example.org', 'nowhere'],
    ['demo-web3.example.org', 'foreign'],
    ['demo-web3.evil-sites.example.org', 'foreign'],
    ['demo-web3.sites.example.org.evil.example', 'foreign'],
    ['xsites.example.org', 'foreign'],
    ['localhost:8402', 'own'],
    ['demo-web3.localhost:8402', 'site'],
  ])('takes %s for %s', (host, kind) => expect(targetOf({ host }, { own: new Set(), domain: DOMAIN }).kind).toBe(kind));

  it('shows each site on an origin of its own', async () => {
    const front = await publicFront();
    expect((await front.get('/', { host: `demo-web3.${DOMAIN}` })).text).toBe('demo');
    expect((await front.get('/')).text).toBe('demo');
    const plain = await front.get('/a?b=c', { host: `demo.web3.${DOMAIN}` });
    expect([plain.status, plain.headers.location]).toEqual([302, `//demo-web3.${DOMAIN}:${front.port}/a?b=c`]);
    const elsewhere = await front.get('//evil.example/x', { host: `demo.web3.${DOMAIN}` });
    expect(elsewhere.headers.location).toBe(`//demo-web3.${DOMAIN}:${front.port}//evil.example/x`);
  });

  it('does not show strangers what is of this machine, whatever host they name to the proxy', async () => {
    const front = await publicFront();
    for (const header of ['X-Forwarded-For', 'Forwarded', 'Via', 'X-Real-IP', 'X-Forwarded-Proto']) {
      const headers = { [header]: '203.0.113.7' };
      for (const host of ['localhost', '127.0.0.1', 'demo-web3.localhost']) {
        expect([header, host, (await front.get('/', { host, headers })).status]).toEqual([header, host, 421]);
        expect((await front.get('/api/market', { host, headers })).status).toBe(421);
        const settling = { host, method: 'POST', headers: { ...headers, Authorization: 'Bearer secret' } };
        expect((await front.get('/api/settle', settling)).status).toBe(421);
      }
      expect((await front.get('/', { host: `demo-web3.${DOMAIN}`, headers })).text).toBe('demo');
    }
    for (const path of ['/api/market', '/api/market/events', '/market.js', '/ipfs/bafybeigdyrzt'])
      expect([path, (await front.get(path, { host: DOMAIN })).status]).toEqual([path, 404]);
    expect((await front.get('/api/settle', { host: DOMAIN, method: 'POST' })).status).toBe(405);
  });

  it('does not pay for what one site embeds of another, which browsers take for the same site there', async () => {
    const front = await publicFront();
    const headers = { 'Sec-Fetch-Site': 'same-site', 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image' };
    expect((await front.get('/a.png', { host: `demo-web3.${DOMAIN}`, headers })).status).toBe(403);
    expect((await front.get('/a.png', { headers })).status).toBe(200);
    const link = { 'Sec-Fetch-Site': 'same-site', 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' };
    expect((await front.get('/', { host: `demo-web3.${DOMAIN}`, headers: link })).status).toBe(200);
  });

  it('leads from a name to its site', async () => {
    const front = await publicFront();
    const ask = async (query: string): Promise<readonly unknown[]> => {
      const { status, headers, text } = await front.get(`/${query}`, { host: DOMAIN });
      return [status, headers.location, text.includes('not a name')];
    };
    expect(await ask('')).toEqual([200, undefined, false]);
    expect(await ask('?name=demo.web3')).toEqual([302, `//demo-web3.${DOMAIN}:${front.port}/`, false]);
    expect(await ask('?name=%20My-Site.Web3%20')).toEqual([302, `//my--site-web3.${DOMAIN}:${front.port}/`, false]);
    expect(await ask('?name=')).toEqual([200, undefined, false]);
    for (const wrong of ['evil.example', '//evil.example', '%0d%0aX:%20y', 'a', 'x'.repeat(3000), 'a&name=b']) {
      expect([wrong.slice(0, 20), ...(await ask(`?name=${wrong}`))]).toEqual([
        wrong.slice(0, 20),
        400,
        undefined,
        true,
      ]);
    }
    const { text, headers } = await front.get('/?name=%22%3E%3Cscript%3Ealert(1)%3C/script%3E', { host: DOMAIN });
    expect(text).not.toContain('<script');
    expect(headers['content-security-policy']).toContain("default-src 'none'");
  });
});

describe('visitors behind a proxy', () => {
  /** All turns that one client may have, taken by `holders`; whether `next` finds one of its own. */
  async function isServed(holders: (index: number) => string, next: string): Promise<boolean> {
    let held = 0;
    const share = (MAX_GATEWAY_REQUESTS * 3) / 4;
    const holding: NameHandler = {
      tld: 'map',
      answer: ({ response, signal }) => {
        if (held >= share) return Promise.resolve(void response.send('served'));
        held += 1;
        return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      },
    };
    const front = await startFront(cleanup, { names: [holding], domain: DOMAIN, queueMillis: 5 });
    const from = (address: string): AskOptions => ({
      host: `paris-map.${DOMAIN}`,
      headers: { 'X-Forwarded-For': `203.0.113.9, ${address}` },
    });
    const waiting = Array.from({ length: share }, (_, index) => front.get('/', from(holders(index))));
    // They end with the gateway.
    void Promise.allSettled(waiting);
    await expect.poll(() => held).toBe(share);
    return (await front.get('/', from(next))).status === 200;
  }

  it('are one client where they have one IPv6 network, and others elsewhere', async () => {
    const ofOne = (index: number): string => `2001:db8:1:2::${index.toString(16)}`;
    expect(await isServed(ofOne, '2001:db8:1:2:ffff::1')).toBe(false);
    expect(await isServed(ofOne, '2001:db8:1:3::1')).toBe(true);
    expect(await isServed(() => '198.51.100.7', '::ffff:198.51.100.7')).toBe(false);
    expect(await isServed(() => '198.51.100.7', '198.51.100.8')).toBe(true);
  });
});
