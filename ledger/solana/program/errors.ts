/** Turns what a failed transaction reports into an error that says what to do. */
import { RelaymintError, messageOf } from '../../../core/errors.ts';
import { PROGRAM_ERRORS } from './error-table.ts';
import type { ProgramErrorEntry } from './error-table.ts';

/** A token or system program's "insufficient funds", reported through ours. */
const INSUFFICIENT_FUNDS = 1;
/** Characters of a foreign message that are quoted. */
const QUOTED = 300;

const BY_NUMBER = new Map(PROGRAM_ERRORS.map((entry) => [entry.number, entry]));

/** The entry of a custom error number; undefined when it is not one of ours. */
export function programError(number: number): ProgramErrorEntry | undefined {
  return BY_NUMBER.get(number);
}

/**
 * Accepts whatever there is of a failed transaction: the `err` of a status, a thrown SendTransactionError, log lines.
 * Our own errors carry the entry's code, and its name and number in `details`. Insufficient funds of the token and
 * system programs become INSUFFICIENT_FUNDS, everything else LEDGER_REJECTED.
 */
export function decodeProgramError(failure: unknown, logs: readonly string[] = []): RelaymintError {
  const number = customNumber(failure) ?? customNumberIn(failureText(failure, logs));
  const entry = number === undefined ? undefined : programError(number);
  const cause = failure instanceof Error ? failure : undefined;
  if (entry !== undefined) {
    return new RelaymintError(entry.code, entry.message, {
      remedy: entry.remedy,
      details: { program: entry.name, number: entry.number },
      cause,
    });
  }
  if (number === INSUFFICIENT_FUNDS) {
    return new RelaymintError('INSUFFICIENT_FUNDS', 'The wallet does not hold what the transaction takes.', {
      remedy: 'Buy credits, or add lamports for rent and fees.',
      details: { number },
      cause,
    });
  }
  return new RelaymintError('LEDGER_REJECTED', `The ledger refused the transaction: ${describe(failure)}.`, {
    remedy: 'The logs of the transaction say more.',
    cause,
  });
}

/** `{ InstructionError: [index, { Custom: number }] }`, as JSON-RPC and web3.js report it. */
function customNumber(failure: unknown): number | undefined {
  if (typeof failure !== 'object' || failure === null) return undefined;
  const pair: unknown = 'InstructionError' in failure ? failure.InstructionError : undefined;
  if (!Array.isArray(pair)) return undefined;
  const detail: unknown = pair[1];
  if (typeof detail !== 'object' || detail === null || !('Custom' in detail)) return undefined;
  return typeof detail.Custom === 'number' ? detail.Custom : Number(detail.Custom);
}

/** The last "custom program error: 0x.." of a text: the outermost program's, hence ours. */
function customNumberIn(text: string): number | undefined {
  const found = [...text.matchAll(/custom program error: 0x([0-9a-f]{1,8})/gi)].at(-1)?.[1];
  return found === undefined ? undefined : Number.parseInt(found, 16);
}

function failureText(failure: unknown, logs: readonly string[]): string {
  const lines = failure instanceof Error && 'logs' in failure ? failure.logs : failure;
  const own = Array.isArray(lines) ? lines.filter((line) => typeof line === 'string') : [];
  return [messageOf(failure), ...own, ...logs].join('\n');
}

function describe(failure: unknown): string {
  if (failure instanceof Error) return failure.message.slice(0, QUOTED);
  const text = JSON.stringify(failure, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
  return (text ?? 'no reason given').slice(0, QUOTED);
}
