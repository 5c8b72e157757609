/** A child that settles and is killed with SIGKILL, by its own hand, at a step of the parent's choice. */
import { openBookStore } from '../../../ledger/accounting/index.ts';
import { openSettlementJournal, startSettlement } from '../../../ledger/settlement/index.ts';
import { withFaults } from './faulty-wallet.ts';
import { connect, payeeWallet } from './world.ts';

const [url = '', label = '', directory = '', fatal = ''] = process.argv.slice(2);
const ledger = connect({ url });
const store = await openBookStore(directory);
const wallet = withFaults(payeeWallet(ledger, label), (step) => {
  if (step === fatal) process.kill(process.pid, 'SIGKILL');
});
const engine = startSettlement({ store, wallet, reader: ledger, journal: openSettlementJournal(`${directory}.jsonl`) });
await engine.settleAll();
