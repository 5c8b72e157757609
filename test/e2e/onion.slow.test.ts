/** The marketplace over private Tor and I2P networks: what held over TCP holds there. */
import { readdir } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { requirePrograms } from '../network.ts';
import { relaymint, relaymintIn, temporaryFolder } from './marketplace.ts';
import { expectPaidPath, expectWholeBooks, reportOf } from './round.ts';

const MINUTES = 60_000;

requirePrograms('tor', 'i2pd')('one round of the marketplace', () => {
  test.each(['tor', 'i2p'])(
    'over %s: every link is one, both ends count the same, nothing is left behind',
    async (transport) => {
      await using temporary = await temporaryFolder();
      const args = ['start', '--example', 'page', '--once', '--json', '--transport', transport, '--log-level', 'warn'];
      const { code, stdout, stderr } = await relaymintIn(temporary.path, ...args);
      expect(stderr).toBe('');
      expect(code).toBe(0);
      const report = reportOf(stdout);
      expect(report.transport).toBe(transport);
      expect(new Set(report.peers.map((peer) => peer.transport))).toEqual(new Set([transport]));
      expectWholeBooks(report);
      expectPaidPath(report, 3);
      expect(await readdir(temporary.path)).toEqual([]);
    },
    8 * MINUTES,
  );
});

test.each([
  ['tor', 'apt-get install tor'],
  // i2pd itself is also found beside the PATH, where Debian puts it.
  ['i2p', 'apt-get install'],
])('without the programs, --transport %s says how to get them', async (transport, hint) => {
  await using empty = await temporaryFolder();
  const before = process.env['PATH'];
  process.env['PATH'] = empty.path;
  try {
    const { code, stdout, stderr } = await relaymint('start', '--once', '--json', '--transport', transport);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, error: { code: 'PROGRAM_MISSING' } });
    expect(stderr).toContain(hint);
  } finally {
    process.env['PATH'] = before;
  }
});
