/** `relaymint budget` asks a running gateway, and has it stop a site. */
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { startControlServer, type ControlHandlers } from '../../app/control/index.ts';
import { controlHandlers } from '../../app/node/index.ts';
import { silentLog, systemClock } from '../../core/ports.ts';
import { U64_MAX, amount } from '../../core/units.ts';
import { openBudget, type Budget } from '../../ledger/budget/index.ts';
import { temporaryFolder } from '../e2e/marketplace.ts';
import { run } from './program.ts';

const stack = new AsyncDisposableStack();
let data: string;
let budget: Budget;

beforeAll(async () => {
  data = stack.use(await temporaryFolder()).path;
  const limits = { perPeer: amount(U64_MAX), perSite: amount(10_000_000n), total: amount(U64_MAX) };
  budget = stack.use(await openBudget({ file: path.join(data, 'budget'), limits, clock: systemClock, log: silentLog }));
  const node = { budget, settings: {}, ledger: {}, links: { links: () => [], onLink: () => undefined } };
  const options = { node: node as never, addresses: [], figures: () => ({}), stop: () => undefined };
  const { budgets, budget: order } = controlHandlers(options);
  const handlers: Pick<ControlHandlers, 'budgets' | 'budget'> = { budgets, budget: order };
  stack.use(await startControlServer(data, handlers as ControlHandlers, silentLog));
}, 120_000);
afterAll(() => stack.disposeAsync());

const json = async (...args: readonly string[]): Promise<unknown> =>
  JSON.parse((await run(['budget', ...args, '--data', data, '--json'])).stdout);

it('lists, stops, starts, raises and takes back', async () => {
  expect((await run(['budget', 'list', '--data', data])).stdout).toContain('No site has spent anything');
  (await budget.reserveSite('news.web3', amount(1_500_000n))).settle(1_500_000n);
  expect(await json('list')).toMatchObject({ sites: [{ name: 'news.web3', spent: '1500000', limit: '10000000' }] });
  expect(await json('stop', 'news.web3')).toMatchObject({ name: 'news.web3', stopped: true });
  expect(budget.isStopped('news.web3')).toBe(true);
  expect((await run(['budget', 'list', '--data', data])).stdout).toMatch(
    /news\.web3 +1\.5 +10 +stopped, some of it free/,
  );
  expect((await run(['budget', 'start', 'news.web3', '--data', data])).stdout).toContain(
    'news.web3 may cost 10 credits in an hour, and has cost 1.5.',
  );
  expect(await json('limit', 'news.web3', '25.5')).toMatchObject({ limit: '25500000', hasOwnLimit: true });
  expect(await json('limit', 'news.web3')).toMatchObject({ limit: '10000000', hasOwnLimit: false });
}, 120_000);

it('refuses what is no name or no amount before it asks, and says where no node runs', async () => {
  expect((await run(['budget', 'stop', 'nothing', '--data', data])).code).toBe(2);
  expect((await run(['budget', 'limit', 'a.web3', '-1', '--data', data])).code).toBe(2);
  const nowhere = await run(['budget', 'list', '--data', path.join(data, 'nowhere'), '--json']);
  expect([nowhere.code, JSON.parse(nowhere.stdout)]).toMatchObject([1, { error: { code: 'FILE_NOT_FOUND' } }]);
}, 120_000);
