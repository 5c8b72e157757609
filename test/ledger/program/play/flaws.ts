/** Something to make wrong in a transaction that is otherwise good, so that nothing else can be its fault. */
import type { Call, Step } from '../model/calls.ts';
import type { Random } from './random.ts';
import { metasOf } from './wire.ts';
import type { Flaw } from './wire.ts';

/** What the program says of each. */
export const FLAWS: Readonly<Record<Flaw['kind'], string>> = {
  unsigned: 'NotSigner',
  'read-only': 'NotWritable',
  'an account too few': 'WrongAccountCount',
  'a byte too few': 'InvalidInstruction',
  'a byte too many': 'InvalidInstruction',
  'another mint': 'WrongAddress',
};
const KINDS = [
  'unsigned',
  'read-only',
  'an account too few',
  'a byte too few',
  'a byte too many',
  'another mint',
] as const satisfies readonly Flaw['kind'][];

/** Accounts that must be writable whatever else the instruction says. */
const ALWAYS_WRITTEN: ReadonlySet<string> = new Set(['bank', 'till', 'name', 'names', 'commitment', 'claim']);

/** Spoils the last step; undefined when what was drawn does not suit it. */
export function flawOf(random: Random, steps: readonly Step[]): Flaw | undefined {
  const last = steps.at(-1);
  if (last === undefined || 'foreign' in last) return undefined;
  const kind = random.of(KINDS);
  const metas = metasOf(last);
  if (kind === 'another mint') {
    // The mint of an instruction that may be free is not always looked at.
    const mayBeFree = last.instruction === 'registerName' || last.instruction === 'renewName';
    return !mayBeFree && metas.some(({ label }) => label === 'mint') ? { kind } : undefined;
  }
  if (kind !== 'unsigned' && kind !== 'read-only') return { kind };
  // Another step, or another place in this one, could give the same account the same right.
  if (steps.length > 1) return undefined;
  const candidates = metas.filter(({ account, label, isSigner, isWritable }) => {
    const isAlone = metas.filter((meta) => meta.label === label).length === 1;
    const suits = kind === 'unsigned' ? isSigner && mustSign(last, account) : isWritable && ALWAYS_WRITTEN.has(account);
    return isAlone && suits;
  });
  const chosen = random.of(candidates);
  return chosen === undefined ? undefined : { kind, account: chosen.account };
}

/** An optional signer is only asked when it is needed. */
function mustSign(call: Call, account: string): boolean {
  if (account === 'newAdmin') return false;
  if (account !== 'tillOwner' || call.instruction === 'closeChannel') return true;
  return 'shares' in call.args && call.args.shares.length > 0;
}
