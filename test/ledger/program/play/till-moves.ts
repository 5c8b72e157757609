/** Moves on tills and channels. */
import type { Label, Step } from '../model/calls.ts';
import { purseOf } from '../model/wallets.ts';
import { CLAIM_SIZE, claimOf, tillOf } from '../model/tills.ts';
import { ACTORS, WHALE } from './stage.ts';
import type { Move, Stage } from './stage.ts';

/** Who grows its till up to the limit. */
const TOWER = 'fay';

export const openTill: Move = (stage) => {
  const { random } = stage;
  const owner = stage.actor();
  const slots = random.once(8) ? random.of([0, 74, 75]) : 1 + random.number(4);
  return [
    { instruction: 'openTill', accounts: { owner, till: tillOf(stage.or(owner)) }, args: { slots, ...terms(stage) } },
  ];
};

export const growTill: Move = (stage) => {
  const { random } = stage;
  const owner = random.once(20) ? TOWER : stage.actor();
  const till = tillOf(stage.or(owner));
  const { length } = stage.slots(till);
  const small = length < 8 ? length + random.number(4) : length;
  const slots =
    owner === TOWER && length > 4
      ? length + random.of([74, 74, 75, 0, 41])
      : random.once(15)
        ? random.of([0, length + 75])
        : small;
  return [{ instruction: 'growTill', accounts: { owner, till }, args: { slots } }];
};

export const closeTill = (stage: Stage, owner: Label = stage.actor()): ReturnType<Move> => {
  const { random, world } = stage;
  const till = tillOf(stage.or(owner));
  const close = { instruction: 'closeTill', accounts: { owner, till }, args: {} } as const;
  const empty = { instruction: 'withdraw', accounts: { owner, till, destination: purseOf(owner) }, args: {} } as const;
  const again = {
    instruction: 'openTill',
    accounts: { owner, till },
    args: { slots: 1 + random.number(3), minDeposit: 0n, opening: 0n },
  } as const;
  const payer = stage.actor();
  const channel = {
    instruction: 'openChannel',
    accounts: { payer, till, source: purseOf(payer) },
    args: { slot: 0, delegate: payer, deposit: random.amount(100n), opening: random.big(3n) },
  } as const;
  const put = { foreign: 'gift', from: payer, to: 'bank', lamports: world.rent(CLAIM_SIZE) } as const;
  const gift = { foreign: 'gift', from: owner, to: till, lamports: world.rent(128) } as const;
  switch (random.number(6)) {
    case 0:
      return [close];
    case 4:
      return [empty, close, again, close];
    case 1:
      return [empty, close];
    case 2:
      return [empty, close, again];
    case 3:
      return [empty, close, again, put, channel];
    default:
      // Lamports that arrive in the same transaction must not keep it alive.
      return [empty, close, gift, random.once(2) ? again : empty];
  }
};

/** An owner that leaves: every channel is closed, with both ends' consent or without, and the till is often opened anew at once. */
export const leave: Move = (stage) => {
  const { random } = stage;
  const owner = random.of(ACTORS);
  if (owner === TOWER && !random.once(40)) return growTill(stage);
  const till = tillOf(owner);
  const open = stage.slots(till).flatMap((slot, number) => (slot.flags === 1 ? [{ slot, number }] : []));
  if (open.length > 8) return closeTill(stage);
  const alone = random.once(3);
  const closes = open.map(({ slot: { payer, generation }, number }): Step => {
    const right = payer ?? owner;
    if (alone) {
      const accounts = { owner, till, claim: claimOf(right) };
      return { instruction: 'closeByPayee', accounts, args: { slot: number, generation } };
    }
    const accounts = { payer: right, till, destination: purseOf(right), tillOwner: owner };
    return { instruction: 'closeChannel', accounts, args: { slot: number, generation } };
  });
  return random.once(3) ? closes : [...closes, ...closeTill(stage, owner)];
};

export const openChannel: Move = (stage) => {
  const { random } = stage;
  const till = stage.till();
  const payer = stage.actor();
  const free = stage.slots(till).findIndex(({ flags }) => flags === 0);
  const slot = random.once(6) || free < 0 ? stage.slotNumber(till) : free;
  const usual = payer === WHALE ? 1n << 62n : random.of([3n, 200n, 5_000n]);
  const { minDeposit = 0n, opening = 0n, slotRent = stage.world.rent(CLAIM_SIZE) } = stage.world.tills.get(till) ?? {};
  const drawn = random.amount(usual);
  const paid = random.once(15) ? random.big(opening + 3n) : opening;
  const put = random.once(20) ? slotRent - 1n : slotRent;
  const step = { foreign: 'gift', from: payer, to: 'bank', lamports: put } as const;
  return [
    ...(random.once(20) ? [] : [step]),
    {
      instruction: 'openChannel',
      accounts: { payer, till, source: purseOf(stage.or(payer)) },
      // Often the same delegate again, so that an old receipt could fit a new channel.
      args: {
        slot,
        delegate: random.once(60) ? null : random.once(4) ? stage.actor() : payer,
        deposit: drawn < minDeposit && !random.once(6) ? minDeposit : drawn,
        opening: payer === WHALE && random.once(20) ? 1n << 62n : paid,
      },
    },
  ];
};

