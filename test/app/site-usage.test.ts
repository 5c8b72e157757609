/** What a site's visitors may cost a gateway: tried by a site that makes them download for ever. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isRelaymintError } from '../../core/errors.ts';
import { MAX_BLOCK_BYTES } from '../../core/limits.ts';
import { silentLog, systemClock } from '../../core/ports.ts';
import { MIB, U64_MAX, amount, pricePerMiB } from '../../core/units.ts';
import { openBudget, type Budget } from '../../ledger/budget/index.ts';
import { SiteUsage } from '../../app/roles/routes.ts';

const PRICE = pricePerMiB(40_000n);
const LIMIT = amount(10_000_000n);

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
        const done = await usage.begin('greedy.web3', circuit, PRICE);
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
    expect(await usage.begin('other.web3', circuit, PRICE)).toBeTypeOf('function');
  });

  it('is charged with all that its circuit carried, and a failed block with no more than came', async () => {
    const circuit = { bytes: 3000 };
    const begun = await usage.begin('a.web3', circuit, PRICE);
    circuit.bytes += MIB;
    begun();
    begun();
    const failed = await usage.begin('a.web3', circuit, PRICE);
    failed();
    expect(spent('a.web3')).toBe(BigInt(Math.ceil(((MIB + 3000) * 40_000) / MIB)));
  });

  it('on a circuit that it shares is charged with what came while it fetched', async () => {
    const circuit = { bytes: 0 };
    const one = await usage.begin('a.web3', circuit, PRICE);
    const two = await usage.begin('b.web3', circuit, PRICE);
    circuit.bytes += MIB;
    one();
    circuit.bytes += 2 * MIB;
    two();
    expect([spent('a.web3'), spent('b.web3')]).toEqual([40_000n, 80_000n]);
  });
});
