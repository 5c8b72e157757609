/** Looks into books that no process has open. */
import { amount, type Amount } from '../../core/units.ts';
import { inspect, type Findings } from '../books/index.ts';
import { KEY, worthOf } from './keys.ts';

/** The content of books that no process has open. */
export interface Inspection extends Findings {
  /** True if there are no books. */
  readonly absent: boolean;
  readonly channels: number;
  /** Receipts held, and what they pay in all, settled or not. */
  readonly held: number;
  readonly heldAmount: Amount;
}

/** Reads books without changing anything. @throws RelaymintError as `openBookStore`. */
export async function inspectBooks(directory: string): Promise<Inspection> {
  const { entries, ...findings } = await inspect(directory, worthOf);
  let [channels, held, heldAmount] = [0, 0, 0n];
  for (const [key, value] of entries) {
    if (key.startsWith(KEY.channel)) channels += 1;
    if (!key.startsWith(KEY.held)) continue;
    held += 1;
    heldAmount += worthOf(key, value);
  }
  return { ...findings, channels, held, heldAmount: amount(heldAmount) };
}
