/** Compiled against the packed package, in a project of its own: what its types promise. */
import { parseName } from 'relaymint';
import { RelaymintError, siteUrl, type ErrorCode } from 'relaymint/sdk';
import { openSolanaLedger } from 'relaymint/ledger';

export const url: string = siteUrl(parseName('demo.web3').name, 8402);
export const code: ErrorCode = new RelaymintError('TIMEOUT', 'It took too long.').code;
export const open: typeof openSolanaLedger = openSolanaLedger;
// @ts-expect-error a port is a number
siteUrl('demo.web3', '8402');
