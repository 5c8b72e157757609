/** What a settlement would put on chain now, and what it would cost. Nothing is sent. */
import type { LedgerWallet } from '../../ledger/contract.ts';
import { receiptMessage, receiptSignature } from '../../ledger/receipt/index.ts';
import { increaseOf, type PlannedBatch as Batch, type SettlementEngine } from '../../ledger/settlement/index.ts';
import type { SolanaLedger } from '../../ledger/solana/index.ts';
import type { PlannedBatch, SettlementPlan } from '../control/index.ts';

/** The parts of a node that this needs. */
interface Parts {
  readonly ledger: Pick<SolanaLedger, 'feeOf'>;
  readonly wallet: LedgerWallet;
  readonly settlement: Pick<SettlementEngine, 'plan'>;
}

/** The fee is what the ledger states for each transaction as it would be sent. @throws RelaymintError LEDGER_UNREACHABLE. */
export async function planSettlement(node: Parts): Promise<SettlementPlan> {
  const batches: PlannedBatch[] = [];
  for (const batch of await node.settlement.plan()) batches.push(await planned(node, batch));
  return { batches };
}

async function planned({ ledger, wallet }: Parts, batch: Batch): Promise<PlannedBatch> {
  const items = batch.candidates.map(({ channel, receipt }) => ({
    slot: channel.slot,
    delegate: channel.delegate,
    message: receiptMessage(receipt),
    signature: receiptSignature(receipt),
  }));
  const prepared = await wallet.prepareSettle(items, batch.shares, wallet.address, batch.maxBid);
  return {
    receipts: batch.candidates.map((candidate) => ({
      channel: candidate.channel.id,
      payer: candidate.channel.payer,
      value: increaseOf(candidate).toString(),
    })),
    names: batch.shares.map(({ name, referrer, gross }) => ({ name, referrer, gross: gross.toString() })),
    value: batch.increase.toString(),
    feeLamports: (await ledger.feeOf(prepared)).toString(),
  };
}
