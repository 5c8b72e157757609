/** A whole marketplace in one process: published, visited, paid, settled, and old at once. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { controlHandlers } from '../../app/node/index.ts';
import { createTestnet, type Testnet } from '../../app/testnet/index.ts';
import { temporaryFolder } from '../e2e/marketplace.ts';
import { visit } from './visitor.ts';

let testnet: Testnet;
let site: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  site = await temporaryFolder();
  await writeFile(path.join(site.path, 'index.html'), '<!doctype html><title>Here</title><p>All of it in one process');
  testnet = await createTestnet();
});
afterAll(async () => {
  await testnet[Symbol.asyncDispose]();
  await site[Symbol.asyncDispose]();
});

describe('a marketplace in one process', () => {
  it('serves what is published, over paid circuits, and settles', async () => {
    const published = await testnet.publish(site.path, 'here.web3');
    expect(published).toMatchObject({ name: 'here.web3', files: 1 });
    const page = await visit(testnet.url, 'here.web3');
    expect(page.status).toBe(200);
    expect(String(page.body)).toContain('All of it in one process');
    const [host] = testnet.hosts;
    testnet.gateway.node.metering.flush();
    for (const { node } of testnet.relays) node.metering.flush();
    await expect.poll(() => host?.node.settlement.unsettled() ?? 0n).toBeGreaterThan(0n);
    expect(await host?.node.settlement.settleAll()).not.toEqual([]);
    expect(host?.node.settlement.totals().receipts).toBeGreaterThan(0);
  });

  it('withdraws what a node earned, which its journal says afterwards', async () => {
    const host = testnet.hosts[0]?.node ?? testnet.gateway.node;
    const control = controlHandlers({ node: host, addresses: [], figures: () => ({}), stop: () => {} });
    const before = await host.ledger.balances(host.wallet.address);
    const { withdrawn, signature } = await control.withdraw();
    const after = await host.ledger.balances(host.wallet.address);
    expect(BigInt(withdrawn)).toBeGreaterThan(0n);
    expect(after.credits - before.credits).toBe(BigInt(withdrawn));
    const { settlements, damaged } = await control.settlements();
    expect({ last: settlements.at(-1), damaged }).toEqual({
      last: {
        kind: 'withdrawal',
        at: expect.any(Number) as number,
        amount: withdrawn,
        signature,
        feeLamports: (before.lamports - after.lamports).toString(),
      },
      damaged: 0,
    });
    expect(settlements.filter(({ kind }) => kind === 'receipt')).toHaveLength(host.settlement.totals().receipts);
  });

  it('reaches nothing but itself: every link is in memory', () => {
    const { policy } = testnet.gateway.node;
    expect(policy.transports).toEqual(['memory']);
    expect(policy.outbound).toBe('loopback');
  });

  it('has a clock that can be moved: offers expire on it, for the chain as for the nodes', async () => {
    const { book } = testnet.gateway.node.discovery;
    expect(book.find('content')).toHaveLength(1);
    const before = await testnet.gateway.node.ledger.now();
    await testnet.advance(24 * 3_600);
    expect(book.find('content')).toEqual([]);
    const after = await testnet.gateway.node.ledger.now();
    expect(Number(after - before)).toBeGreaterThanOrEqual(24 * 3_600);
    // Told anew, they are there again.
    await testnet.hosts[0]?.node.advertise();
    await testnet.gateway.node.discovery.refresh();
    expect(book.find('content')).toHaveLength(1);
  });
});
