/** Names with a manifest, before a gateway: nothing of their content is sent unless who has the name answers for it. */
import { EventEmitter, once } from 'node:events';
import { request } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { orAborted } from '../../../core/abort.ts';
import { NAME_CACHE_MILLIS } from '../../../core/limits.ts';
import { basisPoints } from '../../../core/units.ts';
import type { NameRecord } from '../../../ledger/contract.ts';
import type { ContentSource } from '../../../sites/blocks/index.ts';
import type { Licence, Manifest, SignedManifest } from '../../../sites/manifest/index.ts';
import { createContentService } from '../../../sites/serve/index.ts';
import { HeldClock } from '../../clock.ts';
import { Cleanup, rawBlock, startHost, wallet, type TestHost } from '../kit.ts';
import { forged, recordOf, withManifest } from '../manifest/kit.ts';
import { startFront, type Answer, type AskOptions, type Front, type FrontOptions } from './kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const NAME = 'demo.web3';
const MANIFEST_CODEC = 0x71;
const SECRET = 'only-for-who-has-a-manifest';
const FILES = { 'index.html': `<h1>${SECRET}</h1>`, 'a.txt': SECRET, '404.html': SECRET };
const STRANGER = wallet(9);
const LICENCE: Licence = {
  permits: { usage: ['search'], user: [], geo: [] },
  prohibits: { usage: ['ai-train'], user: [], geo: [] },
  payment: 'attribution',
};

interface Told extends Front {
  /** Publishes files, with what the record says then. */
  readonly tell: (record: NameRecord) => void;
  /** The host keeps the block for the name. */
  readonly keep: (name: string, manifest: Pick<SignedManifest, 'cid' | 'block'>) => Promise<void>;
  /** How often a block of a manifest was asked for. */
  readonly fetched: () => number;
}

/** `holding`: blocks of manifests come when it is let go. */
async function front({ holding, ...options }: FrontOptions & { readonly holding?: Holding } = {}): Promise<Told> {
  let fetched = 0;
  const counting = (inner: ContentSource): ContentSource => ({
    open: async (site, how) => {
      const content = await inner.open(site, how);
      holding?.happened('open');
      return {
        get: async (cid, given = {}) => {
          const block = await content.get(cid, given);
          if (cid.code !== MANIFEST_CODEC) return block;
          fetched += 1;
          holding?.happened('fetch');
          await orAborted(holding?.until ?? Promise.resolve(), given.signal, 'Waiting for a test');
          return block;
        },
        close: () => content.close(),
      };
    },
  });
  const opened = await startFront(cleanup, { content: counting, ...options });
  return {
    ...opened,
    fetched: () => fetched,
    tell: (record) => void opened.ledger.records.set(record.name, record),
    keep: async (name, { cid, block }) => {
      await using session = opened.host.store.begin();
      await session.put(cid, block);
      await session.pin(name, cid);
    },
  };
}

/** Keeps manifests back, and says what happens meanwhile. */
class Holding {
  readonly until: Promise<void>;
  letGo: () => void = () => undefined;
  readonly #events = new EventEmitter();
  readonly #counts = { open: 0, fetch: 0 };

  constructor() {
    this.until = new Promise((resolve) => (this.letGo = resolve));
  }

  happened(what: 'open' | 'fetch'): void {
    this.#counts[what] += 1;
    this.#events.emit(what);
  }

