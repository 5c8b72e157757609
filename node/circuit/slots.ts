/**
 * Who gives way when all places for circuits of others are taken. Each payer's share is as its weight: what it paid us on its
 * channel, and one MiB's worth beside that, so that a stranger has a share too. With the newcomer counted, the payer that holds most
 * for its weight is above its share, whoever it is: only such a one loses a circuit, and only to one that holds less for its own
 * weight. So whoever holds its share or less loses none, and identities that pay nothing have a stranger's share each, which
 * costs an opening each.
 */
import { SLOT_WEIGHT } from '../../core/limits.ts';

/** Whoever pays for a circuit. */
export interface SlotPayer {
  /** The same object for the same payer. */
  readonly key: object;
  /** What it signed receipts for, base units. */
  readonly paid: bigint;
}

/** A circuit of somebody else that takes a place. */
export interface Slotted {
  readonly payer: SlotPayer;
  /** Turns of the node's watch since it carried anything. */
  readonly quietTurns: number;
}

/** Turns of GRANT_IDLE_MILLIS after which a circuit is not in use at the moment: two seconds. */
export const QUIET_TURNS = 8;
/** The same after which it makes way for one that is asked for now, where both payers hold as much for their weight: a minute. */
export const UNUSED_TURNS = 240;

interface Share {
  held: number;
  weight: bigint;
  quietest: Slotted;
}

/** The circuit that makes way for one of `newcomer`'s; undefined when it is the newcomer that does. `held` is what fills all places. */
export function yielding<T extends Slotted>(held: Iterable<T>, newcomer: SlotPayer): T | undefined {
  const shares = new Map<object, Share>();
  let places = 0n;
  for (const circuit of held) {
    places += 1n;
    const { key } = circuit.payer;
    const share = shares.get(key);
    if (share === undefined) {
      shares.set(key, { held: 1, weight: weightOf(circuit.payer), quietest: circuit });
      continue;
    }
    share.held += 1;
    if (circuit.quietTurns > share.quietest.quietTurns) share.quietest = circuit;
  }
  const own = shares.get(newcomer.key);
  const ownWeight = own?.weight ?? weightOf(newcomer);
  const ownHeld = BigInt(own?.held ?? 0) + 1n;
  let all = own === undefined ? ownWeight : 0n;
  for (const { weight } of shares.values()) all += weight;
  let first: Share | undefined;
  for (const share of shares.values()) {
    if (share === own) continue;
    const count = BigInt(share.held);
    const unused = share.quietest.quietTurns >= UNUSED_TURNS;
    const [theirs, ours] = [count * ownWeight, ownHeld * share.weight];
    // One for one, where nothing is gained by it, only for what nobody uses: else two payers would take turns.
    if (unused ? theirs < ours : theirs - ownWeight < ours) continue;
    if (count * all <= places * share.weight) continue;
    if (first === undefined || goesBefore(share, first)) first = share;
  }
  return first?.quietest as T | undefined;
}

/** Who has a circuit that is not in use goes before who has none; then who holds more for its weight. */
function goesBefore(share: Share, other: Share): boolean {
  const [quiet, otherQuiet] = [share, other].map(({ quietest }) => quietest.quietTurns >= QUIET_TURNS);
  if (quiet !== otherQuiet) return quiet === true;
  return BigInt(share.held) * other.weight > BigInt(other.held) * share.weight;
}

function weightOf({ paid }: SlotPayer): bigint {
  return SLOT_WEIGHT + paid;
}
