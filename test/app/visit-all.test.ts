/** A visitor that believes nothing: what a gateway tells is compared with what was published and said. */
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../core/ports.ts';
import { createPolicy, createTcpTransport, declarePurpose } from '../../node/transport/index.ts';
import type { Published, Said } from '../../app/market/events.ts';
import type { Display } from '../../app/market/showing.ts';
import { visitAll } from '../../app/market/visit-all.ts';

const VISIT = declarePurpose('test-visit');
/** It knows that names below localhost are this machine. */
const policy = createPolicy({ transports: [createTcpTransport()], purposes: [VISIT], outbound: 'loopback' });
const NAMES = ['news.web3', 'wall.web3', 'ferry.route', 'ada.sso'];

let folder: string;
let server: Server;
let told: { posts: object[] | undefined; sequence: number };
let asked: string[];
let settled: number;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'relaymint-visit-all-'));
  await writeFile(path.join(folder, 'index.html'), 'here');
  told = { posts: [{ author: { name: 'ada.sso' }, text: 'hello' }], sequence: 7 };
  asked = [];
  settled = 0;
  server = createServer((request, response) => {
    asked.push(lineOf(request));
    const { pathname } = new URL(request.url ?? '', 'http://localhost');
    if (pathname.endsWith('/posts')) response.end(told.posts ? JSON.stringify({ posts: told.posts }) : 'posts');
    else if (pathname.endsWith('/updates'))
      response.end(JSON.stringify({ update: { sequence: told.sequence, text: '{}' } }));
    else response.end('here');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true, force: true });
});

function lineOf({ headers, url }: IncomingMessage): string {
  const label = headers.host?.split('.')[0] ?? '';
  return [label, url, headers.origin?.split('.')[0]?.slice('http://'.length) ?? ''].join(' ');
}

async function visited(): Promise<readonly string[]> {
  const { port } = server.address() as AddressInfo;
  const showings = NAMES.map((name) => ({
    name,
    owner: name,
    directory: folder,
    publishArgs: [],
    embeds: [],
    brings: [],
  }));
  const [front, ...others] = showings;
  const display: Display = {
    showings: [front ?? showings[0]!, ...others],
    posts: [{ name: 'wall.web3', path: '/talk', as: 'ada.sso', owner: 'ada.sso', text: 'hello' }],
    live: [{ name: 'ferry.route', owner: 'ferry.route', timetable: { boats: [] }, shownBy: ['news.web3'] }],
  };
  const sites = await visitAll({
    display,
    published: NAMES.map((name) => ({ name, cid: 'x', files: 1, bytes: 4 }) as Published),
    traffic: [{ name: 'ferry.route', sequence: 7 } as Said],
    gatewayUrl: `http://localhost:${port}/`,
    fetch: policy.fetch(VISIT),
    log: silentLog,
    onProgress: () => undefined,
    settle: () => {
      settled += 1;
      return Promise.resolve();
    },
  });
  return sites.filter(({ verified }) => !verified).map(({ name }) => name);
}

describe('a visit to all', () => {
  it('asks each name at its own origin, and for what others show as their pages do', async () => {
    expect(await visited()).toEqual([]);
    expect(asked.toSorted()).toEqual([
      'ada-sso /index.html ',
      'ferry-route /.well-known/relaymint/updates ',
      'ferry-route /.well-known/relaymint/updates news-web3',
      'ferry-route /index.html ',
      'news-web3 /index.html ',
      'wall-web3 /.well-known/relaymint/posts?path=%2Ftalk ',
      'wall-web3 /index.html ',
    ]);
    // Four names, an author in a page, and an update in a page: more than one settlement may have room for.
    expect(settled).toBe(1);
  });

  it.each([
    ['nothing of what was said', []],
    ['it by another author', [{ author: { name: 'eve.sso' }, text: 'hello' }]],
    ['other words', [{ author: { name: 'ada.sso' }, text: 'hello!' }]],
    ['it taken back', [{ author: { name: 'ada.sso' } }]],
    ['something else than posts', [{ text: 'hello' }]],
    ['no JSON', undefined],
  ])('finds a thread that tells %s', async (_what, posts) => {
    told.posts = posts;
    expect(await visited()).toEqual(['wall.web3']);
  });

  it('minds neither what others said, nor that some of it was taken back', async () => {
    told.posts = [{ author: { name: 'bob.sso' } }, { author: { name: 'ada.sso' }, text: 'hello' }];
    expect(await visited()).toEqual([]);
  });

  it('finds an update that is not the one that was said, wherever it is shown', async () => {
    told.sequence = 6;
    expect(await visited()).toEqual(['news.web3', 'ferry.route']);
  });
});
