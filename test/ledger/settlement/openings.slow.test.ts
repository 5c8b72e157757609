/** What payers staked for their windows: who paid for everything has it again, who did not has not, and neither costs the payee. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RelaymintError } from '../../../core/errors.ts';
import { nodeId } from '../../../core/ids.ts';
import { RETURNS_PER_TRANSACTION } from '../../../core/limits.ts';
import { amount, lamports, unixMillis } from '../../../core/units.ts';
import type { Amount } from '../../../core/units.ts';
import type { ChannelState } from '../../../ledger/contract.ts';
import type { EmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import { altered, CHALLENGE_SECONDS, DEPOSIT, startLedger, World } from './world.ts';

const OPENING = amount(40_000n);
/** Worth less than twice what its return costs: its payer does not pay for that. */
const SMALL = amount(9_999n);
const FEE = 5_000n;

let server: EmbeddedLedger;
let world: World;
async function begin(payers: number, opening: Amount): Promise<void> {
  world = await World.create(server, 'openings', payers, payers, opening);
}
beforeEach(async () => {
  server = await startLedger();
});
afterEach(async () => {
  await world.close();
  await server.close();
});

function channelOf(payer: number): ChannelState {
  const channel = world.payers[payer]?.channel;
  if (channel === undefined) throw new RangeError(`there is no payer ${payer}`);
  return channel;
}

/** As the chain shows it. */
async function held(payer: number): Promise<Pick<ChannelState, 'deposit' | 'opening'> | undefined> {
  const { till, slot } = channelOf(payer);
  const channel = await world.ledger.channel(till, slot);
  return channel && { deposit: channel.deposit, opening: channel.opening };
}

/**
 * The till is looked at that many times, so many seconds from now; what this cost the payee, lamports at the bank's price of one
 * unit.
 */
async function looks(times: number, later = 0): Promise<bigint> {
  const before = (await world.ledger.balances(world.wallet.address)).lamports;
  const engine = world.engine({ clock: { now: () => unixMillis(Date.now() + later * 1_000) } });
  for (let look = 0; look < times; look += 1) await engine.settleAll();
  await engine.close();
  return before - (await world.ledger.balances(world.wallet.address)).lamports;
}

