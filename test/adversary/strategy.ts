/**
 * What a strategy of cheating is, and what is measured of it.
 *
 * - `honestLoss`: what honest nodes paid, or served and were not paid for (at the agreed price), beyond what they got for it.
 * - `bound`: what the documents promise that it can be at most (docs/adr/0019, 0020 and 0027).
 * - `attackerGain`: credits taken, plus service taken at the agreed price, less credits spent (receipts signed, opening payments
 *   burned), less transaction fees. Frames that a payee really sent within its grants count, at the agreed price, as what it
 *   gave: bandwidth is what is sold, and a payee that sends garbage is paid no more for it than for honest bytes. Where payer and
 *   payee are one adversary (an accomplice), what they carry for each other counts nothing: then the gain is all that the honest
 *   node between them lost, less what was burned. What an honest node burned for them is its loss and nobody's gain.
 * - `linksLost`: links between honest nodes that closed.
 * - `strangersHarmed`: honest bystanders whose circuit ended or whose bytes did not arrive.
 *
 * All in base units; lamports count at the bank's price, one base unit by default.
 */
import type { Scene } from './world.ts';

export const ROLES = ['payer', 'payee', 'relay', 'initiator', 'host'] as const;
export type Role = (typeof ROLES)[number];

export interface Outcome {
  readonly honestLoss: bigint;
  readonly bound: bigint;
  readonly attackerGain: bigint;
}

export interface Row extends Outcome {
  readonly name: string;
  readonly role: Role;
  readonly linksLost: number;
  readonly strangersHarmed: number;
}

export interface Strategy {
  readonly name: string;
  readonly role: Role;
  /** What is tried, for people. */
  readonly what: string;
  /** `paper` where the chain plays no part. */
  readonly ledger: 'paper' | 'chain';
  /** Sets the stage, plays, and tells how to measure once all is over. */
  readonly play: (stage: Stage) => Promise<() => Outcome | Promise<Outcome>>;
}

/** What a strategy is given. */
export interface Stage {
  readonly scene: Scene;
}

/** What of a promise a row breaks, in words; empty when it keeps all. */
export function broken(row: Row): string[] {
  const words: string[] = [];
  if (row.honestLoss > row.bound) words.push('an honest node lost more than is promised');
  if (row.attackerGain > 0n) words.push('the attacker gained');
  if (row.linksLost > 0) words.push('links between honest nodes closed');
  if (row.strangersHarmed > 0) words.push('strangers were harmed');
  return words;
}
