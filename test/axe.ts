/** What axe-core finds in a page that is open in a browser. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';

const AXE = axeFile();

function axeFile(): string | undefined {
  try {
    return createRequire(import.meta.url).resolve('axe-core/axe.min.js');
  } catch {
    return undefined;
  }
}

/** @returns rules that it breaks, with the elements; none where axe is not installed. */
export async function axeFaults(page: Page): Promise<readonly string[]> {
  if (AXE === undefined) return [];
  // Not as an element: the page's policy may let none in.
  const session = await page.context().newCDPSession(page);
  await session.send('Runtime.evaluate', { expression: await readFile(AXE, 'utf8') });
  return await page.evaluate<readonly string[]>(
    "axe.run().then(({ violations }) => violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html).join(' | ')))",
  );
}
