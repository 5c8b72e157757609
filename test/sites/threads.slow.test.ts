/** What `_headers` is asked for most: a page whose threads share memory, in a browser. */
import { existsSync } from 'node:fs';
import { chromium, type Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startFront, type Front } from './gateway/kit.ts';
import { Cleanup } from './kit.ts';

const CHROMIUM = '/usr/bin/chromium';
const here = existsSync(CHROMIUM);
if (!here) process.stderr.write(`skipped: these tests need ${CHROMIUM}: apt-get install chromium\n`);

const PAGE = `<!doctype html><title>waits</title><script>
if (crossOriginIsolated) {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const worker = new Worker('/worker.js');
  worker.onmessage = () => (document.title = 'isolated ' + new Int32Array(memory.buffer)[0]);
  worker.postMessage(memory);
} else document.title = 'not isolated';
</script>`;

describe.skipIf(!here)('a site in a browser', () => {
  const cleanup = new Cleanup();
  let browser: Browser;
  let front: Front;

  beforeAll(async () => {
    front = await startFront(cleanup);
    const files = {
      'index.html': PAGE,
      'worker.js': 'onmessage = ({ data }) => { Atomics.store(new Int32Array(data.buffer), 0, 42); postMessage(1) }',
    };
    const _headers = '/*\n  Cross-Origin-Opener-Policy: same-origin\n  Cross-Origin-Embedder-Policy: require-corp\n';
    await front.publish('demo.web3', { ...files, _headers });
    await front.publish('plain.web3', files);
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
    });
    cleanup.add(() => browser.close());
  });
  afterAll(() => cleanup.run());

  it.each([
    ['demo', 'isolated 42'],
    ['plain', 'not isolated'],
  ])('of the name %s.web3 is %s', async (name, title) => {
    const page = await browser.newPage();
    await page.goto(`http://${name}-web3.localhost:${front.port}/`);
    await expect.poll(() => page.title()).toBe(title);
    // And once more by what the browser kept.
    await page.reload();
    await expect.poll(() => page.title()).toBe(title);
    await page.close();
  });
});
