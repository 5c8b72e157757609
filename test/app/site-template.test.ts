/** A site made of a template: whole or not at all, and no title gets out of its place. */
import { spawnSync } from 'node:child_process';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { initSite, TEMPLATES } from '../../app/site/index.ts';
import { checkSite } from '../../sites/check/index.ts';
import { readManifestFile } from '../../sites/manifest/index.ts';
import { Cleanup, temporaryFolder } from '../sites/kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const { signal } = new AbortController();
let parent: string;
let folder: string;
beforeEach(async () => {
  parent = await temporaryFolder(cleanup);
  folder = path.join(parent, 'harbour');
});

/** All that was written of a site, in one text for each file. */
async function written(files: readonly string[]): Promise<readonly (readonly [string, string])[]> {
  return await Promise.all(files.map(async (file) => [file, await readFile(path.join(folder, file), 'utf8')] as const));
}

describe('nothing is made', () => {
  it.each(['blgo', '', '../templates/blog', 'blog/', 'BLOG', 'toString'])('of the template "%s"', async (template) => {
    await expect(initSite(folder, { template, signal })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      remedy: `Take one of ${TEMPLATES.join(', ')}.`,
    });
    expect(await readdir(parent)).toEqual([]);
  });

  it.each(['', 'two\nlines', '\u0000', '\uD800', 'x'.repeat(201)])('with the title %j', async (title) => {
    const refusal = { code: 'INVALID_ARGUMENT', message: expect.stringContaining('title: ') as unknown };
    await expect(initSite(folder, { template: 'blog', title, signal })).rejects.toMatchObject(refusal);
    expect(await readdir(parent)).toEqual([]);
  });

  it('with a title that goes nowhere', async () => {
    await expect(initSite(folder, { title: 'The Wall', signal })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await readdir(parent)).toEqual([]);
  });

  it.each(TEMPLATES)('over what is there, of %s', async (template) => {
    await mkdir(folder);
    await writeFile(path.join(folder, 'notes.txt'), 'mine');
    await expect(initSite(folder, { template, signal })).rejects.toMatchObject({ code: 'FILE_EXISTS' });
    expect([await readdir(folder), await readdir(parent)]).toEqual([['notes.txt'], ['harbour']]);
  });

  it('on a disk without room for it, no folder either (needs the right to mount)', async (context) => {
    await mkdir(folder);
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=48k', 'tmpfs', folder]);
    if (mounted.status !== 0) return context.skip('needs the right to mount a small tmpfs');
    cleanup.add(() => spawnSync('umount', ['-l', folder]));
    await expect(initSite(folder, { template: 'blog', signal })).rejects.toMatchObject({ code: 'STORAGE_FULL' });
    expect([await readdir(folder), await readdir(parent)]).toEqual([[], ['harbour']]);
    return undefined;
  });
});

describe.each(TEMPLATES)('the template %s', (template) => {
  it('takes any title as text, in pages, feed and manifest', async () => {
    const title = `</title><script>alert(1)</script>"',&amp;\\u0041{{title}}$&]]>`;
    const { files, manifest = '' } = await initSite(folder, { template, title, signal });
    const own = (await written(files)).filter(([file]) => !file.startsWith('relaymint/'));
    expect(own.filter(([, text]) => text.includes('<script>alert'))).toEqual([]);
    const shown =
      '&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;,&amp;amp;\\u0041{{title}}$&amp;]]&gt;';
    const whole = own.map(([, text]) => text.replaceAll(shown, '')).join('\n');
    // What is left of it would be a place that was missed, or a title in a title.
    expect(whole).not.toMatch(/\{\{|u0041/);
    expect(await readManifestFile(manifest, 'demo.web3')).toMatchObject({ title });
  });

  it('is called as its folder, and has nothing that a check finds', async () => {
    const { files, manifest = '' } = await initSite(`${folder}/`, { template, signal });
    expect(await readFile(path.join(folder, 'index.html'), 'utf8')).toContain('<title>harbour</title>');
    expect(await readManifestFile(manifest, 'demo.web3')).toMatchObject({ title: 'harbour', kind: 'site' });
    const { findings, files: checked } = await checkSite(folder, { name: 'demo.web3' });
    expect({ findings, checked }).toEqual({ findings: [], checked: files.length });
  });

  it('names nothing outside of itself, and has all that its modules import', async () => {
    const { files } = await initSite(folder, { template, signal });
    const all = await written(files);
    const named = all
      .filter(([file]) => /\.(html|xml)$/.test(file) && file !== '404.html')
      .flatMap(([, text]) => Array.from(text.matchAll(/\b(?:src|href|path)="([^"]*)"/g), ([, to = '']) => to));
    expect(named.filter((to) => /^[a-z]+:|^\/\//.test(to))).toEqual([]);
    const imports = all
      .filter(([file]) => file.endsWith('.js'))
      .flatMap(([file, text]) =>
        Array.from(text.matchAll(/^(?:import|export)\b.*?from ["']([^"']+)["']/gms), ([, to = '']) =>
          path.posix.join(path.posix.dirname(file), to),
        ),
      );
    expect(imports.filter((to) => !files.includes(to))).toEqual([]);
    expect(imports.filter((to) => to.startsWith('relaymint/')).length).toBeGreaterThan(0);
    expect(all.filter(([, text]) => text.includes('sourceMappingURL'))).toEqual([]);
  });
});
