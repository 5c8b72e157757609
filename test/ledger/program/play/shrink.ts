/** Leaves out of a failing play what it does not need to fail. */
import type { Book } from './book.ts';
import { Duel, Mismatch } from './duel.ts';
import type { Turn } from './duel.ts';

/** Milliseconds that a search may take. */
const PATIENCE = 30_000;

interface Shorter {
  readonly turns: readonly Turn[];
  readonly message: string;
}

/** The turns that still fail, and how they do. `prepare`: what stands before the first of them. */
export function shrink(book: Book, prepare: (duel: Duel) => void, turns: readonly Turn[]): Shorter | undefined {
  const end = Date.now() + PATIENCE;
  let best: Shorter | undefined = attempt(book, prepare, turns);
  if (best === undefined) return undefined;
  for (
    let size = Math.ceil(turns.length / 2);
    size >= 1 && Date.now() < end;
    size = size === 1 ? 0 : Math.ceil(size / 2)
  ) {
    for (let from: number = best.turns.length - size; from > -size && Date.now() < end; from -= size) {
      const start = Math.max(from, 0);
      best = attempt(book, prepare, best.turns.toSpliced(start, from + size - start)) ?? best;
    }
  }
  return best;
}

function attempt(book: Book, prepare: (duel: Duel) => void, turns: readonly Turn[]): Shorter | undefined {
  const duel = new Duel(book);
  prepare(duel);
  for (const [index, turn] of turns.entries()) {
    try {
      duel.replay(turn);
    } catch (error) {
      if (error instanceof Mismatch) return { turns: turns.slice(0, index + 1), message: error.message };
      throw error;
    }
  }
  return undefined;
}
