/** What a visitor is told of a failure, and what stays with the gateway. */
import { expect, it } from 'vitest';
import { RelaymintError, type ErrorCode } from '../../../core/errors.ts';
import { messageFor } from '../../../sites/gateway/failure.ts';

/** Every code that can reach a visitor, with what its answer says; those that are not here are 502 without a time to come back. */
const TABLE: readonly (readonly [ErrorCode, number, number | undefined])[] = [
  // what was asked for
  ['INVALID_ARGUMENT', 400, undefined],
  ['NAME_INVALID', 404, undefined],
  ['NAME_UNKNOWN', 404, undefined],
  ['NAME_EXPIRED', 410, undefined],
  ['NOT_ACCEPTABLE', 406, undefined],
  ['NOT_CACHED', 412, undefined],
  // the site, and this gateway
  ['REDIRECTS_INVALID', 500, undefined],
  ['INTERNAL', 500, undefined],
  // hosts and the ledger
  ['CONTENT_NOT_FOUND', 502, undefined],
  ['CONTENT_CORRUPT', 502, undefined],
  ['CONTENT_REFUSED', 502, undefined],
  ['NO_ROUTE', 502, undefined],
  ['CIRCUIT_DESTROYED', 502, undefined],
  ['CONNECTION_REFUSED', 502, undefined],
  ['PROTOCOL_VIOLATION', 502, undefined],
  ['STREAM_REFUSED', 502, undefined],
  ['STREAM_RESET', 502, undefined],
  ['LEDGER_REJECTED', 502, undefined],
  // nobody answered in time
  ['TIMEOUT', 504, 60],
  ['LEDGER_UNREACHABLE', 504, 5],
  // not now
  ['LIMIT_EXCEEDED', 503, 5],
  ['CLOSED', 503, 5],
  ['BUDGET_EXHAUSTED', 503, 300],
  ['BUDGET_STOPPED', 403, undefined],
  ['INSUFFICIENT_FUNDS', 503, undefined],
  ['DEPOSIT_EXHAUSTED', 503, undefined],
  ['PRICE_TOO_HIGH', 503, undefined],
];

it.each(TABLE)('%s is answered with %i, and to come back after %s seconds', (code, status, retrySeconds) => {
  const told = messageFor(new RelaymintError(code, 'It did not work.'));
  expect({ status: told.status, code: told.code, retrySeconds: told.retrySeconds }).toEqual({
    status,
    code,
    retrySeconds,
  });
});

it('a foreign error is a fault of the gateway, and is not told', () => {
  const told = messageFor(new TypeError('reading a secret of undefined'));
  expect(told).toMatchObject({ status: 500, code: 'INTERNAL', text: expect.not.stringContaining('secret') as string });
});

it.each([
  ['LEDGER_UNREACHABLE', 504],
  ['LEDGER_REJECTED', 502],
] as const)('%s does not tell which ledger node is used', (code, status) => {
  const told = messageFor(new RelaymintError(code, 'The ledger at https://tenant.provider.example does not answer.'));
  expect(told).toMatchObject({ status, code });
  expect(told.text).not.toBe('');
  expect(JSON.stringify(told)).not.toContain('tenant.provider.example');
});

it('a failure of the content is told in its own words', () => {
  expect(messageFor(new RelaymintError('CONTENT_REFUSED', 'The folder is too deep.')).text).toContain('too deep');
});
