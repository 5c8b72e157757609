/** Transactions in the runtime's legacy format. */
import type { Label, Step } from '../model/calls.ts';
import type { Book } from './book.ts';
import { SPONSOR, instructionOf } from './wire.ts';
import type { Flaw } from './wire.ts';

/** A transaction without signatures, which are the runtime's affair: who signs is what its header says. */
export function transaction(book: Book, steps: readonly Step[], blockhash: Uint8Array, flaw?: Flaw): Uint8Array {
  const last = steps.length - 1;
  const instructions = steps.map((step, index) => instructionOf(book, step, index === last ? flaw : undefined));
  const roles = new Map<Label, { signer: boolean; writable: boolean }>([[SPONSOR, { signer: true, writable: true }]]);
  for (const { metas } of instructions) {
    for (const { label, isSigner, isWritable } of metas) {
      const role = roles.get(label) ?? { signer: false, writable: false };
      roles.set(label, { signer: role.signer || isSigner, writable: role.writable || isWritable });
    }
  }
  /** The order of the message: signers first, and of each kind those that are written. */
  const rank = ({ signer, writable }: { signer: boolean; writable: boolean }): number =>
    (signer ? 0 : 2) + (writable ? 0 : 1);
  const ordered = [...roles].toSorted(([, a], [, b]) => rank(a) - rank(b));
  const places = new Map(ordered.map(([label], index) => [label, index]));
  const keys = ordered.map(([label]) => book.key(label));
  const programs = instructions.map(({ program }) => {
    const known = keys.findIndex((key) => Buffer.compare(key, program) === 0);
    return known >= 0 ? known : keys.push(program) - 1;
  });
  const count = (wanted: number): number => ordered.filter(([, role]) => rank(role) === wanted).length;
  const signers = count(0) + count(1);
  const out: Uint8Array[] = [
    Uint8Array.of(signers),
    new Uint8Array(64 * signers),
    // Programs stand last: they are neither signed for nor written.
    Uint8Array.of(signers, count(1), count(3) + keys.length - ordered.length),
    compact(keys.length),
    ...keys,
    blockhash,
    compact(instructions.length),
  ];
  for (const [index, { metas, data }] of instructions.entries()) {
    out.push(Uint8Array.of(programs[index] ?? 0), compact(metas.length));
    out.push(
      Uint8Array.from(metas, ({ label }) => places.get(label) ?? 0),
      compact(data.length),
      data,
    );
  }
  return Buffer.concat(out);
}

/** The runtime's short length. */
function compact(value: number): Uint8Array {
  return value < 0x80 ? Uint8Array.of(value) : Uint8Array.of((value & 0x7f) | 0x80, value >> 7);
}
