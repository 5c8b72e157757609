/** `relaymint site check`, as people and scripts run it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run } from './program.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'relaymint-check-'));
  await writeFile(path.join(folder, 'index.html'), '<!doctype html>\n<title>a</title>\n');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const check = (...args: string[]): ReturnType<typeof run> => run(['site', 'check', folder, ...args]);

describe('relaymint site check', () => {
  it('is content with a sound site', async () => {
    expect(await check('--strict')).toEqual({ code: 0, stdout: '1 file, 33 B: nothing wrong.\n', stderr: '' });
  });

  it('fails on an error, which editors find', async () => {
    await writeFile(path.join(folder, 'index.html'), '<!doctype html>\n<img src="no.png">\n');
    const { code, stdout } = await check();
    expect(stdout).toContain('index.html:2: error: "no.png" is not there. Add it, or correct the address.\n\n1 file');
    expect(code).toBe(1);
  });

  it('shows names of files without what they say to the terminal', async () => {
    await writeFile(path.join(folder, 'A\u001b[2J\u202e.txt'), '');
    await writeFile(path.join(folder, 'a\u001b[2J\u202e.txt'), '');
    const { stdout } = await check();
    expect(stdout).toContain('a?[2J?.txt: warning: Its name differs from A?[2J?.txt only by case');
  });

  it('fails on a warning only when it is strict', async () => {
    const seen = [await check('--name', 'modern.web3'), await check('--name', 'modern.web3', '--strict')];
    expect(seen.map(({ code }) => code)).toEqual([0, 1]);
    expect(seen[0]?.stdout).toContain('warning: modern.web3 looks like modem.web3.');
  });

  it('says all of it to scripts', async () => {
    await writeFile(path.join(folder, '.env'), '');
    const { code, stdout } = await check('--json');
    expect(JSON.parse(stdout)).toEqual({
      folder,
      files: 1,
      bytes: 33,
      errors: 0,
      warnings: 0,
      findings: [{ severity: 'note', code: 'left-out', file: '.env', message: 'It is not published: hidden.' }],
    });
    expect(code).toBe(0);
  });

  it('fails where there is no folder, and on a name that cannot be registered', async () => {
    const missing = await run(['site', 'check', path.join(folder, 'no')]);
    expect([missing.code, missing.stderr]).toEqual([1, expect.stringContaining('is not a folder')]);
    expect((await check('--name', 'news.com')).code).toBe(2);
  });
});

describe('relaymint site check of a manifest', () => {
  const beside = (text: string): Promise<void> => writeFile(`${folder}.manifest.json`, text);
  afterEach(() => rm(`${folder}.manifest.json`, { force: true }));

  it('looks for it beside the folder, and says in which file which field is wrong', async () => {
    await beside('{ "creator": "Ana" }');
    const good = await check();
    expect([good.code, good.stdout]).toEqual([0, expect.stringContaining('manifest.json is as it has to be.')]);
    await beside('{ "creator": "Ana", "royalty": "20" }');
    const { code, stderr } = await check();
    expect(stderr).toContain(`${folder}.manifest.json: royalty: Write a share with its unit`);
    expect(code).toBe(1);
  });

  it('warns of one that would be published with the site', async () => {
    const inside = path.join(folder, 'terms.json');
    await writeFile(inside, '{ "creator": "Ana" }');
    const { code, stdout } = await check('--manifest', inside, '--strict');
    expect([code, stdout]).toEqual([1, expect.stringContaining('terms.json: warning: Its manifest is made from this')]);
  });
});
