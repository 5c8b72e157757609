/** The model and the virtual machine carry out the same transactions; after each of them they must agree. */
import type { Label, Step } from '../model/calls.ts';
import { Model } from '../model/model.ts';
import type { Failure } from '../model/model.ts';
import { lamportsOf } from '../model/wallets.ts';
import type { World } from '../model/world.ts';
import type { Book } from './book.ts';
import { Coverage } from './coverage.ts';
import { FLAWS, flawOf } from './flaws.ts';
import { differences, imageOf } from './image.ts';
import { brokenPromises, wentBack } from './invariants.ts';
import { Machine } from './machine.ts';
import type { Random } from './random.ts';
import { SPONSOR, writable } from './wire.ts';
import type { Flaw } from './wire.ts';

/** How many differences are told. */
const TOLD = 30;

/** A transaction and when it is tried. */
export interface Turn {
  readonly time: bigint;
  readonly slot: bigint;
  readonly steps: readonly Step[];
  readonly flaw: Flaw | undefined;
}

/** Model and machine differ, or a promise is broken. The message says how. */
export class Mismatch extends Error {
  constructor(lines: readonly string[]) {
    super(lines.slice(0, TOLD).join('\n'));
  }
}

export class Duel {
  readonly coverage: Coverage = new Coverage();
  readonly #book: Book;
  readonly #machine: Machine;
  readonly #model: Model;
  /** Every channel there ever was. */
  readonly #channels = new Set<string>();

  constructor(book: Book) {
    this.#book = book;
    this.#machine = new Machine(book);
    this.#model = new Model(this.#machine.rentPerByte(), (label) => book.key(label));
  }

  get world(): World {
    return this.#model.world;
  }

  /** Before the first transaction. */
  fund(label: Label, lamports: bigint): void {
    this.#machine.fund(label, lamports);
    if (label !== SPONSOR) this.world.lamports.set(label, lamports);
  }

  setClock(time: bigint, slot: bigint): void {
    this.world.time = time;
    this.world.slot = slot;
    this.#machine.setClock(time, slot);
  }

  /** Carries out a transaction at the present time, perhaps with a flaw. @throws Mismatch */
  play(steps: readonly Step[], chance?: Random): Turn {
    const { time, slot } = this.world;
    const expected = this.#model.draft(steps);
    const flaw = chance !== undefined && expected === undefined && chance.once(20) ? flawOf(chance, steps) : undefined;
    const turn = { time, slot, steps, flaw };
    this.#carryOut(turn, expected);
    return turn;
  }

  /** Carries out what was played before, perhaps without what came in between. A flaw needs a good transaction. */
  replay(turn: Turn): void {
    this.setClock(turn.time, turn.slot);
    const expected = this.#model.draft(turn.steps);
    if (turn.flaw !== undefined && expected !== undefined) this.#model.drop();
    else this.#carryOut(turn, expected);
  }

  /** @throws Mismatch */
  compareAll(): void {
    this.#compare(new Set(this.world.tables.flatMap((table) => table.labels())));
  }

  #carryOut(turn: Turn, predicted: Failure | undefined): void {
    const { steps, flaw } = turn;
    const expected = flaw === undefined ? predicted : { at: steps.length - 1, reason: FLAWS[flaw.kind] };
    const found = this.#machine.send(steps, flaw);
    this.coverage.count(this.world, steps, found);
    if (told(found) !== told(expected)) {
      throw new Mismatch([`the model says "${told(expected)}", the machine "${told(found)}"`]);
    }
    if (expected === undefined) {
      const broken = [...wentBack(this.world), ...this.#newChannels(steps)];
      this.#model.keep();
      broken.push(...brokenPromises(this.world));
      if (broken.length > 0) throw new Mismatch(broken);
    } else this.#model.drop();
    this.#compare(writable(steps));
  }

  /** No channel comes twice: not in a slot that is used again, nor in a till that is opened again. */
  #newChannels(steps: readonly Step[]): readonly string[] {
    const again: string[] = [];
    for (const step of steps) {
      if ('foreign' in step || step.instruction !== 'openChannel') continue;
      const { till } = step.accounts;
      const slot = this.world.tills.get(till)?.slots[step.args.slot];
      if (slot === undefined || slot.flags === 0) continue;
      const id = `${till}, slot ${step.args.slot}, generation ${slot.generation}`;
      if (this.#channels.has(id)) again.push(`the channel of ${id} was there before`);
      this.#channels.add(id);
    }
    return again;
  }

  #compare(labels: ReadonlySet<Label>): void {
    const lines = [...labels].flatMap((label) => this.#difference(label));
    if (lines.length > 0) throw new Mismatch(lines);
  }

  /** Data, owner and lamports of one account. */
  #difference(label: Label): readonly string[] {
    const { world } = this;
    const image = imageOf(world, this.#book, label) ?? new Uint8Array();
    const found = this.#machine.account(label);
    const data = found?.data ?? new Uint8Array();
    const lines = Buffer.compare(image, data) === 0 ? [] : [...differences(label, image, data)];
    const isToken = label === 'mint' || world.purses.get(label) !== undefined;
    const ours = image.length > 0 ? 'program' : 'system program';
    const owner = isToken ? 'token program' : ours;
    if (found !== undefined && Buffer.compare(found.owner, this.#book.key(owner)) !== 0) {
      lines.push(`${label} does not belong to the ${owner}`);
    }
    const [held, expected] = [found?.lamports ?? 0n, lamportsOf(world, label)];
    // The rent of token accounts is the sponsor's affair.
    if (!label.startsWith('purse of ') && held !== expected) {
      lines.push(`${label}: ${held} lamports instead of ${expected}`);
    }
    return lines;
  }
}

function told(failure: Failure | undefined): string {
  if (failure === undefined) return 'accepted';
  return failure.at === undefined ? failure.reason : `${failure.reason} in step ${failure.at + 1}`;
}
