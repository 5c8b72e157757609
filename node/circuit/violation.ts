import { RelaymintError } from '../../core/errors.ts';

/** A peer sent something inside a circuit that has no place there: the circuit ends. */
export function violation(what: string): RelaymintError {
  return new RelaymintError('PROTOCOL_VIOLATION', `The circuit carried ${what}.`, {
    remedy: 'The nodes may run different versions.',
  });
}
