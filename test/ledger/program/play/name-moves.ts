/** Moves on names and commitments. */
import type { Label, Share, Step } from '../model/calls.ts';
import { COMMITMENT_LIFE, commitmentHash } from '../model/commitments.ts';
import { purseOf } from '../model/wallets.ts';
import { GRACE, nameOf } from '../model/names.ts';
import type { Name } from '../model/world.ts';
import { TEXTS } from './stage.ts';
import type { Move, Secret, Stage } from './stage.ts';

/** Each breaks another rule. */
const BAD_NAMES = [
  '.web3',
  'upper-A.web3',
  '-edge.web3',
  'edge-.map',
  'xn--label.web3',
  'no-ending',
  'two.dots.web3',
  'x.com',
  `${'a'.repeat(54)}.web3`,
  `a${'-a'.repeat(24)}.web3`,
] as const;
const SALTS = 6;
const DAY = 86_400;
const U64_MAX = (1n << 64n) - 1n;

export const commitName: Move = (stage) => {
  const { random, book } = stage;
  const committer = stage.actor();
  const free = random.once(3) ? undefined : random.of(TEXTS.filter((text) => isFree(stage, text)));
  const name = random.once(15) ? random.of(BAD_NAMES) : (free ?? random.of(TEXTS));
  const salt = new Uint8Array(32).fill(random.number(SALTS));
  // Now and then a promise that only somebody else could keep.
  const hash = commitmentHash(book.key(stage.or(committer)), salt, name);
  const label = book.commitment(committer, hash);
  stage.rememberSecret({ committer, name, salt, label });
  return [{ instruction: 'commitName', accounts: { committer, commitment: label }, args: { hash } }];
};

export const dropCommitment: Move = (stage) => {
  const old = stage.secrets.filter(({ label }) => isOld(stage, label));
  const secret = stage.random.of(old.length === 0 || stage.random.once(3) ? stage.secrets : old);
  if (secret === undefined) return [];
  const signer = stage.random.once(2) ? stage.actor() : secret.committer;
  const committer = stage.or(secret.committer);
  return [{ instruction: 'dropCommitment', accounts: { signer, commitment: secret.label, committer }, args: {} }];
};

export const registerName: Move = (stage) => {
  const { random, world } = stage;
  // Mostly a promise that can still be kept, of a name that is free.
  const usable = stage.secrets.filter(
    ({ label, name }) => world.commitments.get(label) !== undefined && !isOld(stage, label) && isFree(stage, name),
  );
  const chosen = random.of(random.once(5) || usable.length === 0 ? stage.secrets : usable);
  if (chosen === undefined || (usable.length === 0 && !random.once(6))) return commitName(stage);
  return reveal(stage, chosen, stage.or(chosen.committer));
};

/** Registers what was promised, now and then another name; sometimes after paying those who still earn from it. */
export function reveal(stage: Stage, secret: Secret, owner: Label): readonly Step[] {
  const { random, world, bank } = stage;
  const name = random.once(30) ? random.of(TEXTS) : secret.name;
  const splits = world.names.get(nameOf(name))?.splits;
  const destinations = splits?.map(({ account }) => purseOf(account)) ?? [];
  const isPaid = destinations.length > 0 && random.once(2);
  const register: Step = {
    instruction: 'registerName',
    accounts: { owner, name: nameOf(name), commitment: secret.label, source: purseOf(stage.or(owner)) },
    args: {
      salt: secret.salt,
      name,
      years: random.once(25) ? random.of([0, 11, 255]) : random.of([1, 1, 1, 1, 1, 2, 3, 10]),
      maxPrice: random.once(12) ? random.amount(50n * bank.nameYearPrice) : U64_MAX,
      ...content(stage),
    },
  };
  if (!isPaid) return [register];
  return [{ instruction: 'distributeName', accounts: { name: nameOf(name), destinations }, args: {} }, register];
}

export const renewName: Move = (stage) => {
  const { random, bank } = stage;
  const payer = stage.actor();
  return [
    {
      instruction: 'renewName',
      accounts: { payer, name: stage.name().label, source: purseOf(stage.or(payer)) },
      args: {
        years: random.once(20) ? random.of([0, 11]) : 1 + random.number(2),
        maxPrice: random.once(8) ? random.amount(3n * bank.nameYearPrice) : U64_MAX,
      },
    },
  ];
};

export const transferName: Move = (stage) => {
  const { label, record } = stage.name();
  const owner = stage.or(stage.random.once(15) ? (record?.manager ?? 'ann') : (record?.owner ?? stage.actor()));
  const newOwner = stage.random.once(20) ? null : stage.actor();
  return [{ instruction: 'transferName', accounts: { owner, name: label }, args: { newOwner } }];
};

export const setRecovery: Move = (stage) => {
  const { random } = stage;
  const { label, record } = stage.name();
  const owner = stage.or(random.once(15) ? (record?.manager ?? 'ann') : (record?.owner ?? stage.actor()));
  const key = random.once(8) ? null : stage.actor();
  const right = key === null ? 0 : random.once(20) ? 90 * DAY : random.of([DAY, DAY, DAY + 1, 2 * DAY]);
  const delay = random.once(12) ? random.of([0, 1, DAY - 1, 90 * DAY + 1, 0xffff_ffff]) : right;
  return [{ instruction: 'setRecovery', accounts: { owner, name: label }, args: { key, delay } }];
};

