/** What the moves choose from: who plays, what was signed and sent so far, and the world as it stands. */
import type { Label, SignedReceipt, Step } from '../model/calls.ts';
import { tillOf } from '../model/tills.ts';
import type { Bank, Name, Slot, World } from '../model/world.ts';
import { digest } from './book.ts';
import type { Book } from './book.ts';
import type { Random } from './random.ts';

/** How many old receipts and settlements are kept to be sent again. */
const REMEMBERED = 400;

export const ACTORS = ['ann', 'bob', 'cid', 'dee', 'eve', 'fay'] as const;
/** So much credit that sums come near 2^64. */
export const WHALE = 'the whale';
/** Its lamports do not last. */
export const PAUPER = 'the pauper';
export const TREASURER = 'the treasurer';
export const ADMIN = 'the admin';
export const HEIR = 'the heir';
export const TEXTS = [
  'one.web3',
  'two.map',
  'three.sso',
  'f-o-u-r.image',
  '5.video',
  'six.route',
  'se7en.web3',
] as const;
export const CLUSTER_TAG: Uint8Array = digest('cluster').slice(0, 16);

/** A commitment that somebody may remember the salt of. */
export interface Secret {
  readonly committer: Label;
  readonly name: string;
  readonly salt: Uint8Array;
  readonly label: Label;
}

/** An open channel, where it is. */
export interface Channel {
  readonly till: Label;
  readonly number: number;
  readonly slot: Slot;
}

export class Stage {
  readonly random: Random;
  readonly book: Book;
  readonly world: World;
  readonly receipts: SignedReceipt[] = [];
  readonly settlements: Step[][] = [];
  readonly secrets: Secret[] = [];
  /** The admin may go for good only near the end. */
  isLate = false;

  constructor(random: Random, book: Book, world: World) {
    this.random = random;
    this.book = book;
    this.world = world;
  }

  get bank(): Bank {
    return this.world.bank;
  }

  /** Mostly one of the six; now and then somebody else. */
  actor(): Label {
    const { random } = this;
    if (random.once(25)) return random.of([WHALE, PAUPER, TREASURER, ADMIN]);
    return random.of(ACTORS);
  }

  /** Mostly `right`; now and then anybody. */
  or(right: Label): Label {
    return this.random.once(12) ? this.actor() : right;
  }

  /** Mostly the address of a till that there is. */
  till(): Label {
    const { random, world } = this;
    if (random.once(40)) return random.of([tillOf(this.actor()), `name ${random.of(TEXTS)}`, 'bank']);
    return random.of(world.tills.labels()) ?? tillOf(this.actor());
  }

  slots(till: Label): readonly Slot[] {
    return this.world.tills.get(till)?.slots ?? [];
  }

  /** One of the first slots, mostly; the last one and the one that does not exist now and then. */
  slotNumber(till: Label): number {
    const { length } = this.slots(till);
    if (this.random.once(15)) return length + this.random.number(3);
    return this.random.number(this.random.once(4) ? length : Math.min(length, 6));
  }

  /** Looks into a few tills and slots for one that is open. */
  channel(): Channel | undefined {
    for (let tries = 0; tries < 6; tries += 1) {
      const till = this.till();
      const number = this.slotNumber(till);
      const slot = this.slots(till)[number];
      if (slot?.flags === 1) return { till, number, slot };
    }
    return undefined;
  }

  name(): { readonly label: Label; readonly record: Name | undefined } {
    const { random } = this;
    const label = random.once(40) ? random.of(['name nobody.web3', 'bank', 'till of ann']) : `name ${random.of(TEXTS)}`;
    return { label, record: this.world.names.get(label) };
  }

  remember(receipt: SignedReceipt): SignedReceipt {
    if (this.receipts.length < REMEMBERED) this.receipts.push(receipt);
    else this.receipts[this.random.number(REMEMBERED)] = receipt;
    return receipt;
  }

  rememberSettlement(steps: Step[]): Step[] {
    if (this.settlements.length < REMEMBERED) this.settlements.push(steps);
    else this.settlements[this.random.number(REMEMBERED)] = steps;
    return steps;
  }

  rememberSecret(secret: Secret): void {
    if (this.secrets.length < 40) this.secrets.push(secret);
    else this.secrets[this.random.number(40)] = secret;
  }
}

/** A transaction that somebody tries. */
export type Move = (stage: Stage) => readonly Step[];