describe('a payer that closes', () => {
  it('gets all of it back when it paid for everything, and pays what that costs', async () => {
    await begin(2, OPENING);
    await world.receive(0, 3_000n);
    await world.requestClose(0);
    // One settlement, and the return, which its payer pays.
    expect(await looks(3)).toBe(FEE);
    expect(await held(0)).toEqual({ deposit: DEPOSIT + OPENING, opening: 0n });
    expect(await held(1)).toEqual({ deposit: DEPOSIT, opening: OPENING });
    await server.warp(CHALLENGE_SECONDS + 1);
    const closing = world.payers[0];
    const { address } = closing?.wallet ?? world.wallet;
    const before = await world.ledger.balances(address);
    await closing?.wallet.closeChannel(channelOf(0));
    const after = await world.ledger.balances(address);
    expect(after.credits - before.credits).toBe(DEPOSIT + OPENING - 3_000n);
    expect((await world.ledger.bank()).forgone).toBe(0n);
  });

  it.each([
    ['left unpaid', 700n, 0n],
    ['had burned for its circuits', 0n, 500n],
    ['left unpaid and had burned', 700n, 500n],
  ])('does not get back what it %s; nobody does', async (_title, unpaid, advanced) => {
    await begin(1, OPENING);
    const { id, payer } = channelOf(0);
    await world.receive(0, 100_000n);
    world.store.leaveUnpaid(id, unpaid);
    await world.store.advance(payer, amount(advanced));
    await world.requestClose(0);
    await looks(3, CHALLENGE_SECONDS);
    const kept = unpaid + advanced;
    expect(await held(0)).toEqual({ deposit: DEPOSIT + OPENING - kept, opening: kept });
    await server.warp(CHALLENGE_SECONDS + 1);
    await world.payers[0]?.wallet.closeChannel(channelOf(0));
    expect((await world.ledger.bank()).forgone).toBe(kept);
  });

  it('waits for what was advanced for it to come back, as long as there is time, and gets the rest when it comes later', async () => {
    await begin(2, OPENING);
    for (const payer of [0, 1]) {
      await world.receive(payer, 100_000n);
      await world.store.advance(channelOf(payer).payer, amount(OPENING / 2n));
      await world.requestClose(payer);
    }
    await looks(2, (CHALLENGE_SECONDS * 2) / 3);
    expect(await held(0)).toMatchObject({ opening: OPENING });
    world.store.recoup(channelOf(0).payer, amount(OPENING / 2n));
    await looks(2);
    expect(await held(0)).toMatchObject({ opening: 0n });
    expect(await held(1)).toMatchObject({ opening: OPENING });
    await looks(2, CHALLENGE_SECONDS);
    expect(await held(1)).toMatchObject({ opening: OPENING / 2n });
    world.store.recoup(channelOf(1).payer, amount(OPENING / 2n));
    await looks(2, CHALLENGE_SECONDS);
    expect(await held(1)).toMatchObject({ opening: 0n });
  });

  it('gets a part once and then the rest: what comes back bit by bit does not cost the payee a transaction for each bit', async () => {
    await begin(1, OPENING);
    const { payer } = channelOf(0);
    await world.receive(0, 100_000n);
    await world.store.advance(payer, amount(1_000n));
    await world.requestClose(0);
    const engine = world.engine({ clock: { now: () => unixMillis(Date.now() + CHALLENGE_SECONDS * 1_000) } });
    await engine.settleAll();
    expect(await held(0)).toMatchObject({ opening: 1_000n });
    const before = (await world.ledger.balances(world.wallet.address)).lamports;
    for (let bit = 0; bit < 9; bit += 1) {
      world.store.recoup(payer, amount(100n));
      await engine.settleAll();
    }
    expect((await world.ledger.balances(world.wallet.address)).lamports).toBe(before);
    world.store.recoup(payer, amount(100n));
    await engine.settleAll();
    expect(await held(0)).toMatchObject({ opening: 0n });
    await engine.close();
  });

  it('pays for what it left unpaid once, and not with its next channel again', async () => {
    await begin(1, OPENING);
    const [payer] = world.payers;
    if (payer === undefined) throw new RangeError('there is no payer');
    await world.receive(0, 100_000n);
    world.store.leaveUnpaid(channelOf(0).id, 700n);
    await world.store.advance(channelOf(0).payer, amount(300n));
    await world.requestClose(0);
    await looks(1, CHALLENGE_SECONDS);
    expect(await held(0)).toMatchObject({ opening: 1_000n });
    await server.warp(CHALLENGE_SECONDS + 1);
    await payer.wallet.closeChannel(channelOf(0));
    await looks(1);
    const owes = (): bigint =>
      world.store.arrearsOf(payer.wallet.address) + world.store.advancedTo(payer.wallet.address);
    expect(owes()).toBe(0n);
    await payer.wallet.buy(lamports(2_000n));
    const funds = { deposit: amount(DEPOSIT - 200_000n), opening: OPENING };
    payer.channel = await payer.wallet.openChannel(world.wallet.address, payer.channel.delegate, funds);
    world.store.enter('payee', nodeId(new Uint8Array(32).fill(5)), payer.channel);
    await world.requestClose(0);
    await looks(1);
    expect(await held(0)).toMatchObject({ opening: 0n });
  });

  it('owes for another channel what it owed before, even if it closes the returned one before anybody looks again', async () => {
    await begin(1, OPENING);
    const [payer] = world.payers;
    if (payer === undefined) throw new RangeError('there is no payer');
    await payer.wallet.buy(lamports(1_000n + OPENING));
    const funds = { deposit: amount(1_000n), opening: OPENING };
    await world.wallet.growTill(2);
    await server.warp(10);
    const other = await payer.wallet.openChannel(world.wallet.address, payer.channel.delegate, funds);
    world.store.enter('payee', nodeId(new Uint8Array(32).fill(5)), other);
    await world.requestClose(0);
    const engine = world.engine();
    // Its first look, by itself: the next is an hour away.
    await expect.poll(() => held(0)).toMatchObject({ opening: 0n });
    world.store.leaveUnpaid(other.id, 30_000n);
    await server.warp(CHALLENGE_SECONDS + 1);
    await payer.wallet.closeChannel(channelOf(0));
    await engine.settleAll();
    expect(world.store.entry(channelOf(0).id)).toBeUndefined();
    expect(world.store.arrearsOf(payer.wallet.address)).toBe(30_000n);
    await engine.close();
  });

  it('has what it owes reduced by what it lost, and by no more', async () => {
    await begin(1, OPENING);
    const { id, payer } = channelOf(0);
    world.store.leaveUnpaid(id, 500n);
    await world.store.advance(payer, amount(300n));
    world.store.forfeit(payer, amount(200n));
    expect([world.store.arrearsOf(payer), world.store.advancedTo(payer)]).toEqual([300n, 300n]);
    world.store.forfeit(payer, amount(400n));
    expect([world.store.arrearsOf(payer), world.store.advancedTo(payer)]).toEqual([0n, 200n]);
    world.store.forfeit(payer, OPENING);
    expect([world.store.arrearsOf(payer), world.store.advancedTo(payer)]).toEqual([0n, 0n]);
  });

  it('gets nothing back when it left more unpaid than it staked', async () => {
    await begin(1, OPENING);
    world.store.leaveUnpaid(channelOf(0).id, OPENING + 1n);
    await world.requestClose(0);
    expect(await looks(3)).toBe(0n);
    expect(await held(0)).toEqual({ deposit: DEPOSIT, opening: OPENING });
  });

  it('waits while a link still pays for the channel: what that leaves unpaid is kept back', async () => {
    await begin(1, OPENING);
    const { id } = channelOf(0);
    await world.receive(0, 100_000n);
    await world.requestClose(0);
    let live = true;
    world.store.users = { isLive: () => live, isPromised: () => false, forgotten: () => {} };
    await looks(2);
    expect(await held(0)).toEqual({ deposit: DEPOSIT, opening: OPENING });
    world.store.leaveUnpaid(id, 9n);
    live = false;
    await looks(2);
    expect(await held(0)).toEqual({ deposit: DEPOSIT + OPENING - 9n, opening: 9n });
  });
});

