/** Opens a channel, signs a receipt and settles it: on a ledger of its own, or on the one at `node settle-a-receipt.js URL`. */
import { randomBytes } from 'node:crypto';
import * as relaymint from 'relaymint/ledger';

const {
  EMBEDDED_PROGRAM_ID: programId,
  formatCredits,
  parseCredits,
  parseSol,
  receiptMessage,
  receiptSignature,
} = relaymint;
const [url] = process.argv.slice(2);
const programPath = relaymint.programFile();
const embedded = url === undefined ? await relaymint.startEmbeddedLedger({ programPath, programId }) : undefined;
const ledger = relaymint.openSolanaLedger({ url: url ?? embedded.url, programId, fetch });
try {
  const payer = ledger.wallet(relaymint.generateWalletKey());
  const payee = ledger.wallet(relaymint.generateWalletKey());
  for (const wallet of [payer, payee]) await wallet.airdrop(parseSol('1'));

  await payee.openTill(4);
  await payer.buy(parseSol('0.01'));
  const delegate = relaymint.delegateFromSeed(randomBytes(32));
  const channel = await payer.openChannel(payee.address, delegate.address, parseCredits('5'));

  const counters = { channel: channel.id, amount: parseCredits('1.25'), up: 40_000n, down: 130_000_000n };
  const receipt = relaymint.signReceipt(counters, delegate);
  if (!relaymint.verifyReceipt(receipt, delegate.address)) throw new Error('the receipt does not verify');

  const [message, signature] = [receiptMessage(receipt), receiptSignature(receipt)];
  const settlement = await payee.prepareSettle([{ ...channel, message, signature }], []);
  await payee.submit(settlement);
  const { state } = await payee.confirm(settlement);
  const till = await ledger.till(payee.address);
  console.log(
    `${state}: ${settlement.signature}\nthe till ${till.address} earned ${formatCredits(till.earned)} credits`,
  );
} finally {
  ledger.close();
  await embedded?.close();
}
