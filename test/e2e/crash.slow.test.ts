/** kill -9 of any process at random moments of a transfer: nothing is lost or doubled beyond the windows. */
import { mkdir, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import path from 'node:path';
import { expect, test } from 'vitest';
import { ledgerAddress } from '../../core/ids.ts';
import { MAX_WINDOW } from '../../core/limits.ts';
import { MIB } from '../../core/units.ts';
import type { LedgerReader } from '../../ledger/contract.ts';
import { openSolanaLedger } from '../../ledger/solana/index.ts';
import { callControl, readControlFile } from '../../app/control/client.ts';
import type { NodeStats, PairStats } from '../../app/control/protocol.ts';
import { Chance, SEED_TITLE } from '../chance.ts';
import { startMarketplace, temporaryFolder, type Marketplace } from './marketplace.ts';

const KILLS = 20;
const FILE_BYTES = 6 * MIB + 12_345;
const FILE = 'film.bin';
/** What the visitor pays the first relay: three relays and the host at 0.01 credits. */
const DEAREST_PRICE = 40_000n;

interface Got {
  readonly body: Buffer;
  readonly whole: boolean;
}

/** One GET on a connection of its own; what arrived, also when it broke off. */
function get(url: URL, onBytes: (bytes: number) => void = () => {}): Promise<Got> {
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
          if (response.statusCode !== 200) return;
          parts.push(part);
          onBytes(part.length);
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

/** Fetches the file again and again, and keeps account of what came. */
class Visitor {
  delivered = 0;
  readonly faults: string[] = [];
  readonly #url: URL;
  readonly #original: Buffer;
  readonly #waiting: { readonly at: number; readonly wake: () => void }[] = [];
  #stopped = false;

  constructor(url: URL, original: Buffer) {
    this.#url = url;
    this.#original = original;
  }

  async run(): Promise<void> {
    while (!this.#stopped) {
      const { body, whole } = await get(this.#url, (bytes) => this.#count(bytes));
      if (!body.equals(this.#original.subarray(0, body.length))) this.faults.push(`${body.length} bytes that differ`);
      if (whole && body.length !== this.#original.length) this.faults.push(`"complete" after ${body.length} bytes`);
    }
  }

  /** Resolves when this many more bytes have come. */
  received(bytes: number): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ at: this.delivered + bytes, wake: resolve });
    });
  }

  stop(): void {
    this.#stopped = true;
  }

  #count(bytes: number): void {
    this.delivered += bytes;
    for (const one of this.#waiting.splice(0)) {
      if (one.at <= this.delivered) one.wake();
      else this.#waiting.push(one);
    }
  }
}

function earningPairs(stats: readonly NodeStats[]): PairStats[] {
  return stats.flatMap((node) => node.pairs.filter((pair) => pair.side === 'earns'));
}

async function readAll(market: Marketplace): Promise<NodeStats[]> {
  return Promise.all(
    market.ready.nodes.map(async ({ dataDir }) => callControl(fetch, await readControlFile(dataDir), 'audit')),
  );
}

async function forAll(market: Marketplace, call: 'flush' | 'settle' | 'withdraw'): Promise<void> {
  for (const { dataDir } of market.ready.nodes) await callControl(fetch, await readControlFile(dataDir), call);
}

