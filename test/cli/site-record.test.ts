/** The commands that look back at a site, as people and scripts run them, where there is nothing to look at. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { historyTable } from '../../cli/commands/site-history.ts';
import { statusText } from '../../cli/commands/site-status.ts';
import { run } from './program.ts';

/** Nobody listens there. */
const GONE = ['--ledger', 'http://127.0.0.1:1'];

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'relaymint-record-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('relaymint site history', () => {
  it('of a folder from which nothing was published, without a ledger, makes nothing', async () => {
    const { code, stdout } = await run(['site', 'history', 'demo.web3', '--data', folder, ...GONE]);
    expect([code, stdout]).toEqual([0, 'Nothing was published as demo.web3 from here.\n']);
    expect(await readdir(folder)).toEqual([]);
    const { stdout: json } = await run(['site', 'history', 'demo.web3', '--data', folder, '--json', ...GONE]);
    expect(JSON.parse(json)).toEqual({ name: 'demo.web3', entries: [] });
  });

  it('is shown with what is known of each entry', () => {
    const at = Date.UTC(2026, 10, 28, 12);
    const common = { at, hosts: [], transaction: 'signature' };
    const text = historyTable([
      { ...common, number: 3, step: 'unpublished', cid: null, current: true, kept: false },
      {
        ...common,
        number: 2,
        step: 'updated',
        cid: 'bafkb',
        files: 1,
        bytes: 2048,
        current: false,
        kept: true,
        transaction: null,
      },
      { ...common, number: 1, step: 'registered', cid: 'bafka', files: 12, bytes: 10, current: false, kept: false },
    ]);
    expect(text.split('\n').slice(1)).toEqual([
      expect.stringMatching(/^ 3 {2}2026-11-28 12:00:00 UTC {2}unpublished +nothing {2}now$/),
      expect.stringMatching(/^ 2 {2}.* updated +1 file {2}2\.0 KiB {2}bafkb +not confirmed$/),
      expect.stringMatching(/^ 1 {2}.* registered +12 files +10 B {2}bafka +no longer kept here$/),
    ]);
  });
});

describe('relaymint site rollback and status', () => {
  it('refuse what is neither a number nor a CID before anything is opened', async () => {
    const { code, stderr } = await run(['site', 'rollback', 'demo.web3', 'newest', '--data', folder, ...GONE]);
    expect([code, await readdir(folder)]).toEqual([2, []]);
    expect(stderr).toContain('"newest" is neither a number nor a CID.');
  });

  it('say that the ledger does not answer', async () => {
    for (const command of ['rollback', 'status']) {
      const { code, stdout } = await run(['site', command, 'demo.web3', '--data', folder, '--json', ...GONE]);
      expect([code, JSON.parse(stdout)]).toMatchObject([1, { error: { code: 'LEDGER_UNREACHABLE' } }]);
    }
  });

  it('the status is shown in a line for each question', () => {
    expect(statusText({ name: 'a.web3', registered: false, hosts: [] })).toBe('Nobody has registered a.web3.');
    const text = statusText({
      name: 'a.web3',
      registered: true,
      owner: 'W',
      ours: true,
      seq: '7',
      expiresAt: '1800000000',
      daysLeft: 1,
      cid: null,
      newest: { number: 2, cid: 'bafkb', at: 0 },
      isNewest: false,
      hosts: [],
    });
    expect(text).toContain('manifest  none');
    expect(text).toContain('content   nothing');
    expect(text).toContain('owner     W (this wallet)');
    expect(text).toContain('expires   2027-01-15, in 1 day');
    expect(text).toContain('newest    no: this data folder last published number 2, bafkb');
    expect(text).toContain('hosts     none says that it keeps the name');
  });
});

describe('a manifest for "relaymint site publish"', () => {
  const check = async (said: string, ...more: readonly string[]): ReturnType<typeof run> => {
    const [site, file] = [path.join(folder, 'checked'), path.join(folder, 'terms.json')];
    await run(['site', 'init', site]);
    await writeFile(file, said);
    return await run(['site', 'check', site, '--manifest', file, ...more]);
  };

  it('is checked before anything is published', async () => {
    expect((await check('{"creator":"Ana"}')).code).toBe(0);
    const { code, stderr } = await check('{"creator":"Ana","royalty":"20"}');
    expect([code, stderr]).toEqual([1, expect.stringContaining('terms.json: royalty: Write a share with its unit')]);
    expect((await check('{"creator":"Ana"}', '--name', 'a.image')).stderr).toContain('mediaType: ');
  });
});

describe('relaymint site init', () => {
  it('lists the templates to who names none of them, and makes nothing', async () => {
    const site = path.join(folder, 'typo');
    const { code, stderr } = await run(['site', 'init', site, '--template', 'blgo']);
    expect([code, stderr]).toEqual([2, expect.stringContaining('one of blog, gallery, forum')]);
    await expect(readdir(site)).rejects.toThrow('ENOENT');
  });

  it('says what to do next, and overwrites nothing', async () => {
    const site = path.join(folder, 'my site');
    const { code, stdout } = await run(['site', 'init', site]);
    expect(code).toBe(0);
    expect(stdout).toContain(`Next:\n  relaymint site preview '${site}'\n  relaymint site check '${site}'\n`);
    expect((await run(['site', 'check', site, '--strict'])).code).toBe(0);
    const again = await run(['site', 'init', site, '--json']);
    expect([again.code, JSON.parse(again.stdout)]).toMatchObject([1, { error: { code: 'FILE_EXISTS' } }]);
  });
});

it('relaymint publish is the same command, under its old name', async () => {
  const { code, stderr } = await run(['publish', path.join(folder, 'no'), '--name', 'demo.web3']);
  expect([code, stderr]).toEqual([1, expect.stringContaining('is not a folder')]);
});
