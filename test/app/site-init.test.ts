/** A new site: whole or not at all, over nothing, and without fault. */
import { spawnSync } from 'node:child_process';
import { mkdir, readFile, readdir, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { initSite, openPreview } from '../../app/site/index.ts';
import { silentLog } from '../../core/ports.ts';
import { checkSite } from '../../sites/check/index.ts';
import { manifestFound, parseManifestFile, readManifestFile } from '../../sites/manifest/index.ts';
import { Cleanup, temporaryFolder } from '../sites/kit.ts';
import { visit } from './visitor.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const { signal } = new AbortController();
let folder: string;
beforeEach(async () => {
  folder = path.join(await temporaryFolder(cleanup), 'new', 'site');
});

const FILES = ['404.html', '_redirects', 'about.html', 'index.html', 'style.css'];

describe('a new site', () => {
  it('has nothing that a check finds', async () => {
    expect((await initSite(folder, { signal })).files.toSorted()).toEqual(FILES);
    expect((await readdir(folder)).toSorted()).toEqual(FILES);
    const { findings, files } = await checkSite(folder, { name: 'demo.web3' });
    expect({ findings, files }).toEqual({ findings: [], files: 5 });
  });

  it('works in a preview: its pages, its redirect, and the page for what is missing', async () => {
    await initSite(folder, { signal });
    const preview = await openPreview({ paths: [folder], port: 0, signal, log: silentLog });
    cleanup.add(() => preview[Symbol.asyncDispose]());
    const see = async (at: string): Promise<string> => {
      const { status, body } = await visit(preview.url, 'site.web3', at);
      return `${status} ${/<h1>(.*)<\/h1>/.exec(String(body))?.[1] ?? ''}`;
    };
    expect([await see('/'), await see('/about'), await see('/no/thing'), await see('/home')]).toEqual([
      '200 A new site',
      '200 About this site',
      '404 There is no such page',
      '301 ',
    ]);
  });

  it('has a manifest beside it that is good as it is, and with all that waits in it', async () => {
    const { manifest = 'there is none' } = await initSite(folder, { signal });
    expect([manifest, await readdir(path.dirname(folder))]).toEqual([
      `${folder}.manifest.json`,
      ['site', 'site.manifest.json'],
    ]);
    expect(await readManifestFile(manifest, 'demo.web3')).toMatchObject({
      creator: 'The owner of this name',
      kind: 'site',
    });
    expect(await manifestFound(folder)).toBe(manifest);
    const whole = (await readFile(manifest, 'utf8')).replaceAll('"// ', '"');
    const read = parseManifestFile(whole, { file: manifest, name: 'demo.web3' });
    expect(Object.entries(read).filter(([, said]) => said === undefined)).toEqual([['splits', undefined]]);
  });

  it('has it where it is wanted, but not among its files', async () => {
    const elsewhere = path.join(path.dirname(path.dirname(folder)), 'terms.json');
    expect(await initSite(folder, { manifest: elsewhere, signal })).toMatchObject({ manifest: elsewhere });
    expect(await readdir(path.dirname(folder))).toEqual(['site']);
    const inside = path.join(folder, 'more', 'terms.json');
    await expect(initSite(`${folder}/`, { manifest: inside, signal })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  it('is in no other site, which would publish it and its manifest', async () => {
    await initSite(folder, { signal });
    for (const inner of [path.join(folder, 'inner'), path.join(folder, 'a', 'b')]) {
      await expect(initSite(inner, { signal })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining(
          `${inner} is in the site ${folder}, and would be published with it.`,
        ) as unknown,
      });
    }
    expect((await readdir(folder)).toSorted()).toEqual(FILES);
    expect((await initSite(`${folder}-2`, { signal })).files).toHaveLength(5);
  });

  it('is not told what it says by a file without an end', async () => {
    const { manifest = '' } = await initSite(folder, { signal });
    await truncate(manifest, 3 * 2 ** 30);
    const refusal = { code: 'INVALID_ARGUMENT', message: expect.stringContaining('longer than 64 KiB') as unknown };
    await expect(readManifestFile(manifest, 'demo.web3')).rejects.toMatchObject(refusal);
  });

  it('is made beside names that begin with a dot', async () => {
    await mkdir(path.join(folder, '.git'), { recursive: true });
    expect((await initSite(folder, { signal })).files).toHaveLength(5);
  });
});

it('is made where the folder above takes no files, without a manifest (needs the right to mount)', async (context) => {
  await mkdir(folder, { recursive: true });
  const parent = path.dirname(folder);
  const mount = (...args: string[]): boolean => spawnSync('mount', args).status === 0;
  if (!mount('--bind', parent, parent)) return context.skip('needs the right to mount a folder');
  cleanup.add(() => spawnSync('umount', ['-R', '-l', parent]));
  const isClosed =
    mount('-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder) && mount('-o', 'remount,bind,ro', parent, parent);
  if (!isClosed) return context.skip('needs the right to mount a folder read-only');
  const elsewhere = path.join(parent, 'terms.json');
  await expect(initSite(folder, { manifest: elsewhere, signal })).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
  expect(await readdir(folder)).toEqual([]);
  expect(await initSite(folder, { signal })).toMatchObject({ manifest: undefined });
  expect((await readdir(folder)).toSorted()).toEqual(FILES);
  return undefined;
});

it('on a disk without room for it nothing is left of it (needs the right to mount)', async (context) => {
  await mkdir(folder, { recursive: true });
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8k', 'tmpfs', folder]);
  if (mounted.status !== 0) return context.skip('needs the right to mount a small tmpfs');
  cleanup.add(() => spawnSync('umount', ['-l', folder]));
  await expect(initSite(folder, { signal })).rejects.toMatchObject({ code: 'STORAGE_FULL' });
  expect([await readdir(folder), await readdir(path.dirname(folder))]).toEqual([[], ['site']]);
  return undefined;
});

describe('nothing is overwritten', () => {
  it.each(['index.html', 'notes.txt'])('beside %s nothing is written', async (file) => {
    await mkdir(folder, { recursive: true });
    await writeFile(path.join(folder, file), 'mine');
    await expect(initSite(folder, { signal })).rejects.toMatchObject({ code: 'FILE_EXISTS' });
    expect(await readdir(folder)).toEqual([file]);
    expect(await readFile(path.join(folder, file), 'utf8')).toBe('mine');
  });

  it('where a file is, a site is, or nothing leads', async () => {
    const parent = path.dirname(folder);
    await mkdir(parent, { recursive: true });
    await writeFile(folder, 'a file');
    await expect(initSite(folder, { signal })).rejects.toMatchObject({ code: 'FILE_EXISTS' });
    await initSite(path.join(parent, 'other'), { signal });
    await expect(initSite(path.join(parent, 'other'), { signal })).rejects.toMatchObject({ code: 'FILE_EXISTS' });
    await symlink('nowhere', path.join(parent, 'dangling'));
    await expect(initSite(path.join(parent, 'dangling'), { signal })).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
  });

  it('beside a manifest that is there no site is made, and none is left', async () => {
    await mkdir(path.dirname(folder), { recursive: true });
    await writeFile(`${folder}.manifest.json`, 'mine');
    const refusal = { code: 'FILE_EXISTS', message: expect.stringContaining('site.manifest.json is there already') };
    await expect(initSite(folder, { signal })).rejects.toMatchObject(refusal);
    expect([await readdir(folder), await readFile(`${folder}.manifest.json`, 'utf8')]).toEqual([[], 'mine']);
    await writeFile(path.join(folder, 'notes.txt'), 'mine');
    await rm(`${folder}.manifest.json`);
    await expect(initSite(folder, { signal })).rejects.toMatchObject({ code: 'FILE_EXISTS' });
    expect(await readdir(path.dirname(folder))).toEqual(['site']);
  });

  it('a stop leaves nothing behind', async () => {
    await expect(initSite(folder, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORTED' });
    await expect(readdir(folder)).rejects.toThrow('ENOENT');
  });
});
