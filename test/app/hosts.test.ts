/** Six hosts, and a site that only the dearest keeps: visitors' gateways ask that one and no other. */
import { symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { gateway, host } from '../../app/roles/index.ts';
import { createTestnet, type Testnet, type TestnetNode } from '../../app/testnet/index.ts';
import { temporaryFolder } from '../e2e/marketplace.ts';
import { visit } from './visitor.ts';

/** Credits a MiB. */
const PRICES = ['0.000001', '0.000001', '0.005', '0.01', '0.01', '0.02'];
const DEAREST = PRICES.length - 1;
const NAME = 'only.web3';

describe('a site that one of six hosts keeps', () => {
  const stack = new AsyncDisposableStack();
  let testnet: Testnet;
  let site: string;
  const hosts: TestnetNode[] = [];
  beforeAll(async () => {
    site = stack.use(await temporaryFolder()).path;
    testnet = stack.use(await createTestnet({ relays: 1, hosts: 0 }));
    for (const [index, price] of PRICES.entries()) {
      hosts.push(await testnet.open(host, `host-${index}`, { price, publishPrice: '0.000001' }));
    }
  });
  afterAll(() => stack.disposeAsync());

  const page = async (url: unknown): Promise<string> => {
    const { status, body } = await visit(String(url), NAME);
    return `${status} ${String(body)}`;
  };
  const idOf = ({ node }: TestnetNode): string => node.keys.identity.nodeId;

  it('opens at the first visit on a gateway that was running and on one that starts later, and the five others are asked nothing', async () => {
    await writeFile(path.join(site, 'index.html'), 'only one keeps this');
    await symlink('nowhere', path.join(site, 'gone'));
    const dearest = hosts[DEAREST] as TestnetNode;
    const published = await testnet.publish(site, NAME, { host: [idOf(dearest)] });
    expect(published.skipped).toEqual([{ path: 'gone', reason: 'a link to nothing' }]);

    expect(await page(testnet.url)).toBe('200 only one keeps this');
    const later = await testnet.open(gateway, 'later', { port: '0', relays: '1' });
    expect(await page(later.ready['gateway'])).toBe('200 only one keeps this');

    // A host that is asked anything carries a circuit, which counts for somebody on its books.
    const carried = hosts.map(({ node }) => node.book.peers().length);
    expect(carried).toEqual([0, 0, 0, 0, 0, expect.any(Number)]);
    expect(carried[DEAREST]).toBeGreaterThan(0);

    // Who sells nothing shows nobody the node id that it has at home: it is another one on each link.
    const peers = testnet.relays.flatMap(({ node }) => node.book.peers());
    const payers = peers.filter(({ role }) => role === 'payee').map(({ peer }) => peer);
    expect(payers).toHaveLength(2);
    for (const node of [testnet.gateway, later]) expect(payers).not.toContain(idOf(node));
  });
});
