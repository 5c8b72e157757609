import { violation as violationOf, type RelaymintError } from '../../core/errors.ts';

/** A peer sent something inside a circuit that has no place there: the circuit ends. */
export function violation(what: string): RelaymintError {
  return violationOf(`The circuit carried ${what}.`);
}
