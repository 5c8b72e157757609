/** Pictures and films under a manifest, before a gateway: what they are said to be is what they are, or they are not shown. */
import { gzipSync, brotliCompressSync } from 'node:zlib';
import { importer } from 'ipfs-unixfs-importer';
import { fixedSize } from 'ipfs-unixfs-importer/chunker';
import type { CID } from 'multiformats/cid';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DRAWING_POLICY } from '../../../sites/gateway/declared.ts';
import { headOf } from '../media/heads.ts';
import { Cleanup, rawBlock } from '../kit.ts';
import { declare, startFront, type Answer, type AskOptions, type Front } from './kit.ts';

const cleanup = new Cleanup();
let front: Front;
beforeEach(async () => {
  front = await startFront(cleanup);
});
afterEach(() => cleanup.run());

const NAME = 'cat.image';
const PAGE = '<!doctype html><script>document.title = "mine"</script>';
const DRAWING = `<svg xmlns="http://www.w3.org/2000/svg"><!-- ${'x'.repeat(2_000)} --><script>alert(1)</script></svg>`;

async function shows(
  files: Readonly<Record<string, string | Uint8Array>>,
  { name = NAME, mediaType = 'image/png' }: { readonly name?: string; readonly mediaType?: string } = {},
): Promise<void> {
  await front.publish(name, files);
  await declare(front, name, { kind: name.endsWith('.image') ? 'image' : 'video', mediaType, embedding: 'anybody' });
}

function ask(path: string, options: AskOptions = {}): Promise<Answer> {
  return front.get(path, { host: 'cat-image.localhost', ...options });
}

/** A file of three bytes to a block, which the host keeps. */
async function inPieces(bytes: Uint8Array): Promise<CID> {
  await using session = front.host.store.begin();
  const storage = {
    put: async (cid: CID, block: Uint8Array | AsyncIterable<Uint8Array>) => {
      if (!(block instanceof Uint8Array)) throw new TypeError('whole blocks');
      await session.put(cid, block);
      return cid;
    },
  };
  const options = { profile: 'unixfs-v1-2025', chunker: fixedSize({ chunkSize: 3 }) } as const;
  let root: CID | undefined;
  for await (const { cid } of importer([{ content: bytes }], storage, options)) root = cid;
  if (root === undefined) throw new Error('nothing was imported');
  await session.pin(NAME, root);
  return root;
}

const REFUSED = [502, 'text/html; charset=utf-8', true] as const;
function seen({ status, headers, text }: Answer): readonly unknown[] {
  return [status, headers['content-type'], text.includes('CONTENT_REFUSED')];
}

