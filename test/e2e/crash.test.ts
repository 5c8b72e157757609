/** kill -9 of any process at random moments of a transfer: nothing is lost or doubled beyond the windows. */
import { randomBytes, randomInt } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import path from 'node:path';
import { expect, test } from 'vitest';
import { ledgerAddress } from '../../core/ids.ts';
import { MAX_WINDOW } from '../../core/limits.ts';
import { MIB } from '../../core/units.ts';
import { openSolanaLedger } from '../../ledger/solana/index.ts';
import { callControl, readControlFile } from '../../node/cli/control/client.ts';
import type { NodeStats } from '../../node/cli/control/protocol.ts';
import { startMarketplace, temporaryFolder, type Marketplace } from './marketplace.ts';

const KILLS = 20;
const FILE_BYTES = 6 * MIB + 12_345;
const FILE = 'film.bin';

interface Got {
  readonly body: Buffer;
  readonly whole: boolean;
}

/** One GET on a connection of its own; what arrived, also when it broke off. */
function get(url: URL): Promise<Got> {
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    const done = (whole: boolean): void => resolve({ body: Buffer.concat(parts), whole });
    const outgoing = request(
      {
        host: '127.0.0.1',
        port: url.port,
        path: url.pathname,
        headers: { host: url.host },
        agent: false,
        timeout: 30_000,
      },
      (response) => {
        response.on('data', (part: Buffer) => {
          if (response.statusCode === 200) parts.push(part);
        });
        response.on('end', () => done(response.complete && response.statusCode === 200));
        response.on('error', () => done(false));
        response.on('close', () => done(false));
      },
    );
    outgoing.on('timeout', () => outgoing.destroy());
    outgoing.on('error', () => done(false));
    outgoing.end();
  });
}

async function readAll(market: Marketplace): Promise<NodeStats[]> {
  return Promise.all(
    market.ready.nodes.map(async ({ dataDir }) => callControl(fetch, await readControlFile(dataDir), 'stats')),
  );
}

async function forAll(market: Marketplace, call: 'flush' | 'settle' | 'withdraw'): Promise<void> {
  for (const { dataDir } of market.ready.nodes) await callControl(fetch, await readControlFile(dataDir), call);
}

test(
  `${KILLS} kills of random processes during transfers`,
  async () => {
    await using folder = await temporaryFolder();
    const site = path.join(folder.path, 'site');
    await mkdir(site);
    const original = randomBytes(FILE_BYTES);
    await writeFile(path.join(site, FILE), original);
    await using market = await startMarketplace(
      '--site',
      site,
      '--data',
      path.join(folder.path, 'data'),
      '--log-level',
      'silent',
    );
    const url = new URL(FILE, market.ready.site);

    let delivered = 0;
    let killing = true;
    const visitor = (async () => {
      while (killing) {
        const { body, whole } = await get(url);
        delivered += body.length;
        // What arrives is right, whatever dies: a broken transfer is a prefix, never something else.
        expect(body.equals(original.subarray(0, body.length))).toBe(true);
        if (whole) expect(body.length).toBe(FILE_BYTES);
      }
    })();

    const labels = [...market.pids.keys()];
    for (let kill = 0; kill < KILLS; kill += 1) {
      const label = kill < labels.length ? labels[kill] : labels[randomInt(labels.length)];
      if (label === undefined) throw new Error('no processes');
      // A moment of the transfer, not of the clock: after a random number of further bytes.
      const until = delivered + randomInt(1, FILE_BYTES);
      while (delivered < until) await new Promise((resolve) => setImmediate(resolve));
      const back = market.restarted(label);
      process.kill(market.pids.get(label) ?? 0, 'SIGKILL');
      await back;
    }
    killing = false;
    await visitor;

    // Everything still works, and the file arrives whole.
    let last: Got = { body: Buffer.alloc(0), whole: false };
    for (let attempt = 0; attempt < 20 && !last.whole; attempt += 1) last = await get(url);
    expect(last.body.equals(original)).toBe(true);
    delivered += last.body.length;

    await expect
      .poll(
        async () => {
          await forAll(market, 'flush');
          const pairs = (await readAll(market)).flatMap((node) => node.pairs.filter((pair) => pair.side === 'earns'));
          return pairs.every((pair) => pair.owed === pair.receipted);
        },
        { timeout: 30_000, interval: 100 },
      )
      .toBe(true);
    await forAll(market, 'settle');
    await forAll(market, 'withdraw');

    const stats = await readAll(market);
    const ledger = openSolanaLedger({ url: market.ready.ledger, programId: ledgerAddress(market.ready.programId) });
    const bank = await ledger.bank();
    expect(bank.supply + bank.openDeposits + bank.unminted).toBe(bank.bought - bank.redeemed);

    // Both ends' books agree to the byte, and the chain holds exactly what they say.
    const payers = new Map(
      stats.flatMap((node) => node.pairs.filter((pair) => pair.side === 'pays').map((pair) => [pair.channel, pair])),
    );
    const earning = stats.flatMap((node) => node.pairs.filter((pair) => pair.side === 'earns'));
    let checked = 0;
    for (const pair of earning) {
      const payer = payers.get(pair.channel);
      expect(pair.receipted).toBe(pair.owed);
      if (payer === undefined) continue; // the publisher's: it has left
      expect(payer.counts).toEqual(pair.counts);
      expect(payer.receipted).toBe(pair.receipted);
      checked += 1;
    }
    expect(checked).toBeGreaterThanOrEqual(4);
    for (const node of stats) {
      const till = await ledger.till(ledgerAddress(node.wallet));
      for (const channel of till?.channels ?? []) {
        const pair = earning.find((candidate) => candidate.channel === channel.id);
        if (pair !== undefined) expect(channel.settled.toString()).toBe(pair.receipted);
      }
    }

    // The relays and the host were paid for what the visitor got, but for a window at each death.
    const gateway = stats.find((node) => node.role === 'gateway');
    const paidDown = gateway?.pairs.reduce((sum, pair) => sum + Number(pair.counts.down), 0) ?? 0;
    expect(delivered - paidDown).toBeLessThanOrEqual((KILLS + 1) * MAX_WINDOW);
    expect(paidDown).toBeGreaterThan(FILE_BYTES);
  },
  10 * 60_000,
);
