import { beforeAll, describe, expect, it } from 'vitest';
import { measureChannelCosts } from '../../bench/ledger/channels.ts';
import type { ChannelCostName, ChannelCostRow } from '../../bench/ledger/channels.ts';
import { costUnits } from '../../bench/ledger/cost-model.ts';

/** A fifth of what the programs of others take for a channel: opening it in one transaction, distributing in another. */
const LIMIT = 60_709 / 5;

describe("the cost of a channel to the chain's scheduler", () => {
  let rows: ReadonlyMap<ChannelCostName, ChannelCostRow>;
  const sum = (...names: readonly ChannelCostName[]): number =>
    names.reduce((total, name) => total + (rows.get(name)?.costUnits ?? Number.NaN), 0);
  beforeAll(() => {
    rows = new Map(measureChannelCosts().map((row) => [row.name, row]));
  });

  it('is at most a fifth of the usual when both sides close it', () => {
    expect(sum('channel-open', 'channel-close')).toBeLessThanOrEqual(LIMIT);
  });

  it('is at most a fifth of the usual when the payer closes it alone', () => {
    expect(sum('channel-open', 'channel-request-close', 'channel-close-alone')).toBeLessThanOrEqual(LIMIT);
  });

  it('is the sum of what the transactions really used', () => {
    expect([...rows.keys()]).toEqual(['channel-open', 'channel-close', 'channel-request-close', 'channel-close-alone']);
    expect(rows.get('channel-open')).toMatchObject({ signatures: 1, writeLocks: 5, dataBytes: 73, feeLamports: 5_000 });
    expect(rows.get('channel-close')).toMatchObject({ signatures: 2, writeLocks: 5, dataBytes: 17 });
    for (const row of rows.values()) {
      expect(row.computeUnits).toBeGreaterThan(900);
      expect(row.loadedBytes).toBeGreaterThan(60_000);
      expect(row.costUnits).toBe(costUnits(row));
    }
  });
});

describe('the cost model', () => {
  const nothing = { signatures: 0, writeLocks: 0, dataBytes: 0, computeUnits: 0, loadedBytes: 0 };

  it.each([
    [{}, 0],
    [{ signatures: 2 }, 1_440],
    [{ writeLocks: 3 }, 900],
    [{ dataBytes: 7 }, 1],
    [{ computeUnits: 123 }, 123],
    [{ loadedBytes: 1 }, 8],
    [{ loadedBytes: 32_768 }, 8],
    [{ loadedBytes: 32_769 }, 16],
  ])('counts %j as %d units', (figures, units) => {
    expect(costUnits({ ...nothing, ...figures })).toBe(units);
  });
});
