/** Real trees, served by the preview as nginx serves them: documentation of Debian, packages of npm, and names that are odd. */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Cleanup, temporaryFolder, writeTree } from '../sites/kit.ts';
import { describeUnless, missingPrograms } from '../programs.ts';
import { compareTree, serveBoth, type AllowedType, type Both, type Served } from './beside-nginx.ts';

/** Folders in which Debian's packages have their documentation: between them pages, scripts, fonts, images, packed text, programs. */
const DOCUMENTATION: Readonly<Record<string, string>> = {
  'debian-policy': '/usr/share/doc/debian-policy',
  'graphviz-doc': '/usr/share/doc/graphviz',
};
/** Of npm: a module of WebAssembly, a PDF viewer, an editor, a map library, slides. */
const PACKAGES = ['@jsquash/png', 'pdfjs-dist', 'codemirror', 'leaflet', 'reveal.js'] as const;
const PATIENCE_MILLIS = 240_000;

const BYTES = 'application/octet-stream';
const SCRIPT = 'text/javascript; charset=utf-8';
const TEXT = 'text/plain; charset=utf-8';
const unknown = (files: RegExp, ours: string, why = 'it is not in the list of nginx'): AllowedType => {
  return { files, ours, nginx: BYTES, why };
};

/** Differences by intent. All else that differs is a fault. */
const ALLOWED: readonly AllowedType[] = [
  { files: /\.js$/, ours: SCRIPT, nginx: 'application/javascript', why: 'RFC 9239 made the other one obsolete' },
  { files: /\.xml$/, ours: 'application/xml', nginx: 'text/xml; charset=utf-8', why: 'XML names its encoding itself' },
  { files: /\.html?$/i, ours: 'text/html', nginx: 'text/html; charset=utf-8', why: 'its bytes are not UTF-8' },
  { files: /\.bmp$/, ours: 'image/bmp', nginx: 'image/x-ms-bmp', why: 'RFC 7903 registered it' },
  { files: /\.ico$/, ours: 'image/vnd.microsoft.icon', nginx: 'image/x-icon', why: 'it is registered' },
  { files: /\.m4a$/, ours: 'audio/mp4', nginx: 'audio/x-m4a', why: 'it is registered' },
  unknown(/\.[cm]js$/, SCRIPT, 'browsers run no module that is bytes'),
  unknown(/\.(?:map|json)$/, 'application/json'),
  unknown(/\.webmanifest$/, 'application/manifest+json'),
  unknown(/\.gz$/, 'application/gzip'),
  unknown(/\.epub$/, 'application/epub+zip'),
  unknown(/\.ttf$/, 'font/ttf'),
  unknown(/\.otf$/, 'font/otf'),
  unknown(/\.pfb$/, 'application/x-font-type1'),
  unknown(/\.icc$/, 'application/vnd.iccprofile'),
  unknown(/\.mts$/, 'video/mp2t', 'the name is that of recordings of cameras as well; nginx calls .ts the same'),
  unknown(/\.md$/, 'text/markdown; charset=utf-8'),
  unknown(/\.csv$/, 'text/csv; charset=utf-8'),
  unknown(/\.vtt$/, 'text/vtt; charset=utf-8'),
  unknown(/\.ics$/, 'text/calendar; charset=utf-8'),
  unknown(/\.scss$/, 'text/x-scss; charset=utf-8'),
  unknown(/\.lua$/, 'text/x-lua; charset=utf-8'),
  unknown(/\.gv$/, 'text/vnd.graphviz; charset=utf-8'),
  unknown(/\.gv$/, 'text/vnd.graphviz', 'its bytes are not UTF-8'),
  unknown(/\.(?:dat|lefty|leafdoc|psp|py|rb|tsx|README)$/, TEXT, 'its bytes read as text'),
  unknown(/(?:^|\/)[^./]+\.?$/, TEXT, 'it has no extension, and its bytes read as text'),
];

