/** Transactions as a reader wants them. */
import type { Step } from '../model/calls.ts';
import type { Turn } from './duel.ts';

export function inWords({ time, slot, steps, flaw }: Turn): string {
  const text = steps.map(stepInWords).join('\n  then ');
  const spoiled = flaw === undefined ? '' : `\n  with this flaw: ${show(flaw)}`;
  return `- ${text}${spoiled}\n  at ${time}, slot ${slot}`;
}

function stepInWords(step: Step): string {
  if ('foreign' in step) {
    const { foreign, ...rest } = step;
    return `${foreign} ${show(rest)}`;
  }
  return `${step.instruction} ${show({ ...step.accounts, ...step.args })}`;
}

function show(value: unknown): string {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex').slice(0, 16);
  if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).filter(([name]) => name !== 'message' && name !== 'signature');
    return `{ ${fields.map(([name, field]) => `${name}: ${show(field)}`).join(', ')} }`;
  }
  return String(value);
}
