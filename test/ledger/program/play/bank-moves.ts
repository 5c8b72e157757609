/** Moves on the bank, on lamports and on token accounts. */
import { purseOf } from '../model/wallets.ts';
import { claimOf, tillOf } from '../model/tills.ts';
import { ADMIN, CLUSTER_TAG, HEIR, TEXTS, TREASURER, WHALE } from './stage.ts';
import type { Move } from './stage.ts';

export const initialize: Move = ({ random }) => [
  {
    instruction: 'initialize',
    accounts: { admin: random.of([ADMIN, 'ann']) },
    args: {
      clusterTag: CLUSTER_TAG,
      unitsPerLamport: random.of([0n, 1n, 3n]),
      challengeSeconds: random.of([0n, 1n, 3_600n, 7_776_001n]),
      nameYearPrice: 0n,
      commitSeconds: 60,
      feeBps: 0,
      treasury: TREASURER,
    },
  },
];

export const buy: Move = (stage) => {
  const { random, bank } = stage;
  const buyer = stage.actor();
  const destination = purseOf(random.once(5) ? stage.actor() : buyer);
  // The whale fills whatever room there is up to 2^64, and tries a little more.
  const room = ((1n << 64n) - 1n - (bank.bought - bank.redeemed)) / bank.unitsPerLamport;
  const lamports = buyer === WHALE ? random.of([room, room + 1n, room / 2n]) : random.amount(5_000n);
  return [{ instruction: 'buy', accounts: { buyer, destination }, args: { lamports: lamports < 0n ? 0n : lamports } }];
};

export const redeem: Move = (stage) => {
  const { random, world, bank } = stage;
  const owner = stage.actor();
  const source = purseOf(stage.or(owner));
  const held = world.purses.get(source)?.credits ?? 0n;
  const exact = random.big(held / bank.unitsPerLamport + 1n) * bank.unitsPerLamport;
  const some = random.once(4) ? random.amount(4_000n) : exact / (random.once(3) ? 1n : bank.unitsPerLamport);
  // What the whale gives back it can buy again, until the totals wrap.
  const amount = owner === WHALE && random.once(2) ? held - (held % bank.unitsPerLamport) : some;
  return [{ instruction: 'redeem', accounts: { owner, source }, args: { amount } }];
};

export const configure: Move = (stage) => {
  const { random, bank } = stage;
  const gone = stage.isLate && random.once(30);
  const hands = gone || random.once(8);
  const flags = random.once(20) ? random.of([0, 32, 255]) : random.number(16) | (hands ? 16 : 0);
  const heir = random.of([ADMIN, HEIR]);
  const present = bank.admin ?? ADMIN;
  return [
    {
      instruction: 'configure',
      accounts: {
        admin: random.once(8) ? random.of([HEIR, 'ann']) : present,
        newAdmin: hands && !gone ? (random.once(8) ? 'bob' : heir) : undefined,
      },
      args: {
        flags,
        feeBps: random.once(10) ? random.of([1_000, 1_001, 65_535]) : random.number(400),
        treasury: random.once(12) ? null : random.of([TREASURER, TREASURER, 'cid', 'the heiress']),
        nameYearPrice: random.once(10) ? random.of([1n << 40n, (1n << 40n) + 1n, 0n]) : random.big(20n),
        commitSeconds: random.once(10) ? random.of([0, 3_600, 3_601]) : 1 + random.number(60),
        newAdmin: gone ? null : heir,
      },
    },
  ];
};

export const collectFees: Move = (stage) => [
  { instruction: 'collectFees', accounts: { destination: purseOf(stage.or(stage.bank.treasury)) }, args: {} },
];

/** Lamports that nobody asked for, to accounts that there are or will be. */
export const gift: Move = (stage) => {
  const { random, world } = stage;
  const from = stage.actor();
  const to = random.of([
    tillOf(stage.actor()),
    `name ${random.of(TEXTS)}`,
    'bank',
    stage.actor(),
    claimOf(stage.actor()),
    ...world.commitments.labels().slice(0, 1),
  ]);
  const lamports = random.once(4) ? random.big(1_000n) : 900_000n + random.big(1_000_000n);
  return [{ foreign: 'gift', from, to: to ?? 'bank', lamports }];
};

/** A holder burns what is its own, past the program. */
export const burn: Move = (stage) => {
  const { random, world } = stage;
  const owner = stage.actor();
  const held = world.purses.get(purseOf(owner))?.credits ?? 0n;
  const some = random.big(30n);
  return [{ foreign: 'burn', owner, amount: random.once(10) ? held + 1n : some > held ? held : some }];
};

export const purse: Move = (stage) => {
  // Also whom a name owes something.
  const split = stage.random.of(stage.name().record?.splits ?? [])?.account;
  const owner = stage.random.of([stage.actor(), stage.bank.treasury, 'the heiress', split ?? stage.actor()]);
  const has = stage.world.purses.get(purseOf(owner));
  return [
    has === undefined || !stage.random.once(3) ? { foreign: 'make purse', owner } : { foreign: 'close purse', owner },
  ];
};
