/** A host that is to leave, and CAR files for a host, by the command line. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../e2e/marketplace.ts';
import { startLedger } from '../ledger/settlement/world.ts';
import { run } from './program.ts';

describe('relaymint host', () => {
  it('takes a CAR file while it is stopped, and does not leave on a day that is past, or is none', async () => {
    await using server = await startLedger();
    await using folder = await temporaryFolder();
    const ledger = ['--ledger', server.url, '--json'];
    const data = path.join(folder.path, 'host');
    const [file, site] = [path.join(folder.path, 'site.car'), path.join(folder.path, 'index.html')];
    await writeFile(site, '<!doctype html><title>A page</title>');
    expect((await run(['site', 'pack', folder.path, file])).code).toBe(0);
    const imported = await run(['host', 'import', file, '--name', 'demo.web3', '--data', data, ...ledger]);
    expect([imported.code, JSON.parse(imported.stdout)]).toEqual([
      0,
      expect.objectContaining({ name: 'demo.web3', files: 1, current: false }),
    ]);
    const refused = await run(['host', 'import', site, '--name', 'demo.web3', '--data', data, ...ledger]);
    expect([refused.code, refused.stdout]).toEqual([1, expect.stringContaining('CONTENT_REFUSED')]);

    const late = await run(['host', '--data', data, '--airdrop', '20', '--drain', '2020-01-01', ...ledger]);
    expect([late.code, late.stdout]).toEqual([1, expect.stringContaining('INVALID_CONFIG')]);
    const wrong = await run(['host', '--data', data, '--airdrop', '20', '--drain', '2999-02-30', ...ledger]);
    expect([wrong.code, wrong.stdout]).toEqual([2, expect.stringContaining('2999-02-30')]);
  });
});
