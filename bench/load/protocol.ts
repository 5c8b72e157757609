/** What the benchmark tells the process that floods. It says 'running' once the flood is at its full height. */
import type { LedgerAddress } from '../../core/ids.ts';
import type { Where } from '../path/protocol.ts';

export const FLOODS = [
  'silent-sockets',
  'half-handshakes',
  'create-flood',
  'offer-flood',
  'offers-wanted-flood',
  'slot-jamming',
  'offer-book-flood',
] as const;
export type FloodName = (typeof FLOODS)[number];

/** Not an attacker: the honest node itself downloads, over a slow line, and clicks. */
export const BULK_DOWNLOAD = 'bulk-download';
export const ROWS: readonly [...typeof FLOODS, typeof BULK_DOWNLOAD] = [...FLOODS, BULK_DOWNLOAD];
export type RowName = (typeof ROWS)[number];

export interface AttackerConfig {
  readonly flood: FloodName;
  readonly relay: Where;
  readonly ledgerUrl: string;
  readonly programId: LedgerAddress;
  /** A folder of its own. */
  readonly directory: string;
}
