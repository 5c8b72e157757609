/** The preview in a browser: pages reload by themselves, however many are open, and sites do not share an origin. */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { chromium, type Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPreview, type Preview } from '../../app/site/index.ts';
import { silentLog } from '../../core/ports.ts';
import { Cleanup, temporaryFolder, writeTree } from '../sites/kit.ts';

const CHROMIUM = '/usr/bin/chromium';
const here = existsSync(CHROMIUM);
if (!here) process.stderr.write(`skipped: these tests need ${CHROMIUM}: apt-get install chromium\n`);

/** It connects to nobody by itself. */
const ARGUMENTS: string[] = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
];
/** More than the connections that a browser opens to one host. */
const TABS = 8;

describe.skipIf(!here)('a preview in a browser', () => {
  const cleanup = new Cleanup();
  let browser: Browser;
  let preview: Preview;
  let folder: string;
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS });
    cleanup.add(() => browser.close());
    const scratch = await temporaryFolder(cleanup);
    folder = path.join(scratch, 'one');
    await mkdir(folder);
    await writeTree(folder, { 'index.html': '<title>before</title>', 'a.txt': 'words' });
    const other = path.join(scratch, 'two');
    await mkdir(other);
    await writeTree(other, { 'index.html': '<title>two</title>' });
    const { signal } = new AbortController();
    preview = await openPreview({ paths: [folder, other], port: 0, signal, log: silentLog });
    cleanup.add(() => preview[Symbol.asyncDispose]());
  });
  afterAll(() => cleanup.run());

  it('shows a change in every page that is open, each of which goes on working', async () => {
    const pages = await Promise.all(Array.from({ length: TABS }, () => browser.newPage()));
    const url = preview.sites[0]?.url ?? '';
    await Promise.all(pages.map((page) => page.goto(url)));
    // Each has seen the state that it shows.
    await Promise.all(pages.map((page) => page.waitForResponse((response) => response.url().endsWith('/state'))));
    await writeFile(path.join(folder, 'index.html'), '<title>after</title>');
    for (const page of pages) await expect.poll(() => page.title()).toBe('after');
    expect(await pages[0]?.evaluate("fetch('/a.txt').then((answer) => answer.text())")).toBe('words');
    await Promise.all(pages.map((page) => page.close()));
  });

  it('keeps the storage and the content of sites apart', async () => {
    const page = await browser.newPage();
    const [one, two] = preview.sites.map(({ url }) => url) as [string, string];
    await page.goto(one);
    await page.evaluate("localStorage.setItem('key', 'secret'); document.cookie = 'key=secret; domain=localhost'");
    await page.goto(two);
    expect(await page.evaluate("[localStorage.getItem('key'), document.cookie]")).toEqual([null, '']);
    const asked = await page.evaluate(`fetch(${JSON.stringify(one)}).then(() => 'read', () => 'refused')`);
    expect(asked).toBe('refused');
  });
});
