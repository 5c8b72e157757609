/**
 * Which circuit makes way when all places for circuits of others are taken. Each payer's share is proportional to its weight: what it
 * paid us on its channel plus one MiB's worth, so that a stranger has a share too. With the newcomer counted, the payer that holds most
 * for its weight is above its share: only such a payer loses a circuit, and only to one that holds less for its own
 * weight. So a payer at or below its share loses none, and identities that pay nothing have a stranger's share each, which
 * costs an opening each.
 */
import { SLOT_WEIGHT } from '../../core/limits.ts';

/** The payer of a circuit. */
export interface SlotPayer {
  /** The same object for the same payer. */
  readonly key: object;
  /** What it signed receipts for, base units. */
  readonly paid: bigint;
}

/** Somebody else's circuit that takes a place. */
export interface Slotted {
  readonly payer: SlotPayer;
  /** Turns of the node's watch since it carried anything. */
  readonly quietTurns: number;
}

/** Turns of GRANT_IDLE_MILLIS after which a circuit is not in use at the moment: two seconds. */
export const QUIET_TURNS = 8;
/** Turns after which it makes way for a newcomer even if both payers hold as much for their weight: a minute. */
export const UNUSED_TURNS = 240;

interface Share {
  held: number;
  weight: bigint;
  quietest: Slotted;
}

/** The circuit that makes way for one of `newcomer`'s; undefined if the newcomer is refused. `held` fills all places. */
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
    // Between equal shares only an unused circuit gives way: otherwise two payers would take turns.
    if (unused ? theirs < ours : theirs - ownWeight < ours) continue;
    if (count * all <= places * share.weight) continue;
    if (first === undefined || goesBefore(share, first)) first = share;
  }
  return first?.quietest as T | undefined;
}

/** A payer with an unused circuit comes first; then the one that holds more for its weight. */
function goesBefore(share: Share, other: Share): boolean {
  const [quiet, otherQuiet] = [share, other].map(({ quietest }) => quietest.quietTurns >= QUIET_TURNS);
  if (quiet !== otherQuiet) return quiet === true;
  return BigInt(share.held) * other.weight > BigInt(other.held) * share.weight;
}

function weightOf({ paid }: SlotPayer): bigint {
  return SLOT_WEIGHT + paid;
}
