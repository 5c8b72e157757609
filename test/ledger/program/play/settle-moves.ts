/** Moves that settle: honest batches, spoiled ones, and everything that was sent before. */
import { aggregateSignatures } from '../../../../ledger/receipt/index.ts';
import { NO_REFERRER } from '../model/calls.ts';
import type { Call, Claim, ContentShare, Label, SignedReceipt, Step } from '../model/calls.ts';
import { purseOf } from '../model/wallets.ts';
import { digest } from './book.ts';
import { CLUSTER_TAG } from './stage.ts';
import type { Move, Stage } from './stage.ts';

const MAX_BATCH = 8;
const U64_MAX = (1n << 64n) - 1n;

export const settle: Move = (stage) => {
  const { random } = stage;
  const till = stage.till();
  const claims = batch(stage, till).map((signed) => spoil(stage, signed));
  const total = moved(stage, till, claims);
  const scalarOf = random.once(30) ? random.of(['others', 'a number too great'] as const) : 'these receipts';
  const receiptCount = random.once(60) ? random.of([0, 65, 255]) : claims.length;
  return stage.rememberSettlement([
    {
      instruction: 'settle',
      ...sharesOf(stage, till, total, (accounts, shares) => ({
        accounts,
        args: { receiptCount, scalar: scalar(stage, claims, scalarOf), scalarOf, receipts: claims, shares },
      })),
    },
  ]);
};

export const settleVerified: Move = (stage) => {
  const { random } = stage;
  const till = stage.till();
  const receipts = batch(stage, till).map((signed) => (random.once(60) ? { ...signed, ...broken(signed) } : signed));
  const slots = receipts.map(({ slot }) => (random.once(30) ? stage.slotNumber(till) : slot));
  if (random.once(40)) slots.push(...(random.once(2) ? [0] : [0, 0, 0, 0, 0, 0, 0, 0, 0]));
  const total = moved(
    stage,
    till,
    receipts.map((signed) => ({ ...signed, signed })),
  );
  const own = sharesOf(stage, till, total, (accounts, shares) => ({ accounts, args: { slots, shares } }));
  const steps: Step[] = [
    { foreign: 'verify', receipts },
    { instruction: 'settleVerified', ...own },
  ];
  return stage.rememberSettlement(random.once(40) ? steps.slice(1) : steps);
};

/** A settlement of before: it may have succeeded, failed, or be of channels that are long closed. */
export const replay: Move = (stage) => stage.random.of(stage.settlements) ?? [];

/** The same settlement twice in one transaction. */
export const twice: Move = (stage) => {
  const steps = stage.random.once(2) ? settle(stage) : settleVerified(stage);
  return [...steps, ...steps];
};

/** A channel is closed and opened again, by the same payer with the same delegate, and its old receipts are shown. */
export const resurrect: Move = (stage) => {
  const { random, world } = stage;
  const steps = random.of(stage.settlements) ?? [];
  const old = steps.find((step) => !('foreign' in step) && step.instruction === 'settle');
  if (old === undefined || 'foreign' in old || old.instruction !== 'settle') return steps;
  const { till } = old.accounts;
  const slot = old.args.receipts[0]?.slot ?? 0;
  const { payer, delegate, deposit, opening, rent, generation } = stage.slots(till)[slot] ?? {};
  const tillOwner = world.tills.get(till)?.owner;
  if (!payer || !delegate || !deposit || !rent || opening === undefined || generation === undefined) return steps;
  const purse = purseOf(payer);
  return [
    {
      instruction: 'closeChannel',
      accounts: { payer, till, destination: purse, tillOwner },
      args: { slot, generation },
    },
    { foreign: 'gift', from: payer, to: 'bank', lamports: rent },
    {
      instruction: 'openChannel',
      accounts: { payer, till, source: purse },
      args: { slot, delegate, deposit, opening },
    },
    ...steps,
  ];
};

function batch(stage: Stage, till: Label): SignedReceipt[] {
  const { random } = stage;
  const all = stage.slots(till).slice(0, 10);
  const open = all.flatMap((slot, number) => (slot.flags === 1 && !random.once(3) ? [{ slot, number }] : []));
  const receipts = open.map(({ slot, number }) => {
    const rest = slot.deposit - slot.settled;
    const step = random.of([rest > 0n ? 1n : 0n, random.once(4) ? rest : rest / 8n, random.big(rest / 4n + 1n)]);
    // Now and then one base unit more than there is, or anything.
    const wild = random.once(2) ? slot.deposit + 1n : slot.settled + random.amount(slot.deposit) - 50n;
    const amount = random.once(50) ? wild : slot.settled + step;
    return sign(stage, till, number, slot.generation, slot.delegate ?? 'ann', {
      amount: bounded(amount),
      up: bounded(slot.up + (random.once(30) ? -random.big(3n) : random.amount(1_000n))),
      down: bounded(slot.down + (random.once(30) ? -random.big(3n) : random.big(1_000n))),
    });
  });
  const old = stage.receipts.filter((each) => each.till === till);
  for (let index = 0; index < 2; index += 1) {
    const stale = random.once(8) ? random.of(old) : undefined;
    if (stale !== undefined) receipts.push(stale);
  }
  const double = random.once(8) ? random.of(receipts) : undefined;
  if (double !== undefined) receipts.push(double);
  if (receipts.length === 0) {
    const number = stage.slotNumber(till);
    const { generation, delegate } = all[number] ?? { generation: 1, delegate: 'ann' };
    receipts.push(sign(stage, till, number, generation, delegate ?? 'ann', { amount: 1n, up: 1n, down: 1n }));
  }
  return receipts.slice(0, MAX_BATCH);
}