export const beginRecovery: Move = (stage) => {
  const { random } = stage;
  const { label, record } = guarded(stage);
  const key = stage.or(random.once(15) ? (record?.owner ?? 'ann') : (record?.recoveryKey ?? stage.actor()));
  const newOwner = random.once(20) ? null : stage.actor();
  return [{ instruction: 'beginRecovery', accounts: { key, name: label }, args: { newOwner } }];
};

export const cancelRecovery: Move = (stage) => {
  const { label, record } = guarded(stage, ({ newOwner }) => newOwner !== null);
  const right = stage.random.once(2) ? record?.owner : record?.recoveryKey;
  const signer = stage.or(stage.random.once(15) ? (record?.manager ?? 'ann') : (right ?? stage.actor()));
  return [{ instruction: 'cancelRecovery', accounts: { signer, name: label }, args: {} }];
};

export const finishRecovery: Move = (stage) => [
  { instruction: 'finishRecovery', accounts: { name: guarded(stage).label }, args: {} },
];

/** Mostly such a name, as far as a few looks find one: with a recovery key, if nothing is said. */
function guarded(
  stage: Stage,
  isWanted = ({ recoveryKey }: Name): boolean => recoveryKey !== null,
): ReturnType<Stage['name']> {
  for (let tries = 0; tries < 6; tries += 1) {
    const found = stage.name();
    if (found.record !== undefined && isWanted(found.record)) return found;
  }
  return stage.name();
}

export const updateName: Move = (stage) => {
  const { random } = stage;
  const { label, record } = stage.name();
  const signer = stage.or(random.once(4) ? (record?.manager ?? 'ann') : (record?.owner ?? stage.actor()));
  const flags = random.once(25)
    ? random.of([0, 64, 255])
    : random.once(2)
      ? 1 + random.number(3)
      : 1 + random.number(63);
  const seq = (record?.seq ?? 0n) + (random.once(15) ? random.of([1n, 5n]) : 0n);
  const update = {
    instruction: 'updateName',
    accounts: { signer, name: label },
    args: { seq, flags, ...content(stage) },
  } as const;
  return random.once(3) ? [...distributeName(stage), update] : [update];
};

export const distributeName: Move = (stage) => {
  const { random } = stage;
  const { label, record } = stage.name();
  const owners = record?.splits.map(({ account }) => account) ?? ['ann'];
  const destinations = owners.map((owner) => (random.once(8) ? undefined : purseOf(stage.or(owner))));
  if (random.once(20)) destinations.push(purseOf('ann'));
  return [{ instruction: 'distributeName', accounts: { name: label, destinations }, args: {} }];
};

function isOld({ world }: Stage, label: Label): boolean {
  const found = world.commitments.get(label);
  return found !== undefined && world.time - found.committedAt > COMMITMENT_LIFE;
}

function isFree({ world }: Stage, text: string): boolean {
  const record = world.names.get(nameOf(text));
  return record === undefined || record.expiresAt + GRACE <= world.time;
}

function content(stage: Stage): {
  readonly root: Uint8Array;
  readonly manifest: Uint8Array;
  readonly royaltyBps: number;
  readonly referrerBps: number;
  readonly manager: string | null;
  readonly splits: readonly Share[];
} {
  const { random } = stage;
  return {
    root: random.bytes(random.once(25) ? random.of([63, 64]) : random.number(5)),
    manifest: random.bytes(random.once(25) ? random.of([63, 64]) : random.number(5)),
    royaltyBps: random.once(25) ? random.of([10_000, 10_001, 65_535]) : random.number(10_001),
    referrerBps: random.once(25) ? random.of([0, 10_000, 10_001, 65_535]) : random.number(10_001),
    manager: random.once(20) ? null : stage.actor(),
    splits: splits(stage),
  };
}

/** Mostly one to four different accounts that sum to the whole; else wrong in some way. */
function splits(stage: Stage): readonly Share[] {
  const { random } = stage;
  const count = random.once(20) ? 8 : 1 + random.number(4);
  const list = Array.from({ length: count }, (_, index) => (index < 4 ? stage.actor() : `heir ${index}`));
  const accounts = random.once(20) ? list : [...new Set(list)];
  let left = 10_000;
  const shares: Share[] = accounts.map((account, index) => {
    const last = index === accounts.length - 1;
    const bps = last ? left : 1 + random.number(Math.max(1, Math.floor(left / 2)));
    left -= bps;
    return { account, bps };
  });
  switch (random.number(60)) {
    case 0:
      return [];
    case 1:
      return shares.map((share, index) => (index === 0 ? { ...share, account: null } : share));
    case 2:
      return shares.map((share, index) => (index === 0 ? { ...share, bps: share.bps + random.of([1, -1]) } : share));
    case 3:
      return [...shares, { account: 'nobody', bps: 0 }];
    default:
      return shares;
  }
}
