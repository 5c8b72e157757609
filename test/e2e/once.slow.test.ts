/** `start --once --json`: a complete round, seen from outside. */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { relaymint, relaymintIn, temporaryFolder } from './marketplace.ts';
import { expectPaidPath, expectWholeBooks, paidBy, reportOf } from './round.ts';

const MINUTES = 60_000;

describe('one round of the local marketplace', () => {
  test(
    'publishes, fetches through three relays and the host, settles and adds up; a seed makes keys reproducible',
    async () => {
      await using temporary = await temporaryFolder();
      const round = ['start', '--example', 'page', '--once', '--json', '--seed', 'a round', '--log-level', 'warn'];
      const first = await relaymintIn(temporary.path, ...round);
      expect(first.stderr).toBe('');
      expect(first.code).toBe(0);
      const report = reportOf(first.stdout);
      expectWholeBooks(report);
      expect(report.site).toMatchObject({ name: 'demo.web3', verified: true });
      expectPaidPath(report, 3);
      expect(report.balances.map((row) => row.role).toSorted()).toEqual([
        'host',
        'relay',
        'relay',
        'relay',
        'site',
        'visitor',
      ]);
      // Everybody paid: what was staked to open channels came back.
      expect(report.supply.forgone).toBe('0');
      const gained = report.balances
        .filter((row) => BigInt(row.after) + paidBy(report, row.owner) > BigInt(row.before))
        .map((row) => row.role);
      expect(gained.toSorted()).toEqual(['host', 'relay', 'relay', 'relay', 'site']);
      expect(report.settlement.signatures).toHaveLength(report.settlement.transactions);
      expect(report.settlement.receipts).toBeGreaterThanOrEqual(5);
      expect(report.settlement.feeLamports).toBeGreaterThan(0);
      expect(await readdir(temporary.path)).toEqual([]);

      const second = reportOf((await relaymint(...round)).stdout);
      expect(second.balances.map((row) => row.owner)).toEqual(report.balances.map((row) => row.owner));
      expect(second.site.cid).toBe(report.site.cid);
    },
    4 * MINUTES,
  );

  test.each([1, 6])(
    'through %i relays, a folder with awkward names, empty and large files; then once more on the same data',
    async (relays) => {
      await using folder = await temporaryFolder();
      const site = path.join(folder.path, 'site');
      await mkdir(path.join(site, 'deep', 'er'), { recursive: true });
      await writeFile(path.join(site, 'index.html'), '<h1>hello</h1>');
      await writeFile(path.join(site, 'empty.txt'), '');
      await writeFile(path.join(site, 'deep', 'er', 'große Datei, 100% #1?.bin'), randomBytes(3 * 1024 * 1024 + 17));
      await writeFile(path.join(site, 'one-block.bin'), randomBytes(1024 * 1024));
      // What is not published is not asked for either.
      await writeFile(path.join(site, '.env'), 'SECRET=1');
      await symlink('/nowhere/at/all', path.join(site, 'link-to-nothing'));
      const data = path.join(folder.path, 'data');
      const args = [
        'start',
        '--once',
        '--json',
        '--relays',
        String(relays),
        '--site',
        site,
        '--data',
        data,
        '--port',
        '0',
        '--log-level',
        'warn',
      ];

      const first = await relaymint(...args);
      // One line, however much was left out.
      const { skipped } = JSON.parse(first.stderr) as { readonly skipped: readonly { readonly path: string }[] };
      expect(skipped.map((left) => left.path)).toEqual(['.env', 'link-to-nothing']);
      const report = reportOf(first.stdout);
      expectWholeBooks(report);
      expect(report.site.files).toBe(4);
      expectPaidPath(report, relays);

      const again = reportOf((await relaymint(...args)).stdout);
      expectWholeBooks(again);
      expect(again.site.cid).toBe(report.site.cid);
      expect(again.balances.map(({ owner, before }) => ({ owner, before }))).toEqual(
        report.balances.map(({ owner, after }) => ({ owner, before: after })),
      );
    },
    6 * MINUTES,
  );

  test('says what is wrong with a command line', async () => {
    const few = await relaymint('start', '--once', '--json', '--relays', '4', '--relay-nodes', '2');
    expect(few.code).toBe(1);
    expect(JSON.parse(few.stdout)).toMatchObject({ ok: false, error: { code: 'INVALID_ARGUMENT' } });
    expect(few.stderr).toContain('--relay-nodes 4');

    const missing = await relaymint('start', '--site', '/nowhere/at/all');
    expect(missing.code).toBe(1);
    expect(missing.stderr).toContain('is not a folder');

    const many = await relaymint('start', '--relays', '7');
    expect(many.code).toBe(2);
    expect(many.stderr).toContain('from 1 to 6');
  });
});
