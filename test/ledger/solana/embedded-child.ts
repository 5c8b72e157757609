/** An embedded ledger in a process of its own, for tests that kill it. Prints its URL once it answers. */
import { startEmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';

const dataDir = process.argv[2];
if (dataDir === undefined) throw new Error('usage: embedded-child.ts DIR');
const ledger = await startEmbeddedLedger({ dataDir });
process.stdout.write(`${ledger.url}\n`);
