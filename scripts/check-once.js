/** Checks the JSON of `npm start -- --once --json` with nothing but this file: an outsider's view of the round. */
import { readFileSync } from 'node:fs';

const [file] = process.argv.slice(2);
const text = readFileSync(file, 'utf8');
const report = JSON.parse(text);
const faults = [];
const expect = (condition, message) => {
  if (!condition) faults.push(message);
};

expect(text.trim().split('\n').length === 1, 'stdout holds more than one line');
expect(report.ok === true, 'ok is not true');
expect(['tcp', 'tor', 'i2p'].includes(report.transport), 'it does not say how the nodes reached each other');
expect(report.site.verified === true && report.site.files > 0 && report.site.bytes > 0, 'the site was not verified');
expect(report.peers.length >= 5, 'fewer pairs than gateway, three relays, host and publisher make');
for (const peer of report.peers) {
  const pair = `${peer.payer} -> ${peer.payee}`;
  for (const way of ['up', 'down']) {
    expect(peer.payerCounts[way] === peer.payeeCounts[way], `${pair}: the two counts of ${way} differ`);
  }
  expect(peer.transport === report.transport, `${pair}: over ${peer.transport}`);
  expect(peer.owed === peer.paid, `${pair}: owed ${peer.owed}, paid ${peer.paid}`);
}
const s = Object.fromEntries(Object.entries(report.supply).map(([key, value]) => [key, BigInt(value)]));
expect(s.forgone === 0n, 'everybody paid, and an opening payment did not come back');
expect(s.circulating + s.openDeposits + s.unminted === s.bought - s.redeemed, 'the supply identity fails');
for (const { owner, before, after } of report.balances) {
  const paid = report.peers.reduce((sum, peer) => sum + (peer.payer === owner ? BigInt(peer.paid) : 0n), 0n);
  expect(BigInt(after) >= BigInt(before) - paid, `${owner}: more is gone than it paid`);
}
expect(s.bought + s.minted - s.burned - s.redeemed === s.circulating, 'minting and burning do not explain the supply');
// A pair that pays each other nets: one side may owe nothing.
const paying = report.peers.filter((peer) => peer.paid !== '0').length;
expect(paying >= 5 && report.settlement.receipts >= paying, 'too little was settled');
expect(report.settlement.signatures.length === report.settlement.transactions, 'signatures and transactions differ');
const site = report.balances.find((balance) => balance.role === 'site');
expect(site !== undefined && BigInt(site.after) > BigInt(site.before), "the site owner's share did not arrive");

for (const fault of faults) process.stdout.write(`--once --json: ${fault}\n`);
process.stdout.write(faults.length === 0 ? 'The round adds up.\n' : `${faults.length} faults\n`);
process.exitCode = faults.length === 0 ? 0 : 1;
