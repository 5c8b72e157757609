/** Forms and thumbnails that are made of a folder's pictures. */
import { mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { crc32, deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makePictures, type MadePictures, type MakeOptions } from '../../../sites/media/index.ts';
import { importPath } from '../../../sites/unixfs/index.ts';
import { Cleanup, temporaryFolder, writeTree } from '../kit.ts';

const cleanup = new Cleanup();
/** A package that nobody has. */
const NOWHERE: string = 'relaymint-has-no-such-package';
let folder: string;
let into: string;
beforeEach(async () => {
  folder = await temporaryFolder(cleanup);
  into = await temporaryFolder(cleanup);
});
afterEach(() => cleanup.run());

const { signal } = new AbortController();

function make(change: Partial<MakeOptions> = {}): Promise<MadePictures> {
  return makePictures({ folder, into, widths: [80, 4_000], signal, ...change });
}

const DAWN = path.resolve(import.meta.dirname, '../../../examples/town/lighthouse/dawn.webp');

function picture(width: number, height: number): ReturnType<typeof sharp> {
  return sharp(DAWN).resize(width, height, { fit: 'fill' });
}

/** A pattern that PNG packs to nothing, and that is hard for formats of photos. */
function pattern(width: number, height: number): ReturnType<typeof sharp> {
  const raw = Buffer.alloc(width * height * 3, Buffer.from([0, 255, 9, 200, 1, 90, 255]));
  return sharp(raw, { raw: { width, height, channels: 3 } });
}

function photo(): Promise<Buffer> {
  const gps = { GPSLatitudeRef: 'N', GPSLatitude: '38/1 43/1 0/1' };
  return picture(240, 120)
    .jpeg({ quality: 98 })
    .withMetadata({ orientation: 6 })
    .withExif({ IFD0: { Artist: 'whose-camera' }, IFD3: gps })
    .toBuffer();
}

function chunk(type: string, content: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type), content]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(content.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

/** A few hundred bytes that unpack to as many pixels as one likes. */
function bomb(side: number): Buffer {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(side, 0);
  head.writeUInt32BE(side, 4);
  head[8] = 1;
  const row = Buffer.alloc(1 + Math.ceil(side / 8));
  return Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(Buffer.alloc(row.length * 100))),
    chunk('IEND', new Uint8Array(0)),
  ]);
}

/** All that is known of the files of a folder. */
async function stateOf(where: string): Promise<readonly unknown[]> {
  const names = (await readdir(where, { recursive: true })).toSorted();
  return await Promise.all(
    names.map(async (name) => {
      const { mtimeMs, ctimeMs, size } = await stat(path.join(where, name));
      return [name, mtimeMs, ctimeMs, size];
    }),
  );
}

async function contents({ beside }: MadePictures): Promise<ReadonlyMap<string, Buffer>> {
  return new Map(await Promise.all(Array.from(beside, async ([at, file]) => [at, await readFile(file)] as const)));
}

