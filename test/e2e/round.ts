/** What must hold of every round of the marketplace, whatever its nodes reach each other by. */
import { expect } from 'vitest';
import type { RoundReport } from '../../app/market/report.ts';

/** The one line of JSON that `--once --json` prints. */
export function reportOf(stdout: string): RoundReport {
  const lines = stdout.trim().split('\n');
  expect(lines).toHaveLength(1);
  return JSON.parse(lines[0] ?? '') as RoundReport;
}

function total(values: readonly string[]): bigint {
  return values.reduce((sum, value) => sum + BigInt(value), 0n);
}

/** What an owner signed for, base units. */
export function paidBy(report: RoundReport, owner: string): bigint {
  return total(report.peers.filter(({ payer }) => payer === owner).map(({ paid }) => paid));
}

/** Everything that must hold of any round, from its figures alone. */
export function expectWholeBooks(report: RoundReport): void {
  expect(report.ok).toBe(true);
  expect(report.site.verified).toBe(true);
  for (const peer of report.peers) {
    expect(peer.payerCounts).toEqual(peer.payeeCounts);
    // A pair that pays each other may have netted all of one side: then it owes nothing.
    expect(peer.paid).toBe(peer.owed);
  }
  expect(report.peers.filter((peer) => peer.paid !== '0').length).toBeGreaterThanOrEqual(3);
  const { supply } = report;
  expect(total([supply.circulating, supply.openDeposits, supply.unminted])).toBe(
    BigInt(supply.bought) - BigInt(supply.redeemed),
  );
  // Channels are closed at the end of a round, so what was burned for them has all been minted again, to whoever earned it.
  expect(supply.openDeposits).toBe('0');
  expect(supply.minted).toBe(supply.burned);
  // Nobody made or lost a base unit but by what was paid: what was staked to open channels came back.
  expect(supply.forgone).toBe('0');
  expect(total(report.balances.map((row) => row.after))).toBe(total(report.balances.map((row) => row.before)));
}

/**
 * The visitor pays the first of `relays`, each relay the next, the last the host; the publisher pays the host. There
 * may be more pairs: a gateway with many requests at once builds further circuits through other relays.
 */
export function expectPaidPath({ peers, balances }: RoundReport, relays: number): void {
  const owners = (role: string): string[] => balances.filter((row) => row.role === role).map((row) => row.owner);
  const payeesOf = (payers: readonly string[], role: string): string[] => {
    const known = owners(role);
    return peers
      .filter(({ payer, payee }) => payers.includes(payer) && known.includes(payee))
      .map((peer) => peer.payee);
  };
  expect(payeesOf(owners('site'), 'host')).toHaveLength(1);
  let reached = owners('visitor');
  for (let relay = 0; relay < relays; relay += 1) reached = payeesOf(reached, 'relay');
  expect(payeesOf(reached, 'host')).not.toEqual([]);
  expect(peers.length).toBeGreaterThanOrEqual(relays + 2);
}