const ODD_NAMES: readonly string[] = [
  ['a b.txt', 'ü.txt', 'e\u0301.txt', '日本語/日本.html', 'emoji😀.txt', '100%.txt', '%41.txt', 'q?.txt', 'hash#.html'],
  ['semi;colon=1.txt', 'plus+.txt', 'a&b<c>.html', `quote"'.txt`, 'back\\slash.txt', '~tilde.txt', '$dollar.txt'],
  ['@at.txt', 'a:b.txt', 'a=b,c.txt', '[x]{y}|^`.txt', 'tab\there.txt', 'new\nline.txt', 'two..dots.txt', 'trailing.'],
  ['no-extension', 'Makefile', 'UPPER.HTML', 'index.htm', '.well-known/security.txt', `${'x'.repeat(200)}.txt`],
  [
    'dir with space/index.html',
    'folder.html/index.html',
    'sub/index.html',
    'sub/style.css',
    'deep/er/and/deeper/file.json',
  ],
  [
    'archive.tar.gz',
    'x.cjs',
    'x.webmanifest',
    'x.woff2',
    'x.otf',
    'x.ico',
    'x.bmp',
    'x.avif',
    'x.webp',
    'x.mp4',
    'x.webm',
  ],
  [
    'x.m4a',
    'x.mp3',
    'x.ogg',
    'x.pdf',
    'x.zip',
    'x.xml',
    'x.xhtml',
    'x.rss',
    'x.atom',
    'x.csv',
    'x.vtt',
    'x.ics',
    'x.tsx',
  ],
].flat();

/** Asked as they stand here. Both answer with the same status, and with the same bytes where that is 200. */
const ALIKE: readonly string[] = [
  ['/', '/?x=1', '/index.html?x', '/sub/', '/sub/?q=%zz', '/sub/style.css?download=true', '/%73ub/%73tyle%2Ecss'],
  ['/%C3%BC.txt', '/%c3%bc.txt', '/%FC.txt', '/100%25.txt', '/%2541.txt', '/%41.txt', '/plus+.txt', '/plus%2B.txt'],
  [
    '/semi;colon=1.txt',
    '/%64ir%20with%20space/',
    '/folder.html/',
    '/nothing',
    '/nothing/',
    '/nothing.html',
    '/.hidden',
  ],
  [
    '/sub/style.css/',
    '/sub/style.css/x',
    '/no-extension/',
    '/sub/index.html/',
    '/UPPER.html',
    '/a+b.txt',
    '/sub\\style.css',
  ],
  [`/${'y'.repeat(3000)}`, `/${'a/'.repeat(500)}`],
].flat();

const RANGES: readonly string[] = [
  [
    'bytes=0-',
    'bytes=0-0',
    'bytes=-1',
    'bytes=-100000',
    'bytes=0-99999',
    'bytes=99999-',
    'bytes=-0',
    'bytes=',
    'bytes',
  ],
  ['items=0-1', 'Bytes=0-1', 'bytes=0-1,99999-', 'bytes=0-,0-', 'bytes=18446744073709551616-'],
].flat();

/** Where nginx gives another status, or other bytes, and why ours is as it is. */
const UNLIKE: readonly (readonly [target: string, ours: number, nginx: number, why: string])[] = [
  ['/sub?q=1', 302, 301, 'a name may point to a file there tomorrow'],
  ['/%', 404, 400, 'no file has such an address'],
  ['/sub/style.css%00', 404, 400, 'no file has such an address'],
  ['/sub%2Fstyle.css', 404, 200, 'a slash that is escaped divides nothing'],
  ['/sub/../sub/style.css', 404, 200, 'clients take such steps before they ask'],
  ['/../sub/style.css', 404, 400, 'nothing is above a site'],
];

