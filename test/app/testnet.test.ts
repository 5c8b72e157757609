/** A whole marketplace in one process: published, visited, paid, settled, and old at once. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { basisPoints, lamports, pricePerMiB } from '../../core/units.ts';
import { NUMERATOR_BITS } from '../../ledger/accounting/index.ts';
import { walletKeyFromSeed } from '../../ledger/solana/index.ts';
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

  it('pays the name of a picture and the site that showed it, to the base unit', async () => {
    const [host] = testnet.hosts;
    if (host === undefined) throw new Error('there is no host');
    const { ledger } = testnet.gateway.node;
    const owner = ledger.wallet(walletKeyFromSeed('testnet', 'owner of a picture'));
    await owner.airdrop(lamports(3_000_000_000n));
    const { nameYearPrice, unitsPerLamport } = await ledger.bank();
    await owner.buy(lamports((2n * nameYearPrice) / unitsPerLamport + 1n));
    const terms = { root: new Uint8Array(), royaltyBps: 3_333, referrerBps: 1_234 };
    for (const name of ['pic.image', 'news.web3']) await owner.registerName({ name, ...terms });

    const [offer] = testnet.gateway.node.discovery.book.find('content');
    if (offer === undefined) throw new Error('nobody offers content');
    const body = Buffer.alloc(300_000, 7);
    // The circuit is paid for as one to content is.
    host.node.serve('pictures', pricePerMiB(0n), (stream) => {
      stream.attribute([{ name: 'pic.image', referrer: 'news.web3', share: basisPoints(9_000) }]);
      stream.end(body);
    });
    const circuit = await testnet.gateway.node.circuits.createCircuit([offer], { service: 'content' });
    const stream = await circuit.openStream('pictures', new Uint8Array());
    stream.end();
    expect(Buffer.concat(await stream.toArray())).toEqual(body);
    testnet.gateway.node.metering.flush();
    // What was signed came before the answer.
    await Promise.all(testnet.gateway.node.links.links().map((link) => link.ping()));
    circuit.destroy();
    const gross = (host.node.store.shares.get('pic.image news.web3') ?? 0n) >> NUMERATOR_BITS;
    expect(await host.node.settlement.settleAll()).not.toEqual([]);

    const { feeBps } = await ledger.bank();
    const royalty = (((gross * (10_000n - BigInt(feeBps))) / 10_000n) * 3_333n) / 10_000n;
    const referral = (royalty * 1_234n) / 10_000n;
    expect(referral).toBeGreaterThan(0n);
    expect((await ledger.name('news.web3'))?.accrued).toBe(referral);
    expect((await ledger.name('pic.image'))?.accrued).toBe(royalty - referral);
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
