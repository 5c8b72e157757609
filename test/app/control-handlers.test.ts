/** What a node tells somebody who wants to settle while its ledger is gone, hangs, or is slow. */
import { afterEach, expect, it, vi } from 'vitest';
import { RelaymintError } from '../../core/errors.ts';
import type { ControlHandlers } from '../../app/control/index.ts';
import { controlHandlers, type RunningNode } from '../../app/node/index.ts';

afterEach(() => {
  vi.useRealTimers();
});

/** `bank`: what the ledger says when it is asked. */
function handlersOf(bank: () => Promise<unknown>): { handlers: ControlHandlers; settled: () => number } {
  let settled = 0;
  const node = {
    links: { links: () => [], onLink: () => {} },
    ledger: { bank },
    settings: { till: undefined },
    settlement: {
      settleAll: async () => {
        settled += 1;
        return [];
      },
      withdraw: async () => {
        settled += 1;
        return undefined;
      },
      plan: async () => {
        settled += 1;
        return [];
      },
    },
  } as unknown as RunningNode;
  return {
    handlers: controlHandlers({ node, addresses: [], figures: () => ({}), stop: () => {} }),
    settled: () => settled,
  };
}

const CALLS = ['settle', 'withdraw', 'plan'] as const;

it.each(CALLS)('%s says at once that the ledger cannot be reached', async (call) => {
  const { handlers, settled } = handlersOf(() => Promise.reject(new RelaymintError('LEDGER_UNREACHABLE', 'gone')));
  await expect(handlers[call]()).rejects.toMatchObject({ code: 'LEDGER_UNREACHABLE', message: 'gone' });
  expect(settled()).toBe(0);
});

it.each(CALLS)('%s does not wait for ever for a ledger that hangs', async (call) => {
  vi.useFakeTimers();
  const { handlers, settled } = handlersOf(() => new Promise(() => {}));
  const failure = handlers[call]().catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(15_000);
  expect(await failure).toMatchObject({ code: 'LEDGER_UNREACHABLE' });
  expect(settled()).toBe(0);
});

it.each(CALLS)('%s goes on when a slow one has answered', async (call) => {
  vi.useFakeTimers();
  const { handlers, settled } = handlersOf(() => new Promise((resolve) => void setTimeout(resolve, 14_000)));
  const asked = handlers[call]();
  await vi.advanceTimersByTimeAsync(14_000);
  await asked;
  expect(settled()).toBe(1);
});
