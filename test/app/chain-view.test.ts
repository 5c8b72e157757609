/** What a node shows of the ledger while that is quick, hangs, or is gone. */
import { expect, it } from 'vitest';
import { ledgerAddress } from '../../core/ids.ts';
import { amount } from '../../core/units.ts';
import type { ChannelState, TillState } from '../../ledger/contract.ts';
import { ChainView, pairsOf, type RunningNode } from '../../app/node/index.ts';
import { channelState } from '../ledger/accounting/pair.ts';

interface Question {
  answer(settled: bigint): void;
  fail(): void;
}

/** A view on a ledger whose answers the test gives. */
function viewed(): { view: ChainView; asked: Question[] } {
  const asked: Question[] = [];
  const till = (): Promise<TillState> =>
    new Promise((resolve, reject) => {
      asked.push({
        answer: (settled) =>
          resolve({ channels: [channelState({ settled: amount(settled) })] } as unknown as TillState),
        fail: () => reject(new Error('gone')),
      });
    });
  const ledger = { till, channels: (): Promise<ChannelState[]> => Promise.resolve([]) };
  const node = { ledger, wallet: { address: ledgerAddress(new Uint8Array(32)) }, store: { entries: () => [] } };
  return { view: new ChainView(node as unknown as ConstructorParameters<typeof ChainView>[0]), asked };
}

const settledOf = (seen: ChainView['last']): bigint[] =>
  Array.from(seen?.channels.values() ?? [], ({ settled }) => settled);

it('does not wait for a ledger that hangs, asks it once, and shows what comes', async () => {
  const { view, asked } = viewed();
  expect(await view.within(10)).toBeUndefined();
  expect(await view.within(10)).toBeUndefined();
  expect(asked).toHaveLength(1);
  asked[0]?.answer(5n);
  expect(settledOf(await view.within(10_000))).toEqual([5n]);
});

it('shows what it saw last while a ledger is gone, and asks again', async () => {
  const { view, asked } = viewed();
  const first = view.channels();
  asked[0]?.answer(5n);
  await first;
  view.forget();
  const second = view.channels();
  asked[1]?.fail();
  await expect(second).rejects.toThrow('gone');
  const third = view.within(10_000);
  await new Promise(setImmediate);
  asked[2]?.fail();
  expect(settledOf(await third)).toEqual([5n]);
  expect(asked).toHaveLength(3);
});

it('lets no late answer take the place of a newer one', async () => {
  const { view, asked } = viewed();
  const late = view.channels();
  view.forget();
  const newer = view.channels();
  asked[1]?.answer(9n);
  await newer;
  asked[0]?.answer(5n);
  await late;
  expect(settledOf(view.last)).toEqual([9n]);
});

it('takes nothing back that the books say was settled since', () => {
  const booked = { role: 'payee', peer: 'peer', channel: channelState({ settled: amount(9n) }), live: true };
  const node = {
    book: { peers: () => [{ ...booked, up: 0n, down: 0n, due: 0n, signed: 0n }] },
  } as unknown as RunningNode;
  const settledBy = (seen: bigint): string[] => {
    const channel = channelState({ settled: amount(seen) });
    return pairsOf(node, new Map([[channel.id, channel]]), new Map()).map(({ settled }) => settled);
  };
  expect([settledBy(5n), settledBy(12n)]).toEqual([['9'], ['12']]);
});