/** Where the two ends of a pair, or the chain, say different things; a debt beyond the window of a pair that lost its link. */
async function disagreements(stats: readonly NodeStats[], ledger: LedgerReader): Promise<readonly string[]> {
  const found: string[] = [];
  const payers = new Map(
    stats.flatMap((node) => node.pairs.filter((pair) => pair.side === 'pays').map((pair) => [pair.channel, pair])),
  );
  for (const node of stats) {
    const till = await ledger.till(ledgerAddress(node.wallet));
    for (const pair of earningPairs([node])) {
      const { channel } = pair;
      const debt = BigInt(pair.owed) - BigInt(pair.receipted);
      if (pair.live) {
        const payer = payers.get(channel);
        if (debt !== 0n) found.push(`${channel}: ${debt} of ${pair.owed} is not signed for`);
        if (payer?.receipted !== pair.receipted) found.push(`${channel}: the payer gave ${payer?.receipted}`);
        if (payer?.counts.up !== pair.counts.up || payer.counts.down !== pair.counts.down) {
          found.push(`${channel}: ${JSON.stringify(payer?.counts)} is not ${JSON.stringify(pair.counts)}`);
        }
      } else if (debt < 0n || debt > (BigInt(MAX_WINDOW) * DEAREST_PRICE) / BigInt(MIB)) {
        // Its link is gone (the publisher has left; another path was chosen): at most a window apart.
        found.push(`${channel}: the debt ${debt} is more than a window`);
      }
      const settled = till?.channels.find(({ id }) => id === channel)?.settled;
      if (settled?.toString() !== pair.receipted) found.push(`${channel}: ${settled} settled of ${pair.receipted}`);
    }
  }
  return found;
}

test(
  `${KILLS} kills of random processes during transfers (${SEED_TITLE})`,
  async () => {
    const chance = new Chance();
    await using folder = await temporaryFolder();
    const site = path.join(folder.path, 'site');
    await mkdir(site);
    const original = Buffer.from(chance.bytes(FILE_BYTES));
    await writeFile(path.join(site, FILE), original);
    await using market = await startMarketplace(
      '--site',
      site,
      '--data',
      path.join(folder.path, 'data'),
      '--cache',
      'off',
      '--log-level',
      'silent',
    );
    const url = new URL(FILE, market.ready.site);

    const visitor = new Visitor(url, original);
    const visiting = visitor.run();
    const labels = [...market.pids.keys()];
    for (let kill = 0; kill < KILLS; kill += 1) {
      const label = kill < labels.length ? labels[kill] : chance.of(labels);
      if (label === undefined) throw new Error('no processes');
      // A moment of the transfer, not of the clock: after a random number of further bytes.
      await visitor.received(chance.between(1, FILE_BYTES));
      const back = market.restarted(label);
      process.kill(market.pids.get(label) ?? 0, 'SIGKILL');
      await back;
    }
    visitor.stop();
    await visiting;
    // What arrived was right, whatever died: a broken transfer is a prefix, never something else.
    expect(visitor.faults).toEqual([]);

    // Everything still works, and the file arrives whole.
    let last: Got = { body: Buffer.alloc(0), whole: false };
    await expect
      .poll(
        async () => {
          last = await get(url);
          return last.whole;
        },
        { timeout: 120_000, interval: 250 },
      )
      .toBe(true);
    expect(last.body.equals(original)).toBe(true);
    const ledger = openSolanaLedger({
      fetch,
      url: market.ready.ledger,
      programId: ledgerAddress(market.ready.programId),
    });
    // Both ends' books agree to the byte, and the chain holds exactly what they say. Asked again until it is so: an idle
    // circuit may end, and be paid for, between two questions.
    let stats: NodeStats[] = [];
    await expect
      .poll(
        async () => {
          await forAll(market, 'flush');
          await forAll(market, 'settle');
          stats = await readAll(market);
          return disagreements(stats, ledger);
        },
        { timeout: 60_000, interval: 100 },
      )
      .toEqual([]);
    expect(earningPairs(stats).filter((pair) => pair.live).length).toBeGreaterThanOrEqual(4);

    await forAll(market, 'withdraw');
    const bank = await ledger.bank();
    expect(bank.supply + bank.openDeposits + bank.unminted + bank.forgone).toBe(bank.bought - bank.redeemed);

    // What was receipted covers at least the last whole file.
    const gateway = stats.find((node) => node.role === 'gateway');
    const paidDown = gateway?.pairs.reduce((sum, pair) => sum + Number(pair.counts.down), 0) ?? 0;
    expect(paidDown).toBeGreaterThan(FILE_BYTES);
  },
  10 * 60_000,
);
