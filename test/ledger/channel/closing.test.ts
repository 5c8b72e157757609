/** Closing channels that is stopped in the middle says what to do next, wherever it is stopped. */
import { describe, expect, it } from 'vitest';
import { unixSeconds } from '../../../core/units.ts';
import { closeChannels } from '../../../ledger/channel/index.ts';
import type { BankState, LedgerWallet } from '../../../ledger/contract.ts';
import { channelState } from '../accounting/pair.ts';

const channel = channelState({ closeAt: unixSeconds(1n << 40n) });
/** Nothing is signed: the channel is being closed already, and its challenge period is not over. */
const wallet = {} as LedgerWallet;
const bank = { challengeSeconds: 1n } as BankState;
const never = new Promise<never>(() => {});

describe('closing channels that is stopped', () => {
  it.each<[string, (stop: () => void) => Parameters<typeof closeChannels>[1]['reader']]>([
    ['before it begins', (stop) => (stop(), { bank: () => never, channels: () => never })],
    ['while the bank is read', (stop) => ({ bank: () => (stop(), never), channels: () => never })],
    ['while they are read', (stop) => ({ bank: async () => bank, channels: () => (stop(), never) })],
    ['while it waits', (stop) => ({ bank: async () => bank, channels: async () => (setImmediate(stop), [channel]) })],
  ])('%s is taken up by the next call, and says so', async (_when, readerOf) => {
    const stop = new AbortController();
    const reader = readerOf(() => stop.abort());
    const stopped = { code: 'ABORTED', remedy: 'Do it again: it goes on where it stopped.' };
    await expect(closeChannels([channel], { reader, wallet, signal: stop.signal })).rejects.toMatchObject(stopped);
  });
});
