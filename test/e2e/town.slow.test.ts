/** The town: names of several owners that show one another's pictures, notes and boats, in figures and in a browser. */
import path from 'node:path';
import { chromium, type Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { readSettleToken } from '../../app/control/index.ts';
import { readTown } from '../../app/market/index.ts';
import { fileURLToPath } from 'node:url';
import { describeUnless, missingPrograms } from '../programs.ts';
import { axeFaults } from '../axe.ts';
import { relaymint, startMarketplace, temporaryFolder } from './marketplace.ts';
import { expectWholeBooks, reportOf } from './round.ts';

const MINUTES = 60_000;
const TOWN = fileURLToPath(new URL('../../examples/town', import.meta.url));

test(
  'a round pays every owner, and every page that shows the pictures of another, to the base unit',
  async () => {
    const round = await relaymint('start', '--example', 'town', '--once', '--json', '--log-level', 'warn');
    expect(round.stderr).toBe('');
    const report = reportOf(round.stdout);
    expectWholeBooks(report);
    const { showings, posts, live } = await readTown(TOWN);
    expect(report.sites.map(({ name }) => name)).toEqual(showings.map(({ name }) => name));
    expect(report.sites.filter(({ verified }) => !verified)).toEqual([]);
    const pairs = showings.flatMap(({ name, embeds }) => [
      `${name} null`,
      ...embeds.map((embedded) => `${embedded.name} ${name}`),
    ]);
    pairs.push(...posts.map(({ as, name }) => `${as} ${name}`));
    pairs.push(...live.flatMap(({ name, shownBy }) => shownBy.map((page) => `${name} ${page}`)));
    expect(report.shares.map(({ name, referrer }) => `${name} ${referrer}`).toSorted()).toEqual(
      [...new Set(pairs)].toSorted(),
    );
    expect(new Set(report.shares.map(({ owner }) => owner)).size).toBe(
      new Set(showings.map(({ owner }) => owner)).size,
    );
    for (const share of report.shares) {
      const royalty = Number(share.accrued) + Number(share.referrerAccrued);
      // What is not a whole base unit is carried to the next share of the name.
      expect(Math.abs(royalty - (Number(share.paid) * share.termsBps) / 10_000)).toBeLessThan(2);
      const referred = share.referrer === null ? 0 : (royalty * share.referrerBps) / 10_000;
      expect(Math.abs(Number(share.referrerAccrued) - referred)).toBeLessThan(2);
      expect(Number(share.paid)).toBeGreaterThan(0);
    }
  },
  4 * MINUTES,
);

describeUnless(missingPrograms(['chromium']), 'The town')('the town in a browser', () => {
  test(
    'lets a newcomer without a wallet sign for a note, pin it, and see what it earns',
    async () => {
      await using folder = await temporaryFolder();
      await using market = await startMarketplace('--data', folder.path, '--log-level', 'warn');
      const { gateway, site, visitor, walletLink = '' } = market.ready;
      expect(visitor).toBe('you.sso');
      const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
      try {
        const page = await browser.newPage({ viewport: { width: 320, height: 640 } });
        const failures: string[] = [];
        page.on('pageerror', (error) => failures.push(error.message));
        page.on('console', (message) => {
          if (message.type() === 'error') failures.push(message.text());
        });
        await page.goto(walletLink);
        const wall = new URL('/bishop.html', site);
        wall.hostname = 'forum-web3.localhost';
        await page.goto(wall.href);
        await page.getByRole('button', { name: 'Let my wallet allow it' }).click();
        await page.getByRole('button', { name: 'Wallet of this machine' }).click();
        await page.getByLabel('Your note').fill('I have <b>just</b> arrived.');
        expect(await axeFaults(page)).toEqual([]);
        await page.getByRole('button', { name: 'Pin it as you.sso' }).click();
        await page.getByText('It is on the wall.').waitFor();
        const note = page.locator('.notes > li', { hasText: 'I have <b>just</b> arrived.' });
        await expect.poll(() => note.count()).toBe(1);
        const earned = page.locator('.earned');
        await expect.poll(() => earned.innerText()).toContain('was paid 0 credits');
        const settling = await browser.newPage();
        await settling.goto(`${gateway}market#settle=${await readSettleToken(path.join(folder.path, 'gateway'))}`);
        await settling.getByRole('button', { name: /settle/i }).click();
        await expect.poll(() => earned.innerText(), { timeout: MINUTES }).toMatch(/was paid 0\.\d*[1-9]\d* credits/);
        expect(failures).toEqual([]);
      } finally {
        await browser.close();
      }
    },
    4 * MINUTES,
  );

  test(
    'has a wall whose notes are text, come as they are pinned, and say who is paid; and a board of boats that move',
    async () => {
      await using folder = await temporaryFolder();
      await using market = await startMarketplace('--data', folder.path, '--log-level', 'warn');
      const { posts } = await readTown(TOWN);
      const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
      try {
        const page = await browser.newPage();
        const failures: string[] = [];
        page.on('pageerror', (error) => failures.push(error.message));
        page.on('console', (message) => {
          if (message.type() === 'error') failures.push(message.text());
        });
        const addressOf = (label: string, file = ''): string => {
          const url = new URL(file, market.ready.site);
          url.hostname = `${label}.localhost`;
          return url.href;
        };
        await page.goto(addressOf('forum-web3', 'bishop.html'));
        const notes = page.locator('.notes > li');
        const pinned = posts.filter(({ path: topic }) => topic === '/bishop.html');
        await expect.poll(() => notes.count()).toBe(pinned.length);
        expect(await notes.first().innerText()).toContain(pinned[0]?.text);
        expect(await notes.first().locator('.share').innerText()).toBe('50 % of what it earns is its author’s');
        expect(await notes.first().locator('a').first().getAttribute('href')).toBe(addressOf('pia--lund-sso'));
        expect(await axeFaults(page)).toEqual([]);
        const { nodes, ledger, programId } = market.ready;
        const relay = nodes.find(({ role }) => role === 'relay');
        const join = [
          '--ledger',
          ledger,
          '--program',
          programId,
          '--bootstrap',
          `${relay?.nodeId}@${relay?.addresses[0]}`,
        ];
        const ada = ['--as', 'ada-wick.sso', '--data', path.join(folder.path, 'owner-ada'), ...join];
        const text = '<img src=x onerror="document.title=1">';
        const said = await relaymint(
          'post',
          'write',
          'forum.web3',
          '/bishop.html',
          text,
          ...ada,
          '--log-level',
          'error',
        );
        expect(said).toMatchObject({ code: 0, stderr: '' });
        await expect.poll(() => notes.count()).toBe(pinned.length + 1);
        expect(await notes.last().innerText()).toContain('<img src=x');
        expect(await page.title()).toBe('Has the Bishop moved? · The Harbour Wall');

        await page.goto(addressOf('ferry-route'));
        const rows = page.locator('tbody tr');
        await expect.poll(() => rows.count()).toBe(3);
        const before = await page.locator('tbody').innerText();
        await expect.poll(() => page.locator('tbody').innerText()).not.toBe(before);
        expect(await axeFaults(page)).toEqual([]);
        for (const label of ['forum-web3', 'ada--wick-sso', 'maren--oyle-sso', 'pia--lund-sso']) {
          await page.goto(addressOf(label));
          expect(await axeFaults(page)).toEqual([]);
        }
        expect(failures).toEqual([]);
      } finally {
        await browser.close();
      }
    },
    4 * MINUTES,
  );

  test(
    'shows what its pages embed, and nobody else may embed it',
    async () => {
      await using market = await startMarketplace('--example', 'town', '--log-level', 'warn');
      const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
      try {
        const page = await browser.newPage();
        const failures: string[] = [];
        page.on('pageerror', (error) => failures.push(error.message));
        await page.goto(market.ready.site);
        await scrolled(page);
        await expect
          .poll(() => page.evaluate('[...document.images].filter((one) => one.naturalWidth === 0).length'))
          .toBe(0);
        const gallery = new URL(market.ready.site);
        gallery.hostname = 'gallery-web3.localhost';
        await page.goto(gallery.href);
        await scrolled(page);
        await expect
          .poll(() => page.evaluate('[...document.images].filter((one) => one.naturalWidth === 0).length'))
          .toBe(0);
        // The film of another owner, in the news, from its middle.
        const film = new URL(market.ready.site);
        film.hostname = 'ferry-video.localhost';
        await page.goto(market.ready.site);
        const middle = `new Promise((resolve, reject) => {
          const film = document.createElement('video');
          film.muted = true;
          film.onerror = () => reject(new Error(film.error.message));
          film.onloadedmetadata = () => { film.currentTime = film.duration / 2; };
          film.onseeked = () => resolve(film.currentTime > 1 && film.videoWidth > 0);
          film.src = '${film.href}ferry.webm';
        })`;
        expect(await page.evaluate(middle)).toBe(true);
        // A page of the web, and one of the marketplace's own, get none of it.
        for (const elsewhere of ['data:text/html,<title>elsewhere</title>', market.ready.gateway]) {
          await page.goto(elsewhere);
          const loaded = `new Promise((resolve) => {
            const image = new Image();
            image.onload = () => resolve('loaded');
            image.onerror = () => resolve('refused');
            image.src = '${film.href}poster.webp';
          })`;
          expect(await page.evaluate(loaded)).toBe('refused');
        }
        expect(failures).toEqual([]);
      } finally {
        await browser.close();
      }
    },
    4 * MINUTES,
  );
});

/** To its end: what is below the fold is loaded late. */
async function scrolled(page: Page): Promise<void> {
  await page.evaluate(
    'document.querySelectorAll("img[loading=lazy]").forEach((one) => { one.loading = "eager"; }); scrollTo(0, document.body.scrollHeight)',
  );
}
