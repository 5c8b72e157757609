/** `relaymint settle` beside a node whose ledger takes its time. */
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { silentLog } from '../../core/ports.ts';
import { startControlServer, type ControlHandlers, type ControlResults } from '../../app/control/index.ts';
import { temporaryFolder } from '../e2e/marketplace.ts';
import { start } from './program.ts';

const NOTHING: ControlResults['settle'] = {
  transactions: 0,
  receipts: 0,
  computeUnits: 0,
  feeLamports: 0,
  signatures: [],
};

const stack = new AsyncDisposableStack();
let folder: string;
let finish: (result: ControlResults['settle']) => void = () => {};
beforeAll(async () => {
  folder = stack.use(await temporaryFolder()).path;
  const handlers: Pick<ControlHandlers, 'settle'> = {
    settle: () =>
      new Promise((resolve) => {
        finish = resolve;
      }),
  };
  stack.use(await startControlServer(folder, handlers as ControlHandlers, silentLog));
});
afterAll(() => stack.disposeAsync());

it('says that it waits, and then what came of it', async () => {
  const { child, finished } = start(['settle', '--data', folder]);
  let said = '';
  child.stderr?.on('data', (text: string) => {
    said += text;
    if (said.includes('still waiting for the ledger')) finish(NOTHING);
  });
  const { code, stdout, stderr } = await finished;
  expect(code).toBe(0);
  expect(stdout).toBe('Nothing to settle.\n');
  expect(stderr).toMatch(/still waiting for the ledger after \d+ s/);
});
