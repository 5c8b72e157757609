/** A gateway for other machines, behind nginx as the documentation sets it up, and a browser that comes by the domain. */
import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startNginx } from '../../testbed/nginx.ts';
import { freePort } from '../port.ts';
import { describeUnless, missingPrograms } from '../programs.ts';
import type { ContentSource } from '../../sites/blocks/index.ts';
import { startFront, type Front } from './gateway/kit.ts';
import { Cleanup, temporaryFolder } from './kit.ts';

const DOMAIN = 'sites.example.org';
const DOT = '<svg xmlns="http://www.w3.org/2000/svg" width="7" height="7"/>';
const lacking = missingPrograms(['nginx', 'setpriv', 'openssl', 'chromium']);

/** The recipe of the documentation, for other ports and another certificate. */
async function recipe(port: number, gatewayPort: number, folder: string): Promise<string> {
  const guide = await readFile(new URL('../../docs/sites.md', import.meta.url), 'utf8');
  const [, text = ''] = /```nginx\n(.*?)```/s.exec(guide) ?? [];
  return text
    .replace('listen 443 ssl', `listen 127.0.0.1:${port} ssl`)
    .replace('127.0.0.1:8402', `127.0.0.1:${gatewayPort}`)
    .replaceAll('/etc/ssl/', `${folder}/`);
}

function certify(folder: string): void {
  const names = `subjectAltName=DNS:${DOMAIN},DNS:*.${DOMAIN}`;
  const files = ['-keyout', path.join(folder, `${DOMAIN}.key`), '-out', path.join(folder, `${DOMAIN}.pem`)];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  execFileSync('openssl', ['req', '-x509', '-subj', `/CN=${DOMAIN}`, '-addext', names, ...key, ...files], {
    stdio: 'ignore',
  });
}

describeUnless(lacking, 'Public gateways')('a public gateway behind nginx', () => {
  const cleanup = new Cleanup();
  let browser: Browser;
  let front: Front;
  let port: number;
  /** Names whose content the gateway had to get. */
  const fetched: string[] = [];

  beforeAll(async () => {
    const folder = await temporaryFolder(cleanup);
    certify(folder);
    const content = (inner: ContentSource): ContentSource => ({
      open: async (site, options) => {
        fetched.push(site.name);
        return await inner.open(site, options);
      },
    });
    front = await startFront(cleanup, { domain: DOMAIN, content });
    await front.publish('demo.web3', {
      'index.html':
        '<title>demo</title><link rel="icon" href="data:,"><img src="a.svg"><script>document.cookie = "mine=1"</script>',
      'a.svg': DOT,
      'b.svg': DOT,
    });
    port = await freePort();
    // Says in its title what came: of its own page, and of a frame whose origin is nobody's.
    const image = (file: string, tell: string): string =>
      `<img src='https://demo-web3.${DOMAIN}:${port}/${file}' onload='${tell}("loaded")' onerror='${tell}("refused")'>`;
    await front.publish('thief.web3', {
      'index.html': `<title>waits</title><link rel="icon" href="data:,"><script>const all = [];
const told = (what) => { all.push(what); if (all.length === 2) document.title = all.join(' '); };
addEventListener('message', ({ data }) => told(data));</script>${image('a.svg', 'told')}
<iframe sandbox="allow-scripts" srcdoc="<script>const tell = (what) => parent.postMessage(what, '*')</script>${image('b.svg', 'tell').replaceAll('"', '&quot;')}"></iframe>`,
    });
    const { signal } = new AbortController();
    const servers = [await recipe(port, front.port, folder)];
    const nginx = await startNginx({
      directory: path.join(folder, 'nginx'),
      port: await freePort(),
      sites: {},
      servers,
      signal,
    });
    cleanup.add(() => nginx[Symbol.asyncDispose]());
    browser = await chromium.launch({
      executablePath: '/usr/bin/chromium',
      args: ['--no-sandbox', `--host-resolver-rules=MAP *.${DOMAIN} 127.0.0.1, MAP ${DOMAIN} 127.0.0.1`],
    });
    cleanup.add(() => browser.close());
  });
  afterAll(() => cleanup.run());

  const at = (host: string): string => `https://${host}:${port}/`;
  const opened = async (): Promise<Page> => {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 360, height: 640 } });
    cleanup.add(() => context.close());
    const page = await context.newPage();
    return page;
  };

  it('leads from its front page to a site, by keyboard', async () => {
    const page = await opened();
    await page.goto(at(DOMAIN));
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
    await page.keyboard.press('Tab');
    await page.keyboard.type('not a name');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').waitFor();
    await page.getByLabel('Name of a site').fill('demo.web3');
    await page.keyboard.press('Enter');
    await page.waitForURL(at(`demo-web3.${DOMAIN}`));
    expect(await page.title()).toBe('demo');
    expect(await page.evaluate('isSecureContext && document.images[0].naturalWidth')).toBe(7);
  });

  it('serves no site what another one embeds, nor gives it cookies', async () => {
    const page = await opened();
    fetched.splice(0);
    await page.goto(at(`thief-web3.${DOMAIN}`));
    await expect.poll(() => page.title()).toBe('refused refused');
    expect(fetched.filter((name) => name !== 'thief.web3')).toEqual([]);
    await page.goto(at(`demo-web3.${DOMAIN}`));
    await page.goto(at(`thief-web3.${DOMAIN}`));
    expect(await page.evaluate('document.cookie')).toBe('');
  });

  it('has nothing of its own machine for those who name it to the proxy', async () => {
    const ask = async (host: string, target: string): Promise<readonly unknown[]> => {
      const options = { host: '127.0.0.1', port, path: target, servername: DOMAIN, rejectUnauthorized: false };
      return await new Promise((resolve, reject) => {
        const asked = request({ ...options, agent: false, headers: { host } }, (response) => {
          void buffer(response).then((body) => resolve([response.statusCode, body.includes('marketplace')]));
        });
        asked.once('error', reject).end();
      });
    };
    expect(await ask('localhost', '/')).toEqual([421, false]);
    expect(await ask(`localhost:${front.port}`, '/api/market')).toEqual([421, false]);
    expect(await ask('demo-web3.localhost', '/')).toEqual([421, false]);
    expect(await ask(`demo-web3.${DOMAIN}`, '/')).toEqual([200, false]);
  });
});
