/** The public suite for IPFS gateways, over the preview's gateway. Without RELAYMINT_GATEWAY_CASES only the first test is here. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPreview, type Preview } from '../../../app/site/index.ts';
import { silentLog } from '../../../core/ports.ts';
import { Cleanup, temporaryFolder, writeTree } from '../kit.ts';
import { CaseRunner, publicCases } from './cases.ts';

const folder = process.env['RELAYMINT_GATEWAY_CASES'];
const { cases, fixtures } = folder === undefined ? { cases: [], fixtures: [] } : await publicCases(folder);
const cleanup = new Cleanup();
let preview: Preview;
let runner: CaseRunner;

beforeAll(async () => {
  const site = await temporaryFolder(cleanup);
  await writeTree(site, { 'index.html': 'front', 'a/b.txt': 'words' });
  const signal = new AbortController().signal;
  preview = await openPreview({ paths: [site, ...fixtures], port: 0, signal, log: silentLog });
  cleanup.add(() => preview[Symbol.asyncDispose]());
  runner = new CaseRunner(Number(new URL(preview.url).port));
});
afterAll(() => cleanup.run());

describe('a gateway for IPFS content', () => {
  it('answers a folder of ours as a path gateway, and what is wrong is said', async () => {
    const root = preview.sites[0]?.root.toString();
    const asked = { id: 'own', name: 'own', method: 'GET', host: '{gateway}', headers: {}, fixture: null, needs: [] };
    const right = { expectStatus: 200, expectHeaders: { 'X-Ipfs-Path': `/ipfs/${root}/a/b.txt` }, expectBodyLength: 5 };
    expect(await runner.run({ ...asked, path: `/ipfs/${root}/a/b.txt`, ...right })).toEqual([]);
    expect(await runner.run({ ...asked, path: `/ipfs/${root}/a/c.txt`, ...right })).not.toEqual([]);
  });

  it.each(cases.map((one) => [one.id, one.name, one] as const))('%s: %s', async (_id, _name, one) => {
    expect(await runner.run(one)).toEqual([]);
  });
});
