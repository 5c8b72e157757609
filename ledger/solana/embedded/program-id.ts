import { ledgerAddress, type LedgerAddress } from '../../../core/ids.ts';

/** The program's address on an embedded ledger. Nobody holds a key for it: it is put there at genesis. */
export const EMBEDDED_PROGRAM_ID: LedgerAddress = ledgerAddress('Re1aymint1111111111111111111111111111111111');
