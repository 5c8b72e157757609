/** The guide, as a newcomer follows it: its every command, in its order, and what it says to do in the browser. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, symlink } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { expect, test } from 'vitest';
import { readSettleToken } from '../../app/control/index.ts';
import { describeUnless, missingPrograms } from '../programs.ts';
import { startMarketplace, temporaryFolder } from './marketplace.ts';

const MINUTES = 60_000;
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The commands of one section, a line each. */
async function commandsOf(section: number): Promise<readonly string[]> {
  const guide = await readFile(path.join(ROOT, 'docs/guide/first-site.md'), 'utf8');
  const [, text = ''] = new RegExp(`\\n## ${section}\\. [^\\n]*\\n(.*?)(?=\\n## |$)`, 's').exec(guide) ?? [];
  return [...text.matchAll(/```sh\n(.*?)```/gs)].flatMap(([, block = '']) => block.trim().split('\n'));
}

describeUnless(missingPrograms(['chromium']), 'The guide')('the guide', () => {
  test(
    'leads from an empty folder to a site on which people write and are paid',
    async () => {
      await using market = await startMarketplace('--log-level', 'warn');
      await using folder = await temporaryFolder();
      await symlink(path.join(ROOT, 'bin'), path.join(folder.path, 'bin'));
      const { gateway, ledger, nodes, walletLink = '' } = market.ready;
      const relay = nodes.find(({ role }) => role === 'relay');
      const environment = {
        ...process.env,
        RELAYMINT_LEDGER: ledger,
        RELAYMINT_BOOTSTRAP: `${relay?.nodeId}@${relay?.addresses[0]}`,
        RELAYMINT_AIRDROP: '20',
        RELAYMINT_LOG_LEVEL: 'error',
      };
      /** As a shell runs it, in the newcomer's folder. */
      const run = async (command: string): Promise<string> => {
        const child = spawn('sh', ['-c', command], { cwd: folder.path, env: environment });
        let said = '';
        for (const stream of [child.stdout, child.stderr])
          stream.setEncoding('utf8').on('data', (text: string) => (said += text));
        const [code] = (await once(child, 'close')) as [number | null];
        return `${code}\n${said}`;
      };
      const follow = async (section: number): Promise<string> => {
        let said = '';
        for (const command of await commandsOf(section)) {
          const answer = await run(command);
          expect(`${command}: ${answer}`).toContain(`${command}: 0\n`);
          said += answer;
        }
        return said;
      };
      expect(await follow(2)).toContain('./tea-room is a site now');
      await follow(3);
      const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
      try {
        const page = await browser.newPage();
        await page.goto(walletLink);
        const thread = `http://tea--room-web3.localhost:${new URL(gateway).port}/hello.html`;
        await page.goto(thread);
        await page.getByLabel('Your profile').fill('you.sso');
        await page.getByRole('button', { name: 'Ask the wallet' }).click();
        await page.getByRole('button', { name: 'Wallet of this machine' }).click();
        await page.getByLabel('As you.sso').fill('Is there tea?');
        await page.getByRole('button', { name: 'Post' }).click();
        await page.locator('relaymint-posts li', { hasText: 'Is there tea?' }).waitFor();
        expect(await follow(4)).toContain('Is there tea?');
        const visitor = nodes.find(({ role }) => role === 'gateway');
        await page.goto(`${gateway}market#settle=${await readSettleToken(visitor?.dataDir ?? '')}`);
        await page.getByRole('button', { name: /settle/i }).click();
        const [revenue = ''] = await commandsOf(5);
        await expect
          .poll(() => run(revenue), { timeout: MINUTES, interval: 2_000 })
          .not.toContain('Nothing was settled for it.');
        expect(await follow(5)).toContain('you.sso');
      } finally {
        await browser.close();
      }
    },
    4 * MINUTES,
  );
});