describe('what a manifest declares', () => {
  it('is shown where its first bytes say the same', async () => {
    await shows({ 'a.png': headOf('a.png'), 'index.html': PAGE, 'notes.txt': PAGE });
    const picture = await ask('/a.png');
    expect([picture.status, picture.headers['content-type'], picture.body.equals(headOf('a.png'))]).toEqual([
      200,
      'image/png',
      true,
    ]);
    expect(picture.headers['x-content-type-options']).toBe('nosniff');
    expect((await ask('/')).text).toBe(PAGE);
    expect((await ask('/notes.txt')).headers['content-type']).toBe('text/plain; charset=utf-8');
  });

  it.each([
    ['a page', PAGE],
    ['a script', 'alert(1)'],
    ['an archive', headOf('a.zip')],
    ['another picture', headOf('a.jpg')],
    ['nothing', ''],
  ])('is never %s', async (_, bytes) => {
    await shows({ 'a.png': bytes });
    const asked: readonly AskOptions[] = [
      {},
      { method: 'HEAD' },
      { headers: { range: 'bytes=3-' } },
      { headers: { range: 'bytes=0-0,2-2' } },
      { headers: { 'accept-encoding': 'gzip' } },
      { headers: { 'accept-encoding': 'gzip, identity;q=0' } },
    ];
    const answers = await Promise.all(asked.map((options) => ask('/a.png', options)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([502]));
    expect(seen(await ask('/a.png'))).toEqual(REFUSED);
    expect(answers.map(({ text }) => text).join()).not.toMatch(/document\.title|alert/);
  });

  it('says in words what is wrong', async () => {
    await shows({ 'a.png': PAGE });
    expect((await ask('/a.png')).text).toContain('/a.png is a page of HTML, and is said to be image/png.');
  });

  it('leaves other pictures in peace, but no page that is called one', async () => {
    await shows({ 'a.jpg': headOf('a.webp'), 'b.webp': PAGE, 'c.mp4': DRAWING, 'd.ogg': headOf('a.ogg') });
    const all = await Promise.all(['/a.jpg', '/b.webp', '/c.mp4', '/d.ogg'].map((path) => ask(path)));
    expect(all.map(({ status }) => status)).toEqual([200, 502, 502, 200]);
  });

  it('counts for a film too, whichever part of it is asked for', async () => {
    const film = Buffer.concat([headOf('a.webm'), Buffer.alloc(3_000_000, 7)]);
    await shows(
      { 'a.webm': film, 'b.webm': Buffer.concat([Buffer.from(PAGE), film]) },
      { name: 'cat.video', mediaType: 'video/webm' },
    );
    const at = { host: 'cat-video.localhost', headers: { range: 'bytes=2500000-2500009' } };
    const [part, other] = [await front.get('/a.webm', at), await front.get('/b.webm', at)];
    expect([part.status, part.body.equals(film.subarray(2_500_000, 2_500_010))]).toEqual([206, true]);
    expect(seen(other)).toEqual(REFUSED);
    // Once is enough for what never changes.
    const read = vi.spyOn(front.host.store, 'get');
    await front.get('/a.webm', at);
    const first = rawBlock(film.subarray(0, 1024 * 1024)).cid.toString();
    expect(read.mock.calls.map(([cid]) => cid.toString())).not.toContain(first);
  });

  it('is told by all of its beginning, in however many pieces it comes, also of a root that is a file', async () => {
    await shows({ 'index.html': PAGE });
    const picture = Buffer.from(headOf('a.png'));
    for (const [bytes, status] of [
      [picture, 200],
      [Buffer.concat([picture.subarray(0, 8), Buffer.from(PAGE)]), 200],
      [Buffer.concat([picture.subarray(0, 7), Buffer.from(PAGE)]), 502],
      [Buffer.from(PAGE), 502],
    ] as const) {
      front.ledger.register(NAME, (await inPieces(bytes)).bytes);
      await declare(front, NAME, { kind: 'image', mediaType: 'image/png' });
      const answer = await ask('/');
      expect((await ask('/below')).status).toBe(404);
      expect([answer.status, answer.headers['content-type']]).toEqual([
        status,
        status === 200 ? 'image/png' : REFUSED[1],
      ]);
    }
  });

  it('is not asked of a site', async () => {
    await front.publish('demo.web3', { 'a.png': PAGE });
    const { status, headers } = await front.get('/a.png');
    expect([status, headers['content-type'], headers['x-content-type-options']]).toEqual([200, 'image/png', 'nosniff']);
  });
});

describe('a drawing that can hold script', () => {
  it('is sandboxed in every form, beside what the site says itself', async () => {
    await shows(
      {
        'a.svg': DRAWING,
        'b.svg': DRAWING,
        'b.svg.br': brotliCompressSync(DRAWING),
        'c.svgz': gzipSync(DRAWING),
        'a.png': headOf('a.png'),
        _headers: '/*\n  Content-Security-Policy: img-src *\n',
      },
      { mediaType: 'image/svg+xml' },
    );
    const policies = async (path: string, options: AskOptions = {}): Promise<unknown> => {
      const { status, headers } = await ask(path, options);
      return [status, headers['content-security-policy']];
    };
    const both = `img-src *, ${DRAWING_POLICY}`;
    expect(await policies('/a.svg')).toEqual([200, both]);
    expect(await policies('/a.svg', { method: 'HEAD' })).toEqual([200, both]);
    expect(await policies('/a.svg', { headers: { range: 'bytes=0-9' } })).toEqual([206, both]);
    expect(await policies('/a.svg', { headers: { 'accept-encoding': 'gzip' } })).toEqual([200, both]);
    expect(await policies('/b.svg', { headers: { 'accept-encoding': 'br' } })).toEqual([200, both]);
    expect(await policies('/c.svgz')).toEqual([200, both]);
    expect(await policies('/a.png')).toEqual([200, 'img-src *']);
    // What a browser has keeps its policies: it would replace them with what this says.
    const { headers } = await ask('/a.svg');
    const again = { headers: { 'if-none-match': String(headers['etag']) } };
    expect(await policies('/a.svg', again)).toEqual([304, undefined]);
  });

  it('is none if a page is packed in its place', async () => {
    await shows(
      { 'a.svg': DRAWING, 'a.svg.br': brotliCompressSync(PAGE), 'c.svgz': gzipSync(PAGE) },
      { mediaType: 'image/svg+xml' },
    );
    expect(seen(await ask('/a.svg', { headers: { 'accept-encoding': 'br' } }))).toEqual(REFUSED);
    expect(seen(await ask('/c.svgz'))).toEqual(REFUSED);
    expect((await ask('/a.svg')).status).toBe(200);
  });
});
