/** What log lines say of errors, read from a child's stderr: pino writes to the file descriptor itself. */
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { RelaymintError } from '../../core/errors.ts';
import { loggedError } from '../../cli/output.ts';

describe('an error in the log', () => {
  it('is shown with its code and its remedy', () => {
    const error = new RelaymintError('STORAGE_FULL', 'The disk is full.', { remedy: 'Free some space.' });
    expect(loggedError(error)).toEqual({ code: 'STORAGE_FULL', message: 'The disk is full. Free some space.' });
  });

  it('does not say what it came from, which may hold the key of a ledger node', () => {
    const cause = new Error('connect to https://rpc.example/?api-key=secret failed');
    const error = new RelaymintError('LEDGER_UNREACHABLE', 'The ledger does not answer.', { cause });
    expect(JSON.stringify(loggedError(error))).not.toContain('secret');
  });

  it('says where a fault of ours comes from', () => {
    const error = new RelaymintError('INTERNAL', 'This node failed.', { cause: new TypeError('x is undefined') });
    expect(loggedError(error)).toMatchObject({
      code: 'INTERNAL',
      stack: expect.stringMatching(/x is undefined\n +at /) as unknown,
    });
    expect(loggedError(new TypeError('y is undefined'))).toMatchObject({ message: 'y is undefined' });
    expect(loggedError('text')).toMatchObject({ message: 'text' });
  });

  it('is written into the line that a node writes', () => {
    const script = `
      import { createLog } from ${JSON.stringify(new URL('../../dist/cli/output.js', import.meta.url).href)};
      import { RelaymintError } from ${JSON.stringify(new URL('../../dist/core/errors.js', import.meta.url).href)};
      createLog('debug', 'relay-1').debug({ err: new RelaymintError('TIMEOUT', 'It took too long.') }, 'A dial failed.');`;
    const { stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    expect(JSON.parse(stderr)).toMatchObject({
      node: 'relay-1',
      msg: 'A dial failed.',
      err: { code: 'TIMEOUT', message: 'It took too long.' },
    });
  });
});

it('a progress bar shows names of files without what they say to the terminal', () => {
  const script = `
      process.stderr.isTTY = true;
      const { createSteps } = await import(${JSON.stringify(new URL('../../dist/cli/output.js', import.meta.url).href)});
      const steps = createSteps('Checking', false);
      steps.update(0, 2, 'a\\u001b]0;title\\u0007');
      steps.update(1, 2, 'b\\u001b[2J');
      steps.finish();`;
  const { stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  expect(stderr).toContain('a?]0;title?');
  expect(stderr).not.toContain('b\u001b[2J');
});
