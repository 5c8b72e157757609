/** What is deployed at a program's address. */
import type { LedgerAddress } from '../../../core/ids.ts';
import { RelaymintError } from '../../../core/errors.ts';
import type { SolanaReader } from '../reader.ts';
import { toAddress } from '../states.ts';
import { programDataAddress } from '../program/index.ts';
import { LOADER, decodeProgramData } from './loader.ts';

export interface DeployedProgram {
  /** The wallet that may replace the code; undefined: nobody, it is final. */
  readonly upgradeAuthority: LedgerAddress | undefined;
  /** Slot of the last deployment. */
  readonly slot: bigint;
  /** The code as it lies there, filled up with zeros. */
  readonly code: Uint8Array;
}

/**
 * The program at the ledger's program id; undefined when there is none.
 * @throws RelaymintError LEDGER_REJECTED when something else is there.
 */
export async function readDeployed(ledger: SolanaReader): Promise<DeployedProgram | undefined> {
  const [program, data] = await ledger.accounts([ledger.program, programDataAddress(ledger.program)]);
  if (program === undefined) return undefined;
  if (!program.executable || !program.owner.equals(LOADER) || data === undefined) {
    throw new RelaymintError('LEDGER_REJECTED', `${ledger.programId} is not a program of the upgradeable loader.`, {
      remedy: 'Check the program address and the ledger URL.',
    });
  }
  const { slot, authority, code } = decodeProgramData(data.data);
  return { upgradeAuthority: authority === undefined ? undefined : toAddress(authority), slot, code };
}