  /** Once it happened so often, and what follows at once has followed. */
  async happens(what: 'open' | 'fetch', times: number): Promise<void> {
    while (this.#counts[what] < times) await once(this.#events, what);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** A name with files and a sound manifest, which the host keeps. */
async function sound(
  at: Told,
  {
    name = NAME,
    files = FILES,
    change = {},
  }: { name?: string; files?: Record<string, string>; change?: Partial<Manifest> } = {},
): Promise<{ readonly record: NameRecord; readonly signed: SignedManifest }> {
  const root = await at.publish(name, files);
  const record = recordOf(at.ledger.register(name, root.bytes));
  const made = await withManifest(record, { change });
  await at.keep(name, made.signed);
  at.tell(made.record);
  return made;
}

const QUESTIONS: readonly (readonly [string, AskOptions])[] = [
  ['/', {}],
  ['/', { method: 'HEAD' }],
  ['/a.txt', {}],
  ['/a.txt', { headers: { Range: 'bytes=0-3' } }],
  ['/nothing', {}],
  ['/?format=raw', {}],
  ['/?format=car', {}],
  ['/a.txt?format=tar', {}],
  ['/.well-known/relaymint/manifest.json', {}],
  ['/license.xml', {}],
];

/** What visitors get, whatever they ask for. */
async function answers(at: Front, host?: string): Promise<readonly Answer[]> {
  const all: Answer[] = [];
  for (const [path, how] of QUESTIONS) all.push(await at.get(path, { ...how, ...(host && { host }) }));
  return all;
}

/** The statuses, and whether anything of the site was among them. */
function seen(all: readonly Answer[]): object {
  return {
    statuses: Array.from(new Set(all.map(({ status }) => status))),
    leaks: all.some(
      ({ text, headers }) => (text + JSON.stringify(headers)).includes(SECRET) || 'x-ipfs-roots' in headers,
    ),
  };
}

const REFUSED = { statuses: [502], leaks: false };

describe('a name whose record names a manifest', () => {
  it('is served once it is verified', async () => {
    const at = await front();
    await sound(at);
    expect((await at.get('/')).text).toContain(SECRET);
    expect((await at.get('/a.txt')).text).toBe(SECRET);
    expect(at.fetched()).toBe(1);
  });

  it.each<
    readonly [
      string,
      (record: NameRecord) => Promise<{ record: NameRecord; signed: Pick<SignedManifest, 'cid' | 'block'> }>,
    ]
  >([
    [
      'is unsigned',
      async (record) => {
        const { record: named, signed } = await withManifest(record, {
          key: { ...STRANGER, sign: () => new Uint8Array(64) },
        });
        return { record: named, signed };
      },
    ],
    ['is signed by a stranger', (record) => withManifest(record, { key: STRANGER })],
    [
      'is of the former owner',
      async (record) => {
        const made = await withManifest(record);
        return { ...made, record: { ...made.record, owner: STRANGER.address, manager: STRANGER.address } };
      },
    ],
    ['is for another name', (record) => withManifest(record, { change: { name: 'other.web3' } })],
    ['is about another root', (record) => withManifest(record, { change: { root: rawBlock('else').cid } })],
    [
      'states another royalty than the chain',
      (record) => withManifest(record, { change: { royaltyBps: basisPoints(1) } }),
    ],
    [
      "states another referrer's share than the chain",
      (record) => withManifest(record, { change: { referrerBps: basisPoints(1) } }),
    ],
    [
      'is of another version',
      async (record) => {
        const signed = forged((body) => ({ ...body, version: 2 }), record);
        return { record: { ...record, manifest: signed.cid.bytes }, signed };
      },
    ],
    [
      'has a field too many',
      async (record) => {
        const signed = forged((body) => ({ ...body, free: true }), record);
        return { record: { ...record, manifest: signed.cid.bytes }, signed };
      },
    ],
    [
      'is a page of the site',
      async (record) => {
        const signed = rawBlock(SECRET);
        return { record: { ...record, manifest: signed.cid.bytes }, signed };
      },
    ],
  ])('is not served when that %s', async (_, make) => {
    const at = await front();
    const root = await at.publish(NAME, FILES);
    const { record, signed } = await make(recordOf(at.ledger.register(NAME, root.bytes)));
    await at.keep(NAME, signed);
    at.tell(record);
    const all = await answers(at);
    expect(seen(all)).toEqual(REFUSED);
    expect(all[0]?.text).toContain('MANIFEST_INVALID');
    // It stays bad, and nobody pays for it again.
    expect(at.fetched()).toBeLessThanOrEqual(1);
  });

  it('is not served when hosts withhold it', async () => {
    const at = await front();
    const root = await at.publish(NAME, FILES);
    at.tell((await withManifest(recordOf(at.ledger.register(NAME, root.bytes)))).record);
    expect(seen(await answers(at))).toEqual(REFUSED);
  });

  it('is not served when a host sends another block for it', async () => {
    const host: TestHost = await startHost(cleanup);
    const at = await front({ host });
    const { signed } = await sound(at);
    const { signed: other } = await withManifest(recordOf(at.ledger.register(NAME, signed.manifest.root.bytes)), {
      key: STRANGER,
    });
    await at.keep(NAME, other);
    // Says of each manifest that it is the other one.
    const lying = createContentService({
      store: {
        ...host.store,
        pins: (name) => host.store.pins(name),
        pinsWith: (name, cid) => host.store.pinsWith(name, cid),
        get: (cid, how) => host.store.get(cid.equals(signed.cid) ? other.cid : cid, how),
      },
    });
    const liar = await startHost(cleanup, { content: lying });
    const misled = await front({ host: liar });
    misled.tell(at.ledger.records.get(NAME) as NameRecord);
    misled.tell({ ...(at.ledger.records.get(NAME) as NameRecord), manifest: signed.cid.bytes });
    expect(seen(await answers(misled))).toEqual(REFUSED);
  });

  it('is verified once for all who come at once', async () => {
    const holding = new Holding();
    const at = await front({ holding });
    await sound(at);
    const visits = Array.from({ length: 10 }, () => at.get('/a.txt'));
    await holding.happens('open', 10);
    holding.letGo();
    expect((await Promise.all(visits)).map(({ text }) => text)).toEqual(Array(10).fill(SECRET));
    expect(at.fetched()).toBe(1);
  });

  it('is verified for the others when the visitor who came first leaves', async () => {
    const holding = new Holding();
    const at = await front({ holding });
    await sound(at);
    const leaving = new AbortController();
    const headers = { host: `demo-web3.localhost:${at.port}` };
    const first = request({ port: at.port, host: '127.0.0.1', path: '/', headers, signal: leaving.signal }).end();
    const left = once(first, 'error');
    await holding.happens('fetch', 1);
    const second = at.get('/a.txt');
    await holding.happens('open', 2);
    leaving.abort();
    await left;
    await holding.happens('fetch', 2);
    holding.letGo();
    expect((await second).text).toBe(SECRET);
  });

  it('is not shown from what was kept once its record is another one', async () => {
    const clock = new HeldClock();
    const at = await front({ keeping: clock });
    const { record } = await sound(at);
    expect([(await at.get('/')).status, (await at.get('/')).status]).toEqual([200, 200]);
    // The same content, given to somebody else who has not published yet.
    at.tell({ ...record, seq: record.seq + 1n, owner: STRANGER.address, manager: STRANGER.address });
    clock.advance(NAME_CACHE_MILLIS);
    expect(seen(await answers(at))).toEqual(REFUSED);
    expect(seen(await answers(at))).toEqual(REFUSED);
  });

  it('is shown again once its new owner has published', async () => {
    const at = await front();
    const { record } = await sound(at);
    const given = { ...record, seq: record.seq + 1n, owner: STRANGER.address, manager: STRANGER.address };
    at.tell(given);
    expect((await at.get('/')).status).toBe(502);
    const { record: named, signed } = await withManifest({ ...given, seq: given.seq + 1n }, { key: STRANGER });
    await at.keep(NAME, signed);
    at.tell(named);
    expect((await at.get('/a.txt')).text).toBe(SECRET);
  });
});

describe('a name without a manifest', () => {
  it('is served as ever if it is a site', async () => {
    const at = await front();
    await at.publish(NAME, FILES);
    const { status, headers } = await at.get('/a.txt');
    expect([status, headers['link']]).toEqual([200, undefined]);
    expect((await at.get('/.well-known/relaymint/manifest.json')).status).toBe(404);
  });

  it.each(['cat.image', 'film.video', 'town.map'])('is not served as %s', async (name) => {
    const at = await front();
    await at.publish(name, FILES);
    const host = `${name.replace('.', '-')}.localhost`;
    const all = await answers(at, host);
    expect(seen(all)).toEqual(REFUSED);
    expect(all[0]?.text).toContain('MANIFEST_INVALID');
  });

  it('is an image once it has one', async () => {
    const at = await front();
    await sound(at, { name: 'cat.image', change: { kind: 'image', mediaType: 'image/png' } });
    expect((await at.get('/a.txt', { host: 'cat-image.localhost' })).text).toBe(SECRET);
  });
});

describe('what a site origin says of its terms', () => {
  it('is the manifest as JSON', async () => {
    const at = await front();
    const { signed } = await sound(at, {
      files: { ...FILES, '.well-known/relaymint/manifest.json': '{"creator":"somebody else"}' },
    });
    for (const path of [
      '/.well-known/relaymint/manifest%2Ejson',
      '//.well-known/relaymint/manifest.json',
      '/.well-known//relaymint/manifest.json',
      '/.well-known/relaymint/manifest.json?format=raw',
    ]) {
      expect((await at.get(path)).text).not.toContain('somebody else');
    }
    const { headers, text } = await at.get('/.well-known/relaymint/manifest.json');
    expect(headers['content-type']).toMatch(/^application\/json/);
    expect(JSON.parse(text)).toMatchObject({ cid: signed.cid.toString(), creator: 'Ana Lima', name: NAME });
    const again = await at.get('/.well-known/relaymint/manifest.json', {
      headers: { 'If-None-Match': headers.etag ?? '' },
    });
    expect(again.status).toBe(304);
  });

  it('is RSL, and a link to it from all answers', async () => {
    const at = await front();
    await sound(at, { change: { licence: LICENCE } });
    const { headers, text } = await at.get('/license.xml');
    expect(headers['content-type']).toMatch(/^application\/rsl\+xml/);
    expect(text).toContain('<prohibits type="usage">ai-train</prohibits>');
    const link = '</license.xml>; rel="license"; type="application/rsl+xml"';
    for (const [path, how] of QUESTIONS) expect((await at.get(path, how)).headers['link']).toBe(link);
  });

  it('is the file of the site where it has one, and the link beside its own links', async () => {
    const at = await front();
    const own = { 'license.xml': '<rsl>mine</rsl>', _headers: '/*\n  Link: </a.css>; rel=preload' };
    await sound(at, { files: { ...FILES, ...own }, change: { licence: LICENCE } });
    const { headers, text } = await at.get('/license.xml');
    expect(text).toBe('<rsl>mine</rsl>');
    expect(headers['link']).toContain('rel="license"');
    expect(headers['link']).toContain('rel=preload');
  });

  it('is nothing where there is no licence', async () => {
    const at = await front();
    await sound(at);
    const { status, headers } = await at.get('/license.xml');
    expect([status, headers['link']]).toEqual([404, undefined]);
  });
});
