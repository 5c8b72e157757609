/** The nodes beside a gateway: their figures, and settling all of them at once. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { WatchedNodes } from '../../app/roles/watched.ts';
import type { ControlHandlers, NodeStats } from '../../app/control/index.ts';
import { startControlServer } from '../../app/control/server.ts';
import { RelaymintError } from '../../core/errors.ts';
import { silentLog } from '../../core/ports.ts';
import { createPolicy } from '../../node/transport/index.ts';
import { statsOf } from '../cli/stats.ts';
import { temporaryFolder } from '../e2e/marketplace.ts';

let stack: AsyncDisposableStack;
let root: string;
let watched: WatchedNodes;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  root = stack.use(await temporaryFolder()).path;
  const policy = createPolicy({ transports: [], outbound: 'loopback' });
  watched = new WatchedNodes({ policy }, root);
});
afterEach(() => stack.disposeAsync());

function figuresOf(label: string): NodeStats {
  return statsOf({ label, nodeId: label, wallet: label });
}

/** A node that answers as `settle` says, and what it was asked, in order. */
async function node(
  label: string,
  settle: ControlHandlers['settle'] = () =>
    Promise.resolve({ transactions: 1, receipts: 2, computeUnits: 0, feeLamports: 0, signatures: [] }),
  stats: ControlHandlers['stats'] = () => Promise.resolve(figuresOf(label)),
): Promise<string[]> {
  const asked: string[] = [];
  const folder = path.join(root, label);
  await mkdir(folder);
  const handlers: Pick<ControlHandlers, 'stats' | 'flush' | 'settle'> = {
    stats,
    flush: () => Promise.resolve({ flushed: asked.push('flush') > 0 }),
    settle: () => {
      asked.push('settle');
      return settle();
    },
  };
  stack.use(await startControlServer(folder, handlers as ControlHandlers, silentLog));
  return asked;
}

const down = (): Promise<never> => Promise.reject(new RelaymintError('LEDGER_UNREACHABLE', 'The ledger is away.'));

it('are all told to sign for what they owe before they settle, and a folder without a node is no failure', async () => {
  const asked = [await node('relay-1'), await node('host')];
  await mkdir(path.join(root, 'site'));
  expect(await watched.settle()).toEqual({ transactions: 2, receipts: 4, failed: 0 });
  expect(asked).toEqual([
    ['flush', 'settle'],
    ['flush', 'settle'],
  ]);
});

it('settle once however often they are asked meanwhile', async () => {
  const asked = await node('relay-1');
  await Promise.all([watched.settle(), watched.settle(), watched.settle()]);
  expect(asked).toEqual(['flush', 'settle']);
});

it('settle what they can: a failure is counted, and told when all failed', async () => {
  await node('relay-1', down);
  await expect(watched.settle()).rejects.toMatchObject({
    code: 'LEDGER_UNREACHABLE',
    message: expect.stringContaining('away') as string,
  });
  await node('host');
  expect(await watched.settle()).toEqual({ transactions: 1, receipts: 2, failed: 1 });
});

it('hang and are not waited for', async () => {
  await node('relay-1');
  await node('host', undefined, () => new Promise<never>(() => {}));
  await expect.poll(async () => (await watched.stats(500)).map(({ label }) => label)).toEqual(['relay-1']);
});

it('show their figures as long as they answer', async () => {
  await node('relay-1');
  await node('host');
  await expect
    .poll(async () => (await watched.stats(10_000)).map(({ label }) => label).toSorted())
    .toEqual(['host', 'relay-1']);
});
