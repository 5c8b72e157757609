/** Elements in Chromium, in a page that a real gateway shows under a strict policy: what they show, and what others cannot make them show. */
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { axeFaults } from '../axe.ts';
import { describeUnless, missingPrograms } from '../programs.ts';
import { FORUM, TOPIC, Town, type FeedHost } from '../sites/feed/kit.ts';
import { declare, startFront, type Front } from '../sites/gateway/kit.ts';
import { Cleanup } from '../sites/kit.ts';
import { ROOT } from './packed.ts';
import { openBrowser, openPage } from './served.ts';

const SDK = path.join(ROOT, 'dist/sdk');
const TOWN = path.join(ROOT, 'examples/town');
const HOSTILE = '<img src=x onerror="window.pwned = 1"><script>window.pwned = 1</script>';

/** A page as it is published: its program is a file, and nothing else runs. */
function pageWith(body: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>page</title><link rel="icon" href="data:,">
    <meta name="viewport" content="width=device-width, initial-scale=1"></head>
    <body><main><h1>A page</h1>${body}</main><script type="module" src="/start.js"></script></body></html>`;
}

describeUnless(missingPrograms(['chromium']), 'Tests of elements in a page')('an element in a page', () => {
  const cleanup = new Cleanup();
  const pages = new Cleanup();
  let browser: Browser;
  let modules: Record<string, Uint8Array>;
  let town: Town;
  let host: FeedHost;
  let front: Front;

  beforeAll(async () => {
    browser = await openBrowser(cleanup);
    const files = (await readdir(SDK)).filter((file) => file.endsWith('.js'));
    modules = Object.fromEntries(
      await Promise.all(files.map(async (file) => [`sdk/${file}`, await readFile(path.join(SDK, file))] as const)),
    );
  });
  afterAll(() => cleanup.run());
  beforeEach(async () => {
    town = new Town(pages);
    host = await town.host();
    front = await startFront(pages, { feeds: town.source([host]) });
    const dawn = await readFile(path.join(TOWN, 'lighthouse/dawn-small.webp'));
    await front.publish('dawn.image', { 'dawn.webp': dawn });
    await front.publish('shy.image', { 'dawn.webp': dawn });
    await declare(front, 'shy.image', { kind: 'image', mediaType: 'image/webp', embedding: 'none' });
  });
  afterEach(() => pages.run());

  /** The picture under its terms. */
  const terms = (change: Parameters<typeof declare>[2] = {}): Promise<void> =>
    declare(front, 'dawn.image', { kind: 'image', mediaType: 'image/webp', embedding: 'anybody', ...change });

  /** The page of the forum that has these elements; once each of them has something to see, or failed. */
  async function open(body: string): Promise<{ page: Page; trouble: string[] }> {
    await front.publish(FORUM, {
      ...modules,
      'index.html': pageWith(body),
      'start.js': "import { defineElements } from './sdk/elements.js'; defineElements(); defineElements();",
      _headers: `/*\n  Content-Security-Policy: default-src 'self'; img-src 'self' data: http://*.localhost:${front.port}; media-src 'self' http://*.localhost:${front.port}; connect-src 'self' http://*.localhost:${front.port}\n`,
    });
    await declare(front, FORUM, { comments: 'anybody' });
    const opened = await openPage(browser, pages, `http://forum-web3.localhost:${front.port}/`);
    await expect
      .poll(() =>
        opened.page.evaluate("document.querySelectorAll('main > *:not(h1):not([data-state=loading])').length"),
      )
      .toBe(await opened.page.evaluate("document.querySelectorAll('main > *:not(h1)').length"));
    return opened;
  }

  const textOf = (page: Page, selector: string): Promise<string> =>
    page.evaluate<string>(`document.querySelector(${JSON.stringify(selector)}).textContent`);

  it('shows a picture of another name, with whose it is and its licence, to everybody', async () => {
    await terms({
      title: 'Dawn',
      creator: 'Ana Lima',
      copyright: '© 2026 Ana Lima',
      licence: {
        permits: { usage: ['search'], user: [], geo: [] },
        prohibits: { usage: ['ai-train'], user: [], geo: [] },
        payment: 'attribution',
        url: 'https://creativecommons.org/licenses/by/4.0/',
      },
    });
    const { page, trouble } = await open(
      '<relaymint-image name="dawn.image" path="dawn.webp" alt="The light at dawn" width="320" height="200"></relaymint-image>',
    );
    await expect.poll(() => page.evaluate("document.querySelector('img').naturalWidth > 0")).toBe(true);
    expect(await page.evaluate("document.querySelector('img').alt")).toBe('The light at dawn');
    const { owner } = front.ledger.records.get('dawn.image') ?? { owner: 'nobody' };
    const caption = await textOf(page, 'figcaption');
    for (const words of ['Dawn', 'by Ana Lima', '© 2026', owner, 'Permits search.', 'Prohibits ai-train.']) {
      expect(caption).toContain(words);
    }
    expect(await textOf(page, 'summary')).toContain(owner.slice(0, 4));
    expect(await page.evaluate("document.querySelector('a[rel~=license]').href")).toBe(
      'https://creativecommons.org/licenses/by/4.0/',
    );
    // By keyboard alone.
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    expect(await page.evaluate("document.querySelector('details').open")).toBe(true);
    expect(await axeFaults(page)).toEqual([]);
    expect(trouble).toEqual([]);
  });

  it('shows what others wrote as text, whatever they wrote', async () => {
    await terms({ title: HOSTILE, creator: HOSTILE, copyright: HOSTILE });
    await host.bring(await town.entry({ author: 'alice.sso' }, `${HOSTILE}\n\n[a](javascript:window.pwned=1)`));
    const { page, trouble } = await open(
      `<relaymint-image name="dawn.image" path="/dawn.webp"></relaymint-image><relaymint-posts path="${TOPIC}"></relaymint-posts>`,
    );
    expect(await textOf(page, 'relaymint-posts article')).toContain(HOSTILE);
    expect(await textOf(page, 'figcaption')).toContain(HOSTILE);
    expect(await page.evaluate("document.querySelectorAll('main img').length")).toBe(1);
    expect(
      await page.evaluate("document.querySelectorAll('main script, main [onerror], a[href^=javascript]').length"),
    ).toBe(0);
    expect(await page.evaluate('window.pwned')).toBe(undefined);
    expect(await axeFaults(page)).toEqual([]);
    expect(trouble).toEqual([]);
  });

  it.each([
    [
      'its owner does not allow it',
      '<relaymint-image name="shy.image" path="/dawn.webp" alt="Dawn"></relaymint-image>',
      'shy.image cannot be shown in this page',
    ],
    [
      'there is no such name',
      '<relaymint-video name="nobody.video" path="/a.webm" alt="A film"></relaymint-video>',
      'there is no such name',
    ],
    [
      'the name is none',
      '<relaymint-image name="no name" path="/dawn.webp" alt="Dawn"></relaymint-image>',
      'is not a name',
    ],
    [
      'there is no such thread',
      '<relaymint-posts name="nobody.web3" path="/talk"></relaymint-posts>',
      'nobody.web3 cannot be shown',
    ],
  ])('says what is wrong and what to do where %s', async (_why, body, words) => {
    const { page } = await open(body);
    expect(await page.evaluate("document.querySelector('main > [data-state]').dataset.state")).toBe('failed');
    expect(await textOf(page, 'main [role=status].relaymint-error')).toContain(words);
    expect(await page.evaluate("document.querySelectorAll('main img, main video').length")).toBe(0);
    expect(await axeFaults(page)).toEqual([]);
  });

  it('says that a picture is not there, with whose it would be', async () => {
    await terms({ creator: 'Ana Lima' });
    const { page } = await open('<relaymint-image name="dawn.image" path="/dusk.webp" alt="Dusk"></relaymint-image>');
    await expect.poll(() => page.evaluate("document.querySelector('relaymint-image').dataset.state")).toBe('failed');
    expect(await textOf(page, '.relaymint-error')).toContain('Check the path');
    expect(await textOf(page, 'figcaption')).toContain('Ana Lima');
    expect(await axeFaults(page)).toEqual([]);
  });

  it('plays a film, which costs nobody anything before', async () => {
    await front.publish('ferry.video', {
      'ferry.webm': await readFile(path.join(TOWN, 'ferry/ferry.webm')),
      'a.vtt': 'WEBVTT\n',
    });
    await declare(front, 'ferry.video', {
      kind: 'video',
      mediaType: 'video/webm',
      embedding: 'anybody',
      title: 'Ferry',
    });
    await terms();
    const { page, trouble } = await open(
      '<relaymint-video name="ferry.video" path="/ferry.webm" poster="/none.webp" captions="/a.vtt" alt="The ferry lands"></relaymint-video>',
    );
    expect(
      await page.evaluate("[document.querySelector('video').preload, document.querySelector('video').controls]"),
    ).toEqual(['none', true]);
    expect(await page.evaluate("document.querySelector('video').getAttribute('aria-label')")).toBe('The ferry lands');
    await page.evaluate("document.querySelector('video').muted = true, document.querySelector('video').play()");
    expect(await page.evaluate("document.querySelector('video').videoWidth > 0")).toBe(true);
    expect(await page.evaluate("document.querySelector('track').readyState")).not.toBe(3);
    expect(await axeFaults(page)).toEqual([]);
    expect(trouble.filter((line) => !line.includes('none.webp') && !line.includes('404'))).toEqual([]);
  });

  it('follows a thread: what is new, changed and taken back, and says so without interrupting', async () => {
    const { page, trouble } = await open(`<relaymint-posts path="${TOPIC}"></relaymint-posts>`);
    expect(await textOf(page, '[role=status]')).toBe('Nobody has said anything yet.');
    const first = await town.entry({ author: 'alice.sso' }, 'Good morning\nto all');
    await host.bring(first);
    await expect.poll(() => textOf(page, '[role=status]')).toBe('New: alice.sso');
    expect(await page.evaluate("document.querySelector('article p').innerText")).toBe('Good morning\nto all');
    expect(await page.evaluate("document.querySelector('article header a').href")).toBe(
      `http://alice-sso.localhost:${front.port}/`,
    );
    await host.bring(await town.entry({ author: 'bob.sso' }, 'Good evening'));
    await expect.poll(() => page.evaluate("document.querySelectorAll('li').length")).toBe(2);
    const target = { author: 'alice.sso', sequence: first.entry.sequence };
    await host.bring(await town.entry({ author: 'alice.sso', kind: 'edit', target }, 'Good day'));
    await expect.poll(() => textOf(page, 'article')).toContain('Good day');
    await host.bring(await town.entry({ author: 'alice.sso', kind: 'remove', target }));
    await expect.poll(() => textOf(page, 'article')).toContain('Its author took it back.');
    expect(await textOf(page, 'article')).not.toContain('Good day');
    expect(await textOf(page, '[role=status]')).toBe('Changed: alice.sso');
    expect(await axeFaults(page)).toEqual([]);
    expect(trouble).toEqual([]);
    // Who leaves the page is told nothing more.
    await page.evaluate("window.left = document.querySelector('relaymint-posts'), left.remove()");
    await host.bring(await town.entry({ author: 'carol.sso' }, 'Late'));
    await page.evaluate('document.body.append(left)');
    await expect.poll(() => textOf(page, 'relaymint-posts li:last-child')).toContain('Late');
  });

  it('is drawn anew when an attribute changes', async () => {
    await terms({ creator: 'Ana Lima' });
    const { page } = await open('<relaymint-image name="shy.image" path="/dawn.webp" alt="Dawn"></relaymint-image>');
    await page.evaluate("document.querySelector('relaymint-image').setAttribute('name', 'dawn.image')");
    await expect.poll(() => page.evaluate("document.querySelector('relaymint-image').dataset.state")).toBe('shown');
    expect(await page.evaluate("document.querySelectorAll('.relaymint-error').length")).toBe(0);
    expect(await textOf(page, 'figcaption')).toContain('Ana Lima');
  });
});
