/** Statements in files, one a line. */
import { isRelaymintError } from '../../core/errors.ts';
import { readStatement, type SignedStatement } from './statement.ts';

/** A line with a statement of the longest names, and what stands before it. */
export const MAX_STATEMENT_LINE = 512;

export function lineOf({ encoded }: SignedStatement): string {
  return Buffer.from(encoded).toString('base64');
}

/** undefined where the line is spoiled. */
export function statementOf(line: string): SignedStatement | undefined {
  return statementIn(Buffer.from(line, 'base64'));
}

/** undefined where nobody signed what it says. */
export function statementIn(encoded: Uint8Array): SignedStatement | undefined {
  try {
    return readStatement(encoded);
  } catch (error) {
    if (isRelaymintError(error, 'INVALID_ENCODING', 'NAME_INVALID')) return undefined;
    throw error;
  }
}
