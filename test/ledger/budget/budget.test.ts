/** Spending limits, as somebody would get around them who can have this node open channels, restart it or set its clock. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isRelaymintError } from '../../../core/errors.ts';
import { ledgerAddress, type LedgerAddress } from '../../../core/ids.ts';
import { MAX_BUDGET_ENTRIES } from '../../../core/limits.ts';
import { silentLog, type Log } from '../../../core/ports.ts';
import { amount, unixMillis, type Amount } from '../../../core/units.ts';
import { openBudget, type Budget, type BudgetOptions } from '../../../ledger/budget/index.ts';

const HOUR = 3_600_000;
const MINUTE = 60_000;
const LIMITS = { perPeer: amount(40n), perSite: amount(32n), total: amount(100n) };
const START = 1_800_000_000_000;

const peer = (n: number): LedgerAddress => ledgerAddress(new Uint8Array(32).fill(n + 1));
const [ALICE, BOB, CAROL] = [peer(1), peer(2), peer(3)];

let folder: string;
let file: string;
/** What the machine shows: its clock and how long it has been up. */
let machine: { wall: number; up: number };
let said: object[];
let started: Budget[];
const log: Log = { ...silentLog, warn: (fields) => void said.push(fields), error: (fields) => void said.push(fields) };

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'relaymint-budget-'));
  file = path.join(folder, 'budget');
  machine = { wall: START, up: 1_000_000 };
  said = [];
  started = [];
});
afterEach(async () => {
  // What one of them writes later would be in the way of the removal.
  for (const budget of started) await budget[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** Without disposing the one before, this is what a killed process leaves. */
async function start(changes: Partial<BudgetOptions> = {}): Promise<Budget> {
  const budget = await openBudget({
    file,
    limits: LIMITS,
    clock: { now: () => unixMillis(machine.wall) },
    uptime: () => machine.up,
    log,
    ...changes,
  });
  started.push(budget);
  return budget;
}

function pass(millis: number): void {
  machine.wall += millis;
  machine.up += millis;
}

/** False when the budget says no. Any other failure is one. */
async function lets(taking: Promise<unknown>): Promise<boolean> {
  try {
    await taking;
    return true;
  } catch (error) {
    if (isRelaymintError(error, 'BUDGET_EXHAUSTED')) return false;
    throw error;
  }
}

/** How much of it a budget lets out, one unit at a time. */
async function most(budget: Budget, who: LedgerAddress, tries = 200): Promise<number> {
  let got = 0;
  while (got < tries && (await lets(budget.reserve(who, amount(1n))))) got += 1;
  return got;
}

const spend = (budget: Budget, who: LedgerAddress, value: bigint): Promise<unknown> =>
  budget.reserve(who, amount(value));

describe('a budget', () => {
  it('lets no wallet have more than its limit in an hour, and all of them no more than theirs', async () => {
    const budget = await start();
    expect(await most(budget, ALICE)).toBe(40);
    expect(await most(budget, BOB)).toBe(40);
    expect(await most(budget, CAROL)).toBe(20);
    expect(budget.view()).toMatchObject({ spent: 100n, earned: 0n, limits: LIMITS });
    expect(budget.view().peers.map(({ who, spent }) => [who, spent])).toEqual([
      [ALICE, 40n],
      [BOB, 40n],
      [CAROL, 20n],
    ]);
  });

  it('holds against what comes at once', async () => {
    const budget = await start();
    const all = await Promise.allSettled(Array.from({ length: 90 }, (_, i) => spend(budget, peer(i % 9), 3n)));
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(33);
  });

  it('says what was reached, with the option that allows more, and logs it once until it is below again', async () => {
    const budget = await start();
    await spend(budget, ALICE, 40n);
    for (let i = 0; i < 3; i += 1) {
      await expect(spend(budget, ALICE, 1n)).rejects.toMatchObject({
        code: 'BUDGET_EXHAUSTED',
        remedy: expect.stringContaining('--spend-limit-peer') as string,
        details: { limit: 'perPeer', who: ALICE, spent: '40', wanted: '1', allowed: '40' },
      });
    }
    expect(said).toHaveLength(1);
    await spend(budget, BOB, 40n);
    await expect(spend(budget, CAROL, 21n)).rejects.toMatchObject({
      remedy: expect.stringMatching(/--spend-limit\./) as string,
    });
    expect(said).toHaveLength(2);
    pass(2 * HOUR);
    await spend(budget, ALICE, 40n);
    await expect(spend(budget, ALICE, 1n)).rejects.toMatchObject({ code: 'BUDGET_EXHAUSTED' });
    expect(said).toHaveLength(3);
  });

  it('never lets out twice as much at the turn of an hour', async () => {
    const budget = await start();
    pass(59 * MINUTE);
    await spend(budget, ALICE, 40n);
    for (let minute = 1; minute <= 60; minute += 1) {
      pass(MINUTE - 1);
      expect(await most(budget, ALICE, 1)).toBe(0);
    }
    pass(6 * MINUTE);
    expect(await most(budget, ALICE)).toBe(40);
  });

  it('takes back what was certainly not spent, once', async () => {
    const budget = await start();
    const taken = await budget.reserve(ALICE, amount(40n));
    taken.release();
    taken.release();
    expect(await most(budget, ALICE)).toBe(40);
    expect(await most(await start(), ALICE)).toBe(0);
  });

  it('grows by what was earned in the same hour, and never by what is forgotten', async () => {
    let earned = 1_000_000n;
    const budget = await start({ earned: () => earned });
    expect(await most(budget, ALICE)).toBe(40);
    earned += 15n;
    expect(await most(budget, ALICE)).toBe(15);
    earned -= 500n;
    expect(await most(budget, ALICE)).toBe(0);
    earned += 1n;
    expect(await most(budget, ALICE)).toBe(1);
    expect(budget.view().earned).toBe(16n);
    pass(HOUR + 5 * MINUTE);
    expect(await most(budget, ALICE)).toBe(40);
  });

  it('with a limit of nothing spends nothing', async () => {
    const budget = await start({ limits: { ...LIMITS, total: amount(0n) } });
    expect(await most(budget, ALICE)).toBe(0);
  });

  it('spends nothing that it cannot record', async () => {
    const budget = await start({ file: path.join(folder, 'gone', 'budget') });
    await expect(spend(budget, ALICE, 10n)).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
    // The second one has to write what the first one could not.
    for (const _time of [1, 2])
      await expect(budget.reserveSite('a.web3', amount(10n))).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
    expect(budget.view().spent).toBe(0n);
  });

  it('remembers a limited number of wallets and takes no more, rather than forget one', async () => {
    const wide = { ...LIMITS, total: amount(1n << 40n) };
    const budget = await start({ limits: wide });
    const wallet = (n: number): LedgerAddress =>
      ledgerAddress(Uint8Array.from({ length: 32 }, (_, i) => (n >> (8 * (i % 4))) & 255));
    await Promise.all(Array.from({ length: MAX_BUDGET_ENTRIES }, (_, n) => spend(budget, wallet(n + 1), 1n)));
    await expect(spend(budget, wallet(100_000), 1n)).rejects.toMatchObject({ code: 'BUDGET_EXHAUSTED' });
    expect(await most(budget, wallet(5))).toBe(39);
    expect(await most(await start({ limits: wide }), wallet(5))).toBe(0);
  });
});

describe('a restart', () => {
  it('again and again lets nothing more out', async () => {
    let out = 0;
    for (let i = 0; i < 20; i += 1) out += await most(await start(), ALICE, 7);
    expect(out).toBe(40);
    await using closed = await start();
    expect(await most(closed, ALICE)).toBe(0);
    pass(HOUR + 5 * MINUTE);
    expect(await most(await start(), ALICE)).toBe(40);
  });

  it.each([
    ['forth by a year', 365 * 24 * HOUR],
    ['back by a year', -365 * 24 * HOUR],
  ])('after the clock jumped %s lets nothing more out, nor does the jump itself', async (_how, jump) => {
    const budget = await start();
    await spend(budget, ALICE, 40n);
    machine.wall += jump;
    expect(await most(budget, ALICE)).toBe(0);
    expect(await most(await start(), ALICE)).toBe(0);
    machine.wall -= jump;
    expect(await most(await start(), ALICE)).toBe(0);
    pass(HOUR + 5 * MINUTE);
    expect(await most(await start(), ALICE)).toBe(40);
  });

  it('of the machine lets out what the time since then allows, by both of its clocks', async () => {
    await spend(await start(), ALICE, 40n);
    machine = { wall: START + 3 * HOUR, up: 20_000 };
    const budget = await start();
    expect(await most(budget, ALICE)).toBe(0);
    pass(HOUR + 5 * MINUTE);
    expect(await most(budget, ALICE)).toBe(40);
    machine = { wall: machine.wall + 3 * HOUR, up: 3 * HOUR };
    expect(await most(await start(), ALICE)).toBe(40);
  });

  it('with a damaged record spends nothing for an hour, and says so', async () => {
    await spend(await start(), ALICE, 1n);
    const whole = await readFile(file);
    for (let at = 0; at < whole.length; at += 1) {
      const spoilt = Buffer.from(whole);
      spoilt[at] = (spoilt[at] ?? 0) ^ 1;
      await writeFile(file, spoilt);
      expect(await most(await start(), BOB, 1)).toBe(0);
    }
    await writeFile(file, whole.subarray(0, 20));
    said = [];
    expect(await most(await start(), BOB, 1)).toBe(0);
    expect(said[0]).toMatchObject({ file });
    expect(await most(await start(), BOB, 1)).toBe(0);
    pass(HOUR + 5 * MINUTE);
    expect(await most(await start(), BOB)).toBe(40);
  });
});

describe("a site's budget", () => {
  const take = async (budget: Budget, site: string, value: Amount): Promise<boolean> =>
    budget.reserveSite(site, value).then(
      () => true,
      () => false,
    );

  it('ends for that site alone', async () => {
    const budget = await start();
    expect(await take(budget, 'a.web3', amount(32n))).toBe(true);
    await expect(budget.reserveSite('a.web3', amount(1n))).rejects.toMatchObject({
      code: 'BUDGET_EXHAUSTED',
      remedy: expect.stringContaining('--spend-limit-site') as string,
    });
    expect(await take(budget, 'b.web3', amount(32n))).toBe(true);
    expect(budget.view().sites).toMatchObject([
      { who: 'a.web3', spent: 32n },
      { who: 'b.web3', spent: 32n },
    ]);
  });

  it('counts what it came to', async () => {
    const budget = await start();
    const [less, more] = [
      await budget.reserveSite('a.web3', amount(10n)),
      await budget.reserveSite('a.web3', amount(10n)),
    ];
    less.settle(1n);
    less.settle(1n);
    more.settle(30n);
    expect(budget.view().sites).toMatchObject([{ who: 'a.web3', spent: 31n }]);
    expect(await take(budget, 'a.web3', amount(2n))).toBe(false);
    expect(await take(budget, 'a.web3', amount(1n))).toBe(true);
  });

  it('is not reset by a process that dies again and again', async () => {
    let out = 0;
    for (let i = 0; i < 40; i += 1) if (await take(await start(), 'a.web3', amount(1n))) out += 1;
    expect(out).toBeLessThanOrEqual(32);
    expect(out).toBeGreaterThan(8);
  });

  it('is kept to the unit by a process that ends normally', async () => {
    for (let i = 0; i < 32; i += 1) {
      await using budget = await start();
      expect(await take(budget, 'a.web3', amount(1n))).toBe(true);
    }
    expect(await take(await start(), 'a.web3', amount(1n))).toBe(false);
  });

  it('of the most expensive sites is never forgotten for others', async () => {
    const budget = await start();
    await budget.reserveSite('dear.web3', amount(32n));
    const more: boolean[] = [];
    for (let n = 0; n < 2 * MAX_BUDGET_ENTRIES; n += 1) {
      (await budget.reserveSite(`s${n}.web3`, amount(2n))).settle(1n);
      if (n % 64 === 0) more.push(await take(budget, 'dear.web3', amount(1n)));
    }
    more.push(await take(budget, 'dear.web3', amount(1n)));
    expect(new Set(more)).toEqual(new Set([false]));
  }, 60_000);
});

describe('what a person says of a site', () => {
  const SITE = 'a.web3';
  const take = async (budget: Budget, site: string, value: bigint): Promise<boolean> => {
    try {
      await budget.reserveSite(site, amount(value));
      return true;
    } catch (error) {
      if (isRelaymintError(error, 'BUDGET_EXHAUSTED', 'BUDGET_STOPPED')) return false;
      throw error;
    }
  };

  it('stops that one, tells who downloads, and holds when the process dies', async () => {
    const budget = await start();
    const told: string[] = [];
    using listening = budget.onStop((site, { code }) => void told.push(`${site} ${code}`));
    await budget.stopSite(SITE);
    expect(told).toEqual(['a.web3 BUDGET_STOPPED']);
    expect(() => budget.requireStarted(SITE)).toThrow(expect.objectContaining({ code: 'BUDGET_STOPPED' }) as Error);
    expect([await take(budget, SITE, 1n), await take(budget, 'b.web3', 1n)]).toEqual([false, true]);
    const again = await start();
    expect([await take(again, SITE, 1n), await take(again, 'b.web3', 1n)]).toEqual([false, true]);
    await again.startSite(SITE);
    expect(await take(await start(), SITE, 1n)).toBe(true);
    listening[Symbol.dispose]();
    await budget.stopSite('b.web3');
    expect(told).toHaveLength(1);
  });

  it('gives it a limit of its own, until that is taken back', async () => {
    const budget = await start();
    expect(budget.site(SITE)).toEqual({
      who: SITE,
      spent: 0n,
      limit: 32n,
      hasOwnLimit: false,
      isStopped: false,
      freesAt: undefined,
    });
    expect([await take(budget, SITE, 32n), await take(budget, SITE, 1n)]).toEqual([true, false]);
    await budget.limitSite(SITE, amount(40n));
    const again = await start();
    expect(again.site(SITE)).toMatchObject({ limit: 40n, hasOwnLimit: true, freesAt: START + 65 * MINUTE });
    expect(again.sites()).toEqual([again.site(SITE)]);
    await again.limitSite(SITE, undefined);
    expect([again.site(SITE).limit, await take(again, SITE, 1n)]).toEqual([32n, false]);
    expect(await take(again, 'b.web3', 33n)).toBe(false);
  });

  it('is nothing that would be forgotten with the hour, or change the file of who says nothing', async () => {
    const budget = await start();
    await take(budget, SITE, 1n);
    expect((await readFile(file))[8]).toBe(1);
    await budget.stopSite(SITE);
    await budget.limitSite('b.web3', amount(7n));
    expect((await readFile(file))[8]).toBe(2);
    pass(2 * HOUR);
    expect(budget.sites()).toMatchObject([
      { who: SITE, spent: 0n, isStopped: true },
      { who: 'b.web3', spent: 0n, limit: 7n },
    ]);
    await budget.startSite(SITE);
    await budget.limitSite('b.web3', undefined);
    expect((await readFile(file))[8]).toBe(1);
  });

  it('holds, as far as it saves money, when it cannot be written', async () => {
    const budget = await start();
    await budget.limitSite('b.web3', amount(8n));
    await rm(folder, { recursive: true, force: true });
    const failed = { code: 'STORAGE_FAILED' };
    await expect(budget.stopSite(SITE)).rejects.toMatchObject(failed);
    await expect(budget.startSite(SITE)).rejects.toMatchObject(failed);
    await expect(budget.limitSite('b.web3', amount(9n))).rejects.toMatchObject(failed);
    expect([budget.site(SITE).isStopped, budget.site('b.web3').limit]).toEqual([true, 8n]);
  });

  it('stays a stop, where a limit that was said before it could not be written', async () => {
    const budget = await start();
    await rm(folder, { recursive: true, force: true });
    const said = await Promise.allSettled([budget.limitSite(SITE, amount(9n)), budget.stopSite(SITE)]);
    expect(said.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(budget.site(SITE)).toMatchObject({ isStopped: true, hasOwnLimit: false });
  });

  it('is remembered of so many sites and no more', async () => {
    const budget = await start();
    const all = Array.from({ length: MAX_BUDGET_ENTRIES }, (_, n) => budget.limitSite(`s${n}.web3`, amount(1n)));
    await Promise.all(all);
    await expect(budget.stopSite(SITE)).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
    await budget.stopSite('s1.web3');
    expect((await start()).site('s1.web3')).toMatchObject({ isStopped: true, limit: 1n });
  });
});

it('whatever happens, no hour has more in it than the limits (fast-check)', async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('spend' as const), who: fc.nat(2), value: fc.bigInt({ min: 0n, max: 60n }) }),
    fc.record({ do: fc.constant('pass' as const), millis: fc.nat(30 * MINUTE) }),
    fc.record({ do: fc.constant('jump' as const), millis: fc.integer({ min: -5 * HOUR, max: 5 * HOUR }) }),
    fc.record({ do: fc.constant('restart' as const), kill: fc.boolean() }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      await rm(file, { force: true });
      let budget = await start();
      const spent: { at: number; who: number; value: bigint }[] = [];
      const passed: boolean[] = [];
      for (const one of steps) {
        if (one.do === 'pass') pass(one.millis);
        else if (one.do === 'jump') machine.wall += one.millis;
        else if (one.do === 'restart') {
          if (!one.kill) await budget[Symbol.asyncDispose]();
          budget = await start();
        } else {
          const sum = (who?: number): bigint =>
            spent.reduce((all, { at, who: whom, value }) => {
              const counts = machine.up - at < HOUR && (who === undefined || who === whom);
              return counts ? all + value : all;
            }, 0n);
          const [own, all] = [sum(one.who) + one.value, sum() + one.value];
          if (!(await lets(spend(budget, peer(one.who), one.value)))) continue;
          passed.push(own > LIMITS.perPeer || all > LIMITS.total);
          spent.push({ at: machine.up, who: one.who, value: one.value });
        }
      }
      expect(passed).not.toContain(true);
    }),
    { numRuns: 60 },
  );
}, 60_000);
