/**
 * What the SDK declares is committed, so that a change of it is seen in review. After one: npm run build, then
 * npm test -- test/sdk/api-report.test.ts -u
 */
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { ROOT } from './packed.ts';

it('the declarations of the SDK are those that are committed in docs/api', async () => {
  const folder = path.join(ROOT, 'dist/sdk');
  const files = (await readdir(folder, { recursive: true })).filter((file) => file.endsWith('.d.ts')).toSorted();
  const parts: string[] = [];
  for (const file of files) parts.push(`// ${file}\n\n${await readFile(path.join(folder, file), 'utf8')}`);
  await expect(parts.join('\n')).toMatchFileSnapshot(path.join(ROOT, 'docs/api/sdk.d.ts'));
});
