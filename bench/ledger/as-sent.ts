/** A settlement as a node sends it: by the real wallet, over JSON-RPC, to the embedded ledger. */
import { RelaymintError } from '../../core/errors.ts';
import { lamports } from '../../core/units.ts';
import type { Amount } from '../../core/units.ts';
import type { ChannelState, SettleItem } from '../../ledger/contract.ts';
import { delegateFromSeed, encodeReceipt } from '../../ledger/receipt/index.ts';
import { EMBEDDED_PROGRAM_ID, startEmbeddedLedger } from '../../ledger/solana/embedded/index.ts';
import { openSolanaLedger, programFile, walletKeyFromSeed } from '../../ledger/solana/index.ts';
import { keypair } from './chain.ts';
import type { Cost } from './chain.ts';

/** Lamports of each wallet: rent, fees and what the credits cost. */
const FUNDS = lamports(500_000_000_000n);

export interface AsSentOptions {
  readonly transactions: number;
  /** Channels of the till, of which as many are settled as fit one transaction. */
  readonly channels: number;
  readonly deposit: Amount;
  /** What a channel's receipt of the n-th transaction says. */
  readonly counters: (transaction: number) => { readonly amount: Amount; readonly up: bigint; readonly down: bigint };
}

/** @throws RelaymintError INTERNAL when the ledger does not carry one out. */
export async function settlementsAsSent(
  options: AsSentOptions,
): Promise<{ readonly receipts: number; readonly costs: readonly Cost[] }> {
  await using server = await startEmbeddedLedger({ programPath: programFile(), programId: EMBEDDED_PROGRAM_ID });
  const ledger = openSolanaLedger({ fetch, url: server.url, programId: EMBEDDED_PROGRAM_ID });
  try {
    const payee = ledger.wallet(walletKeyFromSeed('benchmark', 'payee'));
    const payer = ledger.wallet(walletKeyFromSeed('benchmark', 'payer'));
    for (const wallet of [payee, payer]) await wallet.airdrop(FUNDS);
    await payee.openTill(options.channels);
    const { unitsPerLamport } = await ledger.bank();
    await payer.buy(lamports((options.deposit * BigInt(options.channels)) / unitsPerLamport));
    const signers = Array.from({ length: options.channels }, (_, index) =>
      delegateFromSeed(keypair(`delegate ${index}`).secretKey.subarray(0, 32)),
    );
    const channels: ChannelState[] = [];
    for (const { address } of signers) channels.push(await payer.openChannel(payee.address, address, options.deposit));

    await payee.learnTransactionSize();
    const costs: Cost[] = [];
    let receipts = 0;
    for (let transaction = 0; transaction < options.transactions; transaction += 1) {
      const signed = channels.map(({ id }) => ({ channel: id, ...options.counters(transaction) }));
      receipts = payee.receiptsThatFit(signed, []);
      const items = signed.slice(0, receipts).flatMap((receipt, index): readonly SettleItem[] => {
        const [channel, signer] = [channels[index], signers[index]];
        if (channel === undefined || signer === undefined) return [];
        const message = encodeReceipt(receipt);
        return [{ slot: channel.slot, delegate: signer.address, message, signature: signer.sign(message) }];
      });
      const prepared = await payee.prepareSettle(items, []);
      await payee.submit(prepared);
      const status = await payee.confirm(prepared);
      if (status.state !== 'confirmed') {
        throw new RelaymintError('INTERNAL', `A settlement of the benchmark is ${status.state}.`);
      }
      const { feeLamports, computeUnits } = status.result;
      costs.push({ lamports: Number(feeLamports), computeUnits, bytes: prepared.wire.length });
    }
    return { receipts, costs };
  } finally {
    ledger.close();
  }
}