export const topUp: Move = (stage) => {
  const { random } = stage;
  const { till, slot, generation } = anyChannel(stage);
  const funder = stage.actor();
  const opening = random.once(3) ? random.amount(funder === WHALE ? 1n << 61n : 20n) : 0n;
  return [
    {
      instruction: 'topUp',
      accounts: { funder, till, source: purseOf(stage.or(funder)) },
      args: {
        slot,
        generation,
        amount: random.once(8) ? 0n : random.amount(funder === WHALE ? 1n << 61n : 500n),
        opening,
      },
    },
  ];
};

export const requestClose: Move = (stage) => {
  const { till, slot, generation, payer } = anyChannel(stage);
  return [{ instruction: 'requestClose', accounts: { payer: stage.or(payer), till }, args: { slot, generation } }];
};

export const closeChannel: Move = (stage) => {
  const { random } = stage;
  const { till, slot, generation, payer: right } = anyChannel(stage);
  const payer = stage.or(right);
  const owner = stage.world.tills.get(till)?.owner ?? stage.actor();
  return [
    {
      instruction: 'closeChannel',
      accounts: {
        payer,
        till,
        destination: purseOf(stage.or(payer)),
        tillOwner: random.once(2) ? undefined : stage.or(owner),
      },
      args: { slot, generation },
    },
  ];
};

export const setTillTerms: Move = (stage) => {
  const till = stage.till();
  const owner = stage.or(stage.world.tills.get(till)?.owner ?? stage.actor());
  return [{ instruction: 'setTillTerms', accounts: { owner, till }, args: terms(stage) }];
};

export const closeByPayee: Move = (stage) => {
  const { till, slot, generation, payer } = anyChannel(stage);
  const owner = stage.or(stage.world.tills.get(till)?.owner ?? stage.actor());
  const right = stage.or(payer);
  const close = {
    instruction: 'closeByPayee',
    accounts: { owner, till, claim: claimOf(right) },
    args: { slot, generation },
  } as const;
  return stage.random.once(3) ? [close, paying(right, right)] : [close];
};

/** All of it, mostly; often before either end closes the channel. */
export const returnOpening: Move = (stage) => {
  const { random } = stage;
  const { till, slot, generation, payer } = anyChannel(stage);
  const owner = stage.or(stage.world.tills.get(till)?.owner ?? stage.actor());
  const held = stage.slots(till)[slot]?.opening ?? 0n;
  const amount = random.once(3) ? random.big(held + 3n) : held;
  const back = { instruction: 'returnOpening', accounts: { owner, till }, args: { slot, generation, amount } } as const;
  if (!random.once(3)) return [back];
  const accounts = { owner, till, claim: claimOf(payer) };
  return [back, { instruction: 'closeByPayee', accounts, args: { slot, generation } }];
};

/** Of a claim that there is, mostly. */
export const payClaim: Move = (stage) => {
  const { random, world } = stage;
  const claim = random.once(10) ? undefined : random.of(world.claims.values());
  const payer = claim?.payer ?? stage.actor();
  const held = world.purses.get(purseOf(payer))?.credits;
  if (held !== undefined && random.once(40)) {
    // Its token account goes first: the claim waits for another.
    const gone: readonly Step[] = [
      { foreign: 'burn', owner: payer, amount: held },
      { foreign: 'close purse', owner: payer },
    ];
    return random.once(2) ? gone : [...gone, paying(payer, payer)];
  }
  return [paying(payer, stage.or(payer), stage.or(payer))];
};

function paying(payer: Label, purse: Label, claim: Label = payer): Step {
  const accounts = { payer, claim: claimOf(claim), destination: purseOf(purse) };
  return { instruction: 'payClaim', accounts, args: {} };
}

/** Mostly none or little, so that channels open all the same. */
function terms({ random }: Stage): { minDeposit: bigint; opening: bigint } {
  return {
    minDeposit: random.once(3) ? random.amount(60n) : 0n,
    opening: random.once(2) ? random.big(30n) : 0n,
  };
}

export const withdraw: Move = (stage) => {
  const till = stage.till();
  const owner = stage.or(stage.world.tills.get(till)?.owner ?? stage.actor());
  return [{ instruction: 'withdraw', accounts: { owner, till, destination: purseOf(stage.or(owner)) }, args: {} }];
};

/** Mostly one that is open, in its present generation. */
function anyChannel(stage: Stage): { till: string; slot: number; generation: number; payer: string } {
  const { random } = stage;
  const open = stage.channel();
  const till = open?.till ?? stage.till();
  const slot = open?.number ?? stage.slotNumber(till);
  const present = open?.slot.generation ?? stage.slots(till)[slot]?.generation ?? 1;
  const generation = random.once(12) ? Math.max(0, Math.min(2 ** 32 - 1, present + random.of([-1, 1]))) : present;
  return { till, slot, generation, payer: open?.slot.payer ?? stage.actor() };
}
