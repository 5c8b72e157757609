/** What a site's visitors may cost a gateway: tried by a site that makes them download for ever. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isRelaymintError } from '../../core/errors.ts';
import { MAX_BLOCK_BYTES } from '../../core/limits.ts';
import { silentLog, systemClock } from '../../core/ports.ts';
import { MIB, U64_MAX, amount, pricePerMiB } from '../../core/units.ts';
import { openBudget, type Budget } from '../../ledger/budget/index.ts';
import { SiteStreams } from '../../app/roles/site-streams.ts';
import { SiteUsage, type Charge, type Fetch } from '../../app/roles/site-usage.ts';

const PRICE = pricePerMiB(40_000n);
const LIMIT = amount(10_000_000n);

const fetchOf = (name: string): Fetch => ({ payer: name, name, prices: [PRICE] });

let folder: string;
let budget: Budget;
let usage: SiteUsage;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'relaymint-sites-'));
  const limits = { perPeer: amount(U64_MAX), perSite: LIMIT, total: amount(U64_MAX) };
  budget = await openBudget({ file: path.join(folder, 'budget'), limits, clock: systemClock, log: silentLog });
  usage = new SiteUsage(budget);
});
afterEach(async () => {
  await budget[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const spent = (site: string): bigint => budget.view().sites.find(({ who }) => who === site)?.spent ?? 0n;

describe('a site', () => {
  it('costs no more than its limit, however many of its blocks are fetched at once', async () => {
    const circuit = { bytes: 0 };
    const fetchOne = async (): Promise<boolean> => {
      try {
        const done = await usage.begin(fetchOf('greedy.web3'), circuit);
        circuit.bytes += MAX_BLOCK_BYTES + 40_000;
        done();
        return true;
      } catch (error) {
        if (isRelaymintError(error, 'BUDGET_EXHAUSTED')) return false;
        throw error;
      }
    };
    const fetched = await Promise.all(Array.from({ length: 1000 }, fetchOne));
    const cost = (BigInt(circuit.bytes) * PRICE) / BigInt(MIB);
    expect(cost).toBeLessThanOrEqual(LIMIT);
    expect(cost).toBeGreaterThan((LIMIT * 9n) / 10n);
    expect(fetched).toContain(false);
    expect(await usage.begin(fetchOf('other.web3'), circuit)).toBeTypeOf('function');
  });

  it('is charged with all that its circuit carried, and a failed block with no more than came', async () => {
    const circuit = { bytes: 3000 };
    const begun = await usage.begin(fetchOf('a.web3'), circuit);
    circuit.bytes += MIB;
    begun();
    begun();
    const failed = await usage.begin(fetchOf('a.web3'), circuit);
    failed();
    expect(spent('a.web3')).toBe(BigInt(Math.ceil(((MIB + 3000) * 40_000) / MIB)));
  });

  it('on a circuit that it shares is charged with what came while it fetched', async () => {
    const circuit = { bytes: 0 };
    const one = await usage.begin(fetchOf('a.web3'), circuit);
    const two = await usage.begin(fetchOf('b.web3'), circuit);
    circuit.bytes += MIB;
    one();
    circuit.bytes += 2 * MIB;
    two();
    expect([spent('a.web3'), spent('b.web3')]).toEqual([40_000n, 80_000n]);
  });
});

describe('what is told of a charge', () => {
  const HOPS = [pricePerMiB(10_001n), pricePerMiB(7n), pricePerMiB(9_999n)];
  const ALL = 20_007n;

  it('adds up to what the whole circuit costs, to the base unit, however it comes in pieces', async () => {
    const charges: Charge[] = [];
    const told = new SiteUsage(budget, (charge) => void charges.push(charge));
    const circuit = { bytes: 0 };
    for (let piece = 1; piece <= 997; piece += 1) {
      const done = await told.begin({ payer: `s${piece % 3}.web3`, name: 'art.image', prices: HOPS }, circuit);
      circuit.bytes += piece * 31;
      done();
    }
    const sum = (of: (charge: Charge) => bigint): bigint => charges.reduce((all, charge) => all + of(charge), 0n);
    const worth = (price: bigint): bigint => (BigInt(circuit.bytes) * price + BigInt(MIB) - 1n) / BigInt(MIB);
    expect(sum(({ bytes }) => BigInt(bytes))).toBe(BigInt(circuit.bytes));
    expect(sum(({ cost }) => cost)).toBe(worth(ALL));
    expect(sum(({ host }) => host)).toBe(worth(9_999n));
    expect(sum(({ relayed }) => relayed)).toBe(worth(ALL) + worth(10_006n));
    expect(spent('s0.web3') + spent('s1.web3') + spent('s2.web3')).toBe(worth(ALL));
    expect(new Set(charges.map(({ payer, name }) => `${payer} ${name}`)).size).toBe(3);
  });

  it('is nothing where nothing came', async () => {
    const charges: Charge[] = [];
    const told = new SiteUsage(budget, (charge) => void charges.push(charge));
    const done = await told.begin(fetchOf('a.web3'), { bytes: 0 });
    done();
    expect(charges).toEqual([]);
  });
});

describe('a site that is stopped', () => {
  it('begins no block, and its open streams end with the reason; others go on', async () => {
    using streams = new SiteStreams(budget);
    const opened = (): PassThrough => new PassThrough();
    const [mine, other] = [
      await streams.open('a.web3', async () => opened()),
      await streams.open('b.web3', async () => opened()),
    ];
    const ended = once(mine, 'error');
    // It stands only when the site is stopped already.
    const late = opened();
    let stands = (_stream: PassThrough): void => undefined;
    const opening = streams.open('a.web3', () => new Promise<PassThrough>((resolve) => (stands = resolve)));
    await budget.stopSite('a.web3');
    stands(late);
    const stopped = { code: 'BUDGET_STOPPED' };
    expect(await ended).toMatchObject([stopped]);
    await expect(opening).rejects.toMatchObject(stopped);
    await expect(streams.open('a.web3', async () => opened())).rejects.toMatchObject(stopped);
    await expect(usage.begin(fetchOf('a.web3'), { bytes: 0 })).rejects.toMatchObject(stopped);
    expect([mine.destroyed, late.destroyed, other.destroyed]).toEqual([true, true, false]);
    await budget.startSite('a.web3');
    expect((await streams.open('a.web3', async () => opened())).destroyed).toBe(false);
  });
});
