/** What a visitor is told of a failure, and what stays with the gateway. */
import { expect, it } from 'vitest';
import { RelaymintError } from '../../../core/errors.ts';
import { messageFor } from '../../../sites/gateway/failure.ts';

it.each(['LEDGER_UNREACHABLE', 'LEDGER_REJECTED'] as const)('%s does not tell which ledger node is used', (code) => {
  const told = messageFor(new RelaymintError(code, 'The ledger at https://tenant.provider.example does not answer.'));
  expect(told).toMatchObject({ status: 502, code });
  expect(told.text).not.toBe('');
  expect(JSON.stringify(told)).not.toContain('tenant.provider.example');
});

it('a failure of the content is told in its own words', () => {
  expect(messageFor(new RelaymintError('CONTENT_REFUSED', 'The folder is too deep.')).text).toContain('too deep');
});
