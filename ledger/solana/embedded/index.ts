/**
 * The embedded ledger: a real SVM in this process behind Solana's own JSON-RPC and WebSocket protocols on loopback.
 * An ordinary web3.js `Connection(url, { commitment: 'confirmed', wsEndpoint: wsUrl })` works against it, and so does
 * the same code against a validator or a cluster when the URL changes.
 */
import { EmbeddedServer } from './embedded.ts';
import type { EmbeddedLedger, EmbeddedLedgerOptions } from './options.ts';

export type { EmbeddedLedger, EmbeddedLedgerOptions } from './options.ts';
export { EMBEDDED_PROGRAM_ID } from './program-id.ts';

/**
 * Starts the ledger and resolves when it answers requests.
 * @throws RelaymintError FILE_IN_USE when another process has `dataDir`; FILE_NOT_FOUND for the program file;
 *   STORAGE_FAILED when the stored state cannot be read; INVALID_CONFIG for options that do not fit together; ADDRESS_IN_USE for a
 *   port that is taken.
 */
export async function startEmbeddedLedger(options: EmbeddedLedgerOptions = {}): Promise<EmbeddedLedger> {
  return EmbeddedServer.start(options);
}
