/** The page of a profile in a browser: in the light, in the dark, on a phone, and for everybody. */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { chromium, type Browser, type BrowserContextOptions } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { profilePage } from '../../../sites/profile/index.ts';
import { axeFaults } from '../../axe.ts';
import { OTHER, boundBy, profileFor, recordOf } from './kit.ts';

const CHROMIUM = '/usr/bin/chromium';
const here = existsSync(CHROMIUM);
if (!here) process.stderr.write(`skipped: these tests need ${CHROMIUM}: apt-get install chromium\n`);
/** Where screenshots go, for who wants to look at them. */
const PICTURES = process.env['RELAYMINT_SCREENSHOTS'];
const FITS = 'document.documentElement.scrollWidth <= innerWidth';

const LOOKS: readonly (readonly [string, BrowserContextOptions])[] = [
  ['320-light', { viewport: { width: 320, height: 640 }, colorScheme: 'light' }],
  ['320-dark', { viewport: { width: 320, height: 640 }, colorScheme: 'dark' }],
  ['1280-light', { viewport: { width: 1280, height: 900 }, colorScheme: 'light' }],
  ['1280-dark', { viewport: { width: 1280, height: 900 }, colorScheme: 'dark' }],
];

describe.skipIf(!here)('the page of a profile', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] });
  }, 60_000);
  afterAll(() => browser.close());

  // One for each colour, and one with as little and one with as much as there can be.
  const names = ['ann.sso', 'bob.sso', 'cleo.sso', 'dan.sso', 'mia.sso', 'fay.sso', 'ida.sso'];

  it.each(LOOKS)('is whole, and fits, at %s', async (look, options) => {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    const trouble: string[] = [];
    page.on('console', (message) => message.type() === 'error' && trouble.push(message.text()));
    const grounds = new Set<unknown>();
    for (const [at, name] of names.entries()) {
      const record = recordOf({ name });
      const rich = {
        displayName: at === 1 ? 'W'.repeat(64) : 'Ann Øvergård-Lee',
        about: 'Keeper of Pellan Light.\n\nOne word for the weather is not enough, so there are pictures.',
        avatar: 'ann.image',
        links: [
          { label: 'The harbour wall', to: 'forum.web3' },
          { label: 'Papers', to: 'https://papers.example.org/~ann/?list=all' },
          { label: 'x'.repeat(40), to: `https://${'long.'.repeat(20)}example.org/` },
        ],
        payout: OTHER.address,
        wallets: await boundBy(record, OTHER),
      };
      const html = profilePage(profileFor(record, at === 0 ? {} : rich));
      // Each in a document of its own: policies of one stay.
      await page.goto(`data:text/html;base64,${Buffer.from(html).toString('base64')}`);
      expect([name, await axeFaults(page), await page.evaluate(FITS)]).toEqual([name, [], true]);
      grounds.add(await page.evaluate("getComputedStyle(document.querySelector('.mark')).backgroundColor"));
      if (PICTURES === undefined) continue;
      await mkdir(PICTURES, { recursive: true });
      await page.screenshot({ path: path.join(PICTURES, `profile-${look}-${name}.png`), fullPage: true });
    }
    // Styled at all: the page's own policy lets its style in, and nothing else.
    expect(grounds.size).toBe(6);
    expect(trouble).toEqual([]);
    await context.close();
  });
});
