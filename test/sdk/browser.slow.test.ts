/** The packed SDK in Chromium: as it is, without any tool, and in what Vite and webpack make of it. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { describeUnless, missingPrograms } from '../programs.ts';
import { Cleanup } from '../sites/kit.ts';
import { bundledByVite, bundledByWebpack } from './bundled.ts';
import { browserEntries, packInto, type Packed } from './packed.ts';
import { openBrowser, openPage, pageOf, serveFolder, type Served } from './served.ts';

const entries = await browserEntries();

describeUnless(missingPrograms(['chromium']), 'Tests of the SDK in a browser')('the packed SDK in a browser', () => {
  const cleanup = new Cleanup();
  const pages = new Cleanup();
  let browser: Browser;
  let packed: Packed;
  let served: Served;
  beforeAll(async () => {
    browser = await openBrowser(cleanup);
    packed = await packInto(cleanup);
    served = await serveFolder(cleanup, packed.project);
  });
  afterAll(() => cleanup.run());
  afterEach(() => pages.run());

  const open = async (name: string, html: string): ReturnType<typeof openPage> => {
    served.pages.set(`/${name}`, html);
    served.asked.length = 0;
    return await openPage(browser, pages, `${served.origin}/${name}`);
  };

  it.each([...entries])('B9: runs %s as it is: no error, and nothing of Node in it', async (_name, target) => {
    const address = path.posix.join('/node_modules/relaymint', target.default);
    const { page, trouble } = await open('raw.html', pageOf(`window.names = Object.keys(await import('${address}'));`));
    await expect.poll(() => page.evaluate('window.names?.length > 0')).toBe(true);
    expect(trouble).toEqual([]);
    const modules = served.asked.filter((asked) => asked !== '/raw.html');
    expect(modules).toContain(address);
    expect(modules.filter((asked) => !asked.startsWith('/node_modules/relaymint/dist/sdk/'))).toEqual([]);
    const texts = await Promise.all(modules.map(async (module) => await (await fetch(served.origin + module)).text()));
    expect(texts.filter((text) => /['"]node:|\bprocess\b\s*[.[?]|\brequire\(|\bBuffer\b/.test(text))).toEqual([]);
  });

  const app = `
    ${[...entries.keys()].map((name, index) => `import * as part${index} from '${name}';`).join('\n')}
    import { parseCredits, formatCredits, siteUrl, parseName, isRelaymintError } from 'relaymint/sdk';
    const fault = (() => { try { parseName('nothing'); } catch (error) { return error; } })();
    window.result = [siteUrl('demo.web3', 8402), formatCredits(parseCredits('1.5')), isRelaymintError(fault, 'NAME_INVALID'),
      ${[...entries.keys()].map((_name, index) => `Object.keys(part${index}).length > 0`).join(', ')}];
  `;
  const expected = ['http://demo-web3.localhost:8402/', '1.5', true, ...[...entries].map(() => true)];

  it.each([
    ['Vite', bundledByVite],
    ['webpack', bundledByWebpack],
  ])('runs in what %s makes of it', async (_bundler, bundle) => {
    const file = path.join(packed.project, 'app.js');
    await writeFile(file, app);
    served.pages.set('/bundle.js', await bundle(file));
    const { page, trouble } = await open('app.html', pageOf("import '/bundle.js';"));
    await expect.poll(() => page.evaluate('window.result')).toEqual(expected);
    expect(trouble).toEqual([]);
    expect(served.asked).toEqual(['/app.html', '/bundle.js']);
  });
});