const HERE = 'Tests beside nginx';
const documents = Object.entries(DOCUMENTATION).filter(([, folder]) => !existsSync(folder));
const lacking =
  missingPrograms(['nginx', 'setpriv']) ??
  (documents.length === 0 ? undefined : `apt-get install ${documents.map(([name]) => name).join(' ')}`);

describeUnless(lacking, HERE)('served as nginx serves it', () => {
  const cleanup = new Cleanup();
  const served = new Map<string, Served>();
  beforeAll(async () => {
    const scratch = await temporaryFolder(cleanup);
    const odd = path.join(scratch, 'odd');
    await mkdir(odd);
    await writeTree(odd, Object.fromEntries(ODD_NAMES.map((name) => [name, `words of ${name}\n`.repeat(20)])));
    await writeTree(odd, { 'index.html': '<!doctype html>front', 'empty.txt': '', 'empty.html': '', 'empty.css': '' });
    const folders = {
      ...DOCUMENTATION,
      ...Object.fromEntries(PACKAGES.map((name) => [name, packageFolder(name)])),
      odd,
    };
    const both: Both = await serveBoth(Object.values(folders), path.join(scratch, 'nginx'));
    cleanup.add(() => both[Symbol.asyncDispose]());
    Object.keys(folders).forEach((name, index) => {
      const one = both.served[index];
      if (one !== undefined) served.set(name, one);
    });
  });
  afterAll(() => cleanup.run());

  const servedOf = (name: string): Served => {
    const one = served.get(name);
    if (one === undefined) throw new TypeError(`${name} is not served`);
    return one;
  };

  it.each([...Object.keys(DOCUMENTATION), ...PACKAGES, 'odd'])(
    'is each file and each folder of %s',
    async (name) => {
      expect(await compareTree(servedOf(name), ALLOWED)).toEqual([]);
    },
    PATIENCE_MILLIS,
  );

  it.each(ALIKE)('is %s', async (target) => {
    const { ours, nginx } = servedOf('odd');
    const [mine, theirs] = await Promise.all([ours(target), nginx(target)]);
    expect(mine.status).toBe(theirs.status);
    // The preview adds a line to pages; an error has a page of each one's own.
    expect(mine.body.subarray(0, mine.status === 200 ? theirs.body.length : 0)).toEqual(
      theirs.body.subarray(0, theirs.status === 200 ? theirs.body.length : 0),
    );
  });

  it.each(UNLIKE)('is not %s: %i, and of nginx %i, because %s', async (target, mine, theirs) => {
    const { ours, nginx } = servedOf('odd');
    expect([(await ours(target)).status, (await nginx(target)).status]).toEqual([mine, theirs]);
  });

  it.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE'])('is nothing for %s', async (method) => {
    const { ours, nginx } = servedOf('odd');
    expect([(await ours('/', { method })).status, (await nginx('/', { method })).status]).toEqual([405, 405]);
  });

  it.each(RANGES)('is the range %s', async (range) => {
    const { ours, nginx } = servedOf('odd');
    const [mine, theirs] = await Promise.all([ours('/sub/style.css', { range }), nginx('/sub/style.css', { range })]);
    expect([mine.status, mine.range]).toEqual([theirs.status, theirs.range]);
    expect(mine.body.subarray(0, mine.status === 416 ? 0 : undefined)).toEqual(
      theirs.body.subarray(0, theirs.status === 416 ? 0 : undefined),
    );
  });

  it('is several ranges at once, each with its head', async () => {
    const { ours, nginx } = servedOf('odd');
    const range = 'bytes=0-1,-3';
    const said = [await ours('/sub/style.css', { range }), await nginx('/sub/style.css', { range })].map((answer) =>
      answer.body.toString().replaceAll(/^--\S+$/gm, (line) => (line.endsWith('--\r') ? '--end' : '--')),
    );
    expect(said[0]).toBe(said[1]);
  });
});

function packageFolder(name: string): string {
  return fileURLToPath(new URL(`../../node_modules/${name}`, import.meta.url));
}
