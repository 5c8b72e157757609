/** Pictures that have other forms beside them: who gets which, and that the picture itself stays what it is. */
import { createHash } from 'node:crypto';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { NAME_CACHE_MILLIS } from '../../../core/limits.ts';
import type { ContentSource } from '../../../sites/blocks/index.ts';
import { AcceptedTypes } from '../../../sites/gateway/accepted-types.ts';
import { HeldClock } from '../../clock.ts';
import { headOf } from '../media/heads.ts';
import { Cleanup, rawBlock } from '../kit.ts';
import { declare, startFront, type Answer, type AskOptions, type Front, type FrontOptions } from './kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

/** A segment of JPEG (ISO 10918-1): its marker, its length, what is in it. */
function segment(marker: number, content: string): Buffer {
  const head = Buffer.from([0xff, marker, 0, 0]);
  head.writeUInt16BE(content.length + 2, 2);
  return Buffer.concat([head, Buffer.from(content, 'latin1')]);
}

/** With what says who made it: XMP, and a box of C2PA. */
const JPEG = Buffer.concat([
  Buffer.from([0xff, 0xd8]),
  segment(0xe1, 'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'),
  segment(0xeb, 'JP\0\x01\0\0\0\x01\0\0\0\x20jumb\0\0\0\x18jumdc2pa\0\x11\0\x10'),
  Buffer.alloc(4_000, 'scan'),
  Buffer.from([0xff, 0xd9]),
]);
const WEBP = Buffer.concat([headOf('a.webp'), Buffer.alloc(2_000, 'webp')]);
const AVIF = Buffer.concat([headOf('a.avif'), Buffer.alloc(1_000, 'avif')]);
const CHROMIUM = 'image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8';
const SAFARI_14 = 'image/webp,image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5';
const NAVIGATION = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8';
const FILES = {
  'photo.jpg': JPEG,
  'photo.jpg.avif': AVIF,
  'photo.jpg.webp': WEBP,
  'only.png': headOf('a.png'),
  'index.html': '<img src=photo.jpg>',
};
const FORMS = new Map([
  ['jpeg', JPEG],
  ['webp', WEBP],
  ['avif', AVIF],
]);

async function gallery(
  files: Readonly<Record<string, string | Uint8Array>> = FILES,
  options: FrontOptions = {},
): Promise<Front> {
  const front = await startFront(cleanup, options);
  await front.publish('demo.web3', files);
  return front;
}

function accepting(accept: string, headers: Readonly<Record<string, string>> = {}): AskOptions {
  return { headers: { accept, ...headers } };
}

/** Which one it is, by all that says so. */
function formOf({ status, headers, body }: Answer): string {
  const form = headers['content-type']?.replace('image/', '') ?? '';
  const bytes = FORMS.get(form) ?? Buffer.alloc(0);
  const isWhole =
    headers['etag'] === tagOf(bytes) && body.equals(bytes) && headers['vary'] === 'Accept, Accept-Encoding';
  return `${status} ${isWhole ? form : 'something else'}`;
}

function tagOf(bytes: Uint8Array): string {
  return `"${rawBlock(bytes).cid.toString()}"`;
}

describe('what a visitor takes', () => {
  it.each([
    [undefined, false],
    ['', false],
    ['*/*', false],
    ['image/*', false],
    ['image/webp', true],
    ['IMAGE/WebP ; Q=0.3', true],
    ['image/webp, */*', true],
    ['image/webp;q=0.9, */*', false],
    ['image/webp;q=0, */*', false],
    ['image/jpeg;q=0, */*', true],
    ['image/jpeg;q=0, image/*;q=0.1', true],
    ['image/jpeg;q=0.2, image/*;q=0.9', true],
    ['image/webp, image/jpeg', true],
    ['image/webp;q=0.5, image/jpeg;q=0.6', false],
    ['image/webp;q=words, image/jpeg;q=0', false],
    ['image/webp;q=1.5', false],
    ['image/webp;profile=x', false],
    ['text/html, image/webp;q=0', false],
    ['image/jpeg', false],
  ])('by Accept: %s', (header, isPreferred) => {
    expect(new AcceptedTypes(header).prefers('image/jpeg', 'image/webp')).toBe(isPreferred);
  });

  it('is looked for in a bounded number of ranges', () => {
    const many = `${'text/x, '.repeat(32)}image/webp`;
    expect(new AcceptedTypes(many).prefers('image/jpeg', 'image/webp')).toBe(false);
  });
});