function sign(
  stage: Stage,
  till: Label,
  slot: number,
  generation: number,
  delegate: Label,
  counters: { readonly amount: bigint; readonly up: bigint; readonly down: bigint },
): SignedReceipt {
  const { random, book } = stage;
  const kind: SignedReceipt['kind'] = random.once(80)
    ? random.of(['of another cluster', 'with another tag'])
    : 'receipt';
  const signer = random.once(80) ? stage.actor() : delegate;
  const born = random.once(80) ? generation - 1 : generation;
  const place = Buffer.alloc(6);
  place.writeUInt16LE(slot & 0xffff, 0);
  place.writeUInt32LE(Math.max(born, 0), 2);
  const cluster = kind === 'of another cluster' ? new Uint8Array(16) : CLUSTER_TAG;
  const id = digest('relaymint:channel:v1', cluster, book.key('program'), book.key(till), place).subarray(0, 22);
  const message = Buffer.alloc(47);
  message[0] = kind === 'with another tag' ? 2 : 1;
  message.set(id, 1);
  message.writeBigUInt64LE(counters.amount, 23);
  message.writeBigUInt64LE(counters.up, 31);
  message.writeBigUInt64LE(counters.down, 39);
  const signature = book.sign(signer, message);
  const about = { till, slot, generation: Math.max(born, 0), ...counters, delegate: signer, kind, holds: true };
  return stage.remember({ ...about, message: new Uint8Array(message), signature });
}

/** What a liar tells of a receipt. */
function spoil(stage: Stage, signed: SignedReceipt): Claim {
  const { random } = stage;
  const { slot, amount, up, down } = signed;
  const claim = { slot, amount, up, down, signed };
  switch (random.number(150)) {
    case 0:
      return { ...claim, amount: bounded(amount + 1n) };
    case 1:
      return { ...claim, up: bounded(up + 1n) };
    case 2:
      return { ...claim, down: bounded(down + 1n) };
    case 3:
      return { ...claim, slot: stage.slotNumber(signed.till) };
    case 4:
      return { ...claim, signed: { ...signed, ...broken(signed) } };
    default:
      return claim;
  }
}

function broken({ signature }: SignedReceipt): Pick<SignedReceipt, 'signature' | 'holds'> {
  const other = Uint8Array.from(signature);
  other[40] = (other[40] ?? 0) ^ 1;
  return { signature: other, holds: false };
}

function bounded(value: bigint): bigint {
  if (value < 0n) return 0n;
  return value > U64_MAX ? U64_MAX : value;
}

function scalar(
  stage: Stage,
  claims: readonly Claim[],
  of: (Call & { instruction: 'settle' })['args']['scalarOf'],
): Uint8Array {
  if (of === 'a number too great') return new Uint8Array(32).fill(0xff);
  const signed = claims.map(({ signed: { delegate, message, signature } }) => ({
    key: stage.book.key(delegate),
    message: of === 'others' ? new Uint8Array(47) : message,
    signature,
  }));
  return aggregateSignatures(signed);
}

/** What the batch would move, were it accepted. */
function moved(stage: Stage, till: Label, claims: readonly Claim[]): bigint {
  const slots = stage.slots(till);
  const total = claims.reduce((sum, { slot, amount }) => {
    const settled = slots[slot]?.settled ?? 0n;
    return amount > settled ? sum + amount - settled : sum;
  }, 0n);
  return bounded(total);
}

function sharesOf<T>(
  stage: Stage,
  till: Label,
  total: bigint,
  make: (
    accounts: { till: Label; tillOwner: Label | undefined; names: readonly Label[] },
    shares: readonly ContentShare[],
  ) => T,
): T {
  const { random, world } = stage;
  if (!random.once(3)) return make({ till, tillOwner: undefined, names: [] }, []);
  const owner = world.tills.get(till)?.owner ?? stage.actor();
  const known = world.names.labels();
  const names = Array.from({ length: 1 + random.number(3) }, () =>
    random.once(20) ? stage.name().label : (random.of(known) ?? 'name one.web3'),
  );
  const distinct = random.once(6) ? names : [...new Set(names)];
  const gross = (): bigint => {
    if (random.once(20)) return random.of([0n, bounded(total + 1n), U64_MAX]);
    return random.once(4) ? total / BigInt(distinct.length) : 1n + random.big(total / BigInt(distinct.length));
  };
  // Mostly a share for each account, in any order; else some names show others, or several have the same referrer.
  const isPlain = random.once(2);
  const referrer = (place: number): number => {
    const others = distinct.map((_, index) => index).filter((index) => index !== place);
    const wrong = random.once(40) ? random.of([place, distinct.length, 0xfe]) : undefined;
    return wrong ?? (isPlain || random.once(4) ? undefined : random.of(others)) ?? NO_REFERRER;
  };
  const places = distinct.map((_, place) => place);
  const extra = random.once(2) ? places.slice(0, 1 + random.number(2)) : [];
  const listed = isPlain ? places : random.once(3) ? places.slice(0, 1) : [...places, ...extra];
  const shares = listed.map((place) => ({
    name: random.once(60) ? random.of([distinct.length, NO_REFERRER]) : place,
    referrer: referrer(place),
    gross: listed.length > distinct.length ? gross() / 2n + 1n : gross(),
    maxRoyaltyBps: random.once(20) ? random.of([10_001, 65_535]) : random.number(10_001),
  }));
  return make({ till, tillOwner: stage.or(owner), names: distinct }, shares);
}