describe('the payee', () => {
  it('returns those of many payers in few transactions, at their cost', async () => {
    await begin(40, OPENING);
    for (let payer = 0; payer < 40; payer += 1) await world.requestClose(payer);
    // Two transactions: the payers pay for forty.
    expect(await looks(2)).toBe(2n * FEE - 40n * FEE);
    for (let payer = 0; payer < 40; payer += 1) expect(await held(payer)).toMatchObject({ opening: 0n });
  }, 120_000);

  it('pays nothing for payers that brought nothing and staked little', async () => {
    await begin(3, SMALL);
    for (let payer = 0; payer < 3; payer += 1) await world.requestClose(payer);
    expect(await looks(3)).toBe(0n);
    expect(await held(0)).toEqual({ deposit: DEPOSIT, opening: SMALL });
  });

  it('pays at most a tenth of what they brought', async () => {
    await begin(2, SMALL);
    await world.receive(0, 10n * FEE - 1n);
    await world.requestClose(0);
    expect(await looks(3)).toBe(FEE);
    expect(await held(0)).toMatchObject({ opening: SMALL });
    await world.receive(1, 1n);
    await world.requestClose(1);
    // Settling one unit is not worth it unasked; asked, it is done, and then both have brought enough.
    expect(await looks(1)).toBe(2n * FEE);
    expect(await held(0)).toMatchObject({ opening: 0n });
    expect(await held(1)).toMatchObject({ opening: 0n });
  });

  it('does not return again what an old read shows as held: it died just after it had returned a part', async () => {
    await begin(1, OPENING);
    const { payer } = channelOf(0);
    await world.receive(0, 100_000n);
    await looks(1);
    await world.store.advance(payer, amount(OPENING - 1_000n));
    await world.requestClose(0);
    const old = await world.ledger.till(world.wallet.address);
    await looks(1, CHALLENGE_SECONDS);
    expect(await held(0)).toMatchObject({ opening: OPENING - 1_000n });
    const reader = altered(world.ledger, {
      till: async (owner, commitment) => (commitment === 'finalized' ? old : world.ledger.till(owner)),
    });
    const engine = world.engine({ reader, clock: { now: () => unixMillis(Date.now() + CHALLENGE_SECONDS * 1_000) } });
    await engine.settleAll();
    await engine.close();
    expect(await held(0)).toMatchObject({ opening: OPENING - 1_000n });
  });

  it('returns to the others where one payer has closed since the last read, or where one transaction fails', async () => {
    await begin(40, OPENING);
    for (let payer = 0; payer < 40; payer += 1) await world.requestClose(payer);
    const old = await world.ledger.till(world.wallet.address);
    const bySlot = Array.from(world.payers.keys()).sort((a, b) => channelOf(a).slot - channelOf(b).slot);
    await world.closeTogether(bySlot[39] ?? -1);
    const reader = altered(world.ledger, {
      till: async (owner, commitment) => (commitment === 'finalized' ? old : world.ledger.till(owner)),
    });
    const wallet = altered(world.wallet, {
      returnOpenings: async (returns) => {
        if (returns.length === RETURNS_PER_TRANSACTION) {
          throw new RelaymintError('LEDGER_REJECTED', 'Not now.', { remedy: 'Later.' });
        }
        return world.wallet.returnOpenings(returns);
      },
    });
    const engine = world.engine({ reader, wallet });
    await engine.settleAll();
    await engine.close();
    for (const [place, payer] of bySlot.slice(0, 39).entries()) {
      expect(await held(payer)).toMatchObject({ opening: place < RETURNS_PER_TRANSACTION ? OPENING : 0n });
    }
  }, 120_000);

  it('settles as ever where returning fails, and returns at the next look', async () => {
    await begin(1, OPENING);
    await world.receive(0, 3_000n);
    await world.requestClose(0);
    let fails = true;
    const failing = altered(world.wallet, {
      returnOpenings: async (returns) => {
        if (fails) throw new RelaymintError('LEDGER_REJECTED', 'Not now.', { remedy: 'Later.' });
        return world.wallet.returnOpenings(returns);
      },
    });
    const engine = world.engine({ wallet: failing });
    await expect(engine.settleAll()).resolves.toHaveLength(1);
    expect(await world.settledOnChain()).toBe(3_000n);
    expect(await held(0)).toMatchObject({ opening: OPENING });
    fails = false;
    await engine.settleAll();
    expect(await held(0)).toMatchObject({ opening: 0n });
    await engine.close();
  });

  it('is stopped at once while the ledger does not answer a return', async () => {
    await begin(1, OPENING);
    await world.receive(0, 100_000n);
    await world.requestClose(0);
    let asked = (): void => {};
    const returning = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const hung = altered(world.wallet, {
      returnOpenings: async () => {
        asked();
        return new Promise<never>(() => {});
      },
    });
    const engine = world.engine({ wallet: hung });
    const settling = engine.settleAll().catch((error: unknown) => error);
    await returning;
    await engine.close();
    expect(await settling).toMatchObject({ code: 'CLOSED' });
  });
});
