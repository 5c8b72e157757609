/** The marketplace that stays up: its pages, its continuation from --data, and what Ctrl-C and sudden death leave behind. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import { expect, test } from 'vitest';
import { silentLog, systemClock } from '../../core/ports.ts';
import { callControl, readControlFile } from '../../app/control/client.ts';
import { createDiscovery, createOfferBook, parsePeer } from '../../node/discovery/index.ts';
import { createLinkManager } from '../../node/link/index.ts';
import { createPolicy, createTcpTransport } from '../../node/transport/index.ts';
import { isAlive, relaymint, startMarketplace, temporaryFolder } from './marketplace.ts';
import { identityFromSeed } from '../../platform/keys/identity.ts';

/** One site: a page is enough here. */
const PAGE = ['--example', 'page', '--log-level', 'warn'];

function status(url: string): Promise<number> {
  const { host, port, pathname } = new URL(url);
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path: pathname, headers: { host }, agent: false }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode ?? 0));
    })
      .on('error', reject)
      .end();
  });
}

test('serves until Ctrl-C, leaves nothing behind, and continues from --data', async () => {
  await using folder = await temporaryFolder();
  const site = path.join(folder.path, 'my-site');
  await mkdir(site);
  await writeFile(path.join(site, 'index.html'), '<!doctype html><title>mine</title>');
  const data = path.join(folder.path, 'market');
  const first = await startMarketplace('--data', data, '--site', site, '--log-level', 'warn');
  expect(await status(first.ready.site)).toBe(200);
  expect(await status(first.ready.gateway)).toBe(200);
  expect(await status(new URL('no/such/page', first.ready.site).href)).toBe(404);
  const pids = [...first.pids.values()];
  expect(pids).toHaveLength(6);
  expect(await first.stop()).toBe(0);
  expect(pids.filter(isAlive)).toEqual([]);

  // What was published is continued: the example does not take its place.
  await using second = await startMarketplace('--data', data, '--log-level', 'warn');
  expect(second.ready.cid).toBe(first.ready.cid);
  expect(second.ready.nodes).toEqual(first.ready.nodes);
  const relay = second.ready.nodes.find((node) => node.label === 'relay-1');
  const before = await callControl(fetch, await readControlFile(relay?.dataDir ?? ''), 'stats');
  // What was settled at the first Ctrl-C is in the books of the second start.
  expect(before.pairs.length === 0 || before.settlement.transactions > 0).toBe(true);
  expect(await status(second.ready.site)).toBe(200);

  const settled = await relaymint('settle', '--json', '--withdraw', '--data', relay?.dataDir ?? '');
  expect(settled.code).toBe(0);
  expect(JSON.parse(settled.stdout)).toHaveProperty('transactions');
  const stats = await relaymint('stats', '--data', relay?.dataDir ?? '');
  expect(stats.stdout).toContain('relay-1 (relay)');
});

test('takes another port if its own is taken; when it is killed, its processes end with it', async () => {
  await using folder = await temporaryFolder();
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const market = await startMarketplace(...PAGE, '--data', folder.path, '--port', String(port));
  other.close();
  expect(Number(new URL(market.ready.gateway).port)).not.toBe(port);
  expect(await status(market.ready.site)).toBe(200);
  const pids = [...market.pids.values()];
  market.kill();
  await expect.poll(() => pids.filter(isAlive), { timeout: 30_000 }).toEqual([]);
});

test('a stranger that asks every node for offers finds relays and hosts, but no gateway and no publisher', async () => {
  await using market = await startMarketplace(...PAGE);
  // Circuits were built and paid for: nobody needed an offer of their payer.
  expect(await status(market.ready.site)).toBe(200);
  const nodes = await Promise.all(
    market.ready.nodes.map(async ({ dataDir }) => callControl(fetch, await readControlFile(dataDir), 'stats')),
  );
  const sellers = nodes.filter(({ role }) => role === 'relay' || role === 'host');
  expect(sellers).toHaveLength(4);
  using identity = identityFromSeed(randomBytes(32));
  const policy = createPolicy({ transports: [createTcpTransport()], outbound: 'loopback' });
  await using links = createLinkManager({ identity, policy, clock: systemClock, log: silentLog });
  const book = createOfferBook({ clock: systemClock });
  const bootstrap = sellers.map((seller) => parsePeer(`${seller.nodeId}@${seller.addresses[0]}`));
  await using discovery = createDiscovery({ links, book, clock: systemClock, log: silentLog, bootstrap });
  await discovery.refresh();
  expect(links.links()).toHaveLength(4);
  expect(
    book
      .all()
      .map((offer) => offer.nodeId)
      .toSorted(),
  ).toEqual(sellers.map((seller) => seller.nodeId).toSorted());
});
