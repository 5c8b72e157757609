/** All that bound what a payer may cost: by its wallet, and not at all. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { nodeId } from '../../../core/ids.ts';
import { amount, pricePerMiB } from '../../../core/units.ts';
import { openAccountBook, openBookStore } from '../../../ledger/accounting/index.ts';
import { freeSponsor } from '../../../node/meter/index.ts';
import { Sponsors } from '../../../node/meter/sponsor.ts';
import { sponsorCompliance } from '../../compliance/sponsor.ts';
import { channelState, seed } from '../../ledger/accounting/pair.ts';

const cleanups: (() => Promise<unknown>)[] = [];
async function teardown(): Promise<void> {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
}

sponsorCompliance('by its wallet', {
  async setup() {
    const directory = await mkdtemp(path.join(tmpdir(), 'relaymint-sponsors-'));
    cleanups.push(() => rm(directory, { recursive: true, force: true }));
    const store = await openBookStore(directory);
    const book = openAccountBook({ store, reader: { channel: async () => undefined } });
    cleanups.push(
      () => store.close(),
      () => book.close(),
    );
    const channel = channelState({ deposit: amount(10_000_000n), opening: amount(40_000n) });
    const account = book.openEarning({ peer: nodeId(seed('peer')), channel, price: pricePerMiB(10_000n) });
    return { sponsor: new Sponsors(book).of(channel.payer, account), close: () => account.close() };
  },
  teardown,
  bounded: true,
});

sponsorCompliance('not at all', {
  setup: async () => ({ sponsor: freeSponsor, close: () => {} }),
  teardown,
  bounded: false,
});
