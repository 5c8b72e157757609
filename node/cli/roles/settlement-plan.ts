/** What a settlement would put on chain now, and what it would cost. Nothing is sent. */
import { NUMERATOR_BITS, type BookStore } from '../../../ledger/accounting/index.ts';
import type { LedgerReader, LedgerWallet } from '../../../ledger/contract.ts';
import { receiptMessage, receiptSignature } from '../../../ledger/receipt/index.ts';
import { increaseOf, planBatches, type Batch, type Candidate, type Fit } from '../../../ledger/settlement/plan.ts';
import type { SolanaLedger } from '../../../ledger/solana/index.ts';
import type { PlannedBatch, SettlementPlan } from '../control/protocol.ts';

/** The parts of a node that know. */
interface Parts {
  readonly ledger: LedgerReader & Pick<SolanaLedger, 'feeOf'>;
  readonly wallet: LedgerWallet;
  readonly store: BookStore;
}

/**
 * Plans from the same books, the same look at the till and by the same rules as the node's own settlement. The fee is the
 * ledger's own word for each transaction as it would be sent. @throws RelaymintError LEDGER_UNREACHABLE.
 */
export async function planSettlement(node: Parts): Promise<SettlementPlan> {
  const candidates = await candidatesOf(node);
  const names = candidates.length === 0 ? new Map<string, bigint>() : await payableNames(node);
  const batches: PlannedBatch[] = [];
  const fit: Fit = (receipts, count) => node.wallet.receiptsThatFit(receipts, count);
  for (const batch of planBatches(candidates, names, fit)) batches.push(await planned(node, batch));
  return { batches };
}

async function candidatesOf({ ledger, wallet, store }: Parts): Promise<readonly Candidate[]> {
  const till = await ledger.till(wallet.address);
  const candidates: Candidate[] = [];
  for (const channel of till?.channels ?? []) {
    const entry = store.entry(channel.id);
    if (entry?.role !== 'payee' || entry.latest === undefined) continue;
    const { latest: receipt } = entry;
    if (receipt.amount > channel.settled && receipt.amount <= channel.deposit) candidates.push({ channel, receipt });
  }
  return candidates;
}

/** Whole base units that names earned, of names that the ledger knows. */
async function payableNames({ ledger, store }: Parts): Promise<ReadonlyMap<string, bigint>> {
  const payable = new Map<string, bigint>();
  for (const [name, numerator] of store.shares) {
    const gross = numerator >> NUMERATOR_BITS;
    if (gross > 0n && (await ledger.name(name)) !== undefined) payable.set(name, gross);
  }
  return payable;
}

async function planned({ ledger, wallet }: Parts, batch: Batch): Promise<PlannedBatch> {
  const items = batch.candidates.map(({ channel, receipt }) => ({
    slot: channel.slot,
    delegate: channel.delegate,
    message: receiptMessage(receipt),
    signature: receiptSignature(receipt),
  }));
  const prepared = await wallet.prepareSettle(items, batch.shares);
  return {
    receipts: batch.candidates.map((candidate) => ({
      channel: candidate.channel.id,
      payer: candidate.channel.payer,
      value: increaseOf(candidate).toString(),
    })),
    names: batch.shares.map(({ name, gross }) => ({ name, gross: gross.toString() })),
    value: batch.increase.toString(),
    feeLamports: (await ledger.feeOf(prepared)).toString(),
  };
}