describe('a picture with forms beside it', () => {
  it.each([
    [CHROMIUM, 'avif'],
    [NAVIGATION, 'avif'],
    [SAFARI_14, 'webp'],
    ['image/webp;q=0.9,image/avif;q=0.8,*/*;q=0.1', 'webp'],
    ['*/*', 'jpeg'],
    ['image/*', 'jpeg'],
    ['image/jpeg', 'jpeg'],
    ['text/html', 'jpeg'],
    ['image/avif;q=0,image/webp;q=0,*/*', 'jpeg'],
  ])('is sent to who takes %s', async (accept, form) => {
    const front = await gallery();
    const answer = await front.get('/photo.jpg', accepting(accept));
    expect(formOf(answer)).toBe(`200 ${form}`);
    const head = await front.get('/photo.jpg', { method: 'HEAD', ...accepting(accept) });
    for (const name of ['content-type', 'content-length', 'etag', 'vary', 'accept-ranges', 'x-ipfs-roots']) {
      expect([name, head.headers[name]]).toEqual([name, answer.headers[name]]);
    }
    expect(String(answer.headers['x-ipfs-roots']).split(',').at(-1)).toBe(answer.headers['etag']?.slice(1, -1));
  });

  it('can always be had as it is, with what it says of its maker', async () => {
    const front = await gallery();
    for (const [path, accept] of [
      ['/photo.jpg?original', CHROMIUM],
      ['/photo.jpg?original=true', CHROMIUM],
      ['/photo.jpg?download=true', NAVIGATION],
      ['/photo.jpg', 'image/jpeg'],
    ] as const) {
      const answer = await front.get(path, accepting(accept));
      expect([path, formOf(answer)]).toEqual([path, '200 jpeg']);
    }
    const raw = await front.get('/photo.jpg?format=raw', accepting(CHROMIUM));
    const hash = createHash('sha256').update(raw.body).digest('hex');
    expect(hash).toBe(createHash('sha256').update(JPEG).digest('hex'));
    expect((await front.get('/photo.jpg.webp', accepting('*/*'))).body.equals(WEBP)).toBe(true);
  });

  it('is cut and compared by the tag of its form', async () => {
    const front = await gallery();
    const ask = (headers: Record<string, string>) => front.get('/photo.jpg', accepting(CHROMIUM, headers));
    const part = await ask({ range: 'bytes=10-19' });
    expect([part.status, part.headers['content-range']]).toEqual([206, `bytes 10-19/${AVIF.length}`]);
    expect(part.body.equals(AVIF.subarray(10, 20))).toBe(true);
    expect((await ask({ range: 'bytes=-4', 'if-range': tagOf(AVIF) })).body.equals(AVIF.subarray(-4))).toBe(true);
    expect(formOf(await ask({ range: 'bytes=0-3', 'if-range': tagOf(JPEG) }))).toBe('200 avif');
    expect((await ask({ range: 'bytes=900000-' })).headers['content-range']).toBe(`bytes */${AVIF.length}`);

    const same = await ask({ 'if-none-match': `"x", ${tagOf(AVIF)}` });
    expect([same.status, same.headers['etag'], same.headers['vary']]).toEqual([
      304,
      tagOf(AVIF),
      'Accept, Accept-Encoding',
    ]);
    // It is not the form that this visitor is sent.
    expect(formOf(await ask({ 'if-none-match': tagOf(JPEG) }))).toBe('200 avif');
    expect((await front.get('/photo.jpg', accepting('*/*', { 'if-none-match': tagOf(AVIF) }))).status).toBe(200);
    expect(formOf(await ask({ 'if-match': tagOf(JPEG) }))).toBe('200 jpeg');
    expect(formOf(await ask({ 'if-match': tagOf(WEBP) }))).toBe('200 webp');
    expect((await ask({ 'if-match': '"x"' })).status).toBe(412);
  });

  it('is not fetched where a form is sent, and the form not where a visitor has it', async () => {
    const front = await gallery();
    const read = vi.spyOn(front.host.store, 'get');
    const asked = (): string[] => read.mock.calls.map(([cid]) => `"${cid.toString()}"`);
    await front.get('/photo.jpg', accepting(CHROMIUM));
    expect(asked()).toContain(tagOf(AVIF));
    expect(asked()).not.toContain(tagOf(JPEG));
    read.mockClear();
    await front.get('/photo.jpg', accepting(CHROMIUM, { 'if-none-match': tagOf(AVIF) }));
    expect(asked()).not.toContain(tagOf(AVIF));
  });

  it('is sent itself where a form is not what its name says, a folder, or one of another file', async () => {
    const front = await gallery({
      'photo.jpg': JPEG,
      'photo.jpg.avif': '<!doctype html><script>alert(1)</script>',
      'photo.jpg.webp/index.html': 'a folder',
      'drawing.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>',
      'drawing.svg.webp': WEBP,
      'folder.jpg/index.html': 'a folder',
      'folder.jpg.webp': WEBP,
      'small.webp': WEBP,
      'small.webp.webp': WEBP,
    });
    expect(formOf(await front.get('/photo.jpg', accepting(CHROMIUM)))).toBe('200 jpeg');
    expect((await front.get('/drawing.svg', accepting(CHROMIUM))).headers['content-type']).toContain('svg');
    expect((await front.get('/folder.jpg', accepting(CHROMIUM))).status).toBe(302);
    expect((await front.get('/folder.jpg/', accepting(CHROMIUM))).text).toBe('a folder');
    expect(formOf(await front.get('/small.webp', accepting(CHROMIUM)))).toBe('200 webp');
    expect((await front.get('/small.jpg', accepting(CHROMIUM))).status).toBe(404);
  });

  it('is what the site says it is', async () => {
    const front = await gallery({ ...FILES, _headers: '/photo.jpg\n  Content-Type: image/jpeg\n' });
    expect(formOf(await front.get('/photo.jpg', accepting(CHROMIUM)))).toMatch(/something else$/);
    expect((await front.get('/photo.jpg', accepting(CHROMIUM))).body.equals(JPEG)).toBe(true);
  });

  it('is not mixed up with its forms by what is kept', async () => {
    const clock = new HeldClock();
    const front = await gallery(FILES, { keeping: clock });
    const turns = [CHROMIUM, '*/*', SAFARI_14, 'image/jpeg', CHROMIUM, SAFARI_14, '*/*', 'undefined'];
    const seen: string[] = [];
    for (const accept of turns) seen.push(formOf(await front.get('/photo.jpg', accepting(accept))));
    // And once more, from what was kept.
    const read = vi.spyOn(front.host.store, 'get');
    for (const accept of turns) seen.push(formOf(await front.get('/photo.jpg', accepting(accept))));
    const once = ['avif', 'jpeg', 'webp', 'jpeg', 'avif', 'webp', 'jpeg', 'jpeg'].map((form) => `200 ${form}`);
    expect(seen).toEqual([...once, ...once]);
    expect(read).not.toHaveBeenCalled();
    clock.advance(NAME_CACHE_MILLIS);
    expect(formOf(await front.get('/photo.jpg', {}))).toBe('200 jpeg');
    expect(formOf(await front.get('/photo.jpg', accepting('')))).toBe('200 jpeg');
  });

  it('is paid for as the name that it is shown under, whichever form is sent', async () => {
    const paid: string[] = [];
    const content = (inner: ContentSource): ContentSource => ({
      open: async (site, how) => {
        const opened = await inner.open(site, how);
        return {
          get: async (cid, options) => {
            paid.push(`${site.name} in ${site.referrer ?? 'its own page'}: "${cid.toString()}"`);
            return await opened.get(cid, options);
          },
          close: () => opened.close(),
        };
      },
    });
    const front = await startFront(cleanup, { content });
    await front.publish('cat.image', FILES);
    await declare(front, 'cat.image', { kind: 'image', mediaType: 'image/jpeg', embedding: 'anybody' });
    const embedding = {
      'sec-fetch-site': 'cross-site',
      'sec-fetch-mode': 'no-cors',
      'sec-fetch-dest': 'image',
      referer: `http://news-web3.localhost:${front.port}/`,
    };
    for (const headers of [{}, embedding]) {
      const answer = await front.get('/photo.jpg', { host: 'cat-image.localhost', ...accepting(CHROMIUM, headers) });
      expect(answer.body.equals(AVIF)).toBe(true);
    }
    expect(paid).toContain(`cat.image in its own page: ${tagOf(AVIF)}`);
    expect(paid).toContain(`cat.image in news.web3: ${tagOf(AVIF)}`);
  });
});