describe('what is made of a picture', () => {
  it('is smaller forms beside it and thumbnails in a folder of their own, and the picture stays as it is', async () => {
    await writeTree(folder, { 'index.html': '', 'a/photo.jpg': await photo(), 'icon.gif': 'GIF89a' });
    const before = await stateOf(folder);
    const seen: string[] = [];
    const made = await make({ onProgress: ({ done, total, path: at }) => seen.push(`${done}/${total} ${at}`) });
    expect(await stateOf(folder)).toEqual(before);
    expect([made.pictures, made.failed, seen]).toEqual([1, [], ['0/1 a/photo.jpg']]);
    const files = await contents(made);
    expect([...files.keys()].toSorted()).toEqual([
      'a/photo.jpg.avif',
      'a/photo.jpg.webp',
      'thumbnails/80/a/photo.jpg',
      'thumbnails/80/a/photo.jpg.avif',
      'thumbnails/80/a/photo.jpg.webp',
    ]);
    const sizes = await Promise.all(
      Array.from(files, async ([at, bytes]) => {
        const { format, width, height } = await sharp(bytes).metadata();
        return [at, format, width, height];
      }),
    );
    // Turned as the camera says: it lay on its side.
    expect(sizes).toEqual([
      ['a/photo.jpg.avif', 'heif', 120, 240],
      ['a/photo.jpg.webp', 'webp', 120, 240],
      ['thumbnails/80/a/photo.jpg', 'jpeg', 80, 160],
      ['thumbnails/80/a/photo.jpg.avif', 'heif', 80, 160],
      ['thumbnails/80/a/photo.jpg.webp', 'webp', 80, 160],
    ]);
    const original = await photo();
    for (const [at, bytes] of files) expect([at, bytes.length < original.length]).toEqual([at, true]);
  });

  it('says whose it is, and nothing of the camera and the place', async () => {
    await writeTree(folder, { 'photo.jpg': await photo() });
    expect((await photo()).includes('whose-camera')).toBe(true);
    const rights = { creator: 'Ana & Lima', copyright: '© 2026 <Ana>', url: 'https://example.org/by?a=1&b=2' };
    for (const [at, bytes] of await contents(await make({ rights }))) {
      expect([at, bytes.includes('whose-camera'), bytes.includes('GPS')]).toEqual([at, false, false]);
      const { exif, xmp } = await sharp(bytes).metadata();
      expect([at, exif]).toEqual([at, undefined]);
      const told = xmp?.toString() ?? '';
      expect(told).toContain('<xmpRights:WebStatement>https://example.org/by?a=1&amp;b=2</xmpRights:WebStatement>');
      expect(told).toContain('Ana &amp; Lima');
      expect(told).toContain('© 2026 &lt;Ana&gt;');
    }
    for (const [at, bytes] of await contents(await make())) {
      const { exif, xmp } = await sharp(bytes).metadata();
      expect([at, exif, xmp]).toEqual([at, undefined, undefined]);
    }
  });

  it('is the same each time, made once, and forgotten with its picture', async () => {
    await writeTree(folder, { 'photo.jpg': await photo(), 'b.png': await picture(100, 80).png().toBuffer() });
    const [one, other] = [await make(), await make({ into: await temporaryFolder(cleanup) })];
    expect(await contents(one)).toEqual(await contents(other));
    const before = await stateOf(into);
    expect(await contents(await make())).toEqual(await contents(one));
    expect(await stateOf(into)).toEqual(before);
    await writeFile(path.join(folder, 'b.png'), await picture(90, 80).png().toBuffer());
    await writeFile(path.join(into, 'mine'), 'somebody else put it there');
    const next = await make({ widths: [] });
    expect(new Set(next.beside.keys())).toEqual(
      new Set(['photo.jpg.avif', 'photo.jpg.webp', 'b.png.avif', 'b.png.webp']),
    );
    expect((await readdir(into)).length).toBe(5);
  });

  it('is nothing where it would be larger, and no form of a picture in its own kind', async () => {
    await writeTree(folder, {
      'pattern.png': await pattern(63, 60).png().toBuffer(),
      'a.webp': await picture(320, 200).webp({ quality: 99 }).toBuffer(),
      'thumbnails/8/mine.png': await picture(100, 80).png().toBuffer(),
    });
    const { beside, pictures } = await make();
    expect([...beside.keys()]).toEqual(['a.webp.avif', 'thumbnails/80/a.webp', 'thumbnails/80/a.webp.avif']);
    expect(pictures).toBe(1);
  });
});

describe('a picture that is none', () => {
  it('is said, and keeps no other from being made', async () => {
    const whole = await photo();
    await writeTree(folder, {
      'a.jpg': '<!doctype html>',
      'b.png': bomb(20_000),
      'c.jpg': whole.subarray(0, whole.length / 2),
      'd.jpg': whole,
      'e.webp': await sharp([await picture(9, 9).png().toBuffer(), await picture(9, 9).negate().png().toBuffer()], {
        join: { animated: true },
      })
        .webp()
        .toBuffer(),
    });
    const { failed, beside } = await make({ widths: [] });
    expect(failed).toEqual([
      { path: 'a.jpg', why: 'it is something else' },
      { path: 'b.png', why: expect.stringContaining('pixel limit') as unknown },
      { path: 'c.jpg', why: expect.stringMatching(/./) as unknown },
    ]);
    expect(new Set(beside.keys())).toEqual(new Set(['d.jpg.avif', 'd.jpg.webp']));
  });
});

describe('making', () => {
  it('without sharp says what to do', async () => {
    const load = (): Promise<never> => import(NOWHERE) as Promise<never>;
    await expect(make({ load })).rejects.toMatchObject({
      code: 'PROGRAM_MISSING',
      remedy: expect.stringContaining('npm install sharp') as unknown,
    });
  });

  it('ends when it is told to', async () => {
    await writeTree(folder, { 'a.jpg': await photo(), 'b.jpg': await photo() });
    const aborting = new AbortController();
    const making = make({ signal: aborting.signal, onProgress: () => aborting.abort() });
    await expect(making).rejects.toMatchObject({ code: 'ABORTED' });
    await expect(make({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORTED' });
  });
});

describe('what is published beside a folder', () => {
  it('is content as if it were in it; what is in it comes first', async () => {
    const files = { 'index.html': 'a', 'b.jpg': 'b', 'sub/c.jpg': 'c' };
    await writeTree(folder, files);
    const elsewhere = await temporaryFolder(cleanup);
    await writeTree(elsewhere, { x: 'made', y: 'also made', z: 'not wanted' });
    const beside = new Map([
      ['b.jpg.webp', path.join(elsewhere, 'x')],
      ['thumbnails/80/sub/c.jpg', path.join(elsewhere, 'y')],
      ['b.jpg', path.join(elsewhere, 'z')],
    ]);
    const sink = { put: async () => {} };
    const { root, files: count } = await importPath(folder, sink, { beside });
    await mkdir(path.join(into, 'all'));
    await writeTree(path.join(into, 'all'), {
      ...files,
      'b.jpg.webp': 'made',
      'thumbnails/80/sub/c.jpg': 'also made',
    });
    const all = await importPath(path.join(into, 'all'), sink);
    expect([root.toString(), count]).toEqual([all.root.toString(), 5]);
  });
});
