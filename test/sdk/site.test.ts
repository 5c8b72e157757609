/** What pages and programs are told of a name at a real gateway: the ledger's facts to the base unit, to everybody, and only so often. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { PROFILES_AT_ONCE_PER_PAGE } from '../../core/limits.ts';
import { amount } from '../../core/units.ts';
import { createClient, type Client } from '../../sdk/index.ts';
import { revenue, status } from '../../sdk/site/index.ts';
import { fetchHere } from '../app/visitor.ts';
import { startFront, type Front } from '../sites/gateway/kit.ts';
import { Cleanup } from '../sites/kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

let front: Front;
let page: Client;
beforeEach(async () => {
  front = await startFront(cleanup, { records: (name) => front.ledger.name(name) });
  page = at('news-web3.localhost');
});

function at(host: string): Client {
  return createClient({ gateway: `http://${host}:${front.port}/`, fetch: fetchHere });
}

/** More than a double holds. */
const MUCH = 18_446_744_073_709_551_615n;

it('is who has a name and what it points to, in any page and to programs', async () => {
  const root = await front.publish('tides.web3', { 'index.html': 'x' });
  const { owner } = front.ledger.records.get('tides.web3') ?? {};
  const facts = {
    name: 'tides.web3',
    status: 'held',
    owner,
    manager: owner,
    registered: 1_700_000_000,
    expires: 1_900_000_000,
    root: root.toString(),
    manifest: undefined,
    royaltyBps: 500,
    referrerBps: expect.any(Number) as number,
  };
  expect(await status(page, 'tides.web3')).toEqual(facts);
  expect(await status(at('localhost'), 'tides.web3')).toEqual(facts);
});

it('is what it earned, to the base unit', async () => {
  await front.publish('tides.web3', { 'index.html': 'x' });
  const record = front.ledger.records.get('tides.web3');
  if (record === undefined) throw new Error('there is no record');
  const splits = [{ account: record.owner, bps: 10_000, owed: amount(MUCH - 2n) }];
  front.ledger.records.set('tides.web3', { ...record, lifetime: amount(MUCH), accrued: amount(MUCH - 1n), splits });
  expect(await revenue(page, 'tides.web3')).toEqual({
    earned: MUCH,
    undivided: MUCH - 1n,
    shares: [{ account: record.owner, bps: 10_000, owed: MUCH - 2n }],
  });
});

it('is told of a name that expired, and of one that points to nothing', async () => {
  front.ledger.register('old.web3', Buffer.from('no CID'), undefined, 'expired');
  expect(await status(page, 'old.web3')).toMatchObject({ status: 'expired', root: undefined });
});

it.each([
  ['nobody.web3', 'NAME_UNKNOWN'],
  ['no name', 'NAME_INVALID'],
  ['../profile/a.sso', 'NAME_INVALID'],
])('is an error with its code for %s', async (name, code) => {
  await expect(status(page, name)).rejects.toMatchObject({ code, details: { status: 404 } });
});

it('is not told to pages of the web, which could learn by the visitor’s gateway', async () => {
  await front.publish('tides.web3', { 'index.html': 'x' });
  const headers = {
    origin: 'https://evil.example',
    'sec-fetch-site': 'cross-site',
    'sec-fetch-mode': 'cors',
    'sec-fetch-dest': 'empty',
  };
  const asked = front.ledger.questions;
  for (const host of ['localhost', 'tides-web3.localhost'])
    expect((await front.get('/.relaymint/name/tides.web3', { host, headers })).status).not.toBe(200);
  expect(front.ledger.questions).toBe(asked);
});

it('is told only so often in a page, and says so', async () => {
  await front.publish('tides.web3', { 'index.html': 'x' });
  for (let asked = 0; asked < PROFILES_AT_ONCE_PER_PAGE; asked += 1) await status(page, 'tides.web3');
  await expect(status(page, 'tides.web3')).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
  // Other pages go on.
  expect(await status(at('forum-web3.localhost'), 'tides.web3')).toMatchObject({ status: 'held' });
});
