/** What a marketplace finds again in its folder. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openLayout } from '../../app/market/index.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'relaymint-layout-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

it('remembers ports and the folder that is published, whichever is written first', async () => {
  const first = await openLayout(folder);
  expect([first.continued, first.shown.site, first.portOf('relay-1')]).toEqual([false, undefined, 0]);
  await Promise.all([
    first.rememberPort('relay-1', 4000),
    first.rememberShown({ site: 'my-docs' }),
    first.rememberPort('host', 4001),
  ]);
  const second = await openLayout(folder);
  expect([second.continued, second.shown.site]).toEqual([true, path.resolve('my-docs')]);
  expect([second.portOf('relay-1'), second.portOf('host')]).toEqual([4000, 4001]);
  await second.rememberShown({ example: 'town' });
  expect((await openLayout(folder)).shown).toEqual({ site: undefined, example: 'town' });
});

it('remembers what was said, each where it was said', async () => {
  const first = await openLayout(folder);
  const said = { name: 'wall.web3', path: '/', as: 'ada.sso', text: 'Good morning' };
  await Promise.all([first.rememberSaid(said, 17), first.rememberPort('host', 4001)]);
  const second = await openLayout(folder);
  expect([second.saidAs(said), second.portOf('host')]).toEqual([17, 4001]);
  expect(second.saidAs({ ...said, path: '/other' })).toBeUndefined();
});

it('knows a folder from before, which remembers no site', async () => {
  await writeFile(path.join(folder, 'market.json'), '{"version":1,"ports":{"host":4001}}');
  const layout = await openLayout(folder);
  expect([layout.continued, layout.shown.site, layout.portOf('host')]).toEqual([true, undefined, 4001]);
});

it('says what a damaged file means', async () => {
  await writeFile(path.join(folder, 'market.json'), '{"version":1,"ports":{"host":"4001"}}');
  await expect(openLayout(folder)).rejects.toMatchObject({ code: 'INVALID_CONFIG' });
});
