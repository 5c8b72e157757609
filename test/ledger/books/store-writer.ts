/** A child that accepts receipts as fast as its disk lets it, and says on stdout which are safe. It is killed in mid-write. */
import { channelId, nodeId } from '../../../core/ids.ts';
import { amount, pricePerMiB } from '../../../core/units.ts';
import { openBookStore } from '../../../ledger/accounting/index.ts';
import { delegateFromSeed, signReceipt } from '../../../ledger/receipt/index.ts';
import { channelState, seed } from '../accounting/pair.ts';

const [directory = '', from = '0'] = process.argv.slice(2);
const store = await openBookStore(directory);
const signer = delegateFromSeed(seed('delegate'));
const channels = [0, 1, 2].map((slot) =>
  channelState({ id: channelId(seed(`channel ${slot}`).subarray(0, 22)), slot }),
);
const price = pricePerMiB(1n << 20n);
for (const channel of channels) store.enter('payee', nodeId(seed('peer')), channel);
for (let i = BigInt(from) + 1n; ; i += 1n) {
  const safe = channels.map(
    (channel) =>
      new Promise<void>((resolve) => {
        const receipt = signReceipt({ channel: channel.id, amount: amount(i), up: i, down: 2n * i }, signer);
        store.hold(receipt, 0n, new Map([['demo.web3', price]]), (error) => {
          if (error !== undefined) throw error;
          resolve();
        });
      }),
  );
  await Promise.all(safe);
  process.stdout.write(`${i}\n`);
}
