/** What a node shows of the ledger while that is quick, hangs, or is gone. */
import { expect, it } from 'vitest';
import { channelId, ledgerAddress } from '../../core/ids.ts';
import { amount } from '../../core/units.ts';
import type { ChannelState, TillState } from '../../ledger/contract.ts';
import { ChainView, closedOf, pairsOf, type RunningNode } from '../../app/node/index.ts';
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

it('keeps as settled what the books say was settled since', () => {
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

it('adds up closed channels: those the books forgot, and those the chain no longer shows', () => {
  const [open, gone] = [1, 2].map((index) => channelState({ id: channelId(new Uint8Array(22).fill(index)) }));
  if (open === undefined || gone === undefined) throw new Error('two were made');
  const pair = { role: 'payer', peer: 'peer', live: false, up: 1n, down: 2n, due: 3n, signed: 3n };
  const node = {
    book: { peers: () => [open, gone].map((channel) => ({ ...pair, channel })) },
    store: {
      closed: (role: string) =>
        role === 'payer'
          ? { channels: 4n, up: 10n, down: 20n, signed: 30n, settled: 25n }
          : { channels: 0n, up: 0n, down: 0n, signed: 0n, settled: 0n },
    },
  } as unknown as RunningNode;
  const pays = (channels: string, up: string, down: string, receipted: string): object => ({
    channels,
    counts: { up, down },
    receipted,
    settled: '25',
  });
  expect(closedOf(node, new Map([[open.id, open]])).pays).toEqual(pays('5', '11', '22', '33'));
  // Until the chain answers they are all taken for open, as among the pairs.
  expect(closedOf(node, undefined).pays).toEqual(pays('4', '10', '20', '30'));
  expect(closedOf(node, undefined).earns).toMatchObject({ channels: '0', settled: '0' });
});
