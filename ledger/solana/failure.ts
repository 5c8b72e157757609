/** Turns a node's failure of a transaction into our errors. */
import { SendTransactionError } from '@solana/web3.js';
import { messageOf, RelaymintError } from '../../core/errors.ts';
import { decodeProgramError } from './program/index.ts';

const LACKING_FUNDS = /no record of a prior credit|insufficient funds|insufficient lamports/i;

/** Already on chain; or the node is behind or overloaded, or the blockhash has expired. The status tells which. */
export const UNDECIDED: RegExp =
  /already been processed|blockhash not found|node is (?:behind|unhealthy)|internal error|rate limit|too many requests|timed out/i;

/** `failure`: what web3.js threw, or the error of a transaction that was carried out. Nearer than LEDGER_REJECTED where it can be told. */
export function failureOf(failure: unknown, logs: readonly string[]): RelaymintError {
  const decoded = decodeProgramError(failure, logs);
  if (decoded.code !== 'LEDGER_REJECTED') return decoded;
  const text = failure instanceof Error ? reasonOf(failure) : JSON.stringify(failure);
  if (!LACKING_FUNDS.test([text, ...logs].join('\n')) && !text.includes('InsufficientFunds')) return decoded;
  return new RelaymintError('INSUFFICIENT_FUNDS', 'The wallet does not have enough lamports for the transaction.', {
    remedy: 'Send it some SOL for rent and fees.',
    cause: failure instanceof Error ? failure : undefined,
  });
}

/** The node's own text, without that of web3.js around it. */
export function reasonOf(error: Error): string {
  return error instanceof SendTransactionError ? error.transactionError.message : messageOf(error);
}

export function expired(): RelaymintError {
  return new RelaymintError('TIMEOUT', 'The network let it expire.');
}
