/** The preview in a browser: pages reload by themselves, however many are open, and sites do not share an origin. */
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
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

  it.each([
    "default-src 'self'",
    "default-src 'none'",
    "default-src 'none'; script-src 'nonce-mine' 'strict-dynamic'",
    "default-src 'none'; script-src 'unsafe-inline'",
  ])('reloads a page that obeys %s, which may do no more than before', async (policy) => {
    const strict = path.join(path.dirname(folder), 'strict');
    await rm(strict, { recursive: true, force: true });
    await mkdir(strict);
    const of = (title: string): string =>
      `<title>${title}</title><link rel="icon" href="data:,"><img src="http://127.0.0.1:9/x.png" alt=""><script>document.title += ' ran'</script>`;
    const files = {
      'index.html': of('before'),
      'a.txt': 'words',
      _headers: `/*\n  Content-Security-Policy: ${policy}`,
    };
    await writeTree(strict, files);
    const { signal } = new AbortController();
    await using shown = await openPreview({ paths: [strict], port: 0, signal, log: silentLog });
    const page = await browser.newPage();
    const refused: string[] = [];
    page.on('console', (message) => refused.push(message.text()));
    const asked = page.waitForResponse((response) => response.url().endsWith('/state'));
    await page.goto(shown.sites[0]?.url ?? '');
    await asked;
    const ran = policy.includes('unsafe-inline') ? ' ran' : '';
    expect(await page.title()).toBe(`before${ran}`);
    // Its own picture and, unless it may run it, its own script; nothing of the preview's.
    const kinds = refused
      .filter((text) => text.includes('Content Security Policy'))
      .map((text) => /inline|image/.exec(text)?.[0]);
    expect(new Set(kinds)).toEqual(new Set(ran === '' ? ['image', 'inline'] : ['image']));
    await writeFile(path.join(strict, 'index.html'), of('after'));
    await expect.poll(() => page.title()).toBe(`after${ran}`);
    await page.close();
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
